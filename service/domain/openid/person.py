"""The operator that the claims of an ID token describe: subject, name and role."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from service.domain.identity.claims import texts_of
from service.domain.operator import Role

#: Claims for the name in the audit trail. The first that has a text counts.
_NAMES: Final = ("name", "preferred_username", "email")
_LONGEST_NAME: Final = 100
_EMAIL: Final = "email"
_ROLES: Final = list(Role)


@dataclass(frozen=True, slots=True)
class RoleRules:
    """Roles by claims: name of the claim, or JSON pointer to it, then value, then role."""

    by_claim: Mapping[str, Mapping[str, Role]]
    default: Role | None = None

    def role_of(self, claims: Mapping[str, Any]) -> Role | None:
        """Return the highest role of all rules that apply, otherwise the default; None: the person has no role."""
        roles = [
            role
            for name, by_value in self.by_claim.items()
            if name not in (_EMAIL, f"/{_EMAIL}") or _has_verified_email(claims)
            for text in texts_of(claims, name)
            if (role := by_value.get(text)) is not None
        ]
        return max(roles, key=_ROLES.index, default=self.default)


def _has_verified_email(claims: Mapping[str, Any]) -> bool:
    """Return whether the provider has verified the address. Some let people choose any."""
    return claims.get("email_verified") is True


def subject_of(issuer: str, sub: str) -> str:
    """Return the subject of an operator. ``sub`` alone is unique at its issuer only."""
    return f"{issuer} {sub}"


def name_of(claims: Mapping[str, Any]) -> str:
    """Return a name to show, in one line: from the claims for people, otherwise the subject."""
    for value in (*(claims.get(name) for name in _NAMES), claims.get("sub")):
        if isinstance(value, str) and (name := _one_line(value)):
            return name
    return "unnamed"


def _one_line(text: str) -> str:
    words = "".join(character if character.isprintable() else " " for character in text).split()
    return " ".join(words)[:_LONGEST_NAME].strip()
