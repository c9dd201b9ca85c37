"""Which addresses a connector may reach: its own base address, and nothing inside unless somebody allowed it."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\.?")
PLAIN = re.compile(r"[!-\[\]-~]+")
PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%{}-]*)+")
PORTS = {"http": 80, "https": 443}

METADATA = frozenset(
    ip_address(text) for text in ("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")
)
TUNNELS = tuple(ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96"))
"""IPv6 ranges that carry an IPv4 address inside: a private one could hide there."""

CARRIER_GRADE = ip_network("100.64.0.0/10")
INSIDE = (
    *(ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8")),
    *(ip_network(text) for text in ("::1/128", "fc00::/7")),
    CARRIER_GRADE,
)
"""What ``allow_internal`` admits."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what the calls of a connector may reach."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The Host header: with the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def origin_of(base_url: str) -> Origin:
    """Read a base address strictly. Raises ValueError that says what does not fit."""
    if not PLAIN.fullmatch(base_url):
        raise ValueError("Only printable ASCII characters, without spaces and backslashes.")
    parts = urlsplit(base_url)
    if parts.scheme not in PORTS:
        raise ValueError("The scheme is http or https.")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise ValueError("No user name or password inside the address.")
    if parts.query or parts.fragment or "?" in base_url or "#" in base_url:
        raise ValueError("No query and no fragment.")
    host = parts.hostname or ""
    if not (HOST.fullmatch(host) or _is_v6(host)):
        raise ValueError("There is no host in it.")
    port = parts.port if parts.port is not None else PORTS[parts.scheme]  # beyond 65535 a ValueError of its own
    if port == 0:
        raise ValueError("There is no port 0.")
    if parts.path and (not PATH.fullmatch(parts.path) or "{" in parts.path or climbs(parts.path)):
        raise ValueError("The path must be plain.")
    return Origin(parts.scheme, host, port, parts.path.rstrip("/"))


def _is_v6(host: str) -> bool:
    try:
        return isinstance(ip_address(host), IPv6Address) and "%" not in host
    except ValueError:
        return False


def climbs(path: str) -> bool:
    """Whether a path has empty or dotted segments, in any encoding."""
    segments = path.lower().replace("%2e", ".").split("/")[1:]
    return any(segment in {".", ".."} for segment in segments) or "" in segments[:-1]


def path_problem(path: str) -> str:
    """Why this is no path of an operation; empty when it is one."""
    if not PATH.fullmatch(path):
        return "A path begins with / and has no query, fragment or space."
    return "The path must be plain: no empty or dotted segments." if climbs(path) else ""


def refusal_of(text: str, *, allow_internal: bool) -> str:
    """Why a resolved address may not be reached; empty when it may."""
    try:
        address = ip_address(text)
    except ValueError:
        return "not an address"
    if isinstance(address, IPv6Address) and (refused := _v6_refusal(address)):
        return refused
    if address in METADATA:
        return "a metadata service"
    if address.is_multicast or address.is_unspecified:
        return "multicast or unspecified"
    if any(address in network for network in INSIDE if network.version == address.version):
        return "" if allow_internal else "an internal address"
    return _not_global(address)


def _v6_refusal(address: IPv6Address) -> str:
    if address.ipv4_mapped is not None:
        return "an IPv4 address in disguise"
    if address == IPv6Address("::1"):
        return ""
    if address.scope_id or any(address in network for network in TUNNELS):
        return "an IPv4 address in disguise"
    return ""


def _not_global(address: IPv4Address | IPv6Address) -> str:
    if address.is_link_local:
        return "a link-local address"
    return "" if address.is_global and not address.is_reserved else "a reserved address"
