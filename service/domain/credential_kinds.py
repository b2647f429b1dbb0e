"""Sentences for a credential of the wrong kind, by its form alone: none says whether the credential is valid."""

import re
from typing import Final

from service.domain.tenant import KEY_PREFIX

_MISTYPED: Final = "The API key is mistyped: it is incomplete or a character is wrong."
_OTHER: Final = "This is not an API key: API keys begin with sgk_. An operator's token works on /admin/v1 only."
_KINDS: Final = (
    (re.compile(rf"{KEY_PREFIX}_"), _MISTYPED),
    (re.compile("sgo_"), "This is an operator's token, which works on /admin/v1 only. Send an API key (sgk_...)."),
    (
        re.compile("whsec_|whsk_|whpk_"),
        "This is a secret of webhooks, which verifies events. Send an API key (sgk_...).",
    ),
    (
        re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-f]+"),
        "This is a key of fal. Send an API key of the gateway (sgk_...).",
    ),
    (re.compile(r"(gen|ten|whe|msg|upl)_"), "This is an id. Send an API key (sgk_...)."),
)


def fault_of_key(text: str) -> str:
    """Return what is wrong with a text that does not have the form of an API key."""
    return next((fault for form, fault in _KINDS if form.match(text)), _OTHER)


def fault_of_operator_token(text: str) -> str:
    """Return what is wrong with a text that is neither an operator's token nor the admin token."""
    if text.startswith(f"{KEY_PREFIX}_"):
        return "This is an API key of a tenant. /admin/v1 needs an operator's token (sgo_...)."
    return "The token is wrong. /admin/v1 needs an operator's token (sgo_...) or the admin token."
