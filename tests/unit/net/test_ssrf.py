"""The SSRF guard: hostile spellings, every network that is not public, and what is allowed."""

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from yarl import URL

from service.net.networks import unwrap
from service.net.ssrf import AddressGuard, AddressRefused, Network

PUBLIC_ONLY = AddressGuard()
INTERNAL = AddressGuard([ip_network("10.1.0.0/16"), ip_network("fd00:1::/64")])
LOOPBACK = AddressGuard([ip_network("127.0.0.0/8")])
ANYWHERE = AddressGuard([ip_network("0.0.0.0/0"), ip_network("::/0")])

REFUSED_URLS = [
    # schemes
    ("", "character"),
    ("example.com/hook", "https://"),
    ("//example.com/hook", "https://"),
    ("http://example.com/hook", "https://"),
    ("http://93.184.215.14/hook", "https://"),
    ("ftp://example.com/", "https://"),
    ("file:///etc/passwd", "https://"),
    ("gopher://example.com/_x", "https://"),
    ("https:example.com", "https://"),
    ("https:/example.com", "https://"),
    ("javascript:alert(1)", "https://"),
    # no host, or an invalid one
    ("https://", "no host"),
    ("https:///hook", "no host"),
    ("https://?x", "no host"),
    ("https://:443/", "malformed"),
    ("https://./", "well-formed"),
    ("https://example..com/", "well-formed"),
    ("https://.example.com/", "well-formed"),
    ("https://example.com./", "well-formed"),
    ("https://-example.com/", "well-formed"),
    ("https://example-.com/", "well-formed"),
    (f"https://{'a' * 64}.com/", "well-formed"),
    (f"https://{'a.' * 127}com/", "well-formed"),
    (f"https://example.com/{'a' * 8192}", "longer"),
    # credentials, and two hosts for two parsers
    ("https://user:pass@example.com/", "credentials"),
    ("https://example.com@127.0.0.1/", "credentials"),
    ("https://127.0.0.1:443@example.com/", "credentials"),
    ("https://@example.com/", "credentials"),
    ("https://example.com#@127.0.0.1/", "fragment"),
    ("https://example.com/hook#part", "fragment"),
    ("https://example.com\\@127.0.0.1/", "backslash"),
    ("https:\\\\127.0.0.1\\", "backslash"),
    ("https://example.com%2f@127.0.0.1/", "credentials"),
    # characters
    (" https://example.com/", "space"),
    ("https://example.com/ ", "space"),
    ("https://exam ple.com/", "space"),
    ("https://example.com/\r\nX-Evil: 1", "control"),
    ("https://example.com/\n", "control"),
    ("https://exam\tple.com/", "control"),
    ("https://example.com/\x00", "control"),
    ("https://example.com/\x7f", "control"),
    ("https://example.com/\u00a0", "non-ASCII"),
    ("https://ⓔxample.com/", "non-ASCII"),
    ("https://１２７.０.０.１/", "non-ASCII"),
    ("https://127。0。0。1/", "non-ASCII"),
    ("https://bücher.example/", "non-ASCII"),
    ("https://exam\u200bple.com/", "non-ASCII"),
    ("https://%6c%6fcalhost/", "malformed"),
    ("https://%31%32%37.0.0.1/", "malformed"),
    ("https://example.com,127.0.0.1/", "malformed"),
    ("https://example.com;127.0.0.1/", "malformed"),
    # ports
    ("https://example.com:/", "malformed"),
    ("https://example.com:0/", "malformed"),
    ("https://example.com:0443/", "malformed"),
    ("https://example.com:4_43/", "malformed"),
    ("https://example.com:+443/", "malformed"),
    ("https://example.com:-1/", "malformed"),
    ("https://example.com:443:80/", "malformed"),
    ("https://example.com:999999/", "malformed"),
    ("https://example.com:65536/", "port 65536"),
    ("https://example.com:22/", "port 22"),
    ("https://example.com:25/", "port 25"),
    # other ways to write an IPv4 address
    ("https://2130706433/", "plainly"),
    ("https://017700000001/", "plainly"),
    ("https://0x7f000001/", "plainly"),
    ("https://0x7f.1/", "plainly"),
    ("https://0X7F.0.0.0x1/", "plainly"),
    ("https://0177.0.0.1/", "plainly"),
    ("https://0177.0.0.01/", "plainly"),
    ("https://127.1/", "plainly"),
    ("https://127.0.1/", "plainly"),
    ("https://127.000.000.001/", "plainly"),
    ("https://8.8.8.010/", "plainly"),
    ("https://127.0.0.1./", "well-formed"),
    ("https://256.0.0.1/", "plainly"),
    ("https://1.2.3.4.5/", "plainly"),
    ("https://127.0.0.0x/", "plainly"),
    ("https://0/", "plainly"),
    # names of this machine
    ("https://localhost/", "this machine"),
    ("https://LocalHost/", "this machine"),
    ("https://api.localhost/", "this machine"),
    ("https://redis/", "full domain"),
    # IPv4 in the usual form
    ("https://0.0.0.0/", "not public"),
    ("https://10.0.0.1/", "not public"),
    ("https://100.64.0.1/", "not public"),
    ("https://100.100.100.200/", "not public"),
    ("https://127.0.0.1/", "not public"),
    ("https://127.255.255.254:8443/", "not public"),
    ("https://168.63.129.16/", "not public"),
    ("https://169.254.169.254/latest/meta-data/", "not public"),
    ("https://172.31.255.255/", "not public"),
    ("https://192.0.0.192/", "not public"),
    ("https://192.168.1.1/", "not public"),
    ("https://198.18.0.1/", "not public"),
    ("https://203.0.113.7/", "not public"),
    ("https://224.0.0.1/", "not public"),
    ("https://255.255.255.255/", "not public"),
    # IPv6
    ("https://[::]/", "not public"),
    ("https://[::1]/", "not public"),
    ("https://[0:0:0:0:0:0:0:1]/", "not public"),
    ("https://[::ffff:127.0.0.1]/", "not public"),
    ("https://[::ffff:7f00:1]/", "not public"),
    ("https://[::FFFF:a9fe:a9fe]/", "not public"),
    ("https://[::127.0.0.1]/", "not public"),
    ("https://[64:ff9b::7f00:1]/", "not public"),
    ("https://[64:ff9b::10.0.0.1]/", "not public"),
    ("https://[64:ff9b:1::8.8.8.8]/", "not public"),
    ("https://[2002:7f00:1::]/", "not public"),
    ("https://[2001:0:4136:e378:8000:63bf:80ff:fffe]/", "not public"),
    ("https://[fc00::1]/", "not public"),
    ("https://[fd00:ec2::254]/", "not public"),
    ("https://[fe80::1]/", "not public"),
    ("https://[fec0::1]/", "not public"),
    ("https://[ff02::1]/", "not public"),
    ("https://[2001:db8::1]/", "not public"),
    ("https://[fe80::1%25eth0]/", "malformed"),
    ("https://[::1%eth0]/", "malformed"),
    ("https://[::1/", "malformed"),
    ("https://[]/", "malformed"),
    ("https://[1.2.3.4]/", "plainly"),
    ("https://[v1.x]/", "malformed"),
    ("https://[::1].example.com/", "malformed"),
    ("https://::1/", "malformed"),
]

ALLOWED_URLS = [
    "https://example.com",
    "https://example.com/",
    "HTTPS://Example.COM/Hook",
    "https://example.com?token=a@b",
    "https://example.com/hook?x=1&y=[2]",
    "https://example.com/a@b/http://127.0.0.1/",
    "https://example.com:443/",
    "https://example.com:80/",
    "https://example.com:8443/hook",
    "https://example.com:65535/hook",
    "https://my_service.example.com/",
    "https://xn--bcher-kva.example/",
    "https://1password.com/",
    "https://0x7f.example.com/",
    "https://127.0.0.1.nip.io/",  # a name: its address is checked at the connect
    "https://localhost.example.com/",
    "https://8.8.8.8/hook",
    "https://[2606:4700::1111]/hook",
    "https://[2606:4700::1111]:8443/hook",
    "https://[::ffff:8.8.8.8]/hook",
    "https://[64:ff9b::8.8.8.8]/hook",
]

NOT_PUBLIC = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4"),
    *("240.0.0.0/4", "::/128", "::1/128", "::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:2::/48"),
    *("2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
]


def addresses_of(network: Network) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    return st.integers(0, network.num_addresses - 1).map(lambda offset: network[offset])


def addr_info(address: str) -> tuple[int, int, int, str, tuple[str, int]]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 443))


@pytest.mark.parametrize(("url", "reason"), REFUSED_URLS)
def test_url_is_refused_with_reason(url: str, reason: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        PUBLIC_ONLY.check_url(url)
    assert reason in refused.value.reason


@pytest.mark.parametrize("url", ALLOWED_URLS)
def test_url_is_allowed(url: str) -> None:
    PUBLIC_ONLY.check_url(url)


@settings(max_examples=500)
@given(st.text(alphabet=":/[]@#?%\\._-0x1279af\t \u3002\uff11", min_size=1, max_size=24))
@example("[::FFFF:7f00:1]:8080/x")
@example("A.b:8443?@[::1]")
def test_url_is_parsed_like_http_client(rest: str) -> None:
    url = f"https://{rest}"
    try:
        ANYWHERE.check_url(url)
    except AddressRefused:
        return
    read = URL(url)
    spelt = re.split("[/?]", rest)[0].lower().removesuffix(f":{read.explicit_port}")
    if spelt.startswith("["):
        assert ip_address(spelt[1:-1]) == ip_address(str(read.host))
    else:
        assert spelt == read.raw_host
    assert (read.user, read.password) == (None, None)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.1.2.3/hook",
        "https://10.1.2.3/hook",
        "http://[fd00:1::5]:8080/hook",
        "http://[::ffff:10.1.2.3]/hook",
        "http://receiver:8080/hook",
        "http://receiver.internal/hook",
        "https://8.8.8.8/hook",
    ],
)
def test_allowed_network_permits_plain_http_and_short_names(url: str) -> None:
    INTERNAL.check_url(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://8.8.8.8/hook", "operator allowed"),
        ("http://10.2.0.1/hook", "not public"),
        ("https://10.2.0.1/hook", "not public"),
        ("http://127.0.0.1/hook", "not public"),
        ("http://localhost/hook", "this machine"),
        ("http://10.1.2.3:22/hook", "port 22"),
        ("ftp://10.1.2.3/hook", "https://"),
    ],
)
def test_allowed_network_permits_nothing_else(url: str, reason: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        INTERNAL.check_url(url)
    assert reason in refused.value.reason


TRUSTING = AddressGuard(allowed_hosts=["receivers.internal", "redis"])


@pytest.mark.parametrize(
    "url",
    [
        "http://receivers.internal/hook",
        "https://receivers.internal:8443/hook",
        "http://A.Receivers.Internal/hook",
        "http://a.b.receivers.internal/hook",
        "http://redis:8080/",
        "https://example.com/hook",
    ],
)
def test_trusted_host_includes_its_subdomains(url: str) -> None:
    TRUSTING.check_url(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://evilreceivers.internal/", "https://"),
        ("http://receivers.internal.evil.example/", "https://"),
        ("http://internal/", "https://"),
        ("https://internal/", "full domain"),
        ("http://receivers.internal@evil.example/", "credentials"),
        ("http://receivers.internal:22/", "port 22"),
        ("http://receivers.internal./", "https://"),
        ("https://receivers.internal\\.evil.example/", "backslash"),
        ("http://10.0.0.1/", "https://"),
        ("https://10.0.0.1/", "not public"),
        ("https://localhost/", "this machine"),
    ],
)
def test_trusted_host_permits_no_other_host(url: str, reason: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        TRUSTING.check_url(url)
    assert reason in refused.value.reason


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "fd12::1", "8.8.8.8", "100.64.0.9", "2606:4700::1111"])
def test_trusted_host_may_be_internal(address: str) -> None:
    TRUSTING.trusted_socket_factory(addr_info(address)).close()


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "0.0.0.0", "::"),  # noqa: S104
        *("169.254.169.254", "::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "100.100.100.200"),
        *("168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fe80::1", "224.0.0.1", "255.255.255.255", "ff02::1"),
        *("fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42", "fd00:a9fe:a9fe::1"),
    ],
)
def test_trusted_host_local_or_metadata_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        TRUSTING.trusted_socket_factory(addr_info(address))


def test_loopback_needs_its_own_permission() -> None:
    guard = AddressGuard(allowed_hosts=["localhost"])
    guard.check_url("http://localhost:8080/")
    guard.trusted_socket_factory(addr_info("127.0.0.1")).close()
    with pytest.raises(AddressRefused):
        guard.socket_factory(addr_info("127.0.0.1"))


@pytest.mark.parametrize("host", ["localhost", "api.localhost", "127.0.0.1", "[::ffff:127.0.0.1]"])
def test_loopback_is_allowed_by_setting(host: str) -> None:
    LOOPBACK.check_url(f"http://{host}:8080/")


def test_ports_are_allowed_by_setting() -> None:
    guard = AddressGuard(allowed_ports=[range(443, 444)])
    guard.check_url("https://example.com/")
    with pytest.raises(AddressRefused, match="port 8443"):
        guard.check_url("https://example.com:8443/")


@pytest.mark.parametrize("cidr", NOT_PUBLIC)
@settings(max_examples=25)
@given(data=st.data())
def test_address_not_public_is_refused(cidr: str, data: st.DataObject) -> None:
    assert not PUBLIC_ONLY.permits(data.draw(addresses_of(ip_network(cidr))))


@given(st.sampled_from([ip_network(cidr) for cidr in NOT_PUBLIC if "." in cidr]).flatmap(addresses_of))
def test_address_embedded_in_ipv6_is_refused(address: IPv4Address | IPv6Address) -> None:
    number = int(address)
    for wrapped in (
        IPv6Address("::ffff:0:0") + number,
        IPv6Address("64:ff9b::") + number,
        IPv6Address("64:ff9b:1::") + number,
        IPv6Address("2002::") + (number << 80),
        IPv6Address("2001::") + (number ^ 0xFFFF_FFFF),
        IPv6Address("::") + number,
    ):
        assert not PUBLIC_ONLY.permits(wrapped)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_public_address_is_global_in_ipaddress(address: IPv4Address | IPv6Address) -> None:
    if PUBLIC_ONLY.permits(address):
        assert unwrap(address).is_global


@given(st.ip_addresses(), st.integers(0, 32), st.data())
def test_address_of_allowed_network_is_permitted(
    base: IPv4Address | IPv6Address, prefix: int, data: st.DataObject
) -> None:
    network: Network = ip_network((base, prefix), strict=False)
    guard = AddressGuard([network])
    assert guard.permits(data.draw(addresses_of(network)))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_socket_factory_opens_public_address(address: str) -> None:
    info = addr_info(address)
    with PUBLIC_ONLY.socket_factory(info) as opened:
        assert (opened.family, opened.type) == info[:2]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:10.0.0.1", "fe80::1%1", "localhost", "0x7f.1", ""])
def test_socket_factory_refusal_hides_address(address: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        PUBLIC_ONLY.socket_factory(addr_info(address))
    assert str(refused.value) == "[Errno 13] the address is not allowed"


def test_plain_socket_factory_permits_allowed_networks_only() -> None:
    INTERNAL.plain_socket_factory(addr_info("10.1.2.3")).close()
    with pytest.raises(AddressRefused):
        INTERNAL.plain_socket_factory(addr_info("8.8.8.8"))


@pytest.mark.parametrize(
    ("url", "can_be_allowed"),
    [
        ("http://receiver.example/", True),
        ("https://10.0.0.1/", True),
        ("http://10.0.0.1:8080/", True),
        ("https://localhost/", True),
        ("https://receiver/", True),
        ("https://receiver.example:25/", False),
        ("ftp://receiver.example/", False),
        ("https://user:pass@receiver.example/", False),
        ("https://receiver.example/#part", False),
        ("https://receiver..example/", False),
    ],
)
def test_refusal_names_the_settings_that_can_allow_a_receiver(url: str, can_be_allowed: bool) -> None:
    with pytest.raises(AddressRefused) as refusal:
        AddressGuard().check_url(url)
    assert refusal.value.can_be_allowed is can_be_allowed
    settings = ("GATEWAY_WEBHOOK_ALLOWED_HOSTS", "GATEWAY_WEBHOOK_ALLOWED_NETWORKS")
    assert all((name in refusal.value.of_webhook()) is can_be_allowed for name in settings)
