"""An issuer of tokens: its keys, its key set, and tokens with any header and claims."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from aiohttp import web
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from service.domain import ids
from service.domain.identity.trusted_issuer import TrustedIssuer
from service.domain.tenant import Scope
from tests.support.factories import NOW

AUDIENCE: Final = "seedance-gateway"
CLUSTER: Final = "https://kubernetes.default.svc.cluster.local"
SERVICE_ACCOUNT: Final = "system:serviceaccount:shop:orders"
#: A type of key for each algorithm.
ALGORITHMS: Final = {
    "RS256": "RSA",
    "RS384": "RSA",
    "RS512": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "PS512": "RSA",
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Ed25519",
    "Ed25519": "Ed25519",
}
Key = RSAKey | ECKey | OKPKey


@cache
def key(kind: str = "P-256", name: str = "first") -> Key:
    """Return a private key. The same arguments give the same key: RSA keys take long to generate."""
    if kind == "RSA":
        return RSAKey.generate_key(2048, {"kid": name})
    if kind == "Ed25519":
        return OKPKey.generate_key("Ed25519", {"kid": name})
    return ECKey.generate_key(kind, {"kid": name})


def public(*keys: Key, **members: Any) -> dict[str, Any]:
    """Return the key set of private keys."""
    return {"keys": [{**each.as_dict(private=False), **members} for each in keys]}


def part(value: bytes | Mapping[str, Any]) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed(claims: bytes | Mapping[str, Any], by: Key | None = None, **header: Any) -> str:
    """Return a token. Members of the header may be wrong; ``kid=None`` leaves it out. Default: ES256, first key."""
    signer = by or key()
    whole = {"alg": "ES256", "typ": "JWT", "kid": signer.kid, **header}
    whole = {name: value for name, value in whole.items() if value is not None}
    text = f"{part(whole)}.{part(claims)}"
    name = {"EdDSA": "Ed25519"}.get(whole["alg"], whole["alg"])
    return f"{text}.{part(JWSRegistry.algorithms[name].sign(text.encode(), signer))}"


def claims_of_service(now: datetime = NOW, **changes: Any) -> dict[str, Any]:
    """Return the claims of a projected token of a Kubernetes service account; ``name=None`` leaves one out."""
    moment = int(now.timestamp())
    namespace, name = f"::{changes.get('sub') or SERVICE_ACCOUNT}".split(":")[-2:]
    claims = {
        "aud": [AUDIENCE],
        "exp": moment + 3600,
        "iat": moment,
        "iss": CLUSTER,
        "jti": "b1f8a0d6-5c35-4ed9-8f3f-0d2f2f3f5b0a",
        "kubernetes.io": {
            "namespace": namespace,
            "node": {"name": "worker-1", "uid": "5b8b2a5e-9f0b-4a5e-8a3e-2f1f0c9f7e11"},
            "pod": {"name": f"{name}-7c9d", "uid": "0c1c9f44-51a8-4e0e-9b59-2bd3a1ff8b11"},
            "serviceaccount": {"name": name, "uid": "8d5cf2c0-3a47-4c9a-9d2a-27a1f2a2d3c4"},
        },
        "nbf": moment,
        "sub": SERVICE_ACCOUNT,
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def rule(**changes: Any) -> dict[str, Any]:
    """Return the body that trusts the service account of ``claims_of_service``; ``name=None`` leaves a member out."""
    body = {
        "issuer": CLUSTER,
        "audience": AUDIENCE,
        "subject": SERVICE_ACCOUNT,
        "jwks": public(key()),
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def trusted_issuer(tenant_id: str, **changes: Any) -> TrustedIssuer:
    """Return the record of ``rule``."""
    given = {
        "id": ids.new(ids.TRUSTED_ISSUER, NOW),
        "issuer": CLUSTER,
        "audience": AUDIENCE,
        "subject": SERVICE_ACCOUNT,
        "jwks": json.dumps(public(key())),
        "scopes": tuple(Scope),
        "created_at": NOW,
    }
    return TrustedIssuer(tenant_id=tenant_id, **{**given, **changes})


@dataclass
class IssuerServer:
    """A server of a key set. A test sets what it returns; it counts the requests."""

    content: dict[str, Any]
    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    requests: int = 0
    url: str = ""

    async def give(self, _: web.Request) -> web.Response:
        self.requests += 1
        body = json.dumps(self.content).encode() if self.body is None else self.body
        return web.Response(status=self.status, body=body, headers=self.headers)


@asynccontextmanager
async def issuer_server(*keys: Key, tls: Any = None) -> AsyncIterator[IssuerServer]:
    """Serve the key set of private keys on this machine."""
    server = IssuerServer(public(*(keys or (key(),))))
    app = web.Application()
    app.router.add_get("/openid/v1/jwks", server.give)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    scheme = "http" if tls is None else "https"
    server.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}/openid/v1/jwks"
    try:
        yield server
    finally:
        await runner.cleanup()


def later(seconds: float) -> int:
    """Return a time for a claim, relative to the clock of a test."""
    return int((NOW + timedelta(seconds=seconds)).timestamp())
