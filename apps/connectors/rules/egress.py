"""Which addresses a connector may reach: its own base address, and nothing inside unless somebody allowed it."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
"""A last label that resolvers read as a number: 127.1, 2130706433, 0x7f000001, 0177.0.0.1."""
PLAIN = re.compile(r"[!-\[\]-~]+")
PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%{}-]*)+")
PORTS = {"http": 80, "https": 443, "smtp": 587, "smtps": 465, "postgresql": 5432}
WEB, MAIL, DATABASES = ("http", "https"), ("smtp", "smtps"), ("postgresql",)
"""``smtp`` begins TLS by STARTTLS, ``smtps`` is TLS from the first byte."""
LARGEST_PORT = 65_535
type PortRanges = tuple[tuple[int, int], ...]

METADATA = frozenset(
    ip_address(text)
    for text in ("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
)
TUNNELS = tuple(ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96"))
"""IPv6 ranges that carry an IPv4 address inside: a private one could hide there."""

CARRIER_GRADE = ip_network("100.64.0.0/10")
UNWANTED = tuple(
    ip_network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "3fff::/20", "fec0::/10", "100::/64", "5f00::/16")
)
"""Global by their number, and no system of record: protocols' own, relays, documentation, what was site-local."""
ISATAP = frozenset({0x00005EFE, 0x02005EFE})
"""The middle of an IPv6 address whose last 32 bits are an IPv4 address (RFC 5214)."""

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


def origin_of(base_url: str, schemes: tuple[str, ...] = WEB) -> Origin:
    """Read a base address strictly. Raises ValueError that says what does not fit."""
    if not PLAIN.fullmatch(base_url):
        raise ValueError("Only printable ASCII characters, without spaces and backslashes.")
    parts = urlsplit(base_url)
    if parts.scheme not in schemes:
        raise ValueError(f"The scheme is {' or '.join(schemes)}.")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise ValueError("No user name or password inside the address.")
    if parts.query or parts.fragment or "?" in base_url or "#" in base_url:
        raise ValueError("No query and no fragment.")
    host = parts.hostname or ""
    if problem := _host_problem(host, is_bracketed="[" in parts.netloc):
        raise ValueError(problem)
    port = parts.port if parts.port is not None else PORTS[parts.scheme]  # beyond 65535 a ValueError of its own
    if port == 0:
        raise ValueError("There is no port 0.")
    if parts.path and (not PATH.fullmatch(parts.path) or "{" in parts.path or climbs(parts.path)):
        raise ValueError("The path must be plain.")
    return Origin(parts.scheme, host, port, parts.path.rstrip("/"))


def _host_problem(host: str, *, is_bracketed: bool) -> str:
    if host.endswith("."):
        return "No dot at the end of the host."
    if not (_is_v6(host) if is_bracketed else HOST.fullmatch(host)):
        return "There is no host in it."
    if NUMERIC.fullmatch(host) and not _is_v4(host):
        return "An IPv4 address is four decimal numbers, such as 192.0.2.1."
    return ""


def ports_of(text: str) -> PortRanges:
    """Ports and ranges of them, separated by commas: ``80,443,8000-8999``. Raises ValueError."""
    found = list[tuple[int, int]]()
    for part in filter(None, (each.strip() for each in text.split(","))):
        first, dash, last = part.partition("-")
        least, most = int(first), int(last if dash else first)
        if not 1 <= least <= most <= LARGEST_PORT:
            raise ValueError(f"{part} is no port and no range of ports.")
        found.append((least, most))
    return tuple(found)


def is_port_allowed(port: int, allowed: PortRanges) -> bool:
    """Whether a connector may reach a port; the rest of what listens on a machine is no system of record."""
    return any(least <= port <= most for least, most in allowed)


def _is_v4(host: str) -> bool:
    try:
        return str(ip_address(host)) == host
    except ValueError:
        return False


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


def never_reached(host: str) -> str:
    """Why a host that is an address is never reached, whatever is allowed; empty for names: they are resolved later."""
    is_literal = _is_v6(host) or _is_v4(host)
    return refusal_of(host, allow_internal=True) if is_literal else ""


def _v6_refusal(address: IPv6Address) -> str:
    if address.ipv4_mapped is not None:
        return "an IPv4 address in disguise"
    if address == IPv6Address("::1"):
        return ""
    if address.scope_id or any(address in network for network in TUNNELS):
        return "an IPv4 address in disguise"
    if int(address) >> 32 & 0xFFFFFFFF in ISATAP:
        return "an IPv4 address in disguise"
    return ""


def _not_global(address: IPv4Address | IPv6Address) -> str:
    if address.is_link_local:
        return "a link-local address"
    is_unwanted = any(address in network for network in UNWANTED if network.version == address.version)
    return "" if address.is_global and not address.is_reserved and not is_unwanted else "a reserved address"
