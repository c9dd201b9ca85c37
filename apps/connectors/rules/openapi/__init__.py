"""Reading OpenAPI 3.0 and 3.1: what a document describes, what of it cannot be used and why. Nothing is fetched."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from apps.connectors.rules.egress import origin_of
from apps.connectors.rules.openapi.guesses import Guess
from apps.connectors.rules.openapi.operations import Described, Unfit, methods_of, operation_of
from apps.connectors.rules.openapi.schemas import Reading
from apps.connectors.rules.openapi.text import BYTES_MAX, read_text
from apps.connectors.rules.secrets import MISPLACED, SECRET, looks_secret
from apps.connectors.rules.wording import visible_text
from apps.core.rules import ValueProblem

OPERATIONS_MAX = 200
TITLE_MAX = 120

__all__ = ["BYTES_MAX", "OPERATIONS_MAX", "Contents", "Described", "Guess", "Unfit", "read_openapi"]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a document describes: operations that can be taken over, and those that cannot.

    ``renamed``: what to do about two of one name.
    """

    title: str
    version: str
    operations: tuple[Described, ...]
    unfit: tuple[Unfit, ...]
    notes: tuple[str, ...] = ()
    renamed: str = " Give this one another operationId."


def read_openapi(text: str, *, connector: str, base_url: str) -> Contents:
    """Read a document for a connector. Raises ValueProblem, whose path says where, when none of it can be used.

    A secret anywhere in it refuses all of it: what is left of the document is shown and kept.
    """
    if secret := SECRET.search(text[:BYTES_MAX]):
        raise ValueProblem(MISPLACED, f"line {text.count('\n', 0, secret.start()) + 1}")
    root = read_text(text)
    version = _check_head(root)
    prefix, notes = _prefix_of(root.get("servers"), base_url, "servers")
    operations: dict[str, Described] = {}
    unfit: list[Unfit] = []
    reading = Reading(root, is_old=version.startswith("3.0"))
    count = 0
    for path, item, method, node in _entries(reading, unfit):
        count += 1
        if count > OPERATIONS_MAX:
            raise ValueProblem(
                f"More than {OPERATIONS_MAX} operations. Import them in parts: cut it down to the paths you need.",
                "paths",
            )
        where = f"{method} {visible_text(path)[:200]}"
        try:
            here = _server_of(item, node, base_url, prefix)
            found = operation_of(
                reading, method=method, path=path, item=item, node=node, prefix=here, connector=connector
            )
        except ValueProblem as problem:
            unfit.append(Unfit(_safe(where), str(problem), _safe(problem.path)))
            continue
        if (other := operations.setdefault(found.slug, found)) is not found:
            reason = f"Its slug would be {found.slug}, as that of {other.where}. Give it another operationId."
            unfit.append(Unfit(_safe(where), reason, "operationId"))
    if not operations and not unfit:
        raise ValueProblem("It describes no operation: paths is empty.", "paths")
    info = root["info"]
    title = visible_text(str(info.get("title")))[:TITLE_MAX]
    if looks_secret(title):
        raise ValueProblem(MISPLACED, "info.title")
    return Contents(
        title, visible_text(str(info.get("version", "")))[:40], tuple(operations.values()), tuple(unfit), notes
    )


def _safe(text: str) -> str:
    """A place that is shown and recorded, unless somebody pasted a secret there."""
    return "…" if looks_secret(text) else text[:300]


def _check_head(root: Any) -> str:
    if not isinstance(root, Mapping):
        raise ValueProblem("This is no OpenAPI document: an object with openapi, info and paths is expected.")
    if "swagger" in root:
        raise ValueProblem("This is Swagger 2.0. Convert it to OpenAPI 3.0 or 3.1 first.", "swagger")
    version = root.get("openapi")
    if not isinstance(version, str) or not version.startswith(("3.0.", "3.1.")):
        raise ValueProblem("OpenAPI 3.0 or 3.1 is expected: the key openapi says which.", "openapi")
    info = root.get("info")
    if not isinstance(info, Mapping) or not isinstance(info.get("title"), str) or not info["title"].strip():
        raise ValueProblem("The document has no title.", "info.title")
    if not isinstance(root.get("paths"), Mapping):
        raise ValueProblem("The document has no paths.", "paths")
    return version


def _entries(reading: Reading, unfit: list[Unfit]) -> Any:
    """Every operation with its path; a path that is none goes to the unfit."""
    for path, given in reading.root["paths"].items():
        if path.startswith("x-"):
            continue
        try:
            item = reading.object_at(given, "")
        except ValueProblem as problem:
            unfit.append(Unfit(_safe(visible_text(path)), str(problem)))
            continue
        for method, node in methods_of(item):
            yield path, item, method, node


def _server_of(item: Mapping[str, Any], node: Any, base_url: str, prefix: str) -> str:
    """The prefix of one operation: that of its own servers, where it or its path names any."""
    for owner in (node, item):
        if isinstance(owner, Mapping) and owner.get("servers"):
            return _prefix_of(owner["servers"], base_url, "servers")[0]
    return prefix


def _prefix_of(servers: Any, base_url: str, where: str) -> tuple[str, tuple[str, ...]]:
    """What comes before every path, and what to know. Raises ValueProblem unless a server is the connector's own."""
    if servers in (None, []):
        return "", ()
    if not isinstance(servers, list):
        raise ValueProblem("A list is expected.", where)
    own, others = [], 0
    for place, server in enumerate(servers[:50]):
        prefix = _own_prefix(server, base_url, f"{where}.{place}")
        if prefix is None:
            others += 1
        else:
            own.append(prefix)
    if not own:
        raise ValueProblem(
            f"Its servers are not this connector's: calls go to {base_url} alone. Import it into the connector of that"
            " address, or name this address under servers.",
            where,
        )
    told = f"{others} other server(s) are left out: calls go to {base_url} alone."
    return own[0], (told,) if others else ()


def _own_prefix(server: Any, base_url: str, where: str) -> str | None:
    """What a server adds to the connector's address; None where it is another. Raises ValueProblem."""
    if not isinstance(server, Mapping) or not isinstance(server.get("url"), str):
        raise ValueProblem("A server has a url.", where)
    url, variables = server["url"], server.get("variables", {})
    for name, variable in (variables if isinstance(variables, Mapping) else {}).items():
        value = variable.get("default", "") if isinstance(variable, Mapping) else ""
        url = url.replace(f"{{{name}}}", str(value))
    base = origin_of(base_url)
    if url in {"", "/"}:
        return ""
    if url.startswith("/") and not url.startswith("//"):
        path = url.rstrip("/")
    else:
        try:
            found = origin_of(url)
        except ValueError:
            return None
        if (found.scheme, found.host, found.port) != (base.scheme, base.host, base.port):
            return None
        path = urlsplit(url).path.rstrip("/")
    if base.path and path != base.path and not path.startswith(f"{base.path}/"):
        return None
    return str(path[len(base.path) :])
