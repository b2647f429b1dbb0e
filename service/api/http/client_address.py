"""The address of the client that sent a request."""

from starlette.types import Scope


def client_address(scope: Scope) -> str | None:
    """Return the client's address, without its port. None if the server does not know it: a Unix socket."""
    client = scope.get("client")
    return client[0] if client else None
