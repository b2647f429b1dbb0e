"""Recognises fal's own URLs: its file hosts over https, and the base URLs in the settings."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import SplitResult, urlsplit

_PORTS: Final = {"http": 80, "https": 443}


class FalHosts:
    def __init__(self, files: Iterable[str], configured: Iterable[str]) -> None:
        """``files``: host names, each with all its subdomains; ``configured``: base URLs."""
        self._files = tuple(name.lower() for name in files)
        self._configured = {_origin(urlsplit(url)) for url in configured}

    def own(self, url: str) -> bool:
        """Return whether the URL is on a host of fal."""
        try:
            parts = urlsplit(url)
            origin = _origin(parts)
        except ValueError:
            return False
        if "@" in parts.netloc or "\\" in url:
            return False
        return origin in self._configured or (origin[::2] == ("https", 443) and self._is_file_host(origin[1]))

    def _is_file_host(self, host: str) -> bool:
        return any(host == name or host.endswith(f".{name}") for name in self._files)


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
