"""Signed JSON Web Tokens (RFC 7519), read strictly and without trust: nothing here verifies a signature.

A text has one meaning only: base64url without alternatives, no duplicate members, no extensions. Headers that name keys
(``jku``, ``jwk``, ``x5u``, ``x5c``) are ignored.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

#: Characters of a token.
LONGEST: Final = 8192
#: Characters of an issuer, a subject, an audience.
LONGEST_NAME: Final = 512
_MOST_AUDIENCES: Final = 64
_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
#: ``typ`` without ``application/``, in lower case. Others are tokens for other purposes, such as logout or DPoP.
_TYPES: Final = frozenset({"jwt", "at+jwt", "jose"})
_SPIFFE: Final = re.compile(r"spiffe://([a-z0-9._-]{1,255})/.+")
_LAST_MOMENT: Final = 253_402_300_799  # the last second of the year 9999


class TokenFault(ValueError):
    """Why a token is refused. ``detail`` says nothing that its sender does not know."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        """A stable name, for the log."""
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What an unverified token says."""

    text: str = field(repr=False)
    algorithm: str
    key_id: str | None
    issuer: str | None
    subject: str
    audiences: tuple[str, ...]
    expires_at: datetime
    not_before: datetime | None
    issued_at: datetime | None
    claims: Mapping[str, Any] = field(repr=False)

    @property
    def issuers(self) -> tuple[str, ...]:
        """The names under which its issuer may be trusted: its ``iss``, and the trust domain of a SPIFFE ID."""
        domain = trust_domain(self.subject)
        names = (self.issuer, domain)
        return tuple(dict.fromkeys(name for name in names if name is not None))

    def check_times(self, now: datetime, leeway: timedelta) -> None:
        """Raise TokenFault if the token has expired or is not valid yet."""
        if now >= self.expires_at + leeway:
            raise TokenFault("expired", "The token has expired.")
        if self.not_before is not None and now < self.not_before - leeway:
            raise TokenFault("not_yet_valid", "The token is not valid yet (nbf).")
        if self.issued_at is not None and now < self.issued_at - leeway:
            raise TokenFault("issued_in_future", "The token was issued in the future (iat).")


def is_token(text: str) -> bool:
    """Return whether the text has the three parts of a signed token. No API key has a dot."""
    return text.count(".") == 2


def trust_domain(subject: str) -> str | None:
    """Return ``spiffe://<trust domain>`` of a SPIFFE ID; None: the subject is none."""
    found = _SPIFFE.fullmatch(subject)
    return None if found is None else f"spiffe://{found[1]}"


def caller_id(issuer_id: str, subject: str) -> str:
    """Return the id of a caller without a key, as in the log: its trusted issuer and the hash of its subject."""
    return f"jwt:{issuer_id}:{hashlib.sha256(subject.encode()).hexdigest()[:16]}"


def issuer_id_of(caller_id: str) -> str | None:
    """Return the id of the trusted issuer in a caller's id; None: the id is one of an API key."""
    return caller_id.split(":")[1] if caller_id.startswith("jwt:") else None


def parse_token(text: str) -> Token:
    """Read a token. Raises TokenFault."""
    if len(text) > LONGEST:
        raise TokenFault("oversized", f"The token is longer than {LONGEST} characters.")
    if not _FORM.fullmatch(text):
        raise _malformed("it has not three parts in base64url")
    first, second, third = text.split(".")
    _decoded(third)
    header, claims = _object(first, "header"), _object(second, "payload")
    _check_header(header)
    return Token(
        text=text,
        algorithm=_text(header, "alg"),
        key_id=_optional_text(header, "kid"),
        issuer=_optional_text(claims, "iss"),
        subject=_text(claims, "sub"),
        audiences=_audiences(claims.get("aud")),
        expires_at=_required_moment(claims, "exp"),
        not_before=_moment(claims, "nbf"),
        issued_at=_moment(claims, "iat"),
        claims=claims,
    )


def _check_header(header: Mapping[str, Any]) -> None:
    for extension in ("crit", "b64"):
        if extension in header:
            raise TokenFault("extension", f"The token's header has {extension!r}: no extension is supported.")
    kind = _optional_text(header, "typ")
    if kind is not None and kind.lower().removeprefix("application/") not in _TYPES:
        raise TokenFault("type", "The token's header has another 'typ' than JWT.")


def _audiences(value: object) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [value]
    if not given or len(given) > _MOST_AUDIENCES or not all(isinstance(item, str) and item for item in given):
        raise _malformed("'aud' is missing, or neither a text nor a list of texts")
    return tuple(given)


def _text(members: Mapping[str, Any], name: str) -> str:
    found = _optional_text(members, name)
    if found is None:
        raise _malformed(f"{name!r} is missing")
    return found


def _optional_text(members: Mapping[str, Any], name: str) -> str | None:
    if name not in members:
        return None
    value = members[name]
    if not isinstance(value, str) or not value or len(value) > LONGEST_NAME or not value.isprintable():
        raise _malformed(f"{name!r} is not a text of 1 to {LONGEST_NAME} printable characters")
    return value


def _required_moment(claims: Mapping[str, Any], name: str) -> datetime:
    found = _moment(claims, name)
    if found is None:
        raise _malformed(f"{name!r} is missing")
    return found


def _moment(claims: Mapping[str, Any], name: str) -> datetime | None:
    if name not in claims:
        return None
    value = claims[name]
    if type(value) not in (int, float) or not 0 <= value <= _LAST_MOMENT:
        raise _malformed(f"{name!r} is not a time in seconds since 1970")
    return datetime.fromtimestamp(value, UTC)


def _object(segment: str, part: str) -> dict[str, Any]:
    try:
        found = json.loads(_decoded(segment).decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        if isinstance(error, TokenFault):
            raise
        raise _malformed(f"its {part} is not JSON") from None
    if not isinstance(found, dict):
        raise _malformed(f"its {part} is not an object")
    return found


def _decoded(segment: str) -> bytes:
    """Decode base64url. Raises TokenFault if another text has the same bytes: unused bits must be zero."""
    try:
        content = base64.urlsafe_b64decode(segment + "==")  # more padding than needed is ignored
    except ValueError:
        raise _malformed("a part is not base64url") from None
    if base64.urlsafe_b64encode(content).rstrip(b"=") != segment.encode():
        raise _malformed("a part is not base64url")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _malformed("it has a member twice")
    return members


def _refuse_constant(_: str) -> None:
    raise _malformed("it has a number that is not finite")


def _malformed(why: str) -> TokenFault:
    return TokenFault("malformed", f"The token (JWT) cannot be read: {why}.")
