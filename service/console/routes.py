"""Routes of the console. Each checks the session, the right that it names, and, for an action, where the form is from.

A page or an action is a function that takes a ``Visit``::

    routes = ConsoleRoutes()

    @routes.page("/oncall", needs=Role.VIEWER)
    async def show_status(visit: Visit) -> Page: ...

    @routes.action("/oncall/pause", needs=Role.OPERATOR)
    async def pause_dispatch(visit: Visit) -> Redirect: ...
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from service.api.http.audited import target_of
from service.api.http.client_address import client_address
from service.api.http.request_headers import header
from service.console import cookies, csrf
from service.console.form import Form, read_form
from service.console.headers import HEADERS
from service.console.rendering import render
from service.console.visit import BASE, Page, Redirect, Visit
from service.domain import tenant as tenants
from service.domain.operator import Role
from service.domain.reason import LONGEST_REASON
from service.errors import Forbidden, GatewayError, StoreUnavailable
from service.observability import log
from service.runtime import Runtime
from service.usecases.console.identity import Identity
from service.usecases.console.sessions import Resumed

Need = Role | tenants.Scope
View = Callable[[Visit], Awaitable[Page | Redirect | Response]]
PublicView = Callable[[Request], Awaitable[Response]]
_BROKEN: Final = "Something went wrong here; the request id finds it in the logs."
#: Header of a page that refreshes by itself.
REFRESH: Final = b"x-console-refresh"


class ConsoleRoute(Route):
    """A route of the console. Errors become pages. It is in no OpenAPI document.

    It is Starlette's: FastAPI would take a millisecond at the start for each, to find parameters that no page has.
    """

    def __init__(self, path: str, view: Callable[..., Any], *, method: str) -> None:
        async def endpoint(request: Request) -> Response:
            return await self.respond(request)

        super().__init__(f"{BASE}{path}", endpoint, methods=[method], include_in_schema=False, name=view.__name__)
        self.method = method
        self.methods = {method}  # HEAD is answered by a layer in front of all routes

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["route"] = self  # for the log, as FastAPI's routes do
            request = Request(scope, receive, send)
            try:
                response = await endpoint(request)
            except ClientDisconnect:
                raise
            except Exception:
                await error_page(request, GatewayError(_BROKEN), None)(scope, receive, send)
                raise  # the middleware logs it
            await response(scope, receive, send)

        self.app = app

    async def respond(self, request: Request) -> Response:
        raise NotImplementedError


class PublicRoute(ConsoleRoute):
    """A route without a session: the login, and static files. A POST is checked as an action is."""

    def __init__(self, path: str, view: PublicView, *, method: str) -> None:
        super().__init__(path, view, method=method)
        self._view = view

    async def respond(self, request: Request) -> Response:
        try:
            if self.method == "POST":
                csrf.check_origin(request)
            return await self._view(request)
        except GatewayError as error:
            return error_page(request, error, None)


class SessionRoute(ConsoleRoute):
    """A page or an action. ``needs``: a role of operators, or a scope of the caller's API key; None: any session.

    Actions, and pages that are marked, are recorded in the audit trail under the name of the view, also when refused.
    """

    def __init__(self, path: str, view: View, *, method: str, needs: Need | None, is_recorded: bool) -> None:
        super().__init__(path, view, method=method)
        self._view = view
        self.needs = needs
        self.is_recorded = is_recorded

    async def respond(self, request: Request) -> Response:
        resumed = None
        try:
            if self.method == "POST":
                csrf.check_origin(request)
            resumed = await self._resume(request)
            if resumed is None:
                return _to_login(request)
            _note(request, resumed.identity)
            form = await _checked_form(request) if self.method == "POST" else Form()
            async with self._recorded(request, resumed.identity, form):
                _check_rights(resumed.identity, self.needs)
                result = await self._view(Visit(request, runtime_of(request), resumed.identity, form))
        except GatewayError as error:
            return error_page(request, error, resumed)
        return await _response(request, result, resumed)

    def _recorded(self, request: Request, identity: Identity, form: Form) -> AbstractAsyncContextManager[object]:
        if not self.is_recorded:
            return nullcontext()
        target, tenant_id = target_of(request)
        actor = replace(
            identity.actor, address=client_address(request.scope), request_id=request.scope.get("request_id")
        )
        reason = form.text("reason")[:LONGEST_REASON] or None
        return runtime_of(request).trail.act(actor, self.name, target=target, tenant_id=tenant_id, reason=reason)

    async def _resume(self, request: Request) -> Resumed | None:
        session_id = cookies.read(request, cookies.SESSION)
        is_person = not header(request.scope, REFRESH)
        return (
            await runtime_of(request).console.sessions.resume(session_id, is_person=is_person) if session_id else None
        )


class ConsoleRoutes:
    """The routes of one module."""

    def __init__(self) -> None:
        self.routes: list[ConsoleRoute] = []

    def page(self, path: str, *, needs: Need | None, reads_personal_data: bool = False) -> Callable[[View], View]:
        """Add a GET. ``path``: below ``/console``. ``reads_personal_data``: record each read."""
        return self._adding(path, method="GET", needs=needs, is_recorded=reads_personal_data)

    def action(self, path: str, *, needs: Need | None) -> Callable[[View], View]:
        """Add a POST of a form with a token, which is recorded under the name of the view."""
        return self._adding(path, method="POST", needs=needs, is_recorded=needs is not None)

    def preview(self, path: str, *, needs: Need) -> Callable[[View], View]:
        """Add a POST that shows what an action would do with a form, and changes nothing. It is not recorded."""
        return self._adding(path, method="POST", needs=needs, is_recorded=False)

    def public(self, path: str, *, method: str = "GET") -> Callable[[PublicView], PublicView]:
        """Add a route without a session."""

        def add(view: PublicView) -> PublicView:
            self.routes.append(PublicRoute(path, view, method=method))
            return view

        return add

    def _adding(self, path: str, *, method: str, needs: Need | None, is_recorded: bool) -> Callable[[View], View]:
        def add(view: View) -> View:
            self.routes.append(SessionRoute(path, view, method=method, needs=needs, is_recorded=is_recorded))
            return view

        return add


def runtime_of(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


def error_page(request: Request, error: GatewayError, resumed: Resumed | None) -> Response:
    """Return an error as a page, with the navigation if there is a session."""
    context = {"error": error, "request_id": request.scope.get("request_id", "")}
    if isinstance(error, StoreUnavailable):
        context["runbook"] = "redis-unavailable"
    page = Page("error.html", error.title, context, status=error.status)
    response = render(request, page, resumed, secret=cookies.read(request, cookies.SESSION))
    if error.retry_after is not None:
        response.headers["retry-after"] = str(max(1, round(error.retry_after)))
    return response


def redirect(path: str) -> Response:
    """Lead the browser to a page below the console, with GET."""
    return RedirectResponse(f"{BASE}{path}", status_code=303, headers=HEADERS)


async def _checked_form(request: Request) -> Form:
    form = await read_form(request)
    csrf.check_token(form.text(csrf.FIELD), cookies.read(request, cookies.SESSION))
    return form


def _check_rights(identity: Identity, needs: Need | None) -> None:
    if needs is None or identity.may(needs):
        return
    if identity.tenant is not None and identity.tenant.suspended:
        suspension = identity.tenant.suspension
        why = suspension.reason if suspension is not None else None
        raise Forbidden(f"The tenant is suspended: {why}" if why else "The tenant is suspended.")
    if isinstance(needs, Role):
        identity.actor.require(needs)
    raise Forbidden(f"This needs an API key with the scope {needs.value}.")


def _note(request: Request, identity: Identity) -> None:
    """Put the tenant into the scope, and the person into the log context."""
    if identity.tenant is not None:
        request.scope["tenant"] = identity.tenant.id
        log.bind(tenant=identity.tenant.id)
    log.bind(actor=identity.actor.name, actor_kind=identity.actor.kind.value)


async def _response(request: Request, result: Page | Redirect | Response, resumed: Resumed) -> Response:
    session_id = cookies.read(request, cookies.SESSION)
    match result:
        case Page():
            return render(request, result, resumed, secret=session_id, media=result.media)
        case Redirect():
            if result.message:
                await _leave_message(request, session_id, result.message)
            return redirect(result.path)
    return result


async def _leave_message(request: Request, session_id: str, message: str) -> None:
    """Store the message of a completed action. Without it the action is as complete."""
    try:
        await runtime_of(request).console.sessions.leave_message(session_id, message)
    except StoreUnavailable:
        log.get(__name__).warning("console_message_lost")


def _to_login(request: Request) -> Response:
    """Lead to the login, and from there back to the page. An action is not repeated."""
    if request.method == "POST":
        return redirect("/login")
    path = request.scope["path"].removeprefix(BASE)
    query = request.scope["query_string"].decode("ascii", "replace")
    target = f"{BASE}{path}" + (f"?{query}" if query else "")
    return redirect(f"/login?next={quote(target, safe='')}")
