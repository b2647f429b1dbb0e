"""Bodies and views of trusted issuers."""

import json
import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, model_validator
from typing_extensions import TypedDict

from service.domain.described import Timestamp, describe, described
from service.domain.generation_view import rfc3339
from service.domain.identity import patterns
from service.domain.identity.tokens import LONGEST_NAME
from service.domain.identity.trusted_issuer import SPIFFE, TrustedIssuer
from service.domain.tenant import Scope
from service.usecases.tenants.trusted_issuers import NewTrustedIssuer

_MOST_CLAIMS: Final = 16
_INLINE_KEY_SET: Final = 16_384
_TRUST_DOMAIN: Final = re.compile(r"spiffe://[a-z0-9._-]{1,255}")


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must have printable characters only")
    return text


def _issuer(text: str) -> str:
    if text.startswith(SPIFFE) and not _TRUST_DOMAIN.fullmatch(text):
        raise ValueError("of SPIFFE must be spiffe:// and the trust domain, without a path")
    return text


def _pattern(text: str) -> str:
    if "***" in text:
        raise ValueError("has more than two asterisks in a row")
    return text


_Text = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME), AfterValidator(_printable)]
_Pattern = Annotated[_Text, AfterValidator(_pattern)]


class NewIssuer(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra=describe)

    name: Annotated[str, Field(max_length=100)] = ""
    """Name for people, 100 characters at most. Default: empty."""
    issuer: Annotated[_Text, AfterValidator(_issuer)]
    """`iss` of the tokens, character by character; or `spiffe://<trust domain>` for JWT-SVIDs, which need no `iss`."""
    audience: _Text
    """The value that `aud` of the tokens must have or contain. Choose one that names this gateway."""
    subject: _Pattern
    """`sub` of the tokens. `*` stands for one or more characters without `/` and `:`, `**` for one or more of any."""
    claims: Annotated[dict[_Text, _Pattern], Field(max_length=_MOST_CLAIMS)] = {}
    """Claims that the tokens must also have, with patterns of their values. The name of a nested claim is a JSON
    pointer, like `/kubernetes.io/namespace`. Of a list, one item must match. Default: none.
    """
    jwks_url: Annotated[str, StringConstraints(max_length=2048)] | None = None
    """URL of the issuer's public keys (JWKS). Either this or `jwks`."""
    jwks: dict[str, Any] | None = None
    """The public keys themselves, as a JWK Set of 16384 bytes at most. Either this or `jwks_url`."""
    scopes: Annotated[list[Scope], Field(min_length=1)] = [Scope.GENERATE, Scope.READ]
    """What the tokens may do, as the scopes of a key. Default: `generate` and `read`."""

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> "NewIssuer":
        if (self.jwks_url is None) == (self.jwks is None):
            raise ValueError("give exactly one of jwks_url and jwks")
        if self.jwks is not None and len(self.jwks_text or "") > _INLINE_KEY_SET:
            raise ValueError(f"jwks is longer than {_INLINE_KEY_SET} bytes")
        return self

    @model_validator(mode="after")
    def _not_every_subject(self) -> "NewIssuer":
        if patterns.is_only_wildcards(self.subject) and not self.claims:
            raise ValueError("subject matches every token of the issuer: name a part of it, or give claims")
        return self

    @property
    def jwks_text(self) -> str | None:
        return None if self.jwks is None else json.dumps(self.jwks, separators=(",", ":"))

    def wanted(self) -> NewTrustedIssuer:
        return NewTrustedIssuer(
            name=self.name,
            issuer=self.issuer,
            audience=self.audience,
            subject=self.subject,
            claims=self.claims,
            jwks_url=self.jwks_url,
            jwks=self.jwks_text,
            scopes=tuple(dict.fromkeys(self.scopes)),
        )


NEW_ISSUER: Final = TypeAdapter(NewIssuer)


@described
class IssuerView(TypedDict):
    id: str
    """Id of the trusted issuer, `iss_` and 26 characters."""
    object: Literal["trusted_issuer"]
    """Always `trusted_issuer`."""
    tenant_id: str
    """The tenant for which its tokens act."""
    name: str
    """Name for people."""
    issuer: str
    """`iss` of the tokens, or the trust domain."""
    audience: str
    """The value that `aud` must have or contain."""
    subject: str
    """Pattern of `sub`."""
    claims: dict[str, str]
    """Patterns of other claims."""
    jwks_url: str | None
    """URL of the public keys. `null`: they are in `jwks`."""
    jwks: dict[str, Any] | None
    """The public keys. `null`: they are fetched from `jwks_url`."""
    scopes: list[str]
    """What the tokens may do."""
    created_at: Timestamp
    """When it was added, RFC 3339 in UTC with milliseconds."""
    last_used_at: Timestamp | None
    """When one of its tokens was last used, to the minute, RFC 3339 in UTC. `null`: never."""


@described
class IssuerList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[IssuerView]
    """All trusted issuers of the tenant, the oldest first: 20 at most."""


def issuer_view(issuer: TrustedIssuer, *, last_used_at: str | None = None) -> IssuerView:
    return {
        "id": issuer.id,
        "object": "trusted_issuer",
        "tenant_id": issuer.tenant_id,
        "name": issuer.name,
        "issuer": issuer.issuer,
        "audience": issuer.audience,
        "subject": issuer.subject,
        "claims": dict(issuer.claims),
        "jwks_url": issuer.jwks_url,
        "jwks": None if issuer.jwks is None else json.loads(issuer.jwks),
        "scopes": [scope.value for scope in issuer.scopes],
        "created_at": rfc3339(issuer.created_at),
        "last_used_at": last_used_at,
    }
