"""Who is asked what is known against locked packages: OSV, or the package index that pip is configured for.

No index is named here: where pip has none of its own, nobody is asked. Standard library alone.
"""

import base64
import hashlib
import json
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

TIMEOUT_S = 20
ANSWER_MAX = 20_000_000
ALL_WITHIN_S = 60
AT_ONCE = 8
KEPT = timedelta(days=1)
SECTIONS = (":env:", "install", "global")
"""Where pip's configuration says which index it uses, and by which authorities; what comes first counts."""
UNREADABLE = (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError, IndexError)

type Known = dict[str, list[tuple[str, ...]]]
"""Package -> what is known against its locked version: each finding with all its names."""


class Locked(Protocol):
    """A package at its locked version."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...


class NotLookedUpError(Exception):
    """Nobody could be asked, or the answer was none."""


def ask_osv(parts: Sequence[Locked], *, source: str) -> Known:
    """What OSV, or what speaks its ``querybatch``, knows. Raises NotLookedUpError."""
    ecosystem = "PyPI"
    asked = [{"package": {"name": part.name, "ecosystem": ecosystem}, "version": part.version} for part in parts]
    request = urllib.request.Request(
        source, data=json.dumps({"queries": asked}).encode(), headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            results = json.loads(answer.read(ANSWER_MAX))["results"]
        found = [[_names_of({"id": one["id"]}) for one in result.get("vulns", [])] for result in results]
    except UNREADABLE as error:
        raise NotLookedUpError(f"{type(error).__name__}: {error}") from error
    if len(found) != len(parts):
        raise NotLookedUpError(f"{len(parts)} packages were asked for and {len(found)} answered.")
    return {part.name: ids for part, ids in zip(parts, found, strict=True) if ids}


@dataclass(frozen=True, slots=True)
class Index:
    """Where a package index is, and the file of the authorities that it is trusted by; empty: the system's own."""

    address: str
    cert: str = ""


def configured_index() -> Index:
    """The index that pip's configuration names. Raises NotLookedUpError where it names none."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotLookedUpError(f"pip does not say which index it uses: {type(error).__name__}") from error
    said = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    found = {
        key: next((said[name].strip("'\"") for name in (f"{each}.{key}" for each in SECTIONS) if name in said), "")
        for key in ("index-url", "cert")
    }
    if not found["index-url"]:
        raise NotLookedUpError("pip's configuration names no index, so nobody is asked")
    return Index(found["index-url"], found["cert"])


def ask_index(parts: Sequence[Locked], *, cache: Path | None = None, index: Index | None = None) -> Known:
    """What the index says of each release; what it said within a day of the same lock file is not asked again.

    Raises NotLookedUpError unless it says of every single release what is known of it: some are no answer. The error
    never names the address, which may carry a password.
    """
    index = index or configured_index()
    key = hashlib.sha256(
        json.dumps([index.address, [[part.name, part.version] for part in parts]]).encode()
    ).hexdigest()
    kept = _kept(cache, key)
    if kept is not None:
        return kept
    ask = partial(_ask, _opener_of(index), *_base_of(index.address), time.monotonic() + ALL_WITHIN_S)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            found = list(pool.map(ask, parts))
        finally:
            pool.shutdown(cancel_futures=True)
    known = {part.name: findings for part, findings in zip(parts, found, strict=True) if findings}
    _keep(cache, key, known)
    return known


def _opener_of(index: Index) -> urllib.request.OpenerDirector:
    try:
        trusted = ssl.create_default_context(cafile=index.cert or None)
    except OSError as error:
        raise NotLookedUpError(f"pip's file of authorities cannot be read: {type(error).__name__}") from error
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=trusted))


def _base_of(address: str) -> tuple[str, str]:
    """Where the index answers in JSON, beside its ``simple`` pages, and in which name; empty: in nobody's."""
    parts = urlsplit(address)
    path = parts.path.rstrip("/")
    if parts.scheme not in {"http", "https"} or not path.endswith("/simple"):
        raise NotLookedUpError("the index that pip is configured for has no address that ends with /simple")
    host = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    base = urlunsplit((parts.scheme, host, path.removesuffix("/simple"), "", ""))
    if parts.username is None:
        return base, ""
    said = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return base, f"Basic {base64.b64encode(said.encode()).decode()}"


def _ask(
    opener: urllib.request.OpenerDirector, base: str, name: str, ends: float, part: Locked
) -> list[tuple[str, ...]]:
    left = ends - time.monotonic()
    if left <= 0:
        raise NotLookedUpError(f"it took longer than {ALL_WITHIN_S} s")
    request = urllib.request.Request(f"{base}/pypi/{part.name}/{part.version}/json")
    if name:
        request.add_unredirected_header("Authorization", name)  # wherever it sends us on, nobody else learns it
    try:
        with opener.open(request, timeout=min(left, TIMEOUT_S)) as answer:
            said: dict[str, Any] = json.loads(answer.read(ANSWER_MAX))
        if said["info"]["version"] != part.version:
            raise ValueError("another release")
        return [_names_of(one) for one in said["vulnerabilities"] if not one.get("withdrawn")]
    except UNREADABLE as error:
        raise NotLookedUpError(f"{part.name} {part.version}: {type(error).__name__}") from error


def _names_of(finding: dict[str, Any]) -> tuple[str, ...]:
    return (str(finding["id"]), *(str(name) for name in finding.get("aliases", ())))


def _kept(cache: Path | None, key: str) -> Known | None:
    """What was kept of the same question within a day; None where nothing was, or it cannot be read."""
    try:
        said = json.loads(cache.read_text()) if cache else None
        if said is None or said["key"] != key or datetime.now(UTC) - datetime.fromisoformat(said["at"]) > KEPT:
            return None
        return {str(name): [tuple(map(str, one)) for one in findings] for name, findings in said["known"].items()}
    except UNREADABLE:
        return None


def _keep(cache: Path | None, key: str, known: Known) -> None:
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps({"key": key, "at": datetime.now(UTC).isoformat(), "known": known}))
