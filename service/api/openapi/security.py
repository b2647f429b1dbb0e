"""Security schemes, and the scheme and scope of each operation, by its path."""

from typing import Final

from service.domain.tenant import Scope

SCHEMES: Final = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "A tenant's API key, `sgk_…`. Scopes: `generate` creates, cancels and uploads, `read` reads, "
        "`manage` changes webhooks, secrets and end users.",
    },
    "adminToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "The operator's token, from the setting `GATEWAY_ADMIN_TOKEN`.",
    },
    "falSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Fal-Webhook-Signature",
        "description": "Ed25519 signature of fal, with the headers `-Request-Id`, `-User-Id` and `-Timestamp`.",
    },
    "falKey": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": (
            "`Key sgk_…`: a tenant's API key in the form of fal's clients. The scopes are those of `apiKey`."
        ),
    },
    "uploadTicket": {
        "type": "apiKey",
        "in": "query",
        "name": "ticket",
        "description": "Part of the `upload_url`; valid for 15 minutes.",
    },
}
_GUARDED: Final = (
    ("/v1/", "apiKey"),
    ("/admin/", "adminToken"),
    ("/callbacks/", "falSignature"),
    ("/fal/upload", "uploadTicket"),
    *((f"/fal/{part}", "falKey") for part in ("queue", "run", "rest", "proxy")),
)
#: Prefixes of the ids of operations that change something with the scope ``generate``.
_MAKING: Final = ("generations_", "uploads_", "fal_")
#: A GET that returns a secret.
_SECRET: Final = "webhook_endpoints_secret"  # noqa: S105  (an operation's id)
#: Needs the scope of its target.
_PROXY: Final = "fal_proxy_"


def of(path: str, method: str, name: str) -> list[dict[str, list[str]]]:
    """Return the security of an operation; empty means public."""
    scheme = next((scheme for beginning, scheme in _GUARDED if path.startswith(beginning)), None)
    if scheme is None:
        return []
    keyed = scheme in ("apiKey", "falKey") and not name.startswith(_PROXY)
    return [{scheme: [_scope(method, name).value] if keyed else []}]


def _scope(method: str, name: str) -> Scope:
    if name == _SECRET:
        return Scope.MANAGE
    if method == "get":
        return Scope.READ
    return Scope.GENERATE if name.startswith(_MAKING) else Scope.MANAGE
