"""fal's callback at the end of a job, and the URL that fal sends it to."""

from dataclasses import dataclass
from typing import Any, Final

from service.domain.generation import Generation

PATH: Final = "/callbacks/fal"


@dataclass(frozen=True, slots=True)
class Callback:
    """``status``: the HTTP status of the job's result, as far as the callback names it."""

    request_id: str
    status: int = 200
    payload: Any = None
    """The body of the result; None: the callback has no usable one."""


def address(public_url: str, g: Generation) -> str:
    """Return the callback URL. Its token, a secret of fal and this generation, proves which job a callback is about."""
    return f"{public_url}{PATH}/{g.id}/{g.callback_token}"


def without_secret(path: str) -> str:
    """Return the path without id and token of a callback, for logs and metrics."""
    before, found, _ = path.partition(f"{PATH}/")
    return f"{before}{PATH}" if found else path
