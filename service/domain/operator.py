"""Operators: named people and programs that run the gateway, with a role and tokens (``sgo_...``)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from service.domain.credential import Credential, CredentialForm, KeyText

TOKEN_PREFIX: Final = "sgo"  # noqa: S105  (no secret: the beginning of every token)
_FORM: Final = CredentialForm(TOKEN_PREFIX)


class Role(StrEnum):
    """What an operator may do. Each role includes the ones before it."""

    VIEWER = "viewer"
    """Read everything but the data of persons."""
    OPERATOR = "operator"
    """Also pause, drain, resume, suspend, cancel, replay, resolve, block, and read the data of persons."""
    ADMIN = "admin"
    """Also tenants, API keys, budgets, adjustments, erasures, issuers, and operators."""

    def includes(self, other: "Role") -> bool:
        return _RANKS[self] >= _RANKS[other]


_RANKS: Final = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    id: str
    name: str
    """Display name, in the audit trail."""
    role: Role
    created_at: datetime
    disabled_at: datetime | None = None
    """Since when its tokens and logins are refused."""
    subject: str | None = None
    """``<issuer> <sub>`` of OpenID Connect; None: it logs in by token only."""
    version: int = 1

    @property
    def is_active_admin(self) -> bool:
        return self.role is Role.ADMIN and self.disabled_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorToken(Credential):
    operator_id: str


def new_token_text() -> tuple[KeyText, str]:
    """Make a token. Return its parts and its text, which is shown once."""
    return _FORM.new()


def parse_token(text: str) -> KeyText | None:
    """Return the parts of a token; None: wrong form or checksum, so it is mistyped."""
    return _FORM.parse(text)
