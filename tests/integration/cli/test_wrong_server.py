"""Commands that call a gateway: a URL that is not the gateway's, and certificates, are named in one line."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sandbox.certificate import write_certificate
from service.cli import app
from service.cli.client.http import RETRY_SECONDS


class _NotFound(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def other_server(folder: Path | None = None) -> Iterator[str]:
    """Serve 404 for each path, with TLS if ``folder`` is given. Yield the address."""
    with HTTPServer(("127.0.0.1", 0), _NotFound) as server:
        if folder is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*write_certificate(folder))
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def message(url: str) -> str:
    """Return stderr of a command that fails at once: no retry cures these faults."""
    begun = time.monotonic()
    result = CliRunner().invoke(app, ["models", "--url", url, "--key", "sgk_none"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert time.monotonic() - begun < RETRY_SECONDS
    return result.stderr.strip()


def test_client_other_server_is_questioned() -> None:
    with other_server() as address:
        answered = f"GET http://{address}/v1/models answered 404."
        assert message(f"http://{address}") == f"{answered} This is not an answer of the gateway: is this its URL?"


def test_client_https_of_http_server_is_named() -> None:
    with other_server() as address:
        assert message(f"https://{address}") == f"https://{address} does not speak HTTPS. Use an http:// URL."


def test_client_untrusted_certificate_names_its_setting(tmp_path: Path) -> None:
    with other_server(tmp_path) as address:
        text = message(f"https://{address}")
    assert "has a certificate that is not trusted here: " in text
    assert text.endswith("Name a PEM file with its issuer in SSL_CERT_FILE.")


def test_client_trusted_certificate_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with other_server(tmp_path) as address:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        assert "answered 404" in message(f"https://{address}")


def test_client_certificate_file_unreadable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "certificate.pem"
    file.write_text("nothing")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert message("https://127.0.0.1:9").startswith("SSL_CERT_FILE or SSL_CERT_DIR cannot be read: ")
