"""Security schemes; scheme and scope of the routes that authenticate in code: the hot ones, fal's, callbacks."""

from typing import Final

from service.domain.tenant import Scope

SCHEMES: Final = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "A tenant's API key, `sgk_…`, or a signed token (JWT) of an issuer that the tenant trusts, "
        "like that of a Kubernetes service account or a JWT-SVID. Scopes: `generate` creates, cancels and uploads, "
        "`read` reads, `manage` changes webhooks, secrets and end users.",
    },
    "adminToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "An operator's token, `sgo_…`, or the value of the setting `GATEWAY_ADMIN_TOKEN`. Roles: "
        "`viewer` reads, `operator` also acts on call, `admin` also manages tenants, money and operators.",
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
            "`Key sgk_…`: a tenant's API key in the form of fal's clients, or `Key` and a token. The scopes are those "
            "of `apiKey`."
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
    ("/vercel/", "apiKey"),
    ("/openai/", "apiKey"),
    ("/openrouter/", "apiKey"),
    ("/admin/", "adminToken"),
    ("/callbacks/", "falSignature"),
    ("/fal/upload", "uploadTicket"),
    *((f"/fal/{part}", "falKey") for part in ("queue", "run", "rest", "proxy")),
)
#: Needs the scope of its target.
_PROXY: Final = "/fal/proxy"


def of(path: str, method: str) -> list[dict[str, list[str]]]:
    """Return the security of a route that does not authenticate in its signature; empty means public."""
    scheme = next((scheme for beginning, scheme in _GUARDED if path.startswith(beginning)), None)
    if scheme is None:
        return []
    keyed = scheme in ("apiKey", "falKey") and not path.startswith(_PROXY)
    return [{scheme: [(Scope.READ if method == "get" else Scope.GENERATE).value] if keyed else []}]
