"""A photo and a prompt become a video, through the HTTP API and nothing else."""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import typer

from service.cli.client.follow import Following
from service.cli.client.http import ApiFailed, Client, Deadline, TimedOut
from service.cli.client.photos import Photo
from service.cli.client.progress import Display, plain
from service.cli.interrupts import Interrupts
from service.domain.status import TERMINAL

#: A quote needs no picture, but a whole request.
_ANY_IMAGE: Final = "https://example.com/photo.jpg"
_CANCEL_SECONDS: Final = 20.0
FAILED: Final = 1
INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    url: str
    key: str = field(repr=False)
    fields: dict[str, Any]
    """Of the request, less its pictures."""
    pictures: Mapping[str, Photo | str] = field(default_factory=dict)
    """By field: a file, or a URL."""
    output: Path | None = None
    timeout: float
    detach: bool = False
    as_json: bool = False


def estimate(order: Order) -> None:
    """Quote, and create nothing."""
    try:
        with Client(order.url, order.key, Deadline(order.timeout)) as client:
            quote = client.estimate({**order.fields, "image_url": _ANY_IMAGE})
    except ApiFailed as error:
        typer.echo(plain(str(error)), err=True)
        raise typer.Exit(FAILED) from None
    if order.as_json:
        typer.echo(json.dumps(quote))
    else:
        typer.echo(f"At most ${quote['estimated']}{'' if quote['fits'] else '; the budget has no room for it'}")


def make(order: Order) -> None:
    """Exits with 1 after one line that says what failed, with 130 when it was interrupted."""
    with Interrupts() as interrupts:
        run = _Run(order, interrupts)
        try:
            run.make()
        except KeyboardInterrupt:
            run.fail("interrupted", "Interrupted.", status=INTERRUPTED, cancel=True)
        except TimedOut as error:
            run.fail("timeout", str(error), status=FAILED, cancel=True)
        except (ApiFailed, OSError) as error:
            run.fail("failed", str(error), status=FAILED, cancel=False)


class _Run:
    """One generation from the photo to the file; all it learns ends up in one line, or in one JSON object."""

    def __init__(self, order: Order, interrupts: Interrupts) -> None:
        self._order = order
        self._interrupts = interrupts
        self._begun = time.monotonic()
        self._display = Display()
        self._generation: dict[str, Any] | None = None

    def make(self) -> None:
        order = self._order
        with Client(order.url, order.key, Deadline(order.timeout), self._display.note) as client:
            with self._display.working("uploading"):
                body = {**order.fields, **self._pictures(client)}
                with self._interrupts.held():  # whoever is interrupted here must know what there is to cancel
                    self._generation = client.create(body, f"generate-{uuid.uuid4()}")
            if order.detach:
                self._tell(self._generation["id"])
                return
            with self._display.working("accepted"):
                following = Following(client, self._display, self._generation)
                try:
                    following.to_the_end()
                finally:
                    self._generation = following.generation
            self._keep(client, self._generation)

    def fail(self, code: str, detail: str, *, status: int, cancel: bool) -> None:
        """Say why there is no video, and leave nothing behind that costs: unless it is out of reach."""
        g = self._generation
        if g is not None and g["status"] not in TERMINAL:
            detail = f"{detail} {self._cancel(g['id']) if cancel else _goes_on(g['id'])}"
        elif g is not None and g["error"] is not None:
            code = g["error"]["code"]
        if self._order.as_json:
            self._print_json(error={"code": code, "message": detail})
        typer.echo(plain(detail), err=True)
        raise typer.Exit(status)

    def _pictures(self, client: Client) -> dict[str, str]:
        return {
            name: picture if isinstance(picture, str) else client.upload(picture.path, picture.content_type)
            for name, picture in self._order.pictures.items()
        }

    def _keep(self, client: Client, g: dict[str, Any]) -> None:
        if g["status"] != "succeeded":
            raise ApiFailed(g["error"]["message"] if g["error"] else f"The generation was {g['status']}.")
        target = self._target(g["id"])
        with self._display.downloading() as progress:
            size = client.download(g["output"]["video"]["url"], target, progress)
        cost = g["cost"]["actual"] or g["cost"]["estimated"]
        self._tell(f"{target}  {size / 1e6:.1f} MB, {self._seconds():.1f} s, ${cost}", path=str(target), size=size)

    def _target(self, generation_id: str) -> Path:
        output = self._order.output or Path()
        return output / f"{generation_id}.mp4" if output.is_dir() else output

    def _tell(self, line: str, **found: Any) -> None:
        if self._order.as_json:
            self._print_json(**found)
        else:
            typer.echo(plain(line))

    def _print_json(self, **found: Any) -> None:
        none = {"path": None, "size": None, "error": None}
        typer.echo(json.dumps({"generation": self._generation, "seconds": self._seconds(), **none, **found}))

    def _seconds(self) -> float:
        return round(time.monotonic() - self._begun, 1)

    def _cancel(self, generation_id: str) -> str:
        """By a client of its own: the other one was torn from its work. What came of it, in a sentence."""
        try:
            with Client(self._order.url, self._order.key, Deadline(_CANCEL_SECONDS)) as client:
                self._generation = client.cancel(generation_id)
        except ApiFailed as error:
            if error.status == 409:
                return f"{generation_id} had already ended."
            return f"It could not be canceled ({error}) {_goes_on(generation_id)}"
        except KeyboardInterrupt:
            return f"It may not be canceled. {_goes_on(generation_id)}"
        if self._generation["status"] == "canceled":
            return f"{generation_id} is canceled."
        return f"fal was asked to cancel {generation_id}; what it has begun may be billed."


def _goes_on(generation_id: str) -> str:
    return f"{generation_id} goes on: GET /v1/generations/{generation_id}"
