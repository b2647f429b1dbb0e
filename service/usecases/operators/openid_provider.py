"""The OpenID provider of operators: its discovery document and key set, cached, and the exchange of a code.

Authlib has the protocol: the requests of the authorization code flow with PKCE, and the checks of an ID token's claims.
Signatures are checked as those of services' tokens are.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc.errors import JoseError

from service.clock import Clock
from service.domain.identity.tokens import TokenFault, parse_token
from service.domain.openid.metadata import MetadataFault, ProviderMetadata, discovery_url, parse_metadata
from service.domain.openid.pending import PendingLogin
from service.errors import Unavailable
from service.net.key_set_fetcher import FetchFailed
from service.net.openid_fetcher import OpenIdFetcher
from service.observability import log, metrics
from service.usecases.operators.login_refused import LoginRefused, shown_code
from service.usecases.tenants.key_sets import KeySets

_FRESH_FOR: Final = timedelta(hours=1)
_RETRY_AFTER: Final = timedelta(seconds=5)
"""Between two requests of a discovery document that cannot be read."""
_FORM: Final = "application/x-www-form-urlencoded"
_UNAVAILABLE: Final = "The login provider cannot be reached at the moment. Log in with a token, or try again later."
_log = log.get(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIdClient:
    """How this gateway is registered at the provider."""

    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    scopes: str
    redirect_uri: str
    login_page: str
    """To which the provider returns a browser after a logout."""
    leeway: timedelta


class OpenIdProvider:
    def __init__(self, client: OpenIdClient, fetcher: OpenIdFetcher, *, clock: Clock) -> None:
        self._client = client
        self._fetcher = fetcher
        self._keys = KeySets(fetcher, clock=clock, of="openid")
        self._clock = clock
        self._metadata: ProviderMetadata | None = None
        self._next_fetch: datetime | None = None
        self._fetching = asyncio.Lock()

    @property
    def issuer(self) -> str:
        return self._client.issuer

    async def close(self) -> None:
        await self._keys.close()

    async def metadata(self) -> ProviderMetadata:
        """Return the discovery document. Raises Unavailable: it cannot be read, and there is no earlier one."""
        async with self._fetching:
            now = self._clock()
            if self._next_fetch is None or now >= self._next_fetch:
                await self._fetch(now)
        if self._metadata is None:
            raise Unavailable(_UNAVAILABLE, retry_after=_RETRY_AFTER.total_seconds())
        return self._metadata

    async def authorization_url(self, login: PendingLogin) -> str:
        """Return the page of the provider at which a person logs in. Raises Unavailable."""
        client = self._client
        url: str = prepare_grant_uri(
            (await self.metadata()).authorization_endpoint,
            client.client_id,
            "code",
            redirect_uri=client.redirect_uri,
            scope=client.scopes,
            state=login.state,
            nonce=login.nonce,
            code_challenge=create_s256_code_challenge(login.code_verifier),
            code_challenge_method="S256",
        )
        return url

    async def logout_url(self) -> str | None:
        """Return the page that ends the session at the provider (RP-initiated logout); None: it has none."""
        endpoint = (await self.metadata()).end_session_endpoint
        if endpoint is None:
            return None
        query = {"client_id": self._client.client_id, "post_logout_redirect_uri": self._client.login_page}
        return str(add_params_to_uri(endpoint, list(query.items())))

    async def claims_of(self, code: str, login: PendingLogin) -> Mapping[str, Any]:
        """Return the claims of the person to whom the provider gave a code. Raises LoginRefused, Unavailable."""
        reply = await self._exchange(code, login)
        try:
            return await self._verified(reply, login.nonce)
        except TokenFault as fault:
            raise LoginRefused(f"id_token_{fault.reason}", _not_valid(fault.detail)) from None
        except JoseError as error:
            raise LoginRefused("id_token_claim", _not_valid(str(error))) from None

    async def _fetch(self, now: datetime) -> None:
        try:
            content = await self._fetcher.fetch(discovery_url(self._client.issuer))
            self._metadata = parse_metadata(content, self._client.issuer)
            self._next_fetch = now + _FRESH_FOR
        except (FetchFailed, MetadataFault) as fault:
            metrics.KEY_SETS_UNAVAILABLE.labels("openid").inc()
            _log.warning("openid_provider_unavailable", url=discovery_url(self._client.issuer), error=str(fault))
            self._next_fetch = now + _RETRY_AFTER

    async def _exchange(self, code: str, login: PendingLogin) -> Mapping[str, Any]:
        metadata, client = await self.metadata(), self._client
        form = prepare_token_request(
            "authorization_code", redirect_uri=client.redirect_uri, code=code, code_verifier=login.code_verifier
        )
        method = "none" if client.client_secret is None else metadata.secret_method
        authentication = ClientAuth(client.client_id, client.client_secret, method)
        url, headers, body = authentication.prepare("POST", metadata.token_endpoint, {"Content-Type": _FORM}, form)
        try:
            status, content = await self._fetcher.post(url, headers, body)
        except FetchFailed as fault:
            _log.warning("openid_provider_unavailable", url=metadata.token_endpoint, error=str(fault))
            raise Unavailable(_UNAVAILABLE, retry_after=_RETRY_AFTER.total_seconds()) from None
        reply = _object(content)
        if status != 200 or "error" in reply:
            raise _refused_exchange(status, reply)
        return reply

    async def _verified(self, reply: Mapping[str, Any], nonce: str) -> Mapping[str, Any]:
        """Return the claims of the ID token in a reply. Raises TokenFault, JoseError, LoginRefused, Unavailable."""
        text = reply.get("id_token")
        if not isinstance(text, str):
            raise LoginRefused(
                "id_token_missing", "The login provider sent no ID token. GATEWAY_OIDC_SCOPES needs openid."
            )
        token, client = parse_token(text), self._client
        key = await self._keys.find_at((await self.metadata()).jwks_uri, token)
        if key is None or not key.verifies(token):
            raise LoginRefused("id_token_signature", _not_valid("its signature is none of the provider's"))
        now = self._clock()
        token.check_times(now, client.leeway)
        CodeIDToken(
            token.claims,
            {"alg": token.algorithm},
            options={
                "iss": {"essential": True, "value": client.issuer},
                "aud": {"essential": True, "value": client.client_id},
                "nonce": {"essential": True, "value": nonce},
            },
            params={
                "client_id": client.client_id,
                "nonce": nonce,
                "access_token": _hashed_token(reply, token.algorithm),
            },
        ).validate(now=int(now.timestamp()), leeway=int(client.leeway.total_seconds()))
        return token.claims


def _hashed_token(reply: Mapping[str, Any], algorithm: str) -> str | None:
    """Return the access token that ``at_hash`` is of. For EdDSA no standard says which hash it is."""
    value = reply.get("access_token")
    return value if isinstance(value, str) and algorithm.startswith(("RS", "PS", "ES")) else None


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _not_valid(why: str) -> str:
    return f"The ID token of the login provider is not valid: {why}"


def _refused_exchange(status: int, reply: Mapping[str, Any]) -> LoginRefused | Unavailable:
    code = shown_code(reply.get("error"))
    if code == "invalid_grant":
        return LoginRefused("code", "The login took too long or was used before. Log in again.")
    if status >= 500 or not code:
        _log.warning("openid_provider_unavailable", status=status, error=code or "no JSON with an error")
        return Unavailable(_UNAVAILABLE, retry_after=_RETRY_AFTER.total_seconds())
    return LoginRefused(
        "client",
        f"The login provider refused this gateway ({code}). A platform engineer has to check GATEWAY_OIDC_CLIENT_ID, "
        "GATEWAY_OIDC_CLIENT_SECRET and the redirect URI at the provider.",
    )
