"""The egress guard's rules: every spelling of an inside address is refused."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.connectors.rules import climbs, is_port_allowed, origin_of, path_problem, ports_of, refusal_of

INTERNAL = ["10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1", "127.0.0.1", "127.1.2.3", "100.64.0.1"]
INTERNAL += ["::1", "fc00::1", "fd12:3456::1"]
NEVER = ["0.0.0.0", "169.254.169.254", "169.254.1.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1"]
NEVER += ["255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::", "fe80::1", "fe80::1%eth0", "ff02::1"]
NEVER += ["::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:7f00:1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:1::1"]
NEVER += ["::ffff:0:127.0.0.1", "64:ff9b:1::a00:1", "2002:a00:1::", "2001:470:1:2:0:5efe:a00:1", "::5efe:10.0.0.1"]
NEVER += ["2001:470:1:2:200:5efe:7f00:1", "fec0::1", "3fff::1", "2001:20::1", "2001:1::1", "192.88.99.1", "192.0.0.9"]
NEVER += ["fd20:ce::254", "169.254.170.2", "100::1", "5f00::1", "198.51.100.1", "203.0.113.1", "0.1.2.3", "::1%lo"]
NEVER += ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "10.0.0.1 ", "10.0.0.1.", "[::1]"]
NEVER += ["::127.0.0.1", "fd00:ec2::254", "2001:db8::1", "not-an-address", ""]


@pytest.mark.parametrize("address", INTERNAL)
def test_an_internal_address_needs_permission(address):
    assert refusal_of(address, allow_internal=False)
    assert not refusal_of(address, allow_internal=True)


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_reached(address):
    assert refusal_of(address, allow_internal=False)
    assert refusal_of(address, allow_internal=True)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "93.184.216.34"])
def test_the_world_may_be_reached(address):
    assert not refusal_of(address, allow_internal=False)


@given(st.ip_addresses(v=4))
def test_whatever_is_not_global_is_refused(address):
    if not address.is_global or address.is_multicast:
        assert refusal_of(str(address), allow_internal=False)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "ftp://erp.example.com",
        "file:///etc/passwd",
        "gopher://erp.example.com",
        "//erp.example.com",
        "http://",
        "http:///path",
        "http://user@erp.example.com",
        "http://user:password@erp.example.com",
        "http://erp.example.com@evil.example.com",
        "http://erp.example.com?x=1",
        "http://erp.example.com/#x",
        "http://erp.example.com\\@evil.example.com",
        "http://erp.example.com/a b",
        "http://erp.example.com\n/",
        "http://①②⑦.⓪.⓪.①/",
        "http://erp.example.com:0",
        "http://erp.example.com:99999",
        "http://erp.example.com/../x",
        "http://erp.example.com/%2e%2e/x",
        "http://erp.example.com/a//b",
        "http://erp.example.com/{id}",
        "http://[fe80::1%25eth0]/",
        "http://[::1",
        "http://-erp.example.com",
        "http://erp..example.com",
        "http://erp.example.com.",
        "http://127.0.0.1.",
        "http://localhost.",
        "http://2130706433",
        "http://0x7f000001",
        "http://0x7f.1",
        "http://0177.0.0.1",
        "http://127.1",
        "http://127.0.0.256",
        "http://0",
        "http://example.0x10",
        "http://erp.example.com%2eevil.example.com",
        "http://erp。example.com",
        "http://[v1.fe80]/",
        "http://[::ffff:127.0.0.1%25lo]/",
    ],
)
def test_a_base_address_is_read_strictly(base_url):
    with pytest.raises(ValueError, match=r"."):
        origin_of(base_url)


def test_a_base_address_says_what_may_be_reached():
    plain = origin_of("https://ERP.Example.com/api/v2/")
    assert (plain.scheme, plain.host, plain.port, plain.path) == ("https", "erp.example.com", 443, "/api/v2")
    assert plain.authority == "erp.example.com"
    assert origin_of("http://127.0.0.1:9911").authority == "127.0.0.1:9911"
    assert origin_of("http://[::1]:9911").authority == "[::1]:9911"


@pytest.mark.parametrize(
    "path", ["", "x", "/a?b", "/a#b", "/a b", "//evil.example.com/x", "/a/../b", "/%2E%2e/b", "/\\x"]
)
def test_a_path_is_plain(path):
    assert path_problem(path)


@pytest.mark.parametrize("path", ["/", "/payments", "/payments/{id}/lines", "/a/"])
def test_a_plain_path_is_fine(path):
    assert not path_problem(path)
    assert not climbs(path)


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_hides_in_an_ipv6_one(address):
    number = int(address)
    for hidden in (
        0xFFFF << 32 | number,  # mapped
        number,  # compatible
        0x64FF9B << 96 | number,  # NAT64
        0x64FF9B0001 << 80 | number,  # NAT64, a network's own
        0x2002 << 112 | number << 80 | 1,  # 6to4
        0x20010000 << 96 | number ^ 0xFFFFFFFF,  # Teredo
        0x2001_0470_0001_0002 << 64 | 0x00005EFE << 32 | number,  # ISATAP
        0x2001_0470_0001_0002 << 64 | 0x02005EFE << 32 | number,
    ):
        for text in (str(IPv6Address(hidden)), IPv6Address(hidden).exploded):
            if hidden > 1:  # ::1 is what it says
                assert refusal_of(text, allow_internal=False)
                assert refusal_of(text, allow_internal=True)


def test_ports_are_those_of_the_list():
    allowed = ports_of("80, 443,8000-8999")
    assert [port for port in (22, 25, 79, 80, 443, 6379, 7999, 8000, 8999, 9000) if is_port_allowed(port, allowed)] == [
        80, 443, 8000, 8999,
    ]  # fmt: skip
    for wrong in ("0", "x", "70000", "9-8", "80-", "-80"):
        with pytest.raises(ValueError, match=r"."):
            assert ports_of(wrong) == ports_of("80-80")
