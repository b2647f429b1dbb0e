"""Image files as clients send them: one table of file, label, way in, and what is expected.

The bytes decide. What is stored is exactly the first picture of the file, without metadata, upright.
"""

import base64
import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final, NamedTuple
from urllib.parse import quote

import fal_client
import httpx
import pytest

from service.config.settings import Settings
from service.errors import BadImage
from service.media import inspection
from service.media.inspector import Inspector
from tests.conftest import Connect
from tests.integration.api.fal.conftest import MODEL, PUBLIC, QUEUE, as_fal
from tests.support import factories, pictures
from tests.support.image_files import (
    JPEG,
    OTHERS,
    PICTURES,
    PNG,
    SECOND_FORMATS,
    TRAILERS,
    WEBP,
    film,
    is_upright,
    turned,
)

CURL: Final = "application/x-www-form-urlencoded"
BINARY: Final = "application/octet-stream"
LONG: Final = pictures.encoded("png", pictures.noise(60, 40))  # base64 of several lines


class Row(NamedTuple):
    """``label``: the media type that the client gives; None: none.

    ``expected``: ``jpeg``, ``png`` or ``webp``: this picture is stored exactly; ``upright``: it is stored turned; else
    the code of the error, and words of it.
    """

    id: str
    file: bytes
    label: str | None
    way: str
    expected: str


ROWS: Final = tuple(
    Row(*cells)
    for cells in (
        # id, file, label, way in, expected
        # --- labels: raw
        ("jpeg", JPEG, "image/jpeg", "raw", "jpeg"),
        ("png", PNG, "image/png", "raw", "png"),
        ("webp", WEBP, "image/webp", "raw", "webp"),
        ("jpg is a label of many programs", JPEG, "image/jpg", "raw", "jpeg"),
        ("png called jpeg", PNG, "image/jpeg", "raw", "png"),
        ("webp called png", WEBP, "image/png", "raw", "webp"),
        ("jpeg called gif", JPEG, "image/gif", "raw", "jpeg"),
        ("capitals and a parameter", JPEG, "IMAGE/JPEG; foo=bar", "raw", "jpeg"),
        ("octet-stream", WEBP, BINARY, "raw", "webp"),
        ("curl --data-binary without a header", PNG, CURL, "raw", "png"),
        ("untyped Blob in fetch", JPEG, None, "raw", "jpeg"),
        ("empty label", JPEG, "", "raw", "jpeg"),
        ("no media type at all", PNG, "photo", "raw", "png"),
        ("wildcard", PNG, "*/*", "raw", "png"),
        # --- labels: forms
        ("form", JPEG, "image/jpeg", "form", "jpeg"),
        ("form, png called jpg", PNG, "image/jpg", "form", "png"),
        ("form, untyped File", WEBP, BINARY, "form", "webp"),
        ("form, no type", JPEG, None, "form", "jpeg"),
        ("form, no file name", JPEG, None, "form without file name", "jpeg"),
        ("form, encoded file name", PNG, "image/png", "form with encoded file name", "png"),
        # --- labels: data URIs
        ("data jpg", JPEG, "image/jpg;base64", "data URI", "jpeg"),
        ("data without a type", PNG, ";base64", "data URI", "png"),
        ("data octet-stream", WEBP, f"{BINARY};base64", "data URI", "webp"),
        ("data png called jpeg", PNG, "image/jpeg;base64", "data URI", "png"),
        ("data with parameters", JPEG, "image/jpeg;name=a.jpg;charset=utf-8;base64", "data URI", "jpeg"),
        ("data in capitals", JPEG, "IMAGE/JPEG; BASE64", "data URI", "jpeg"),
        ("fal_client.encode_file, no suffix", PNG, None, "fal_client.encode_file", "png"),
        ("fal, data without a type", JPEG, ";base64", "fal data URI", "jpeg"),
        ("fal, data png called jpg", PNG, "image/jpg;base64", "fal data URI", "png"),
        ("data end image", WEBP, "image/webp;base64", "data URI of end image", "webp"),
        # --- base64
        ("base64 in lines", LONG, "image/png;base64", "data URI in lines", "png"),
        ("base64 without padding", JPEG, "image/jpeg;base64", "data URI without padding", "jpeg"),
        ("base64 percent-encoded", PNG, "image/png;base64", "percent-encoded data URI", "png"),
        ("base64url", b"\xfb\xef\xbe" + JPEG, "image/jpeg;base64", "base64url", "image_unreadable base64url"),
        ("no base64", JPEG, "image/jpeg", "data URI", "invalid base64"),
        # --- labels: tickets of the fal surface
        ("ticket", JPEG, "image/jpeg", "ticket", "jpeg"),
        ("ticket, jpg", JPEG, "image/jpg", "ticket", "jpeg"),
        ("ticket, untyped Blob", PNG, BINARY, "ticket", "png"),
        ("ticket, png called jpeg", PNG, "image/jpeg", "ticket", "png"),
        ("ticket, webp called heic", WEBP, "image/heic", "ticket", "webp"),
        ("ticket, capitals and a parameter", WEBP, "IMAGE/WEBP; q=1", "ticket", "webp"),
        ("ticket without types", JPEG, None, "ticket", "jpeg"),
        # --- labels: uploads of fal's Python client
        ("fal token, jpg", JPEG, "image/jpg", "fal token", "jpeg"),
        ("fal token, no suffix", WEBP, BINARY, "fal token", "webp"),
        ("fal token, png called jpeg, newline", PNG + b"\n", "image/jpeg", "fal token", "png"),
        ("fal token, HEIC", OTHERS["HEIC"][0], "image/heic", "fal token", "image_format HEIC"),
        # --- trailers
        ("Samsung, raw", JPEG + TRAILERS["Samsung"], "image/jpeg", "raw", "jpeg"),
        ("Vivo, form", JPEG + TRAILERS["Vivo"], "image/jpg", "form", "jpeg"),
        ("OnePlus, data URI", JPEG + TRAILERS["OnePlus"], ";base64", "data URI", "jpeg"),
        ("motion photo, ticket", JPEG + TRAILERS["Samsung film"], BINARY, "ticket", "jpeg"),
        ("second picture after padding", JPEG + TRAILERS["padding and a second picture"], None, "raw", "jpeg"),
        ("png and a newline", PNG + b"\n", "image/png", "raw", "png"),
        ("png and zeros, fal", PNG + bytes(100), "image/png;base64", "fal data URI", "png"),
        ("webp and a film", WEBP + film(), "image/jpeg", "form", "webp"),
        ("webp and AFCP", WEBP + TRAILERS["AFCP"], None, "raw", "webp"),
        # --- second formats
        ("jpeg and a ZIP", JPEG + SECOND_FORMATS["a ZIP"], "image/jpg", "raw", "image_trailing_data ZIP"),
        ("png and a PDF", PNG + SECOND_FORMATS["a PDF"], BINARY, "form", "image_trailing_data PDF"),
        ("webp and HTML", WEBP + SECOND_FORMATS["HTML"], ";base64", "data URI", "image_trailing_data HTML"),
        ("jpeg, script", JPEG + SECOND_FORMATS["a script tag"], "image/png", "ticket", "image_trailing_data script"),
        # --- other formats
        ("HEIC", OTHERS["HEIC"][0], "image/heic", "raw", "image_format Most Compatible"),
        ("HEIC called jpeg", OTHERS["HEIC"][0], "image/jpeg", "form", "image_format HEIC"),
        ("HEIC, data URI", OTHERS["HEIC"][0], "image/jpeg;base64", "data URI", "image_format HEIC"),
        ("HEIC, ticket", OTHERS["HEIC"][0], "image/heic", "ticket", "image_format HEIC"),
        ("AVIF", OTHERS["AVIF"][0], "image/avif", "raw", "image_format AVIF"),
        ("AVIF, fal", OTHERS["AVIF"][0], "image/avif;base64", "fal data URI", "image_format AVIF"),
        ("GIF called png", OTHERS["GIF"][0], "image/png", "raw", "image_format GIF"),
        ("video", OTHERS["MP4"][0], "video/mp4", "ticket", "image_format video"),
        ("JSON", OTHERS["JSON"][0], "application/json", "raw", "image_format JSON"),
        ("base64 text", OTHERS["base64"][0], "image/jpeg", "raw", "image_format base64"),
        ("sound in RIFF called webp", OTHERS["WAV"][0], "image/webp", "raw", "image_format JPEG, PNG or WebP"),
        # --- turned by EXIF
        ("jpeg turned", turned("jpeg", 6), "image/jpeg", "raw", "upright"),
        ("jpeg mirrored and turned", turned("jpeg", 7), "image/jpg", "form", "upright"),
        ("jpeg turned, with a film", turned("jpeg", 8) + film(), BINARY, "ticket", "upright"),
        ("jpeg upside down", turned("jpeg", 3), ";base64", "data URI", "upright"),
        ("png turned", turned("png", 6), "image/jpeg", "raw", "upright"),
        ("webp turned", turned("webp", 5, quality=90), None, "raw", "upright"),
        ("lossless webp turned, fal", turned("webp", 8, lossless=True), ";base64", "fal data URI", "upright"),
    )
)


def _combinations() -> Iterator[Row]:
    """Each label in each way, with all trailers and formats in turn."""
    labels = ("image/jpeg", "image/jpg", "image/png", "image/webp", "image/heic", BINARY, "TEXT/plain; charset=utf-8")
    trailers, kinds = itertools.cycle(TRAILERS), itertools.cycle(PICTURES)
    for label, way in itertools.product(labels, ("raw", "form", "data URI", "ticket", "fal token")):
        trailer, kind = next(trailers), next(kinds)
        declared = f"{label};base64" if way == "data URI" else label
        yield Row(f"{kind}, {trailer}, {label}, {way}", PICTURES[kind] + TRAILERS[trailer], declared, way, kind)


@dataclass(frozen=True)
class Clients:
    """Three clients of one tenant: of ``/v1``, of ``/fal``, and without a key."""

    v1: httpx.AsyncClient
    fal: httpx.AsyncClient
    anonymous: httpx.AsyncClient
    folder: Path


Way = Callable[[Clients, bytes, str | None], Awaitable[httpx.Response]]


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url, public_url=PUBLIC)


@pytest.fixture(autouse=True)
def _inspected_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process for each row would take most of the time; ``test_uploads.py`` has inspections in their own process."""

    async def run(inspector: Inspector, source: IO[bytes], target: IO[bytes], _: object) -> object:
        try:
            inspected, clean = inspection.inspect(source.read(), most_pixels=inspector._most_pixels)
        except BadImage as bad:
            return {"code": bad.code, "reason": bad.reason}
        target.write(clean)
        return asdict(inspected)

    monkeypatch.setattr(Inspector, "_run", run)


@pytest.fixture
async def clients(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, connect: Connect, tenant: Any, tmp_path: Path
) -> Clients:
    return Clients(api, as_fal(await connect(tenant)), anonymous, tmp_path)


def typed(label: str | None) -> dict[str, str]:
    return {} if label is None else {"content-type": label}


async def raw(clients: Clients, file: bytes, label: str | None) -> httpx.Response:
    return await clients.v1.post("/v1/uploads", content=file, headers=typed(label))


def form(disposition: str) -> Way:
    async def send(clients: Clients, file: bytes, label: str | None) -> httpx.Response:
        head = f"Content-Disposition: form-data; {disposition}\r\n"
        head += "" if label is None else f"Content-Type: {label}\r\n"
        body = f"--XX\r\n{head}\r\n".encode() + file + b"\r\n--XX--\r\n"
        return await clients.v1.post(
            "/v1/uploads", content=body, headers={"content-type": "Multipart/Form-Data; boundary=XX"}
        )

    return send


def plain(text: str) -> str:
    return text


def inline(field: str = "image_url", change: Callable[[str], str] = plain) -> Way:
    """The image in the body of a create; ``change``: what becomes of its base64."""

    async def send(clients: Clients, file: bytes, label: str | None) -> httpx.Response:
        uri = f"data:{label},{change(base64.b64encode(file).decode())}"
        return await created(clients, **{field: uri})

    return send


async def encoded_file(clients: Clients, file: bytes, _: str | None) -> httpx.Response:
    path = clients.folder / "photo"
    path.write_bytes(file)
    return await created(clients, image_url=fal_client.encode_file(path))  # type: ignore[no-untyped-call,unused-ignore]


async def created(clients: Clients, **fields: str) -> httpx.Response:
    return await clients.v1.post("/v1/generations", json=factories.create_body(**fields))


async def fal_inline(clients: Clients, file: bytes, label: str | None) -> httpx.Response:
    body = factories.create_body(image_url=f"data:{label},{base64.b64encode(file).decode()}")
    answer = await clients.fal.post(f"{QUEUE}/{MODEL}", json=body)
    if answer.status_code != 200:
        return answer
    return await clients.v1.get(f"/v1/generations/{answer.json()['request_id']}")


async def ticket(clients: Clients, file: bytes, label: str | None) -> httpx.Response:
    """As fal's JavaScript client: the same type in both requests."""
    body = {} if label is None else {"content_type": label, "file_name": "blob"}
    place = (await clients.fal.post("/fal/rest/storage/upload/initiate", json=body)).raise_for_status().json()
    answer = await clients.anonymous.put(place["upload_url"].removeprefix(PUBLIC), content=file, headers=typed(label))
    return httpx.Response(200, json={"url": place["file_url"]}) if answer.is_success else answer


async def token(clients: Clients, file: bytes, label: str | None) -> httpx.Response:
    """As fal's Python client: a token, then the bytes with it."""
    issued = (await clients.fal.post("/fal/rest/storage/auth/token")).raise_for_status().json()
    answer = await clients.anonymous.post(
        f"{issued['base_url'].removeprefix(PUBLIC)}/files/upload",
        content=file,
        headers={**typed(label), "authorization": f"Bearer {issued['token']}"},
    )
    return httpx.Response(200, json={"url": answer.json()["access_url"]}) if answer.is_success else answer


def lines(text: str) -> str:
    return "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)) + "\n"


WAYS: Final[Mapping[str, Way]] = {
    "raw": raw,
    "form": form('name="photo"; filename="holiday.gif"'),
    "form without file name": form('name="file"'),
    "form with encoded file name": form("name=\"photo\"; filename*=UTF-8''%D0%BA%D0%BE%D1%82.png"),
    "data URI": inline(),
    "data URI of end image": inline("end_image_url"),
    "data URI in lines": inline(change=lines),
    "data URI without padding": inline(change=lambda text: text.rstrip("=")),
    "percent-encoded data URI": inline(change=lambda text: quote(text, safe="")),
    "base64url": inline(change=lambda text: text.replace("+", "-").replace("/", "_")),
    "fal_client.encode_file": encoded_file,
    "fal data URI": fal_inline,
    "ticket": ticket,
    "fal token": token,
}


@pytest.mark.parametrize("row", [*ROWS, *_combinations()], ids=lambda row: row.id)
async def test_image_file_is_stored_or_refused_by_bytes(clients: Clients, row: Row) -> None:
    answer = await WAYS[row.way](clients, row.file, row.label)

    if not answer.is_success:
        assert refusal(answer, row.expected) == row.expected, answer.text
        return
    body = answer.json()
    url = body.get("url") or body["input"]["end_image_url" if row.way.endswith("end image") else "image_url"]
    async with httpx.AsyncClient(trust_env=False) as fetching:
        stored = (await fetching.get(url)).content
    if row.expected == "upright":
        assert is_upright(stored)
    else:
        assert stored == (LONG if row.file is LONG else PICTURES[row.expected])


def refusal(answer: httpx.Response, expected: str) -> str:
    """Return the code of an error, in the form of either surface, and the expected words if its text has them."""
    problem, (_, _, words) = answer.json(), expected.partition(" ")
    fault = problem["errors"][0] if "errors" in problem else problem["detail"][0]
    code = problem.get("code") or fault["type"]
    text = fault.get("msg") or fault["detail"]
    return f"{code} {words if words in text else text}"


def test_image_files_are_many() -> None:
    assert len(ROWS) >= 40
    assert len({row.id for row in ROWS}) == len(ROWS)
    assert {row.way for row in ROWS} == set(WAYS)
