"""Headers of every response of the console. They forbid scripts, styles, frames and forms of any other origin."""

from typing import Final

_POLICY: Final = {
    "default-src": "'none'",
    "style-src": "'self'",
    "script-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
#: ``same-origin``: with ``no-referrer`` browsers send ``Origin: null`` with the forms of the console itself.
HEADERS: Final = {
    "content-security-policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def headers(*media_sources: str) -> dict[str, str]:
    """Return the headers; ``media_sources``: origins whose videos and images the page shows."""
    if not media_sources:
        return dict(HEADERS)
    policy = {
        **_POLICY,
        "img-src": " ".join((_POLICY["img-src"], *media_sources)),
        "media-src": " ".join(("'self'", *media_sources)),
    }
    text = "; ".join(f"{name} {value}" for name, value in policy.items())
    return {**HEADERS, "content-security-policy": text}
