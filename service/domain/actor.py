"""Who acts: an operator, the holder of the admin token or of the server, a tenant's API key, a trusted service."""

from dataclasses import dataclass
from enum import StrEnum

from service.domain.operator import Role
from service.errors import Forbidden


class ActorKind(StrEnum):
    OPERATOR = "operator"
    """An operator, by token or by a session of the console."""
    BREAK_GLASS = "break_glass"
    """The holder of GATEWAY_ADMIN_TOKEN, whose name is not known."""
    LOCAL = "local"
    """A user of the command line with access to Redis and the settings, without an operator's token."""
    API_KEY = "api_key"
    """A tenant, by an API key."""
    SERVICE = "service"
    """A tenant, by a token of an issuer that it trusts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    kind: ActorKind
    id: str | None = None
    """Id of the operator or of the API key. Of a service: its trusted issuer and the hash of its subject."""
    name: str
    role: Role | None = None
    """None: a tenant."""
    token_id: str | None = None
    """Id of the operator's token; None: a session of the console, or another kind."""
    tenant_id: str | None = None
    """None: an operator."""
    address: str | None = None
    """Of the client. None: the command line, or a Unix socket."""
    request_id: str | None = None

    @property
    def may_read_names(self) -> bool:
        """Whether the actor may read the names of end users."""
        return self.role is not None and self.role.includes(Role.OPERATOR)

    def require(self, needed: Role, *, unless_own: str | None = None) -> None:
        """Raise Forbidden if the role does not include the needed one.

        ``unless_own``: id of the operator that is acted on; an operator may act on itself with any role.
        """
        if self.kind is ActorKind.OPERATOR and unless_own is not None and self.id == unless_own:
            return
        if self.role is None or not self.role.includes(needed):
            has = "no role" if self.role is None else f"the role {self.role.value!r}"
            raise Forbidden(f"This needs the role {needed.value!r}; {self.name} has {has}.")
