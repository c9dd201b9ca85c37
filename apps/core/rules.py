"""Shapes and pure functions that every app shares."""

import hashlib
import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NoReturn

import rfc8785

type Moves = Mapping[str, frozenset[str]]
"""From each state, the states a row may move to."""

MAX_WAIT_S = 30
"""How long a request that waits is held at most. Here, because who holds it asks before Django is set up."""
MAX_DEPTH = 64
MAX_INTEGER = 2**53 - 1
MAX_COST_MINOR = 10**9
"""What one call may say it cost: ten million in whole units. Sums of many must stay within 64 bits of micro-units."""


class UserKind(StrEnum):
    """What kind of principal a user is."""

    HUMAN = "human"
    AGENT = "agent"
    SYSTEM = "system"


class Risk(StrEnum):
    """Risk tiers, mildest first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class ProposalState(StrEnum):
    """Where a proposed change is."""

    OPEN = "open"
    RELEASED = "released"
    DECLINED = "declined"
    SUPERSEDED = "superseded"


PROPOSAL_MOVES: Moves = {
    ProposalState.OPEN: frozenset({ProposalState.RELEASED, ProposalState.DECLINED, ProposalState.SUPERSEDED}),
    ProposalState.RELEASED: frozenset(),
    ProposalState.DECLINED: frozenset(),
    ProposalState.SUPERSEDED: frozenset(),
}


def highest_risk(*risks: str | None) -> Risk:
    """The gravest of the given tiers; ``low`` when none is given."""
    order = list(Risk)
    return max((Risk(risk) for risk in risks if risk), key=order.index, default=Risk.LOW)


class ValueProblem(ValueError):  # noqa: N818 - a finding about somebody's value, translated at the doors
    """A value that the plane refuses; ``path`` says where, in dots."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


_in_c = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False, allow_nan=False
).encode


def canonical_json(value: object) -> bytes:
    """RFC 8785 bytes of ``value``: the one form over which digests are made. Raises ValueProblem.

    Python's own encoder is several times as fast as the library, and writes the same of what ``_is_plain``.
    """
    try:
        if _is_plain(value):
            return _in_c(value).encode()
        return rfc8785.dumps(value)  # type: ignore[arg-type] # the library refuses what is not JSON itself
    except (rfc8785.CanonicalizationError, ValueError, RecursionError) as error:
        raise ValueProblem(str(error)) from error


def _is_plain(value: object) -> bool:
    """Whether RFC 8785 spells and orders all of it in the same way: no float, large integer or key beyond ASCII."""
    if isinstance(value, str) or value is None:
        return True
    if isinstance(value, dict):
        return all(
            isinstance(key, str) and key.isascii() and (isinstance(one, str) or _is_plain(one))
            for key, one in value.items()
        )
    if isinstance(value, int):
        return -MAX_INTEGER <= value <= MAX_INTEGER
    if isinstance(value, list | tuple):
        return all(isinstance(one, str) or _is_plain(one) for one in value)
    return False


def digest_of(value: object) -> str:
    """``sha256:<hex>`` over the canonical JSON of ``value``."""
    return f"sha256:{hashlib.sha256(canonical_json(value)).hexdigest()}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueProblem(f"The key {key!r} is given twice.")
        found[key] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueProblem(f"{name} is not JSON.")


_OUTSIDE_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"?')


def depth_of(text: str) -> int:
    """How deeply brackets nest outside strings. Counted before parsing: a parser would recurse."""
    depth = deepest = 0
    for char in _OUTSIDE_TEXT.sub("", text):
        if char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def strict_json(raw: bytes) -> object:
    """Parse JSON as an agent must send it: UTF-8, no duplicate keys, no NaN, at most 64 levels. Raises ValueProblem."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueProblem("This is not UTF-8.") from error
    if (text.count("[") + text.count("{")) > MAX_DEPTH and depth_of(text) > MAX_DEPTH:
        raise ValueProblem(f"More than {MAX_DEPTH} levels of nesting.")
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except ValueProblem:
        raise
    except (ValueError, RecursionError) as error:
        raise ValueProblem(f"This is not JSON: {error}.") from error


def check_values(value: object, path: str = "") -> None:
    """Refuse what JSON allows and systems of record do not survive: huge integers, U+0000, lone surrogates.

    A huge float counts as the integer that PostgreSQL makes of it.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            _check_text(key, path)
            check_values(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_values(item, f"{path}.{index}".lstrip("."))
    elif isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, int | float) and not abs(value) <= MAX_INTEGER:  # so that NaN is refused too
        raise ValueProblem("A number beyond +-(2^53 - 1).", path)


def _check_text(text: str, path: str) -> None:
    if "\x00" in text:
        raise ValueProblem("The character U+0000.", path)
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueProblem("Half of a surrogate pair.", path)


SECRET = re.compile(
    r"acp_(?:agt|pat|tok)_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}|-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"
)
"""A key of ours, or somebody's private key: what is written so is nothing else."""
OF_OTHERS = re.compile(
    r"(?<![0-9A-Za-z])(?:(?:sk|rk)_live_[0-9A-Za-z]{10,}|sk-(?:ant|proj)-[0-9A-Za-z_-]{20,}|gh[pousr]_[0-9A-Za-z]{36}"
    r"|github_pat_[0-9A-Za-z_]{40,}|glpat-[0-9A-Za-z_-]{20,}|xox[abpors]-[0-9A-Za-z-]{10,}|(?:AKIA|ASIA)[0-9A-Z]{16}"
    r"|AIza[0-9A-Za-z_-]{35})(?![0-9A-Za-z])"
)
"""Keys of others that begin so that everybody knows them. Most tokens have no such beginning, and are not found."""
OF_SECRETS = frozenset({"secret", "password"})
"""Fields in which secrets belong, at the top of what was sent and nowhere below."""
OF_DOCUMENTS = frozenset({"document"})
"""Fields whose readers look for others' keys themselves, and say in which line one stands."""


def misplaced_secrets(value: object, path: str = "") -> list[str]:
    """Where in ``value`` a secret stands that belongs elsewhere, as paths; names of members are looked at too."""
    if isinstance(value, str):
        return [path] if path not in OF_SECRETS and is_secret(value, path) else []
    if isinstance(value, dict):
        if any(is_secret(key) for key in value):
            return [path]  # a path through such a name would repeat it
        return [each for key, item in value.items() for each in misplaced_secrets(item, _below(path, key))]
    if isinstance(value, list):
        return [each for index, item in enumerate(value) for each in misplaced_secrets(item, _below(path, index))]
    return []


def is_secret(text: str, path: str = "") -> bool:
    """Whether a key of ours, a private key or a known key of others stands in ``text``, which was sent as ``path``."""
    return bool(SECRET.search(text) or (path not in OF_DOCUMENTS and OF_OTHERS.search(text)))


def without_secrets(text: str) -> str:
    """``text`` without the keys in it; nothing where a private key stands, whose end nobody could be sure of."""
    return "" if "PRIVATE KEY-----" in text else OF_OTHERS.sub("", SECRET.sub("", text))


def _below(path: str, name: object) -> str:
    return f"{path}.{name}".lstrip(".")


MAX_NETWORKS = 20


def read_networks(texts: Iterable[str]) -> tuple[list[str], list[str]]:
    """Networks in their one spelling (``10.0.0.0/8``, ``2001:db8::/32``), each once; and the texts that name none.

    An address alone is the network of itself. One with bits beyond its mask names none: who wrote ``10.1.2.3/8`` may
    have meant either. Nor does one that no caller is ever in: IPv4 spelled as IPv6, or of one interface (``%eth0``).
    """
    found, odd = [], []
    for text in texts:
        try:
            network = ipaddress.ip_network(text.strip())
        except ValueError:
            odd.append(text)
            continue
        if "%" in text or getattr(network.network_address, "ipv4_mapped", None):
            odd.append(text)
        else:
            found.append(str(network))
    return sorted(set(found)), odd


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Whether ``address`` lies in one of the networks. What is no address lies nowhere."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped  # how a socket for both families spells IPv4
    return any(found in ipaddress.ip_network(network) for network in networks)


def caller_of(peer: str, forwarded: str, proxies: Iterable[str]) -> str:
    """Who calls: the nearest address that is no proxy of ours, from the connection backwards.

    ``forwarded`` is ``X-Forwarded-For``: anybody may write anything into it, so it counts only as far as our own
    proxies wrote it. Where they wrote what is no address the caller is nobody's: empty.
    """
    trusted = list(proxies)
    hops = [hop.strip() for hop in forwarded.split(",")] if forwarded else []
    at = peer
    while is_within(at, trusted) and hops:
        at = hops.pop()
    return at.partition("%")[0] if _is_address(at) else ""  # without the interface: anything may stand there


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",  # a chart saved as a picture passes through a blob
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "report-uri /csp-report/",
    ]
)
UNUSED = ("camera", "display-capture", "geolocation", "microphone", "midi", "payment", "serial", "usb")
"""What no page of ours asks a browser for."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": ", ".join(f"{name}=()" for name in UNUSED),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""On every answer, whoever gave it. Only files that are the same for everyone name another ``Cache-Control``."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")


def as_cell[T](value: T) -> T | str:
    """A value as a spreadsheet may read it: a text that would be a formula is marked as text; numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
