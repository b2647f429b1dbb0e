"""Tables of public and special-purpose networks, from the IANA registries (RFC 6890 and successors).

Listed here instead of using `ipaddress`'s `is_global`, whose results changed between patch releases of Python
(gh-113171) and which does not unwrap an IPv4 address inside an IPv6 address.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: The only IPv6 space allocated to the public; loopback, unique local, link-local and multicast are outside.
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
#: NAT64 (RFC 6052): an IPv6-only cluster reaches IPv4 receivers through it; the IPv4 address inside decides.
_NAT64: Final = IPv6Network("64:ff9b::/96")

#: deploy/kubernetes/base/network.yaml excepts the same networks from egress.
NOT_PUBLIC: Final[tuple[Network, ...]] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network; Linux connects 0.0.0.0 to itself
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata (100.100.100.200)
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's wire server: a public number that answers only inside a virtual machine
        "169.254.0.0/16",  # link-local; the metadata service of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata (192.0.0.192)
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays, deprecated
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: a tunnel to the IPv4 address inside it; deprecated
        "3ffe::/16",  # the 6bone, returned
        "3fff::/20",  # documentation
    )
)


#: Refused even for hosts that the operator trusts: metadata services that issue credentials, and non-hosts.
#: The name server of a trusted host may be wrong or compromised.
_NEVER: Final[tuple[Network, ...]] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network; Linux connects 0.0.0.0 to itself
        "100.100.100.200/32",  # Alibaba's metadata
        "168.63.129.16/32",  # Azure's wire server
        "169.254.0.0/16",  # link-local; the metadata service of most clouds
        "192.0.0.192/32",  # Oracle's metadata
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "::/128",  # unspecified
        "fd00:42::42/128",  # Scaleway's metadata
        "fd00:a9fe:a9fe::1/128",  # Linode's
        "fd00:c1::a9fe:a9fe/128",  # Oracle's
        "fd00:ec2::/32",  # Amazon's
        "fd20:ce::254/128",  # Google's
        "fe80::/10",  # link-local
        "ff00::/8",  # multicast
    )
)
_LOOPBACK: Final[tuple[Network, ...]] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
#: Tunnels: packets reach the address inside.
_6TO4: Final = IPv6Network("2002::/16")


def unwrap(address: Address) -> Address:
    """Return the IPv4 address inside an IPv4-mapped or NAT64 address; return other addresses unchanged.

    6to4, Teredo and local NAT64 (64:ff9b:1::/48, whose layout only its operator knows) are never public anyway.
    """
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address


def is_public(address: Address) -> bool:
    inner = unwrap(address)
    if isinstance(inner, IPv6Address) and inner not in _GLOBAL_UNICAST:
        return False
    return not any(inner in network for network in NOT_PUBLIC)


def is_loopback(address: Address) -> bool:
    inner = unwrap(address)
    return any(inner in network for network in _LOOPBACK)


def is_host(address: Address) -> bool:
    """Return whether the address is one host, public or private: not this machine, metadata or multicast."""
    inner = unwrap(address)
    if isinstance(inner, IPv6Address) and inner in _6TO4:
        inner = IPv4Address(int(inner) >> 80 & 0xFFFF_FFFF)
    return not is_loopback(inner) and not any(inner in network for network in _NEVER)
