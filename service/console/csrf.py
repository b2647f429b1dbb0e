"""Proof that a page of this console sent a POST: the headers of the browser, and a token of the session."""

import base64
import hmac
import secrets
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from service.api.http.request_headers import header
from service.errors import Forbidden
from service.runtime import Runtime

FIELD: Final = "csrf"
_KEY_BYTES: Final = 32
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_FOREIGN: Final = "The request did not come from a page of this console. Open the page again and repeat the action."


def check_origin(request: Request) -> None:
    """Refuse a request that a page of another origin sent. Raises Forbidden.

    Every browser sends ``Origin`` with a POST. A page of the same site but of another origin is refused too.
    """
    if header(request.scope, b"sec-fetch-site") not in ("", "same-origin"):
        raise Forbidden(_FOREIGN)
    origin = header(request.scope, b"origin").lower()
    if not origin or origin not in _own_origins(request):
        raise Forbidden(_FOREIGN)


def _own_origins(request: Request) -> set[str]:
    """Return the origins of this console: of the public URL, and of the host that the browser called.

    A page of another site cannot choose ``Host``. A proxy may end TLS, so that the scheme of the connection proves
    nothing: over HTTP only hosts on the same machine count, to which browsers send the cookies.
    """
    runtime: Runtime = request.app.state.runtime
    origins = set[str]()
    if runtime.settings.public_url is not None:
        public = urlsplit(runtime.settings.public_url)
        origins.add(f"{public.scheme}://{public.netloc}".lower())
    host = header(request.scope, b"host").lower()
    if host:
        origins.add(f"https://{host}")
        if _is_loopback(host):
            origins.add(f"http://{host}")
    return origins


def _is_loopback(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in _LOOPBACK
    except ValueError:
        return False


def token_for(secret: str) -> str:
    """Return a token for the forms of one page. ``secret``: id of the session, or the cookie of the login form.

    Each token is masked with other random bytes: compressed pages of different lengths reveal nothing about it.
    """
    mask = secrets.token_bytes(_KEY_BYTES)
    return base64.urlsafe_b64encode(mask + _xor(mask, _key(secret))).decode()


def check_token(token: str, secret: str) -> None:
    """Refuse a form without a token of this session. Raises Forbidden."""
    try:
        given = base64.b64decode(token.encode(), b"-_", validate=True)
    except ValueError:
        given = b""
    mask, masked = given[:_KEY_BYTES], given[_KEY_BYTES:]
    if not secret or len(masked) != _KEY_BYTES or not hmac.compare_digest(_xor(mask, masked), _key(secret)):
        raise Forbidden(_FOREIGN)


def _key(secret: str) -> bytes:
    return hmac.digest(secret.encode(), b"form token of the console", "sha256")


def _xor(first: bytes, second: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(first, second, strict=True))
