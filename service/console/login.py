"""Pages of the login: by an API key or a token, and by a link that is used once. And the logout."""

import secrets
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from service.api.http.client_address import client_address
from service.console import cookies, csrf
from service.console.areas import home_of
from service.console.form import Form, read_form
from service.console.next_page import checked_next
from service.console.rendering import render
from service.console.routes import ConsoleRoutes, redirect, runtime_of
from service.console.static_files import static_file
from service.console.visit import Page, Visit
from service.domain.actor import ActorKind
from service.domain.console_session import Subject
from service.errors import GatewayError, RateLimited, Unauthenticated

login = ConsoleRoutes()
_SECRET_BYTES: Final = 32


@login.page("", needs=None)
async def show_home(visit: Visit) -> Response | Page:
    """Lead to the first page that the session may read."""
    home = home_of(visit.identity)
    if home is not None:
        return redirect(home)
    return Page("no_pages.html", "No pages", status=403)


@login.public("/login")
async def show_login(request: Request) -> Response:
    return login_page(request, next_page=checked_next(request.query_params.get("next", "")))


@login.public("/login", method="POST")
async def log_in(request: Request) -> Response:
    form = await _checked_form(request)
    next_page = checked_next(form.text("next"))
    try:
        subject = await runtime_of(request).console.login.by_text(
            form.text("secret"), address=client_address(request.scope)
        )
    except (Unauthenticated, RateLimited) as error:
        return login_page(request, next_page=next_page, error=error)
    return await _begin(request, subject, next_page=next_page)


@login.public("/login/link")
async def show_login_link(request: Request) -> Response:
    """Ask for a click: programs that show a preview of a link would use it up."""
    ticket = request.query_params.get("ticket", "")
    return _with_secret(request, Page("login_link.html", "Log in by link", {"ticket": ticket}))


@login.public("/login/link", method="POST")
async def log_in_by_link(request: Request) -> Response:
    form = await _checked_form(request)
    try:
        subject = await runtime_of(request).console.login.by_ticket(
            form.text("ticket"), address=client_address(request.scope)
        )
    except (Unauthenticated, RateLimited) as error:
        return login_page(request, next_page="", error=error)
    return await _begin(request, subject)


@login.action("/logout", needs=None)
async def log_out(visit: Visit) -> Response:
    await visit.runtime.console.sessions.end(cookies.read(visit.request, cookies.SESSION))
    response = redirect("/login/openid/logout" if _came_from_provider(visit) else "/login")
    cookies.delete(visit.request, response, cookies.SESSION)
    return response


@login.public("/static/{name}")
async def show_static_file(request: Request) -> Response:
    return await static_file(request)


async def begin_session(request: Request, response: Response, subject: Subject) -> None:
    """Begin a session, under a new id, with the response.

    Each way to log in ends here: a further one needs a route that calls this for the subject that it has verified.
    """
    before = cookies.read(request, cookies.SESSION)
    address, request_id = client_address(request.scope), request.scope.get("request_id")
    sessions = runtime_of(request).console.sessions
    session_id = await sessions.begin(subject, replaces=before, address=address, request_id=request_id)
    cookies.write(request, response, cookies.SESSION, session_id)
    cookies.delete(request, response, cookies.LOGIN)


async def _begin(request: Request, subject: Subject, *, next_page: str = "") -> Response:
    """Begin a session, and lead to the page that the person wanted."""
    response = redirect(next_page)
    await begin_session(request, response, subject)
    return response


def login_page(request: Request, *, next_page: str, error: GatewayError | None = None) -> Response:
    openid = runtime_of(request).operators.openid
    provider = None if openid is None else openid.provider_name
    context = {"next_page": next_page, "error": error, "provider": provider}
    page = Page("login.html", "Log in", context, status=200 if error is None else error.status)
    response = _with_secret(request, page)
    if error is not None and error.retry_after is not None:
        response.headers["retry-after"] = str(max(1, round(error.retry_after)))
    return response


def _with_secret(request: Request, page: Page) -> Response:
    """Return a page with a form before the login. Its token belongs to a random cookie of the browser."""
    secret = cookies.read(request, cookies.LOGIN) or secrets.token_urlsafe(_SECRET_BYTES)
    response = render(request, page, None, secret=secret)
    cookies.write(request, response, cookies.LOGIN, secret)
    return response


def _came_from_provider(visit: Visit) -> bool:
    """Return whether an operator logged in by OpenID Connect."""
    actor = visit.identity.actor
    is_person = actor.kind is ActorKind.OPERATOR and actor.token_id is None
    return is_person and visit.runtime.operators.openid is not None


async def _checked_form(request: Request) -> Form:
    form = await read_form(request)
    csrf.check_token(form.text(csrf.FIELD), cookies.read(request, cookies.LOGIN))
    return form
