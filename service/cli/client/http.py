"""HTTP client of the gateway for ``generate``. Time and size are bounded; a retry is always safe."""

import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import httpx

from service.cli.client.deadline import ApiFailed, Deadline, TimedOut
from service.cli.client.sse import Event, events

#: Seconds for connect, write and each read; a long poll adds its wait.
_TIMEOUT: Final = 30.0
#: A stream without an event or a heartbeat for this many seconds is dead; the default heartbeat is every 15 s.
_STREAM_SILENCE: Final = 45.0
#: Seconds for which a request is retried after a connection error or a retryable status.
RETRY_SECONDS: Final = 30.0
_PAUSES: Final = (0.3, 0.6, 1.2, 2.5, 5.0)
_RETRYABLE: Final = frozenset({408, 429, 502, 503, 504})
_PROBLEM: Final = "application/problem+json"
_MAX_RESPONSE_BYTES: Final = 4_000_000
_MAX_VIDEO_BYTES: Final = 4_000_000_000
_DOWNLOAD_ATTEMPTS: Final = 3


class Client:
    """Client of ``/v1`` with one API key. ``note`` is called with the reason of a retry, as a sentence."""

    def __init__(self, url: str, key: str, deadline: Deadline, note: Callable[[str], None] = lambda _: None) -> None:
        self._note = note
        with _transport_errors(deadline):
            self._http = httpx.Client(timeout=_TIMEOUT, verify=_trusted())
            self._url = httpx.URL(url)
        self._headers = {"authorization": f"Bearer {key}"}
        self._deadline = deadline

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def upload(self, path: Path, content_type: str) -> str:
        """Upload a file. Return the URL for a field like ``image_url``."""

        def send() -> Any:
            with path.open("rb") as file:
                return self._send("POST", "/v1/uploads", content=file, headers={"content-type": content_type})

        return str(self._retrying(send)["url"])

    def models(self) -> list[dict[str, Any]]:
        """Return the models that the tenant may use."""
        found: list[dict[str, Any]] = self._call("GET", "/v1/models")["data"]
        return found

    def estimate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._call("POST", "/v1/generations/estimate", json=body)

    def create(self, body: Mapping[str, Any], idempotency_key: str, *, completes: str | None = None) -> dict[str, Any]:
        """Create a generation, or complete the draft with the id ``completes``.

        With the idempotency key, a retry after a lost response returns the same generation.
        """
        path = "/v1/generations" if completes is None else f"/v1/generations/{completes}/complete"
        return self._call("POST", path, json=body, headers={"idempotency-key": idempotency_key})

    def read(self, generation_id: str, *, wait: int) -> dict[str, Any]:
        wait = int(self._deadline.left(wait))
        return self._call("GET", f"/v1/generations/{generation_id}", params={"wait": wait}, timeout=_TIMEOUT + wait)

    def cancel(self, generation_id: str) -> dict[str, Any]:
        return self._call("POST", f"/v1/generations/{generation_id}/cancel")

    def events(self, generation_id: str, last_event_id: str | None) -> Iterator[Event | None]:
        """Yield the events after ``last_event_id``, and None for a heartbeat.

        A stream can end before the generation does: call again with the last event's id.

        Raises:
            ApiFailed: the request was refused, or the stream broke.
            TimedOut: the deadline has passed.

        """
        headers = {"accept": "text/event-stream", "cache-control": "no-store"}
        if last_event_id is not None:
            headers["last-event-id"] = last_event_id
        path = f"/v1/generations/{generation_id}/events"
        timeout = httpx.Timeout(_TIMEOUT, read=self._deadline.left(_STREAM_SILENCE))
        with self._transport_errors(), self._opened("GET", path, headers=headers, timeout=timeout) as response:
            _check(response)
            for event in events(response.iter_bytes()):
                self._deadline.left()
                yield event

    def download(self, url: str, target: Path, progress: Callable[[int, int | None], None]) -> int:
        """Download to a temporary file and rename it when it is complete. Return its size in bytes.

        ``progress`` is called with the bytes so far and the total, if known.
        """
        partial = target.with_name(f".{target.name}.part")
        try:
            for attempt in range(1, _DOWNLOAD_ATTEMPTS + 1):
                try:
                    size = self._fetch(url, partial, progress)
                    break
                except ApiFailed as error:
                    retryable = not isinstance(error, TimedOut) and error.status in (None, *_RETRYABLE)
                    if attempt == _DOWNLOAD_ATTEMPTS or not retryable:
                        raise
                    time.sleep(self._deadline.left(_PAUSES[attempt]))
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return size

    def _fetch(self, url: str, partial: Path, progress: Callable[[int, int | None], None]) -> int:
        size = 0
        with self._transport_errors(), self._opened("GET", url, follow_redirects=True) as response:
            _check(response)
            length = response.headers.get("content-length", "")
            total = int(length) if length.isdecimal() else None
            with partial.open("wb") as file:
                for chunk in response.iter_bytes():
                    self._deadline.left()
                    size += len(chunk)
                    if size > _MAX_VIDEO_BYTES:
                        raise ApiFailed(f"The video is larger than {_MAX_VIDEO_BYTES} bytes.", status=413)
                    file.write(chunk)
                    progress(size, total)
        return size

    def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        return self._retrying(lambda: self._send(method, path, **request))

    def _retrying(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        give_up, retries = time.monotonic() + RETRY_SECONDS, 0
        while True:
            try:
                return call()
            except _RetryableError as error:
                pause = error.retry_after or _PAUSES[min(retries, len(_PAUSES) - 1)]
                if time.monotonic() + pause > give_up:
                    raise ApiFailed(
                        str(error), status=error.status, code=error.code, request_id=error.request_id
                    ) from None
                if not retries:
                    self._note(f"{error} Retrying for {RETRY_SECONDS:.0f} s.")
                retries += 1
                time.sleep(self._deadline.left(pause))

    def _send(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        timeout = self._deadline.left(request.pop("timeout", _TIMEOUT))
        with self._transport_errors(), self._opened(method, path, timeout=timeout, **request) as response:
            if response.is_error and response.headers.get("content-type") != _PROBLEM and not _is_retryable(response):
                raise ApiFailed(f"{_answered(response)} This is not an answer of the gateway: is this its URL?")
            _check(response)
            return _json(response)

    @contextmanager
    def _transport_errors(self) -> Iterator[None]:
        """Raise ApiFailed with one line for each error of the transport, and TimedOut if the deadline has passed."""
        with _transport_errors(self._deadline):
            yield

    @contextmanager
    def _opened(self, method: str, path: str, **request: Any) -> Iterator[httpx.Response]:
        url = httpx.URL(path) if "://" in path else self._url.copy_with(path=self._url.path.rstrip("/") + path)
        same_origin = (url.scheme, url.host, url.port) == (self._url.scheme, self._url.host, self._url.port)
        own = self._headers if same_origin else {}  # other servers must not receive the API key
        headers = {**own, **request.pop("headers", {})}
        with self._http.stream(method, url, headers=headers, **request) as response:
            yield response


class _RetryableError(ApiFailed):
    def __init__(self, detail: str, *, retry_after: float | None = None, **problem: Any) -> None:
        super().__init__(detail, **problem)
        self.retry_after = retry_after


@contextmanager
def _transport_errors(deadline: Deadline) -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException as error:
        deadline.check()  # the user's own limit is no fault of the gateway
        raise _RetryableError(f"{_origin(error)} did not answer in time.") from None
    except httpx.TransportError as error:
        if fault := _tls_fault(error):
            raise ApiFailed(f"{_origin(error)} {fault}") from None
        raise _RetryableError(f"{_origin(error)} cannot be reached: {str(error) or type(error).__name__}.") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ApiFailed(f"Invalid URL or response: {error}.") from None


def _tls_fault(error: BaseException) -> str | None:
    """Return the fault of TLS that no retry cures, with what to do. None: it is another error."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"has a certificate that is not trusted here: {cause.verify_message}. "
            "Name a PEM file with its issuer in SSL_CERT_FILE."
        )
    if cause is not None and cause.reason == "WRONG_VERSION_NUMBER":
        return "does not speak HTTPS. Use an http:// URL."
    return None


def _trusted() -> ssl.SSLContext:
    """Return the certificates to trust: those of SSL_CERT_FILE and SSL_CERT_DIR, or the usual ones."""
    try:
        return httpx.create_ssl_context()
    except OSError as error:  # SSLError is one
        raise ApiFailed(f"SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {error.strerror or error}.") from None


def _origin(error: httpx.TransportError) -> str:
    url = error.request.url
    return f"{url.scheme}://{url.netloc.decode()}"


def _check(response: httpx.Response) -> None:
    if response.is_success:
        return
    detail = _answered(response)
    problem: dict[str, Any] = {"status": response.status_code}
    if response.headers.get("content-type") == _PROBLEM:
        document = _json(response)
        detail = str(document.get("detail", detail))
        problem |= {name: str(document[name]) for name in ("code", "request_id") if name in document}
    if _is_retryable(response):
        after = response.headers.get("retry-after", "")
        raise _RetryableError(detail, retry_after=float(after) if after.isdecimal() else None, **problem)
    raise ApiFailed(detail, **problem)


def _answered(response: httpx.Response) -> str:
    url = response.request.url.copy_with(query=None)  # a query may hold a signature
    return f"{response.request.method} {url} answered {response.status_code}."


def _is_retryable(response: httpx.Response) -> bool:
    return response.status_code in _RETRYABLE


def _json(response: httpx.Response) -> dict[str, Any]:
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > _MAX_RESPONSE_BYTES:
            raise ApiFailed("The response is larger than any response of the gateway.")
    try:
        value = json.loads(body)
    except ValueError:
        raise ApiFailed("The response is not JSON: is this the gateway's URL?") from None
    if not isinstance(value, dict):
        raise ApiFailed("The response is not a JSON object: is this the gateway's URL?")
    return value
