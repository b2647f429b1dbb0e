"""Refusals by kind: answers of fal, or of a proxy in front of it, that execute nothing."""

from collections.abc import Callable
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response

from sandbox.outcome import detail, platform_error

LOCKED = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."
#: nginx' page for a dead upstream; the Python client retries only pages that contain "nginx".
PROXY_PAGE = (
    "<html>\r\n<head><title>{0}</title></head>\r\n"
    "<body>\r\n<center><h1>{0}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


def json_error(code: int, content: Any, **headers: str) -> Response:
    return JSONResponse({"detail": content}, code, {name.replace("_", "-"): value for name, value in headers.items()})


def platform_refusal(code: int, error_type: str, message: str) -> Response:
    outcome = platform_error(code, error_type, message)
    return JSONResponse(outcome.body, code, outcome.headers)


def too_many_requests(message: str = "Too many concurrent requests for this user") -> Response:
    entry = detail("concurrent_requests_limit", message, ("body",))
    return json_error(429, [entry], x_fal_needs_retry="1", x_fal_retryable="true")


def bad_request(message: str) -> Response:
    return platform_refusal(400, "bad_request", message)


def invalid_key(message: str = "invalid key credentials") -> Response:
    return json_error(401, message)


def not_found() -> Response:
    return JSONResponse({"status": "NOT_FOUND"}, 404)


KINDS: dict[str, Callable[[], Response]] = {
    "400": lambda: bad_request("Malformed request"),
    "422": lambda: json_error(422, [detail("value_error", "Value error", ("body",))]),
    "429": too_many_requests,
    "500": lambda: HTMLResponse("<html><body><h1>Internal Server Error</h1></body></html>", 500),
    "503": lambda: platform_refusal(503, "runner_scheduling_failure", "No runner available"),
    "html-502": lambda: HTMLResponse(PROXY_PAGE.format("502 Bad Gateway"), 502),
    "locked": lambda: json_error(403, LOCKED),
    "unauthorized": invalid_key,
}
