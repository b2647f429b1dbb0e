"""Trusted issuers over the admin API: validation, bounds, ambiguity, and what deletion leaves."""

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.certificate import write_certificate
from service.config.settings import Settings
from service.domain.tenant import Tenant
from service.runtime import Runtime, open_runtime
from service.store import keys
from service.usecases.tenants import trusted_issuers
from tests.support import factories, tokens
from tests.support.factories import Clock
from tests.support.tokens import CLUSTER, IssuerServer, issuer_server, key, public, rule


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, jwks_allowed_networks=factories.LOOPBACK)


def path_of(tenant: Tenant, issuer_id: str = "") -> str:
    return f"/admin/v1/tenants/{tenant.id}/issuers" + (f"/{issuer_id}" if issuer_id else "")


async def test_trusted_issuer_is_created_listed_and_deleted(operator: httpx.AsyncClient, tenant: Tenant) -> None:
    made = await operator.post(path_of(tenant), json=rule(name="orders"))
    listed = await operator.get(path_of(tenant))
    read = await operator.get(path_of(tenant, made.json()["id"]))
    deleted = await operator.delete(path_of(tenant, made.json()["id"]))

    assert (made.status_code, deleted.status_code) == (201, 204)
    assert made.json() == read.json() == listed.json()["data"][0]
    assert {**rule(name="orders"), "scopes": ["generate", "read"], "claims": {}}.items() <= made.json().items()
    assert (await operator.get(path_of(tenant))).json()["data"] == []
    assert (await operator.get(path_of(tenant, made.json()["id"]))).status_code == 404
    assert (await operator.delete(path_of(tenant, made.json()["id"]))).status_code == 404


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no keys": ({"jwks": None}, ""),
    "two sources": ({"jwks_url": "https://issuer.example/jwks"}, ""),
    "empty issuer": ({"issuer": ""}, "/issuer"),
    "trust domain with a path": ({"issuer": "spiffe://example.org/ns"}, "/issuer"),
    "trust domain in upper case": ({"issuer": "spiffe://Example.org"}, "/issuer"),
    "issuer with a line break": ({"issuer": "https://a\n"}, "/issuer"),
    "long subject": ({"subject": "x" * 513}, "/subject"),
    "any subject": ({"subject": "**"}, ""),
    "any segments": ({"subject": "*:*/**"}, ""),
    "three asterisks": ({"subject": "a***"}, "/subject"),
    "claim of a number": ({"claims": {"a": 1}}, "/claims/a"),
    "17 claims": ({"claims": {str(n): "x" for n in range(17)}}, "/claims"),
    "no scopes": ({"scopes": []}, "/scopes"),
    "unknown scope": ({"scopes": ["admin"]}, "/scopes/0"),
    "unknown member": ({"algorithms": ["HS256"]}, "/algorithms"),
    "no key in the set": ({"jwks": {"keys": []}}, "/jwks"),
    "set without keys": ({"jwks": {}}, "/jwks"),
    "symmetric key": ({"jwks": {"keys": [{"kty": "oct", "k": "AAAA", "kid": "a"}]}}, "/jwks"),
    "private key": ({"jwks": {"keys": [key().as_dict(private=True)]}}, "/jwks"),
    "encryption key": ({"jwks": public(key(), use="enc")}, "/jwks"),
    "key of another algorithm": ({"jwks": public(key(), alg="RS256")}, "/jwks"),
    "point off the curve": ({"jwks": {"keys": [{**public(key())["keys"][0], "x": "AAAA"}]}}, "/jwks"),
    "long set": ({"jwks": {**public(key()), "filler": "x" * 16_384}}, ""),
    "URL of metadata": ({"jwks": None, "jwks_url": "http://169.254.169.254/jwks"}, "/jwks_url"),
    "URL with a login": ({"jwks": None, "jwks_url": "https://a:b@issuer.example/"}, "/jwks_url"),
    "URL of a file": ({"jwks": None, "jwks_url": "file:///etc/passwd"}, "/jwks_url"),
}


async def test_wrong_trusted_issuers_are_refused(operator: httpx.AsyncClient, tenant: Tenant) -> None:
    responses = {
        name: await operator.post(path_of(tenant), json=rule(**changes)) for name, (changes, _) in WRONG.items()
    }
    found = {name: (each.status_code, each.json()["errors"][0]["pointer"]) for name, each in responses.items()}

    assert found == {name: (422, pointer) for name, (_, pointer) in WRONG.items()}
    assert (await operator.get(path_of(tenant))).json()["data"] == []


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "status": ({"status": 401}, "the response has the status 401, not 200"),
    "redirect": ({"status": 302, "headers": {"location": "/openid/v1/jwks"}}, "the status 302"),
    "HTML": ({"body": b"<html>"}, "it is not JSON"),
    "long": ({"body": b" " * 65_537}, "longer than 65536 bytes"),
    "no key": ({"content": {"keys": []}}, "no key that can verify tokens"),
}


async def test_fault_of_key_set_is_named(operator: httpx.AsyncClient, tenant: Tenant) -> None:
    async with issuer_server() as server:
        for name, (answer, text) in FAULTS.items():
            for member, value in vars(replace(IssuerServer(server.content), **answer)).items():
                if member not in ("requests", "url"):
                    setattr(server, member, value)
            response = await operator.post(path_of(tenant), json=rule(jwks=None, jwks_url=server.url))
            assert (response.status_code, text in response.json()["errors"][0]["detail"]) == (422, True), name
            server.content = public(key())
    closed = await operator.post(path_of(tenant), json=rule(jwks=None, jwks_url=server.url))

    assert "cannot be fetched" in closed.json()["errors"][0]["detail"]


async def test_key_set_inside_needs_the_operators_permission(redis_url: str, clock: Clock) -> None:
    """The same URL with no allowed networks: the guard refuses this machine."""
    async with issuer_server() as server, open_runtime(factories.settings(redis_url), clock=clock) as runtime:
        tenant = await runtime.tenants.service.create("acme")
        wanted = trusted_issuers.NewTrustedIssuer(
            issuer=CLUSTER, audience="a", subject="b", jwks_url=server.url, scopes=()
        )
        with pytest.raises(Exception, match="GATEWAY_JWKS_ALLOWED_NETWORKS"):
            await runtime.tenants.trusted_issuers.add(tenant.id, wanted)

        assert server.requests == 0


async def test_key_set_of_a_private_authority_is_fetched(redis_url: str, clock: Clock, tmp_path: Path) -> None:
    """As of a Kubernetes API server: its authority is in a file."""
    certificate, private = write_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    wanted = trusted_issuers.NewTrustedIssuer(issuer=CLUSTER, audience="a", subject="b", scopes=())
    async with issuer_server(tls=context) as server:
        with_url = replace(wanted, jwks_url=server.url.replace("127.0.0.1", "localhost"))
        for ca_file in (None, certificate):
            changes = {"jwks_allowed_networks": factories.LOOPBACK, "jwks_ca_file": ca_file}
            async with open_runtime(factories.settings(redis_url, **changes), clock=clock) as runtime:
                tenant = await runtime.tenants.service.create("acme")
                if ca_file is None:
                    with pytest.raises(Exception, match="tls"):
                        await runtime.tenants.trusted_issuers.add(tenant.id, with_url)
                else:
                    await runtime.tenants.trusted_issuers.add(tenant.id, with_url)
                    assert len(await runtime.tenants.trusted_issuers.list(tenant.id)) == 1


AMBIGUOUS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "equal": ({}, {}),
    "pattern and subject": ({}, {"subject": "system:serviceaccount:*:orders"}),
    "two patterns": ({"subject": "system:serviceaccount:shop:*"}, {"subject": "system:serviceaccount:*:orders"}),
    "other claims": ({"claims": {"a": "1"}}, {"claims": {"b": "2"}}),
    "patterns of a claim": ({"claims": {"a": "x*"}}, {"claims": {"a": "*y"}}),
    "equal URLs": ({"jwks": None, "jwks_url": "URL"}, {"jwks": None, "jwks_url": "URL"}),
    "a shared key": ({"jwks": public(key(), key("RSA"))}, {"jwks": public(key("P-384"), key())}),
}
DISTINCT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "other subject": ({}, {"subject": "system:serviceaccount:shop:returns"}),
    "other namespaces": ({"subject": "system:serviceaccount:a:*"}, {"subject": "system:serviceaccount:b:*"}),
    "other issuer": ({}, {"issuer": "https://other.example"}),
    "other audience": ({}, {"audience": "films"}),
    "other value of a claim": ({"claims": {"a": "1"}}, {"claims": {"a": "2"}}),
    "other keys": ({}, {"jwks": public(key("P-256", "other"))}),
}


async def test_ambiguous_trusted_issuers_are_refused(operator: httpx.AsyncClient, runtime: Runtime) -> None:
    """Of two tenants, in both orders."""
    found = {}
    async with issuer_server() as server:
        for name, pair in {**AMBIGUOUS, **DISTINCT}.items():
            bodies = [rule(**change) for change in pair]
            for body in bodies:
                if body.get("jwks_url"):
                    body["jwks_url"] = server.url
            for first, second in (bodies, bodies[::-1]):
                one, two = [await runtime.tenants.service.create("acme") for _ in range(2)]
                statuses = [
                    (await operator.post(path_of(owner), json=body)).status_code
                    for owner, body in ((one, first), (two, second))
                ]
                found[name, first is bodies[0]] = statuses
                for owner in (one, two):
                    await runtime.tenants.service.delete(owner.id, drain=False)
    expected = {(name, order): [201, 409] for name in AMBIGUOUS for order in (True, False)}
    expected |= {(name, order): [201, 201] for name in DISTINCT for order in (True, False)}

    assert found == expected


async def test_bounds_of_trusted_issuers(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = runtime.stores.trusted_issuers
    for number in range(20):
        issuer = tokens.trusted_issuer(tenant.id, subject=f"subject-{number}")
        assert await store.insert(issuer) == "inserted"
    full = await operator.post(path_of(tenant), json=rule())
    other = await runtime.tenants.service.create("other")
    module = "service.store.tenants.trusted_issuers"
    monkeypatch.setattr(f"{module}.MOST_OF_ISSUER", 22)
    monkeypatch.setattr(f"{module}.MOST_PATTERNS", 1)
    written = [await store.insert(tokens.trusted_issuer(other.id, subject=text)) for text in ("a*", "b*", "c", "d")]

    assert (full.status_code, "20 trusted issuers" in full.json()["detail"]) == (409, True)
    assert written == ["inserted", "patterns_full", "inserted", "issuer_full"]
    assert await store.insert(tokens.trusted_issuer("ten_gone")) == "orphan"


async def test_deleted_tenant_leaves_no_trusted_issuer(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    before = set(await runtime.redis.execute("KEYS", f"{keys.TAG}*trusted_issuer*"))
    issuer = (await operator.post(path_of(tenant), json=rule())).json()
    await runtime.stores.api_keys.note_use(f"jwt:{issuer['id']}:abc", "2026-01-31T09:30Z")
    used = (await operator.get(path_of(tenant))).json()["data"][0]["last_used_at"]
    written = set(await runtime.redis.execute("KEYS", f"{keys.TAG}*trusted_issuer*")) - before
    await runtime.tenants.service.delete(tenant.id, drain=False)

    assert (used, len(written)) == ("2026-01-31T09:30Z", 4)
    assert set(await runtime.redis.execute("KEYS", f"{keys.TAG}*trusted_issuer*")) == before


async def test_trusted_issuer_of_other_tenant_is_not_found(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    other = await runtime.tenants.service.create("other")
    issuer = (await operator.post(path_of(tenant), json=rule())).json()["id"]

    assert (await operator.get(path_of(other, issuer))).status_code == 404
    assert (await operator.delete(path_of(other, issuer))).status_code == 404
    assert (await operator.delete(path_of(other, "iss_x"))).status_code == 404
    assert (await operator.post(f"/admin/v1/tenants/{tenant.id}x/issuers", json=rule())).status_code == 404
    assert (await operator.get(path_of(tenant, issuer))).status_code == 200
