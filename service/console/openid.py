"""Login by OpenID Connect: to the provider, and back."""

from typing import Final
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from service.api.http.client_address import client_address
from service.console import cookies
from service.console.headers import HEADERS
from service.console.login import begin_session, login_page
from service.console.next_page import checked_next
from service.console.rendering import render
from service.console.routes import ConsoleRoutes, runtime_of
from service.console.visit import BASE, Page, link
from service.domain.actor import ActorKind
from service.domain.console_session import Subject
from service.domain.openid.pending import LIFETIME, PendingLogin
from service.errors import GatewayError, NotFound
from service.usecases.operators.openid import AuthorizationResponse, OpenIdLogins

openid = ConsoleRoutes()
_LONGEST_NEXT: Final = 1_000
"""Characters of the next page in the cookie. Browsers keep cookies of 4,096 bytes."""


@openid.public("/login/openid")
async def begin_openid_login(request: Request) -> Response:
    """Lead to the provider. The cookie binds the login to this browser."""
    logins = _logins(request)
    next_page = checked_next(request.query_params.get("next", ""))
    try:
        pending, url = await logins.begin()
    except GatewayError as error:
        return login_page(request, next_page=next_page, error=error)
    response = RedirectResponse(url, status_code=303, headers=HEADERS)
    kept = quote(next_page, safe="")
    value = f"{pending.secret}.{kept if len(kept) <= _LONGEST_NEXT else ''}"
    cookies.write_for_return(request, response, cookies.OPENID, value, lifetime=LIFETIME)
    return response


@openid.public("/login/openid/callback")
async def end_openid_login(request: Request) -> Response:
    """Begin a session for the person whom the provider has logged in.

    The response is a page that leads on, not a redirect: browsers do not send the session's cookie with a redirect that
    began at another site.
    """
    logins = _logins(request)
    secret, _, kept = cookies.read(request, cookies.OPENID).partition(".")
    next_page = checked_next(f"{BASE}{unquote(kept)}") if kept else ""
    address = client_address(request.scope)
    try:
        await runtime_of(request).console.login.count_attempt(address)
        operator = await logins.finish(
            AuthorizationResponse.of(request.query_params.multi_items()),
            PendingLogin.parse(secret),
            address=address,
            request_id=request.scope.get("request_id"),
        )
    except GatewayError as error:
        response = login_page(request, next_page=next_page, error=error)
    else:
        page = Page("openid_done.html", "Logged in", {"target": link(request, next_page)})
        response = render(request, page, None, secret="")
        await begin_session(request, response, Subject(ActorKind.OPERATOR, operator.id))
    cookies.delete(request, response, cookies.OPENID)
    return response


@openid.public("/login/openid/logout")
async def show_openid_logout(request: Request) -> Response:
    """Confirm the logout, with a link to the provider's own, if it has one."""
    logins = _logins(request)
    try:
        url = await logins.logout_url()
    except GatewayError:
        url = None
    context = {"provider": logins.provider_name, "url": url}
    return render(request, Page("openid_logout.html", "Logged out", context), None, secret="")


def _logins(request: Request) -> OpenIdLogins:
    logins = runtime_of(request).operators.openid
    if logins is None:
        raise NotFound("No login by OpenID Connect is set up at this gateway.")
    return logins
