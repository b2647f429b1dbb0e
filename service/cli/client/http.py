"""The gateway over HTTP, for ``generate``: bounded in time and size, repeated where a repeat can do no harm."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import httpx

from service.cli.client.sse import Event, events

#: Connect, write and the gaps of an answer; a long poll may take its wait on top.
_TIMEOUT: Final = 30.0
#: A stream without even a heartbeat for so long is dead; the gateway's default is one every 15 s.
_SILENCE: Final = 45.0
#: How long a call is repeated that found nobody, or a gateway that asks to come back.
PATIENCE: Final = 30.0
_PAUSES: Final = (0.3, 0.6, 1.2, 2.5, 5.0)
_AGAIN: Final = frozenset({408, 429, 502, 503, 504})
_LARGEST_ANSWER: Final = 4_000_000
_LARGEST_VIDEO: Final = 4_000_000_000
_DOWNLOADS: Final = 3


class ApiFailed(Exception):
    """The message is one line for people: the problem document's detail, or what the network said."""

    def __init__(self, detail: str, *, status: int | None = None) -> None:
        super().__init__(" ".join(detail.split())[:500])
        self.status = status


class TimedOut(ApiFailed):
    """``--timeout`` is over."""


class Deadline:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self, most: float = float("inf")) -> float:
        """Raises TimedOut."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimedOut(f"No video within {self._seconds:.0f} seconds.")
        return min(left, most)


class Client:
    """``note`` hears in a sentence why a call has to be repeated."""

    def __init__(self, url: str, key: str, deadline: Deadline, note: Callable[[str], None] = lambda _: None) -> None:
        self._note = note
        self._http = httpx.Client(timeout=_TIMEOUT)
        with _told():
            self._url = httpx.URL(url)
        self._headers = {"authorization": f"Bearer {key}"}
        self._deadline = deadline

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def upload(self, photo: Path, content_type: str) -> str:
        """A URL for ``image_url``."""

        def send() -> Any:
            with photo.open("rb") as file:
                return self._once("POST", "/v1/uploads", content=file, headers={"content-type": content_type})

        return str(self._patiently(send)["url"])

    def estimate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._call("POST", "/v1/generations/estimate", json=body)

    def create(self, body: Mapping[str, Any], idempotency_key: str) -> dict[str, Any]:
        """With the key, a repeat after a lost answer finds what the first one made."""
        return self._call("POST", "/v1/generations", json=body, headers={"idempotency-key": idempotency_key})

    def read(self, generation_id: str, *, wait: int) -> dict[str, Any]:
        wait = int(self._deadline.left(wait))
        return self._call("GET", f"/v1/generations/{generation_id}", params={"wait": wait}, timeout=_TIMEOUT + wait)

    def cancel(self, generation_id: str) -> dict[str, Any]:
        return self._call("POST", f"/v1/generations/{generation_id}/cancel")

    def events(self, generation_id: str, last_event_id: str | None) -> Iterator[Event | None]:
        """What is new since that event; None for a heartbeat. Ends early now and then: come back for the rest.

        Raises:
            ApiFailed: refused, or broken off.
            TimedOut: no time is left.

        """
        headers = {"accept": "text/event-stream", "cache-control": "no-store"}
        if last_event_id is not None:
            headers["last-event-id"] = last_event_id
        path = f"/v1/generations/{generation_id}/events"
        timeout = httpx.Timeout(_TIMEOUT, read=self._deadline.left(_SILENCE))
        with _told(), self._opened("GET", path, headers=headers, timeout=timeout) as answer:
            _check(answer)
            for event in events(answer.iter_bytes()):
                self._deadline.left()
                yield event

    def download(self, url: str, target: Path, progress: Callable[[int, int | None], None]) -> int:
        """The file appears under its name when it is whole; its size. ``progress`` hears bytes so far and in all."""
        partial = target.with_name(f".{target.name}.part")
        try:
            for attempt in range(1, _DOWNLOADS + 1):
                try:
                    size = self._fetch(url, partial, progress)
                    break
                except ApiFailed as error:
                    if attempt == _DOWNLOADS or isinstance(error, TimedOut) or error.status not in (None, *_AGAIN):
                        raise
                    time.sleep(self._deadline.left(_PAUSES[attempt]))
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return size

    def _fetch(self, url: str, partial: Path, progress: Callable[[int, int | None], None]) -> int:
        size = 0
        with _told(), self._opened("GET", url, follow_redirects=True) as answer:
            _check(answer)
            length = answer.headers.get("content-length", "")
            total = int(length) if length.isdecimal() else None
            with partial.open("wb") as file:
                for chunk in answer.iter_bytes():
                    self._deadline.left()
                    size += len(chunk)
                    if size > _LARGEST_VIDEO:
                        raise ApiFailed(f"The video is larger than {_LARGEST_VIDEO} bytes.", status=413)
                    file.write(chunk)
                    progress(size, total)
        return size

    def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        return self._patiently(lambda: self._once(method, path, **request))

    def _patiently(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        give_up, tries = time.monotonic() + PATIENCE, 0
        while True:
            try:
                return call()
            except _Again as again:
                pause = again.after or _PAUSES[min(tries, len(_PAUSES) - 1)]
                if time.monotonic() + pause > give_up:
                    raise ApiFailed(str(again), status=again.status) from None
                if not tries:
                    self._note(f"{again} Trying again for {PATIENCE:.0f} s.")
                tries += 1
                time.sleep(self._deadline.left(pause))

    def _once(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        timeout = self._deadline.left(request.pop("timeout", _TIMEOUT))
        with _told(), self._opened(method, path, timeout=timeout, **request) as answer:
            _check(answer)
            return _json(answer)

    @contextmanager
    def _opened(self, method: str, path: str, **request: Any) -> Iterator[httpx.Response]:
        url = httpx.URL(path) if "://" in path else self._url.copy_with(path=self._url.path.rstrip("/") + path)
        own = (url.scheme, url.host, url.port) == (self._url.scheme, self._url.host, self._url.port)
        headers = {**(self._headers if own else {}), **request.pop("headers", {})}  # the key is for the gateway alone
        with self._http.stream(method, url, headers=headers, **request) as answer:
            yield answer


class _Again(ApiFailed):
    def __init__(self, detail: str, *, status: int | None = None, after: float | None = None) -> None:
        super().__init__(detail, status=status)
        self.after = after


@contextmanager
def _told() -> Iterator[None]:
    """What the network says, in a line."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise _Again(f"{_place(error)} did not answer in time.") from None
    except httpx.TransportError as error:
        raise _Again(f"{_place(error)} cannot be reached: {str(error) or type(error).__name__}.") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ApiFailed(f"Not to be fetched: {error}.") from None


def _place(error: httpx.TransportError) -> str:
    url = error.request.url
    return f"{url.scheme}://{url.netloc.decode()}"


def _check(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    place = answer.request.url.copy_with(query=None)  # signatures are in queries
    detail = f"{answer.request.method} {place} answered {answer.status_code}."
    if answer.headers.get("content-type") == "application/problem+json":
        detail = str(_json(answer).get("detail", detail))
    if answer.status_code in _AGAIN:
        after = answer.headers.get("retry-after", "")
        raise _Again(detail, status=answer.status_code, after=float(after) if after.isdecimal() else None)
    raise ApiFailed(detail, status=answer.status_code)


def _json(answer: httpx.Response) -> dict[str, Any]:
    body = b""
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            raise ApiFailed("The answer is too large to be the gateway's.")
    try:
        read = json.loads(body)
    except ValueError:
        raise ApiFailed("The answer is no JSON: is this the gateway's URL?") from None
    if not isinstance(read, dict):
        raise ApiFailed("The answer is no JSON object: is this the gateway's URL?")
    return read
