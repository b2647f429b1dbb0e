"""Who may call what: by what the path begins with; the scope a key needs, too."""

from typing import Final

from service.domain.tenant import Scope

SCHEMES: Final = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "A tenant's key, `sgk_…`. Scopes: `generate` creates and cancels, `read` reads, `manage` does "
        "the rest: webhooks, secrets, end users.",
    },
    "adminToken": {"type": "http", "scheme": "bearer", "description": "`GATEWAY_ADMIN_TOKEN`."},
    "falSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Fal-Webhook-Signature",
        "description": "Ed25519, with `-Request-Id`, `-User-Id` and `-Timestamp` beside it; only fal can make one.",
    },
    "falKey": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Key sgk_…`: a tenant's key, as fal's clients send theirs. The scopes are those of `apiKey`.",
    },
    "uploadTicket": {
        "type": "apiKey",
        "in": "query",
        "name": "ticket",
        "description": "Sealed into the `upload_url` that a client was given; good for a quarter of an hour.",
    },
}
_GUARDED: Final = (
    ("/v1/", "apiKey"),
    ("/admin/", "adminToken"),
    ("/callbacks/", "falSignature"),
    ("/fal/upload", "uploadTicket"),
    *((f"/fal/{part}", "falKey") for part in ("queue", "run", "rest", "proxy")),
)
#: Operations that change something in order to make a video, by the beginning of their ids.
_MAKING: Final = ("generations_", "uploads_", "fal_")
#: It only reads, and what it reads is a secret.
_SECRET: Final = "webhook_endpoints_secret"  # noqa: S105  (an operation's id)
#: Needs what its target needs.
_PROXY: Final = "fal_proxy_"


def of(path: str, method: str, name: str) -> list[dict[str, list[str]]]:
    """Empty: anybody may."""
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
