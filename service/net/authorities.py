"""The certificate authorities that httpx trusts, read once for each process: it takes 0.05 s of CPU."""

import ssl
from functools import cache

import httpx


@cache
def authorities() -> ssl.SSLContext:
    """Return what httpx makes for a client without ``verify``. The environment does not change it."""
    return httpx.create_ssl_context(trust_env=False)
