"""A separate process with an S3 server: moto's, with its buckets in memory."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import obstore
from obstore.store import S3Store

from service.cli.dev.child_processes import Child, accepts, free_port

BUCKET: Final = "videos"
_START_SECONDS: Final = 60.0


@dataclass(frozen=True)
class S3:
    url: str

    @property
    def environment(self) -> dict[str, str]:
        """Return the settings with which the store's client finds the server."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "hush-s3-secret",
            "AWS_REGION": "us-east-1",
        }

    def empty(self) -> None:
        """Delete all objects."""
        httpx.post(f"{self.url}/moto-api/reset").raise_for_status()
        httpx.put(f"{self.url}/{BUCKET}").raise_for_status()

    def objects(self) -> dict[str, bytes]:
        """Return all objects by their names in the bucket."""
        store = S3Store(
            BUCKET,
            endpoint=self.url,
            access_key_id="test",
            secret_access_key="test",
            region="us-east-1",
            client_options={"allow_http": True},
        )
        names = [found["path"] for page in obstore.list(store) for found in page]
        return {name: bytes(obstore.get(store, name).bytes()) for name in names}


@contextmanager
def running(folder: Path) -> Iterator[S3]:
    port = free_port()
    child = Child(
        "s3", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], log=folder / "s3.log"
    )
    try:
        child.wait_until(lambda: accepts(port), within=_START_SECONDS)
        yield S3(f"http://127.0.0.1:{port}")
    finally:
        child.end()
