"""What fal reports of its own accord once a job has ended, and the address it is asked to report it to."""

from dataclasses import dataclass
from typing import Any, Final

from service.domain.generation import Generation

PATH: Final = "/callbacks/fal"


@dataclass(frozen=True, slots=True)
class Callback:
    """``status`` is the HTTP status its result has, as far as the callback says."""

    request_id: str
    status: int = 200
    payload: Any = None
    """Its result's body; None where the callback came without a usable one."""


def address(public_url: str, g: Generation) -> str:
    """A secret of fal and this generation: the token in it is what says whose job a callback is about."""
    return f"{public_url}{PATH}/{g.id}/{g.callback_token}"


def without_secret(path: str) -> str:
    """A path as it may be told and logged: nothing of what follows the callbacks' own."""
    before, found, _ = path.partition(f"{PATH}/")
    return f"{before}{PATH}" if found else path
