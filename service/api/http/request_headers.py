"""Headers of a request, read from its scope."""

from starlette.types import Scope


def header(scope: Scope, name: bytes) -> str:
    """Return the first header of this lower-case name, or "". Parsing all headers in every layer would cost more."""
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")  # type: ignore[no-any-return]
    return ""


def optional_header(scope: Scope, name: bytes) -> str | None:
    """Return the first header of this lower-case name; None: there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")  # type: ignore[no-any-return]
    return None
