"""Refusals of a login by OpenID Connect, in plain sentences. Text of the provider is not shown: links can have any."""

import re
from typing import Final

from service.errors import Unauthenticated

_CODE: Final = re.compile(r"[a-z_]{1,40}")
#: Error codes of an authorization response (RFC 6749, OpenID Connect Core 1.0).
_SENTENCES: Final = {
    "access_denied": "The login was cancelled at the login provider, or the provider refuses this account.",
    "login_required": "The login provider demands a new login. Log in again.",
    "interaction_required": "The login provider demands an answer from you. Log in again.",
    "consent_required": "The login provider needs your consent. Log in again.",
    "account_selection_required": "The login provider needs the choice of an account. Log in again.",
    "temporarily_unavailable": "The login provider is not available at the moment. Try again later.",
    "server_error": "The login provider had an error. Try again later.",
    "invalid_scope": "The login provider refuses the scopes of GATEWAY_OIDC_SCOPES.",
    "unauthorized_client": "The login provider does not allow this client the authorization code flow.",
    "unsupported_response_type": "The login provider does not allow this client the authorization code flow.",
}


class LoginRefused(Unauthenticated):
    """A login is refused. ``reason``: a stable name, for the log."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def shown_code(value: object) -> str:
    """Return an error code of a provider, "" if it has not the form of one."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""


def refused_by_provider(error: str) -> LoginRefused:
    """Return the refusal that an authorization response reports."""
    code = shown_code(error)
    detail = _SENTENCES.get(code, f"The login provider refused the login ({code or 'unknown error'}).")
    return LoginRefused(f"provider_{code or 'error'}", detail)
