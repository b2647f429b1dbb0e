"""Cookies of the console. They have the prefix ``__Host-``: no other host, and no page over HTTP, can set them.

Browsers accept them over HTTPS, and over HTTP from ``localhost`` and loopback addresses.
"""

import hashlib
from datetime import timedelta
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import Response

from service.api.http.path_prefix import PREFIX

SESSION: Final = "__Host-seedance-console"
#: Random text of a browser that is not logged in. The token of the login form belongs to it.
LOGIN: Final = "__Host-seedance-login"


#: A login by OpenID Connect that the browser has begun.
OPENID: Final = "__Host-seedance-openid"


def read(request: Request, name: str) -> str:
    """Return the value of a cookie, "" without it."""
    return request.cookies.get(_named(request, name), "")


def write(request: Request, response: Response, name: str, value: str, *, lifetime: timedelta | None = None) -> None:
    """Set a cookie until the browser closes, or for a lifetime. The session in Redis ends earlier."""
    _write(request, response, name, value, same_site="strict", lifetime=lifetime)


def write_for_return(request: Request, response: Response, name: str, value: str, *, lifetime: timedelta) -> None:
    """Set a cookie that the browser also sends when another site leads back to this one, with GET."""
    _write(request, response, name, value, same_site="lax", lifetime=lifetime)


def _write(
    request: Request,
    response: Response,
    name: str,
    value: str,
    *,
    same_site: Literal["strict", "lax"],
    lifetime: timedelta | None,
) -> None:
    age = None if lifetime is None else int(lifetime.total_seconds())
    response.set_cookie(
        _named(request, name), value, max_age=age, secure=True, httponly=True, samesite=same_site, path="/"
    )


def delete(request: Request, response: Response, name: str) -> None:
    response.delete_cookie(_named(request, name), secure=True, httponly=True, samesite="strict", path="/")


def _named(request: Request, name: str) -> str:
    """Return the name for this gateway. Several gateways may share a host, each below a path of its own.

    The prefix ``__Host-`` demands the path ``/``, so that their cookies differ by name only.
    """
    prefix = request.scope.get(PREFIX, "")
    return f"{name}-{hashlib.sha256(prefix.encode()).hexdigest()[:8]}" if prefix else name
