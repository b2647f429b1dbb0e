"""The SSRF guard: which URLs a webhook may name, and which addresses it may connect to.

`check_url` tells a tenant early and in words. What protects is `socket_factory`: it sees the very address about to be
connected, after all parsing, DNS and caching, so a name that changes its mind between check and use gains nothing.
"""

import errno
import re
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, NamedTuple, NoReturn

from aiohttp import AddrInfoType

from service.net.networks import Address, Network, is_host, is_loopback, is_public, unwrap

__all__ = ["AddressGuard", "AddressRefused", "Network"]

#: Below 1024 only the web's own ports: the rest are mail, file and login services, no business of a POST.
DEFAULT_PORTS: Final = (range(80, 81), range(443, 444), range(1024, 65536))
#: The length every browser and proxy copes with.
MAX_URL_LENGTH: Final = 2048
#: RFC 1035, without the trailing dot.
_MAX_NAME_LENGTH: Final = 253

_LOOPBACK: Final[tuple[Network, ...]] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))

# One strict grammar instead of a lenient parser: whatever a second parser could read differently is not a URL here.
_URL: Final = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?]*)(?:[/?].*)?", re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[1-9][0-9]{0,4}))?", re.IGNORECASE)
_VISIBLE_ASCII: Final = re.compile(r"[!-~]+")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
#: A name whose last label looks so is an IPv4 address to somebody (WHATWG URL, "ends in a number").
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


class AddressRefused(OSError):
    """A webhook target that must not be called.

    An OSError, so that aiohttp takes a refusal at connect time for a failed connection and tries the next address.
    `reason` never holds an address that DNS gave: what an internal name resolves to is none of the tenant's business.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EACCES, reason)
        self.reason = reason


class _Target(NamedTuple):
    scheme: str
    host: str
    port: int


class AddressGuard:
    """Public addresses over https; besides, what the operator allows, there also over plain http.

    `allowed_networks` are taken at their word, whatever lies in them. `allowed_hosts` are names that stand for
    themselves and all below them: wherever they resolve, but for metadata services, and this machine unless it is
    named `localhost`.
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
        """Refuse a URL for what is written in it; no DNS. Raises AddressRefused with a reason fit for the tenant."""
        target = _parse(url)
        if not any(target.port in ports for ports in self._ports):
            raise AddressRefused(f"port {target.port} is not allowed")
        trusted = self._trusts_name(target.host)
        if target.scheme == "http" and not self._networks and not trusted:
            raise AddressRefused("the URL must start with https://")
        address = _literal(target.host)
        if address is not None:
            self._check_literal(address, target.scheme)
        elif not trusted:
            self._check_name(target.host)

    def trusts(self, url: str) -> bool:
        """Whether the operator named this URL's host. Raises AddressRefused for what is no URL."""
        return self._trusts_name(_parse(url).host)

    def check_addresses(self, url: str, addresses: Iterable[str]) -> None:
        """Refuse a URL for one of the addresses its host has now. What protects is still the check at connect time."""
        target = _parse(url)
        for text in addresses:
            address = ip_address(text.partition("%")[0])
            if self._trusts_name(target.host):
                allowed = self._is_trusted(address)
            else:
                allowed = self.permits(address) if target.scheme == "https" else self._is_allowed(address)
            if not allowed:
                raise AddressRefused("the host has an address that is not allowed")

    def socket_factory(self, addr_info: AddrInfoType) -> socket.socket:
        """For `aiohttp.TCPConnector(socket_factory=...)`: a socket for exactly this address, or AddressRefused."""
        return _open(addr_info) if self.permits(_peer(addr_info)) else _refuse()

    def plain_socket_factory(self, addr_info: AddrInfoType) -> socket.socket:
        """The same for http://, which only reaches the operator's networks, whatever the name in the URL says."""
        return _open(addr_info) if self._is_allowed(_peer(addr_info)) else _refuse()

    def trusted_socket_factory(self, addr_info: AddrInfoType) -> socket.socket:
        """The same for a host that the operator named."""
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
            raise AddressRefused("the address is not public")
        if scheme == "http" and not self._is_allowed(address):
            raise AddressRefused("http:// is only for networks that the operator allowed")

    def _check_name(self, name: str) -> None:
        if name == "localhost" or name.endswith(".localhost"):
            if not self._allows_loopback():
                raise AddressRefused("the host is this machine")
        elif "." not in name and not self._networks:
            # Resolved through the search list of our own resolv.conf, so it can only mean something internal.
            raise AddressRefused("the host is not a full domain name")

    def _allows_loopback(self) -> bool:
        named = "localhost" in self._hosts
        return named or any(network.overlaps(loopback) for network in self._networks for loopback in _LOOPBACK)


def host_of(url: str) -> str | None:
    """The name to look up; None where the URL spells an address. Raises AddressRefused for what is no URL."""
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
    """The IP address a host spells, None for a well-formed name. Raises AddressRefused for anything in between."""
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
    """The address about to be connected. Anything else there would be resolved once more, behind the guard's back."""
    try:
        return ip_address(addr_info[4][0])
    except ValueError:
        _refuse()


def _open(addr_info: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = addr_info
    return socket.socket(family, kind, protocol)


def _refuse() -> NoReturn:
    raise AddressRefused("the address is not allowed")
