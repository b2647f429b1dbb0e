"""SSRF guard: the URLs that a webhook may name, and the addresses that it may connect to.

`check_url` gives a tenant an early, readable error. `socket_factory` protects: it checks the exact address about to be
connected, after all parsing, DNS and caching, so DNS rebinding between check and use has no effect.
"""

import errno
import re
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, NamedTuple, NoReturn

from aiohttp import AddrInfoType

from service.domain.field_types import IMAGE_URL_LENGTH
from service.net.networks import Address, Network, is_host, is_loopback, is_public, unwrap

__all__ = ["AddressGuard", "AddressRefused", "Network"]

#: Below 1024 only 80 and 443: the others are mail, file and login services.
DEFAULT_PORTS: Final = (range(80, 81), range(443, 444), range(1024, 65536))
#: For the images of a preflight, whose http URLs are checked as https. URLs of webhooks have a smaller limit, checked
#: where they are given.
MAX_URL_LENGTH: Final = IMAGE_URL_LENGTH + len("s")
#: RFC 1035, without the trailing dot.
_MAX_NAME_LENGTH: Final = 253

_REMEDY: Final = (
    "; the operator can allow an internal receiver by name (GATEWAY_WEBHOOK_ALLOWED_HOSTS) or by network "
    "(GATEWAY_WEBHOOK_ALLOWED_NETWORKS)"
)
_LOOPBACK: Final[tuple[Network, ...]] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))

# A strict grammar instead of a lenient parser: text that a second parser could read differently is refused.
_URL: Final = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?]*)(?:[/?].*)?", re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[1-9][0-9]{0,4}))?", re.IGNORECASE)
_VISIBLE_ASCII: Final = re.compile(r"[!-~]+")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
#: Some parsers read a name whose last label matches this as an IPv4 address (WHATWG URL, "ends in a number").
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


class AddressRefused(OSError):
    """A webhook target that must not be called.

    An OSError, so that aiohttp handles a refusal at connect time as a failed connection and tries the next address.
    `reason` never contains a resolved address: tenants must not learn what an internal name resolves to.
    """

    def __init__(self, reason: str, *, can_be_allowed: bool = False) -> None:
        """``can_be_allowed``: a setting of the operator would allow this target."""
        super().__init__(errno.EACCES, reason)
        self.reason = reason
        self.can_be_allowed = can_be_allowed

    def of_webhook(self) -> str:
        """Return the reason, and where the operator can allow the receiver of a webhook."""
        return self.reason + _REMEDY if self.can_be_allowed else self.reason


class _Target(NamedTuple):
    scheme: str
    host: str
    port: int


class AddressGuard:
    """Allows public addresses over https, and what the operator allows, also over plain http.

    `allowed_networks` are allowed completely. `allowed_hosts` are names with all their subdomains, wherever they
    resolve, except metadata services, and except this machine unless `localhost` is named.
    """

    def __init__(
        self,
        allowed_networks: Iterable[Network] = (),
        *,
        allowed_hosts: Iterable[str] = (),
        allowed_ports: Iterable[range] = DEFAULT_PORTS,
    ) -> None:
        self._networks = tuple(allowed_networks)
        self._hosts = tuple(allowed_hosts)
        self._ports = tuple(allowed_ports)

    def permits(self, address: Address) -> bool:
        return is_public(address) or self._is_allowed(address)

    def check_url(self, url: str) -> None:
        """Check the text of a URL, without DNS. Raises AddressRefused with a reason that tenants may see."""
        target = _parse(url)
        if not any(target.port in ports for ports in self._ports):
            raise AddressRefused(f"port {target.port} is not allowed")
        trusted = self._trusts_name(target.host)
        if target.scheme == "http" and not self._networks and not trusted:
            raise AddressRefused("the URL must start with https://", can_be_allowed=True)
        address = _literal(target.host)
        if address is not None:
            self._check_literal(address, target.scheme)
        elif not trusted:
            self._check_name(target.host)

    def trusts(self, url: str) -> bool:
        """Return whether the operator allowed this URL's host by name. Raises AddressRefused if it is not a URL."""
        return self._trusts_name(_parse(url).host)

    def check_addresses(self, url: str, addresses: Iterable[str]) -> None:
        """Check the addresses that a URL's host has now. The check at connect time is the one that protects."""
        target = _parse(url)
        for text in addresses:
            address = ip_address(text.partition("%")[0])
            if self._trusts_name(target.host):
                allowed = self._is_trusted(address)
            else:
                allowed = self.permits(address) if target.scheme == "https" else self._is_allowed(address)
            if not allowed:
                raise AddressRefused("the host has an address that is not allowed", can_be_allowed=True)

    def socket_factory(self, addr_info: AddrInfoType) -> socket.socket:
        """Open a socket for this address, or raise AddressRefused. For `aiohttp.TCPConnector(socket_factory=...)`."""
        return _open(addr_info) if self.permits(_peer(addr_info)) else _refuse()

    def plain_socket_factory(self, addr_info: AddrInfoType) -> socket.socket:
        """Do the same for http://, which reaches the operator's networks only, whatever the URL's host name."""
        return _open(addr_info) if self._is_allowed(_peer(addr_info)) else _refuse()

    def trusted_socket_factory(self, addr_info: AddrInfoType) -> socket.socket:
        """Do the same for a host that the operator allowed by name."""
        return _open(addr_info) if self._is_trusted(_peer(addr_info)) else _refuse()

    def _trusts_name(self, host: str) -> bool:
        return any(host == name or host.endswith(f".{name}") for name in self._hosts)

    def _is_trusted(self, address: Address) -> bool:
        if is_loopback(address):
            return self._allows_loopback()
        return is_host(address) or self._is_allowed(address)

    def _is_allowed(self, address: Address) -> bool:
        inner = unwrap(address)
        return any(address in network or inner in network for network in self._networks)

    def _check_literal(self, address: Address, scheme: str) -> None:
        if not self.permits(address):
            raise AddressRefused("the address is not public", can_be_allowed=True)
        if scheme == "http" and not self._is_allowed(address):
            raise AddressRefused("http:// is only for networks that the operator allowed", can_be_allowed=True)

    def _check_name(self, name: str) -> None:
        if name == "localhost" or name.endswith(".localhost"):
            if not self._allows_loopback():
                raise AddressRefused("the host is this machine", can_be_allowed=True)
        elif "." not in name and not self._networks:
            # Such a name is resolved through the search list of resolv.conf, so it is internal.
            raise AddressRefused("the host is not a full domain name", can_be_allowed=True)

    def _allows_loopback(self) -> bool:
        named = "localhost" in self._hosts
        return named or any(network.overlaps(loopback) for network in self._networks for loopback in _LOOPBACK)


def host_of(url: str) -> str | None:
    """Return the host name of a URL; None if it is an IP address. Raises AddressRefused if it is not a URL."""
    host = _parse(url).host
    return host if _literal(host) is None else None


def _parse(url: str) -> _Target:
    if len(url) > MAX_URL_LENGTH:
        raise AddressRefused(f"the URL is longer than {MAX_URL_LENGTH} characters")
    if not _VISIBLE_ASCII.fullmatch(url) or "\\" in url:
        raise AddressRefused("the URL holds a space, a backslash, or a control or non-ASCII character")
    if "#" in url:
        raise AddressRefused("the URL has a fragment")
    match = _URL.fullmatch(url)
    if match is None:
        raise AddressRefused("the URL must start with https://")
    scheme = match["scheme"].lower()
    return _parse_authority(scheme, match["authority"])


def _parse_authority(scheme: str, authority: str) -> _Target:
    if not authority:
        raise AddressRefused("the URL names no host")
    if "@" in authority:
        raise AddressRefused("the URL carries credentials")
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise AddressRefused("the host or port is malformed")
    default_port = 443 if scheme == "https" else 80
    return _Target(scheme, match["host"].lower(), int(match["port"] or default_port))


def _literal(host: str) -> Address | None:
    """Return the IP address that a host spells; None for a well-formed name. Raises AddressRefused otherwise."""
    if host.startswith("["):
        return _parse_address(IPv6Address, host[1:-1])
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _parse_address(IPv4Address, host)
    if len(host) > _MAX_NAME_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused("the host is not a well-formed name")
    return None


def _parse_address(kind: type[IPv4Address | IPv6Address], text: str) -> Address:
    try:
        return kind(text)
    except ValueError:
        raise AddressRefused("the host is not a plainly written IP address") from None


def _peer(addr_info: AddrInfoType) -> Address:
    """Return the address about to be connected. Refuse names: they would be resolved after this check."""
    try:
        return ip_address(addr_info[4][0])
    except ValueError:
        _refuse()


def _open(addr_info: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = addr_info
    return socket.socket(family, kind, protocol)


def _refuse() -> NoReturn:
    raise AddressRefused("the address is not allowed")
