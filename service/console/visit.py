"""What a page receives and returns: the visit, a page from a template, a redirect with a message."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request

from service.api.http.client_address import client_address
from service.api.http.path_prefix import PREFIX
from service.console.form import Form
from service.domain.operator import Role
from service.domain.tenant import Tenant
from service.errors import Forbidden
from service.runtime import Runtime
from service.usecases.console.identity import Identity

#: The path below which all pages are.
BASE: Final = "/console"


@dataclass(frozen=True, slots=True)
class Page:
    """A page: a template, and what it shows. ``title`` is the page's heading."""

    template: str
    title: str
    context: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    parents: tuple[tuple[str, str], ...] = ()
    """Path and title of each page above this one, below its area."""
    media: tuple[str, ...] = ()
    """Other origins whose videos the page shows."""
    has_secret: bool = False
    """The page shows a secret: no proxy may compress it (BREACH)."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """The result of an action: the next page, below the console, and the message that it shows."""

    path: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request whose session, rights and origin have been checked."""

    request: Request
    runtime: Runtime
    identity: Identity
    form: Form
    """Empty, except in an action."""

    @property
    def path_params(self) -> Mapping[str, str]:
        return self.request.path_params

    @property
    def query(self) -> Mapping[str, str]:
        """Filters of the page. Where a name is repeated, the last value counts."""
        return self.request.query_params

    @property
    def address(self) -> str | None:
        return client_address(self.request.scope)

    @property
    def tenant(self) -> Tenant:
        """Return the tenant of a page that needs a scope."""
        if self.identity.tenant is None:
            raise Forbidden("This page is for callers who log in with an API key.")
        return self.identity.tenant

    def may(self, role: Role) -> bool:
        """Return whether to show an action that needs a role."""
        return self.identity.may(role)


def link(request: Request, path: str) -> str:
    """Return the path of a page for a browser: below the prefix of the public URL."""
    return f"{request.scope.get(PREFIX, '')}{BASE}{path}"
