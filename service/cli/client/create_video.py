"""Creation of a video from a photo and a prompt, through the HTTP API only."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import typer

from service.cli.client.deadline import ApiFailed, Deadline, TimedOut
from service.cli.client.follow import GenerationFollower
from service.cli.client.http import Client
from service.cli.client.photos import Photo
from service.cli.client.progress import Display, plain
from service.cli.interrupts import Interrupts
from service.domain.status import TERMINAL

_CANCEL_SECONDS: Final = 20.0
FAILED: Final = 1
INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoRequest:
    """Options of ``generate`` and of ``complete``."""

    url: str
    key: str = field(repr=False)
    fields: dict[str, Any]
    """Fields of the create, without its images."""
    images: Mapping[str, Photo | str] = field(default_factory=dict)
    """A file or a URL for each image field."""
    completes: str | None = None
    """Id of a draft's generation; None: the create needs no other generation."""
    references: Mapping[str, Sequence[Photo | str]] = field(default_factory=dict)
    """Files or URLs for each list of references."""
    output: Path | None = None
    timeout: float
    detach: bool = False
    as_json: bool = False


def estimate(request: VideoRequest) -> None:
    """Print the maximum cost, and create nothing."""
    try:
        with Client(request.url, request.key, Deadline(request.timeout)) as client:
            quote = client.estimate({**request.fields, **request.images, **request.references})
    except ApiFailed as error:
        typer.echo(plain(str(error)), err=True)
        raise typer.Exit(FAILED) from None
    if request.as_json:
        typer.echo(json.dumps(quote))
    else:
        typer.echo(f"At most ${quote['estimated']}{'' if quote['fits'] else '; this exceeds the budget'}")


def create(request: VideoRequest) -> None:
    """Create, wait and download. Exit 1 after a line with the cause of a failure; exit 130 after an interrupt."""
    with Interrupts() as interrupts:
        run = _Run(request, interrupts)
        try:
            run.create()
        except KeyboardInterrupt:
            run.fail("interrupted", "Interrupted.", status=INTERRUPTED, cancel=True)
        except TimedOut as error:
            run.fail("timeout", str(error), status=FAILED, cancel=True)
        except (ApiFailed, OSError) as error:
            run.fail(getattr(error, "code", None) or "failed", str(error), status=FAILED, cancel=False, cause=error)


class _Run:
    """One generation from the photo to the file. Its result is one line, or one JSON object, on stdout."""

    def __init__(self, request: VideoRequest, interrupts: Interrupts) -> None:
        self._request = request
        self._interrupts = interrupts
        self._started = time.monotonic()
        self._display = Display()
        self._generation: dict[str, Any] | None = None

    def create(self) -> None:
        request = self._request
        with Client(request.url, request.key, Deadline(request.timeout), self._display.note) as client:
            with self._display.working("uploading"):
                body = {**request.fields, **self._uploaded(client)}
                with self._interrupts.deferred():  # an interrupt during the create must know the id to cancel
                    self._generation = client.create(body, f"generate-{uuid.uuid4()}", completes=request.completes)
            if request.detach:
                self._print_result(self._generation["id"])
                return
            with self._display.working(f"accepted as {self._generation['id']}", stays=True):
                follower = GenerationFollower(client, self._display, self._generation)
                try:
                    follower.wait_until_ended()
                finally:
                    self._generation = follower.generation
            self._save(client, self._generation)

    def fail(self, code: str, detail: str, *, status: int, cancel: bool, cause: BaseException | None = None) -> None:
        """Print the reason with what support asks for, and exit.

        With ``cancel``, first cancel the generation, so that it costs nothing more.
        """
        g = self._generation
        if g is not None and g["status"] not in TERMINAL:
            detail = f"{detail} {self._cancel(g['id']) if cancel else _still_running(g['id'])}"
        elif g is not None and g["status"] == "succeeded":
            detail = f"{detail} The video is not lost: GET /v1/generations/{g['id']}/video downloads it again."
        elif g is not None and g["error"] is not None:
            code = g["error"]["code"]
        if self._request.as_json:
            self._print_json(error={"code": code, "message": detail})
        typer.echo(plain(f"{detail} ({', '.join(_references(code, self._generation, cause))})"), err=True)
        raise typer.Exit(status)

    def _uploaded(self, client: Client) -> dict[str, str | list[str]]:
        """Return the fields of files, with the URLs of uploaded ones."""

        def url(file: Photo | str) -> str:
            return file if isinstance(file, str) else client.upload(file.path, file.content_type)

        images: dict[str, str | list[str]] = {name: url(image) for name, image in self._request.images.items()}
        return images | {name: [url(file) for file in files] for name, files in self._request.references.items()}

    def _save(self, client: Client, g: dict[str, Any]) -> None:
        if g["status"] != "succeeded":
            raise ApiFailed(g["error"]["message"] if g["error"] else f"The generation was {g['status']}.")
        target = self._target(g["id"])
        with self._display.downloading() as progress:
            size = client.download(g["output"]["video"]["url"], target, progress)
        cost = g["cost"]["actual"] or g["cost"]["estimated"]
        self._print_result(
            f"{target}  {size / 1e6:.1f} MB, {self._seconds():.1f} s, ${cost}", path=str(target), size=size
        )

    def _target(self, generation_id: str) -> Path:
        output = self._request.output or Path()
        return output / f"{generation_id}.mp4" if output.is_dir() else output

    def _print_result(self, line: str, **fields: Any) -> None:
        if self._request.as_json:
            self._print_json(**fields)
        else:
            typer.echo(plain(line))

    def _print_json(self, **fields: Any) -> None:
        none = {"path": None, "size": None, "error": None}
        typer.echo(json.dumps({"generation": self._generation, "seconds": self._seconds(), **none, **fields}))

    def _seconds(self) -> float:
        return round(time.monotonic() - self._started, 1)

    def _cancel(self, generation_id: str) -> str:
        """Cancel, and return the outcome as a sentence. The interrupted client may be unusable: this uses a new one."""
        try:
            with Client(self._request.url, self._request.key, Deadline(_CANCEL_SECONDS)) as client:
                self._generation = client.cancel(generation_id)
        except ApiFailed as error:
            if error.status == 409:
                return f"{generation_id} had already ended."
            return f"The cancel failed ({error}). {_still_running(generation_id)}"
        except KeyboardInterrupt:
            return f"The cancel was interrupted. {_still_running(generation_id)}"
        if self._generation["status"] == "canceled":
            return f"{generation_id} is canceled."
        return f"fal was asked to cancel {generation_id}; work that fal has started may be billed."


def _references(code: str, g: dict[str, Any] | None, cause: BaseException | None) -> Iterator[str]:
    """Yield code, generation id, fal's request id and the id of the failed request, as far as there are any."""
    yield code
    if g is not None:
        yield str(g["id"])
        if g.get("fal_request_id"):
            yield f"fal request {g['fal_request_id']}"
    if isinstance(cause, ApiFailed) and cause.request_id is not None:
        yield f"request {cause.request_id}"


def _still_running(generation_id: str) -> str:
    return f"{generation_id} is still running: GET /v1/generations/{generation_id}"
