"""Tokens instead of keys: what is accepted, and a table of attacks that are refused."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.tenant import Tenant
from service.runtime import Runtime
from service.usecases.tenants.token_authentication import NOT_ACCEPTED
from tests.conftest import Connect, client_of
from tests.support import factories, tokens
from tests.support.factories import Clock, create_body
from tests.support.tokens import (
    ALGORITHMS,
    AUDIENCE,
    CLUSTER,
    SERVICE_ACCOUNT,
    claims_of_service,
    key,
    later,
    part,
    public,
    rule,
    signed,
)
from tests.support.waiting import until

OWN_LEEWAY = 30
PUBLIC_PEM = key("RSA").as_pem(private=False)


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, public_url="https://gateway.example", jwks_allowed_networks=factories.LOOPBACK)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def trust(operator: httpx.AsyncClient, tenant: Tenant, **changes: Any) -> dict[str, Any]:
    response = await operator.post(f"/admin/v1/tenants/{tenant.id}/issuers", json=rule(**changes))
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


async def called_with(anonymous: httpx.AsyncClient, token: str, path: str = "/v1/me") -> httpx.Response:
    return await anonymous.get(path, headers={"authorization": f"Bearer {token}"})


def hmac_with(secret: bytes, claims: dict[str, Any], **header: Any) -> str:
    text = f"{part({'typ': 'JWT', **header})}.{part(claims)}"
    return f"{text}.{part(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def with_member_twice(name: str, value: str) -> str:
    """Return a token whose claims have a member twice, the trusted value last."""
    text = json.dumps(claims_of_service())
    return signed(f'{{"{name}": "{value}", {text[1:]}'.encode())


def unsigned(**header: Any) -> str:
    return f"{part(header)}.{part(claims_of_service())}."


def altered(**changes: Any) -> str:
    """Return a token whose claims were changed after it was signed."""
    first, _, third = signed(claims_of_service()).split(".")
    return f"{first}.{part(claims_of_service(**changes))}.{third}"


def with_header(**header: Any) -> str:
    """Return a token whose header was changed after it was signed."""
    _, second, third = signed(claims_of_service()).split(".")
    return f"{part(header)}.{second}.{third}"


def with_signature(content: bytes) -> str:
    return signed(claims_of_service()).rpartition(".")[0] + "." + part(content)


async def _is_refused(anonymous: httpx.AsyncClient, token: str) -> bool:
    return (await called_with(anonymous, token)).status_code == 401


#: Each is refused with 401. The tenant trusts the keys "first" of RSA and P-256.
ATTACKS: dict[str, Callable[[], str]] = {
    "alg none": lambda: unsigned(alg="none", typ="JWT"),
    "alg none with a signature": lambda: f"{unsigned(alg='none')}{signed(claims_of_service()).split('.')[2]}",
    "alg None": lambda: unsigned(alg="None"),
    "alg missing": lambda: f"{part({'kid': 'first'})}.{part(claims_of_service())}.AAAA",
    "alg of a list": lambda: f"{part({'alg': ['ES256'], 'kid': 'first'})}.{part(claims_of_service())}.AAAA",
    "alg in lower case": lambda: with_header(alg="es256", typ="JWT", kid="first"),
    "no signature": lambda: signed(claims_of_service()).rpartition(".")[0] + ".",
    "two parts": lambda: signed(claims_of_service()).rpartition(".")[0],
    "four parts": lambda: signed(claims_of_service()) + ".AAAA",
    "HS256 with the public key": lambda: hmac_with(PUBLIC_PEM, claims_of_service(), alg="HS256", kid="first"),
    "HS256 with the key set": lambda: hmac_with(
        json.dumps(public(key())).encode(), claims_of_service(), alg="HS256", kid="first"
    ),
    "HS256 with an empty secret": lambda: hmac_with(b"", claims_of_service(), alg="HS256", kid="first"),
    "RS256 named, signed by EC": lambda: with_header(alg="RS256", typ="JWT", kid="first"),
    "curve of another key": lambda: signed(claims_of_service(), key("P-384"), alg="ES384"),
    "secp256k1": lambda: unsigned(alg="ES256K", kid="first") + "AAAA",
    "key of another issuer": lambda: signed(claims_of_service(), key("P-256", "other")),
    "key of another issuer with the trusted kid": lambda: signed(
        claims_of_service(), key("P-256", "other"), kid="first"
    ),
    "unknown kid": lambda: signed(claims_of_service(), kid="second"),
    "kid of a path": lambda: signed(claims_of_service(), kid="../../dev/null"),
    "kid of another type": lambda: signed(claims_of_service(), kid=7),
    "empty kid": lambda: signed(claims_of_service(), kid=""),
    "jwk in the header": lambda: signed(
        claims_of_service(), key("P-256", "other"), kid="other", jwk=public(key("P-256", "other"))["keys"][0]
    ),
    "jwk in the header, trusted kid": lambda: signed(
        claims_of_service(), key("P-256", "other"), kid="first", jwk=public(key("P-256", "other"))["keys"][0]
    ),
    "jku in the header": lambda: signed(
        claims_of_service(), key("P-256", "other"), kid="other", jku="https://evil.example/jwks"
    ),
    "x5u in the header": lambda: signed(
        claims_of_service(), key("P-256", "other"), kid="other", x5u="https://evil.example/chain"
    ),
    "x5c in the header": lambda: signed(claims_of_service(), key("P-256", "other"), kid="other", x5c=["MIIB"]),
    "crit": lambda: signed(claims_of_service(), crit=["exp"], exp=1),
    "empty crit": lambda: signed(claims_of_service(), crit=[]),
    "b64": lambda: signed(claims_of_service(), crit=["b64"], b64=False),
    "b64 without crit": lambda: signed(claims_of_service(), b64=True),
    "typ of a logout token": lambda: signed(claims_of_service(), typ="logout+jwt"),
    "typ of DPoP": lambda: signed(claims_of_service(), typ="dpop+jwt"),
    "typ of a list": lambda: signed(claims_of_service(), typ=["JWT"]),
    "encrypted": lambda: ".".join([part({"alg": "RSA-OAEP", "enc": "A256GCM"}), "AAAA", "AAAA", "AAAA", "AAAA"]),
    "wrong aud": lambda: signed(claims_of_service(aud=["other"])),
    "aud with the name in it": lambda: signed(claims_of_service(aud=[f"{AUDIENCE}-2"])),
    "aud as a text with the name in it": lambda: signed(claims_of_service(aud=f"x {AUDIENCE}")),
    "aud empty": lambda: signed(claims_of_service(aud=[])),
    "aud of an object": lambda: signed(claims_of_service(aud={AUDIENCE: 1})),
    "aud of nested lists": lambda: signed(claims_of_service(aud=[[AUDIENCE]])),
    "aud missing": lambda: signed(claims_of_service(aud=None)),
    "exp missing": lambda: signed(claims_of_service(exp=None)),
    "exp of a text": lambda: signed(claims_of_service(exp=str(later(60)))),
    "exp true": lambda: signed(claims_of_service(exp=True)),
    "exp infinite": lambda: signed(json.dumps(claims_of_service()).replace(str(later(3600)), "Infinity").encode()),
    "exp 1e999": lambda: signed(json.dumps(claims_of_service()).replace(str(later(3600)), "1e999").encode()),
    "exp negative": lambda: signed(claims_of_service(exp=-1)),
    "exp beyond the calendar": lambda: signed(claims_of_service(exp=10**15)),
    "expired": lambda: signed(claims_of_service(exp=later(-OWN_LEEWAY))),
    "not yet valid": lambda: signed(claims_of_service(nbf=later(OWN_LEEWAY + 1))),
    "nbf of a text": lambda: signed(claims_of_service(nbf="0")),
    "issued in the future": lambda: signed(claims_of_service(iat=later(OWN_LEEWAY + 1))),
    "iss missing": lambda: signed(claims_of_service(iss=None)),
    "iss of a list": lambda: signed(claims_of_service(iss=[CLUSTER])),
    "iss with a slash": lambda: signed(claims_of_service(iss=f"{CLUSTER}/")),
    "iss in upper case": lambda: signed(claims_of_service(iss=CLUSTER.upper())),
    "iss of another issuer": lambda: signed(claims_of_service(iss="https://evil.example")),
    "iss twice": lambda: with_member_twice("iss", "https://evil.example"),
    "sub twice": lambda: with_member_twice("sub", "system:serviceaccount:shop:admin"),
    "sub missing": lambda: signed(claims_of_service(sub=None)),
    "sub of another service": lambda: signed(claims_of_service(sub="system:serviceaccount:shop:orders2")),
    "sub of another namespace": lambda: signed(claims_of_service(sub="system:serviceaccount:evil:orders")),
    "sub with a line break": lambda: signed(claims_of_service(sub=f"{SERVICE_ACCOUNT}\n")),
    "sub of a list": lambda: signed(claims_of_service(sub=[SERVICE_ACCOUNT])),
    "claims of a list": lambda: signed(b"[1]"),
    "claims that are not JSON": lambda: signed(b"{"),
    "claims that are not UTF-8": lambda: signed(b'{"sub": "\xff"}'),
    "claims nested deeply": lambda: signed(b"[" * 4000),
    "claims of a lone surrogate": lambda: signed(claims_of_service(sub="\ud800")),
    "claims changed": lambda: altered(exp=later(7200)),
    "subject changed": lambda: altered(sub="system:serviceaccount:shop:admin"),
    "signature of another token": lambda: altered(iat=later(-5)),
    "signature in DER": lambda: with_signature(b"\x30\x06\x02\x01\x01\x02\x01\x01"),
    "signature of zeros": lambda: with_signature(bytes(64)),
    "signature with other unused bits": lambda: _other_bits(signed(claims_of_service())),
    "padding": lambda: signed(claims_of_service()) + "==",
    "base64 instead of base64url": lambda: signed(claims_of_service()).replace("-", "+").replace("_", "/") + "+",
    "white space": lambda: signed(claims_of_service()).replace(".", ". ", 1),
    "oversized": lambda: signed(claims_of_service(filler="x" * 8192)),
}


def _other_bits(token: str) -> str:
    """Change a bit of the last character that no byte has: some decoders ignore it."""
    return token[:-1] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[token[-1]]


async def test_attacks_by_token_are_refused(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant
) -> None:
    await trust(operator, tenant, jwks=public(key(), key("RSA")))
    accepted = await called_with(anonymous, signed(claims_of_service()))
    faults = {}
    for name, attack in ATTACKS.items():
        token = attack()
        response = await called_with(anonymous, token)
        if response.status_code != 401 or response.json()["code"] != "unauthenticated":
            faults[name] = response.text
        if any(len(piece) > 8 and piece in response.text for piece in token.split(".")):
            faults[name] = "the response repeats the token"

    assert (accepted.status_code, accepted.json()["tenant"]["id"]) == (200, tenant.id)
    assert faults == {}


async def test_tokens_of_each_algorithm_are_accepted(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant
) -> None:
    signers = {kind: key(kind, kind) for kind in sorted(set(ALGORITHMS.values()))}
    await trust(operator, tenant, jwks=public(*signers.values()))
    statuses = {
        name: (await called_with(anonymous, signed(claims_of_service(), signers[kind], alg=name))).status_code
        for name, kind in ALGORITHMS.items()
    }

    assert statuses == dict.fromkeys(ALGORITHMS, 200)


async def test_tokens_within_the_rules_are_accepted(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant
) -> None:
    await trust(operator, tenant)
    claims: list[dict[str, Any]] = [
        {"exp": later(1 - OWN_LEEWAY)},
        {"nbf": later(OWN_LEEWAY)},
        {"iat": later(OWN_LEEWAY)},
        {"exp": later(10) + 0.5},
        {"aud": AUDIENCE},
        {"aud": ["other", AUDIENCE]},
        {"nbf": None, "iat": None},
        {"exp": 253_402_300_000},
    ]
    headers: list[dict[str, Any]] = [
        {"typ": None},
        {"typ": "at+jwt"},
        {"typ": "JOSE"},
        {"kid": None},
        {"x5t": "a"},
        {"jku": 7},
    ]
    texts = {str(change): signed(claims_of_service(**change)) for change in claims}
    texts |= {str(header): signed(claims_of_service(), **header) for header in headers}
    statuses = {name: (await called_with(anonymous, text)).status_code for name, text in texts.items()}

    assert statuses == dict.fromkeys(texts, 200)


async def test_token_expires_while_it_is_cached(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    await trust(operator, tenant)
    token = signed(claims_of_service(exp=later(20)))
    first = await called_with(anonymous, token)
    clock.advance(timedelta(seconds=20 + OWN_LEEWAY - 1))
    within_leeway = await called_with(anonymous, token)
    clock.advance(timedelta(seconds=1))

    assert [first.status_code, within_leeway.status_code] == [200, 200]
    assert (await called_with(anonymous, token)).status_code == 401


async def test_me_shows_the_identity(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, api: httpx.AsyncClient
) -> None:
    issuer = await trust(operator, tenant, scopes=["read"])
    me = (await called_with(anonymous, signed(claims_of_service()))).json()

    assert me["identity"] == {
        "trusted_issuer_id": issuer["id"],
        "issuer": CLUSTER,
        "subject": SERVICE_ACCOUNT,
        "audience": AUDIENCE,
        "expires_at": "2026-01-31T10:30:00.000Z",
    }
    assert me["api_key"]["id"].startswith(f"jwt:{issuer['id']}:")
    assert (me["api_key"]["name"], me["api_key"]["scopes"]) == (SERVICE_ACCOUNT, ["read"])
    assert (await api.get("/v1/me")).json()["identity"] is None


async def test_token_has_the_scopes_of_its_issuer(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant
) -> None:
    await trust(operator, tenant, scopes=["read"])
    headers = {"authorization": f"Bearer {signed(claims_of_service())}"}
    refused = await anonymous.post("/v1/generations", json=create_body(), headers=headers)

    assert (await anonymous.get("/v1/generations", headers=headers)).status_code == 200
    assert (refused.status_code, refused.json()["detail"]) == (403, "The token lacks the scope 'generate'.")


async def test_token_selects_its_tenant(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, runtime: Runtime
) -> None:
    """One cluster, two tenants: the subject selects. A token of one never reaches the other."""
    other = await runtime.tenants.service.create("other")
    third = await runtime.tenants.service.create("third")
    other_subject = "system:serviceaccount:films:renderer"
    await trust(operator, tenant)
    await trust(operator, other, subject=other_subject)
    await trust(operator, third, subject="system:serviceaccount:batch:*", claims={"/kubernetes.io/namespace": "batch"})
    subjects = [SERVICE_ACCOUNT, other_subject, "system:serviceaccount:batch:night"]
    found = [(await called_with(anonymous, signed(claims_of_service(sub=name)))).json() for name in subjects]

    assert [me["tenant"]["id"] for me in found] == [tenant.id, other.id, third.id]


async def test_issuer_of_other_tenant_signs_for_its_own_rule_only(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, runtime: Runtime
) -> None:
    """Another tenant trusts its own keys under the same names: they open that tenant, never this one."""
    other = await runtime.tenants.service.create("other")
    own, foreign = key(), key("P-256", "other")
    await trust(operator, tenant, jwks=public(own))
    await trust(operator, other, jwks=public(foreign))
    claims = claims_of_service()

    assert (await called_with(anonymous, signed(claims, own))).json()["tenant"]["id"] == tenant.id
    assert (await called_with(anonymous, signed(claims, foreign))).json()["tenant"]["id"] == other.id
    assert (await called_with(anonymous, signed(claims, foreign, kid="first"))).status_code == 401


async def test_ambiguous_token_is_refused(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, runtime: Runtime
) -> None:
    """Two audiences cannot be proven to be ambiguous: a token with both is."""
    other = await runtime.tenants.service.create("other")
    await trust(operator, tenant)
    await trust(operator, other, audience="films")
    one = await called_with(anonymous, signed(claims_of_service(aud=["films"])))
    both = await called_with(anonymous, signed(claims_of_service(aud=["films", AUDIENCE])))

    assert (one.status_code, one.json()["tenant"]["id"]) == (200, other.id)
    assert (both.status_code, "several trusted issuers" in both.json()["detail"]) == (401, True)


async def test_svid_without_issuer_is_accepted(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant
) -> None:
    """A JWT-SVID of SPIFFE has sub, aud and exp; the bundle of the trust domain names the use of each key."""
    signer = key("P-256", "svid")
    bundle: dict[str, Any] = {
        **public(signer, use="jwt-svid"),
        "spiffe_sequence": 1,
        "spiffe_refresh_hint": 300,
    }
    bundle["keys"].append({**public(key("RSA"))["keys"][0], "use": "x509-svid", "kid": "svid"})
    trusted: dict[str, Any] = {
        "issuer": "spiffe://example.org",
        "subject": "spiffe://example.org/ns/shop/sa/*",
        "jwks": bundle,
    }
    await trust(operator, tenant, **trusted)

    async def status(sub: str, by: tokens.Key = signer, **more: Any) -> int:
        svid = {"sub": sub, "aud": [AUDIENCE], "exp": later(300), **more}
        return (await called_with(anonymous, signed(svid, by, alg="ES256" if by is signer else "RS256"))).status_code

    own = "spiffe://example.org/ns/shop/sa/orders"
    assert await status(own) == 200
    assert await status(own, iss="https://oidc.example.org") == 200
    assert await status(own, key("RSA")) == 401
    assert await status("spiffe://evil.example/ns/shop/sa/orders") == 401
    assert await status("spiffe://evil.example/ns/shop/sa/orders", iss="spiffe://example.org") == 401
    assert await status("spiffe://example.org/ns/shop/sa/a/b") == 401
    assert await status("spiffe://example.org/") == 401


async def test_claims_of_a_rule_must_match(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant
) -> None:
    claims = {"repository_owner": "acme", "/job/ref": "refs/heads/*", "groups": "admins", "run": "7"}
    claims["verified"] = "true"
    await trust(operator, tenant, issuer="https://ci.example", subject="repo:acme/*:**", claims=claims)
    right: dict[str, Any] = {
        "iss": "https://ci.example",
        "sub": "repo:acme/web:ref:refs/heads/main",
        "aud": AUDIENCE,
        "exp": later(60),
        "repository_owner": "acme",
        "job": {"ref": "refs/heads/main"},
        "groups": ["users", "admins"],
        "run": 7,
        "verified": True,
    }
    wrong: list[dict[str, Any]] = [
        {"repository_owner": "acme2"},
        {"repository_owner": ["evil"]},
        {"repository_owner": {"acme": 1}},
        {"repository_owner": None},
        {"job": {"ref": "refs/heads/a/b"}},
        {"job": "refs/heads/main"},
        {"job": {}},
        {"groups": "users"},
        {"groups": []},
        {"run": 8},
        {"verified": False},
        {"sub": "repo:acme"},
        {"sub": "repo:evil/web:ref:refs/heads/main"},
    ]

    assert (await called_with(anonymous, signed(right))).status_code == 200
    for change in wrong:
        assert (await called_with(anonymous, signed({**right, **change}))).status_code == 401, change


async def test_removed_issuer_is_refused_within_a_second(
    app: FastAPI, anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant
) -> None:
    issuer = await trust(operator, tenant)
    token = signed(claims_of_service())
    before = await called_with(anonymous, token)
    await operator.delete(f"/admin/v1/tenants/{tenant.id}/issuers/{issuer['id']}")
    loop = asyncio.get_running_loop()
    removed = loop.time()
    await until(lambda: _is_refused(anonymous, token))

    assert before.status_code == 200
    # The look-up may be 0.9 s old. The rest is the time of one request on a slow machine.
    assert loop.time() - removed < 10
    assert (await called_with(anonymous, token)).json()["detail"] == NOT_ACCEPTED


@pytest.mark.parametrize(("how", "status"), [("suspended", 403), ("deleted", 401), ("removed", 401)])
async def test_token_without_its_tenant_is_refused(
    app: FastAPI,
    anonymous: httpx.AsyncClient,
    operator: httpx.AsyncClient,
    tenant: Tenant,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    status: int,
) -> None:
    """The verified token stays in its cache; the record of its issuer and of its tenant does not."""
    for module in ("authentication", "token_authentication"):
        monkeypatch.setattr(f"service.usecases.tenants.{module}.CACHE_SECONDS", 0.0)
    issuer = await trust(operator, tenant)
    token = signed(claims_of_service())
    before = await called_with(anonymous, token, "/v1/generations")
    match how:
        case "suspended":
            await runtime.tenants.service.suspend(tenant.id)
        case "deleted":
            await runtime.tenants.service.delete(tenant.id, drain=False)
        case "removed":
            await runtime.tenants.trusted_issuers.remove(tenant.id, issuer["id"])

    assert before.status_code == 200
    assert (await called_with(anonymous, token, "/v1/generations")).status_code == status


async def test_verified_token_is_not_verified_again(
    app: FastAPI,
    anonymous: httpx.AsyncClient,
    operator: httpx.AsyncClient,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After its first use, a token costs what a key costs: no parsing, no signature, no more commands."""
    for module in ("authentication", "token_authentication"):
        monkeypatch.setattr(f"service.usecases.tenants.{module}.CACHE_SECONDS", 0.0)
    await trust(operator, tenant)
    token = signed(claims_of_service())
    assert (await called_with(anonymous, token)).status_code == 200

    def refuse(*_: object) -> None:
        raise AssertionError("verified again")

    monkeypatch.setattr("service.usecases.tenants.token_authentication.parse_token", refuse)
    commands: list[str] = []
    execute = app.state.runtime.stores.tenants._redis.execute

    async def counted(*command: Any) -> Any:
        commands.append(command[0])
        return await execute(*command)

    monkeypatch.setattr(app.state.runtime.stores.tenants._redis, "execute", counted)
    await app.state.runtime.tenants.authenticator.identify(token)

    assert commands == ["MGET"]


async def test_tokens_are_in_no_log(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    await trust(operator, tenant)
    token, forged = signed(claims_of_service()), altered(exp=later(7200))
    await called_with(anonymous, token)
    await called_with(anonymous, forged)
    written = "".join(capsys.readouterr())

    assert not [piece for text in (token, forged) for piece in text.split(".")[1:] if piece in written]


async def test_subjects_of_one_issuer_are_different_callers(
    connect: Connect, anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant
) -> None:
    """A new token of the same service is the same caller: a repeated request with it is recognized."""
    await trust(operator, tenant, subject="system:serviceaccount:shop:*")

    async def key_id(**claims: Any) -> str:
        me = await called_with(anonymous, signed(claims_of_service(**claims)))
        found: str = me.json()["api_key"]["id"]
        return found

    first = await key_id()
    assert await key_id(exp=later(7200), jti="other") == first
    assert await key_id(sub="system:serviceaccount:shop:returns") != first


async def test_fal_client_sends_a_token_as_its_key(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant
) -> None:
    await trust(operator, tenant)
    headers = {"authorization": f"Key {signed(claims_of_service())}"}
    path = "/fal/queue/bytedance/seedance-2.0/image-to-video"
    submitted = await anonymous.post(path, json=create_body(), headers=headers)
    status = await anonymous.get(
        f"/fal/queue/bytedance/seedance-2.0/requests/{submitted.json()['request_id']}/status", headers=headers
    )

    assert (submitted.status_code, status.status_code) == (200, 202)


async def test_tokens_count_against_the_limits_of_their_tenant(
    app: FastAPI, operator: httpx.AsyncClient, tenant: Tenant
) -> None:
    await operator.patch(f"/admin/v1/tenants/{tenant.id}", json={"limits": {"requests_per_minute": 1, "burst": 1}})
    await trust(operator, tenant)
    async with (
        client_of(app, signed(claims_of_service())) as client,
        client_of(app, signed(claims_of_service(exp=later(7200)))) as second,
    ):
        statuses = [(await each.get("/v1/generations")).status_code for each in (client, second)]

    assert statuses == [200, 429]


async def test_tickets_of_a_token_end_with_it(
    app: FastAPI, anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    """A ticket permits nothing that its token does not permit when the ticket is used."""
    issuer = await trust(operator, tenant)
    multipart = "/fal/rest/files/upload/multipart"
    async with client_of(app, signed(claims_of_service(exp=later(60)))) as client:
        g = (await client.post("/v1/generations", json=create_body())).json()
        await client.post(f"/v1/generations/{g['id']}/cancel")

        async def tickets() -> tuple[str, str]:
            stream = (await client.post(f"/v1/generations/{g['id']}/stream-tickets")).json()["ticket"]
            return stream, (await client.post("/fal/rest/storage/auth/token", json={})).json()["token"]

        async def statuses(stream: str, upload: str) -> list[int]:
            events = await anonymous.get(f"/v1/generations/{g['id']}/events", params={"ticket": stream})
            return [events.status_code, (await called_with_post(anonymous, upload, multipart)).status_code]

        first, second = await tickets(), await tickets()
        used = await statuses(*first)
        clock.advance(timedelta(seconds=55))
        third = await tickets()
        await operator.delete(f"/admin/v1/tenants/{tenant.id}/issuers/{issuer['id']}")
        removed = await statuses(*second)
        await trust(operator, tenant)
        clock.advance(timedelta(seconds=35))
        expired = await statuses(*third)

    assert (used, removed, expired) == ([200, 413], [401, 401], [401, 401])


async def called_with_post(anonymous: httpx.AsyncClient, token: str, path: str) -> httpx.Response:
    return await anonymous.post(path, headers={"authorization": f"Bearer {token}"})


async def test_acts_of_a_token_are_in_the_trail(
    anonymous: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, runtime: Runtime
) -> None:
    issuer = await trust(operator, tenant, scopes=["manage"])
    headers = {"authorization": f"Bearer {signed(claims_of_service())}"}
    made = await anonymous.post("/v1/webhook-endpoints", json={"url": "http://127.0.0.1:19999/"}, headers=headers)
    found = [link.load() async for step in runtime.stores.trail_reader.links() for link in step]
    created, acted = found[-2:]

    assert made.status_code == 201, made.text
    assert (created.action, created.target, created.tenant_id) == ("create_trusted_issuer", issuer["id"], tenant.id)
    assert public(key())["keys"][0]["x"] not in str(created)
    assert (acted.action, acted.actor.kind, acted.actor.name) == ("create_webhook_endpoint", "service", SERVICE_ACCOUNT)
    assert (acted.actor.id or "").startswith(f"jwt:{issuer['id']}:")
