"""Attacks on the login by OpenID Connect, and faults of the provider: each ends without a session."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from fastapi import FastAPI

from tests.support.console import Browser, browser_of
from tests.support.factories import Clock
from tests.support.openid import CLIENT_ID, OpenIdServer, authorize, begin, log_in, query_of
from tests.support.tokens import key, part, public

CALLBACK = "/console/login/openid/callback"
BEGIN_AGAIN = "This browser did not begin this login"
INVALID = "The ID token of the login provider is not valid"


#: Tables run in one gateway. Attempts of an address are limited by the minute.
MINUTE = timedelta(minutes=1)


async def refused(browser: Browser, path: str, sentence: str, *, status: int = 401, case: object = None) -> None:
    answer = await browser.get(path, follow_redirects=False)
    assert answer.status_code == status, (case, answer.text)
    assert sentence in answer.text, case
    assert browser.session_id == ""
    assert "set-cookie" not in answer.headers or "__Host-seedance-console=" not in answer.headers["set-cookie"]
    assert "__Host-seedance-openid" not in browser.client.cookies


async def test_wrong_state_is_refused(browser: Browser, provider: OpenIdServer) -> None:
    for state in ("", "a", "x" * 43, "é" * 43, None):
        provider.response["state"] = state
        await refused(browser, await authorize(await begin(browser)), BEGIN_AGAIN, case=state)
    assert provider.tokens == [], "no code reaches the provider"


async def test_state_of_another_browser_is_refused(app: FastAPI, browser: Browser, provider: OpenIdServer) -> None:
    async with browser_of(app) as attacker:
        path = await authorize(await begin(attacker))
    await refused(browser, path, BEGIN_AGAIN)
    await begin(browser)
    await refused(browser, path, BEGIN_AGAIN)
    assert provider.tokens == []


async def test_other_cookie_is_refused(browser: Browser) -> None:
    path = await authorize(await begin(browser))
    browser.client.cookies.clear()
    for cookie in ("", "a", "x" * 44, "%00", "é"):
        headers = {"cookie": f"__Host-seedance-openid={cookie}".encode("latin-1")}
        answer = await browser.get(path, headers=headers, follow_redirects=False)
        assert (answer.status_code, BEGIN_AGAIN in answer.text) == (401, True), cookie


async def test_callback_twice_is_refused(browser: Browser, provider: OpenIdServer) -> None:
    begun = await begin(browser)
    cookie = browser.client.cookies["__Host-seedance-openid"]
    path = await authorize(begun)
    assert (await browser.get(path, follow_redirects=False)).status_code == 200
    browser.client.cookies.clear()
    await refused(browser, path, BEGIN_AGAIN)
    browser.client.cookies.set("__Host-seedance-openid", cookie, domain="gateway.test", path="/")
    await refused(browser, path, "was used before")
    assert len(provider.tokens) == 2


async def test_stolen_code_in_another_login_is_refused_by_pkce(
    app: FastAPI, browser: Browser, provider: OpenIdServer
) -> None:
    """An attacker puts a victim's code into a response with the own state."""
    async with browser_of(app) as victim:
        stolen = query_of(await authorize(await begin(victim)))["code"]
    mine = query_of(await authorize(await begin(browser)))
    query = urlencode({**mine, "code": stolen})
    await refused(browser, f"{CALLBACK}?{query}", "Log in again")
    assert provider.codes.keys() != {stolen}


async def test_repeated_parameter_is_refused(browser: Browser, provider: OpenIdServer) -> None:
    for name in ("state", "code", "iss", "error"):
        path = await authorize(await begin(browser))
        value = query_of(path).get(name, "access_denied")
        await refused(browser, f"{path}&{urlencode([(name, value), (name, value)])}", BEGIN_AGAIN, case=name)
    assert provider.tokens == []


async def test_response_of_another_issuer_is_refused(browser: Browser, provider: OpenIdServer) -> None:
    """Mix-up (RFC 9207): the code must not reach a provider that did not issue it."""
    for issuer in ("https://evil.example.com", None, "", f"{provider.issuer}/"):
        provider.response["iss"] = issuer
        await refused(browser, await authorize(await begin(browser)), "another login provider", case=issuer)
    assert provider.tokens == []


async def test_response_with_a_wrong_issuer_is_refused_also_without_rfc_9207(
    browser: Browser, provider: OpenIdServer
) -> None:
    provider.metadata["authorization_response_iss_parameter_supported"] = None
    provider.response["iss"] = None
    assert (await log_in(browser)).status_code == 200
    browser.client.cookies.clear()
    provider.response["iss"] = "https://evil.example.com"
    await refused(browser, await authorize(await begin(browser)), "another login provider")


CLAIMS: list[tuple[str, dict[str, Any]]] = [
    ("nonce missing", {"nonce": None}),
    ("nonce of another login", {"nonce": "x" * 43}),
    ("nonce not a text", {"nonce": ["x"]}),
    ("audience of another client", {"aud": "another-client"}),
    ("audience missing", {"aud": None}),
    ("audience list without this client", {"aud": ["a", "b"]}),
    ("more audiences without azp", {"aud": [CLIENT_ID, "another-client"]}),
    ("azp of another client", {"aud": [CLIENT_ID, "another-client"], "azp": "another-client"}),
    ("single audience, azp of another client", {"azp": "another-client"}),
    ("issuer of another provider", {"iss": "https://evil.example.com"}),
    ("issuer with a slash", {"iss": "SLASH"}),
    ("issuer missing", {"iss": None}),
    ("subject missing", {"sub": None}),
    ("subject empty", {"sub": ""}),
    ("subject a number", {"sub": 7}),
    ("expiry missing", {"exp": None}),
    ("expired", {"exp": -31}),
    ("not valid yet", {"nbf": 31}),
    ("issued in the future", {"iat": 31}),
    ("time of issue missing", {"iat": None}),
    ("access token exchanged", {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
]


async def test_id_token_with_wrong_claims_is_refused(browser: Browser, provider: OpenIdServer, clock: Clock) -> None:
    for name, claims in CLAIMS:
        now = int(clock.advance(MINUTE).timestamp())
        times = {each: now + claims[each] for each in ("exp", "nbf", "iat") if claims.get(each) is not None}
        issuer = {"iss": f"{provider.issuer}/"} if claims.get("iss") == "SLASH" else {}
        provider.claims = {**claims, **times, **issuer}
        await refused(browser, await authorize(await begin(browser)), INVALID, case=name)


async def test_id_token_times_within_the_leeway_are_accepted(browser: Browser, provider: OpenIdServer) -> None:
    now = int(provider.clock().timestamp())
    for change in ({"exp": -29}, {"iat": 29}, {"nbf": 29}):
        provider.claims = {name: now + by for name, by in change.items()}
        assert (await log_in(browser)).status_code == 200, change


async def test_id_token_without_signature_is_refused(browser: Browser, provider: OpenIdServer) -> None:
    for algorithm in ("none", "None", "NONE"):
        begun = await begin(browser)
        claims = _claims(provider, begun.headers["location"])
        for signature in ("", "AA"):
            provider.id_token = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}.{signature}"
            await refused(browser, await authorize(begun), INVALID)
            begun = await begin(browser)
            claims = _claims(provider, begun.headers["location"])


async def test_id_token_signed_with_a_public_key_as_secret_is_refused(browser: Browser, provider: OpenIdServer) -> None:
    """Confusion of algorithms: HMAC with text that everybody can read, or with the client secret."""
    provider.signer = key("RSA")
    provider.published = [provider.signer]
    secrets = [
        json.dumps(public(provider.signer)["keys"][0]).encode(),
        provider.signer.as_pem(private=False),
        b"a-secret-of:the~client+%/",
        b"",
    ]
    for secret in secrets:
        begun = await begin(browser)
        header = {"alg": "HS256", "typ": "JWT", "kid": provider.signer.kid}
        text = f"{part(header)}.{part(_claims(provider, begun.headers['location']))}"
        provider.id_token = f"{text}.{part(hmac.digest(secret, text.encode(), hashlib.sha256))}"
        await refused(browser, await authorize(begun), INVALID)


async def test_id_token_of_another_key_is_refused(browser: Browser, provider: OpenIdServer) -> None:
    provider.signer = key("P-256", "of an attacker")
    await refused(browser, await authorize(await begin(browser)), INVALID)
    provider.header = {"kid": key().kid}
    await refused(browser, await authorize(await begin(browser)), INVALID)
    provider.header = {"kid": key().kid, "jwk": public(provider.signer)["keys"][0], "jku": "http://127.0.0.1:1/jwks"}
    await refused(browser, await authorize(await begin(browser)), INVALID)


async def test_id_token_that_was_changed_is_refused(browser: Browser, provider: OpenIdServer) -> None:
    begun = await begin(browser)
    nonce = query_of(begun.headers["location"])["nonce"]
    header, claims, signature = provider.issue(nonce).split(".")
    content = json.loads(base64.urlsafe_b64decode(claims + "=="))
    provider.id_token = f"{header}.{part({**content, 'groups': ['video-admins']})}.{signature}"
    await refused(browser, await authorize(begun), INVALID)


async def test_id_token_without_the_form_of_one_is_refused(browser: Browser, provider: OpenIdServer) -> None:
    for text in ("", "a.b.c", "a.b", "é", "." * 9000):
        provider.id_token = text
        await refused(browser, await authorize(await begin(browser)), INVALID, case=text[:10])


TARGETS = [
    "https://evil.example.com",
    "//evil.example.com",
    "/\\evil.example.com",
    "/console//evil.example.com",
    "/console/../../evil",
    "javascript:alert(1)",
    "/console/oncall\r\nset-cookie: a=b",
    '/console/"><script>alert(1)</script>',
    "/console/logout",
    "/console/login/openid",
    "/v1/generations",
    "/console/" + "a" * 3000,
]


async def test_login_leads_to_no_other_site(browser: Browser, clock: Clock) -> None:
    for target in TARGETS:
        clock.advance(MINUTE)
        answer = await log_in(browser, target)
        assert '<meta http-equiv="refresh" content="0; url=/console">' in answer.text, target
        assert "evil" not in answer.text
        assert "alert" not in answer.text


async def test_next_page_in_a_cookie_is_checked_again(browser: Browser, clock: Clock) -> None:
    for target in TARGETS:
        if target.startswith("/v1"):
            continue  # below the console it is no page, and no other site either
        clock.advance(MINUTE)
        path = await authorize(await begin(browser))
        secret = browser.client.cookies["__Host-seedance-openid"].partition(".")[0]
        browser.client.cookies.clear()
        kept = f"{secret}.{quote(target.removeprefix('/console'), safe='')}"
        browser.client.cookies.set("__Host-seedance-openid", kept, domain="gateway.test", path="/")
        answer = await browser.get(path, follow_redirects=False)
        assert '<meta http-equiv="refresh" content="0; url=/console">' in answer.text, target


ERRORS = {
    "access_denied": "was cancelled at the login provider",
    "temporarily_unavailable": "not available at the moment",
    "invalid_scope": "GATEWAY_OIDC_SCOPES",
    "something_new": "refused the login (something_new)",
    "<script>alert(1)</script>": "refused the login (unknown error)",
    "Call +1 555 0100 for help": "refused the login (unknown error)",
}


async def test_error_of_the_provider_is_a_sentence(browser: Browser, provider: OpenIdServer) -> None:
    for error, sentence in ERRORS.items():
        provider.response = {"code": None, "error": error, "error_description": "Call +1 555 0100 <b>now</b>"}
        begun = await begin(browser)
        answer = await browser.get(await authorize(begun), follow_redirects=False)
        assert (answer.status_code, sentence in answer.text, "555" in answer.text) == (401, True, False), error


async def test_error_without_the_state_of_the_browser_shows_nothing_of_it(browser: Browser) -> None:
    await refused(browser, f"{CALLBACK}?error=access_denied&state=a", BEGIN_AGAIN)


async def test_response_without_a_code_is_refused(browser: Browser, provider: OpenIdServer) -> None:
    provider.response["code"] = None
    await refused(browser, await authorize(await begin(browser)), "sent no code")


TOKEN_RESPONSES = [
    (400, b'{"error": "invalid_grant", "error_description": "hush"}', 401, "was used before"),
    (401, b'{"error": "invalid_client", "error_description": "hush"}', 401, "GATEWAY_OIDC_CLIENT_SECRET"),
    (400, b'{"error": "redirect_uri_mismatch"}', 401, "redirect URI"),
    (200, b'{"error": "invalid_grant"}', 401, "was used before"),
    (200, b'{"access_token": "hush"}', 401, "sent no ID token"),
    (200, b'{"id_token": ["hush"]}', 401, "sent no ID token"),
    (200, b"<html>hush</html>", 401, "sent no ID token"),
    (200, b"[" * 100_000, 401, "sent no ID token"),
    (500, b"hush", 503, "cannot be reached"),
    (502, b'{"error": "server_error"}', 503, "cannot be reached"),
    (302, b"", 503, "cannot be reached"),
    (404, b"hush", 503, "cannot be reached"),
    (200, b"{" + b" " * 200_000 + b"}", 503, "cannot be reached"),
]


async def test_token_response_that_is_no_token_is_refused(
    browser: Browser, provider: OpenIdServer, clock: Clock
) -> None:
    for status, body, expected, sentence in TOKEN_RESPONSES:
        clock.advance(MINUTE)
        provider.token_response = (status, body)
        answer = await browser.get(await authorize(await begin(browser)), follow_redirects=False)
        assert (answer.status_code, sentence in answer.text) == (expected, True), (status, body[:60], answer.text)
        assert "hush" not in answer.text
        assert browser.session_id == ""


@pytest.mark.parametrize("changes", [{"oidc_client_secret": None}, {"oidc_client_id": "another"}], ids=["secret", "id"])
async def test_wrong_client_is_refused_without_its_secret(browser: Browser, provider: OpenIdServer) -> None:
    begun = await begin(browser)
    query = {**query_of(begun.headers["location"]), "client_id": CLIENT_ID}
    begun.headers["location"] = f"{provider.issuer}/authorize?{urlencode(query)}"
    answer = await browser.get(await authorize(begun), follow_redirects=False)
    assert answer.status_code == 401
    assert "GATEWAY_OIDC_CLIENT_ID" in answer.text
    assert "a-secret-of" not in answer.text


@pytest.mark.parametrize("changes", [{"oidc_issuer": "http://127.0.0.1:9"}], ids=["unreachable"])
async def test_provider_unreachable_leaves_the_other_logins(browser: Browser) -> None:
    answer = await begin(browser)
    assert answer.status_code == 503
    assert "The login provider cannot be reached at the moment." in answer.text
    assert 'name="secret"' in answer.text
    assert int(answer.headers["retry-after"]) == 5


@pytest.mark.parametrize(
    "metadata", [{"issuer": "https://evil.example.com"}, {"token_endpoint": "http://a.example.com"}]
)
async def test_discovery_that_is_unsafe_is_not_used(
    browser: Browser, provider: OpenIdServer, metadata: dict[str, str]
) -> None:
    provider.metadata = dict(metadata)
    assert (await begin(browser)).status_code == 503
    provider.metadata = {}
    assert (await begin(browser)).status_code == 503, "the provider is not asked again at each request"
    assert len(provider.requests) == 1


async def test_keys_unavailable_is_a_fault_of_the_provider(browser: Browser, provider: OpenIdServer) -> None:
    provider.metadata["jwks_uri"] = f"{provider.issuer}/nothing"
    await refused(browser, await authorize(await begin(browser)), "cannot be fetched", status=503)


async def test_attempts_of_an_address_are_limited(browser: Browser, provider: OpenIdServer) -> None:
    answers = [await browser.get(f"{CALLBACK}?state=a&code=b") for _ in range(12)]
    assert [each.status_code for each in answers] == [401] * 10 + [429] * 2
    assert provider.tokens == []


async def test_session_of_before_the_login_ends(app: FastAPI, browser: Browser) -> None:
    """Fixation: the id of a session never survives a login."""
    await log_in(browser)
    first = browser.session_id
    await log_in(browser)
    assert browser.session_id not in ("", first)
    assert await app.state.runtime.console.sessions.resume(first) is None


async def test_markup_in_a_name_is_escaped(browser: Browser, provider: OpenIdServer) -> None:
    provider.person["name"] = "<img src=x onerror=alert(1)>"
    await log_in(browser)
    page = await browser.get("/console/oncall")
    assert "&lt;img src=x onerror=alert(1)&gt;" in page.text
    assert "<img src=x" not in page.text


def _claims(provider: OpenIdServer, location: str) -> dict[str, Any]:
    """Return valid claims for a login that has begun."""
    text = provider.issue(query_of(location)["nonce"]).split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=="))
    return claims
