"""What a decision is tied to: digests, what was shown, what an edit changed."""

from collections.abc import Container, Mapping
from datetime import datetime
from typing import Any

from apps.classification.rules import Classed, marked
from apps.core.rules import canonical_json, digest_of


def same_json(left: Any, right: Any) -> bool:
    """Equal as canonical JSON says: key order is nothing, 1.0 is 1, True is not 1."""
    return canonical_json(left) == canonical_json(right)


def patch_between(before: Any, after: Any, path: str = "") -> list[dict[str, Any]]:
    """The JSON Patch (RFC 6902) that makes ``after`` of ``before``; empty when they are the same. Types are kept."""
    if same_json(before, after):
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        operations: list[dict[str, Any]] = []
        for key in sorted({*before, *after}):
            here = f"{path}/{_escaped(key)}"
            if key not in after:
                operations.append({"op": "remove", "path": here})
            elif key not in before:
                operations.append({"op": "add", "path": here, "value": after[key]})
            else:
                operations.extend(patch_between(before[key], after[key], here))
        return operations
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [step for index, (left, right) in pairs for step in patch_between(left, right, f"{path}/{index}")]
    return [{"op": "replace", "path": path, "value": after}]


def marked_patch(
    patch: list[dict[str, Any]], classed: Classed, hide: Container[str] | None = None
) -> list[dict[str, Any]]:
    """The same patch with marks for what carries one of these classes (``hide`` None: any)."""
    return [_marked_step(step, classed, hide) for step in patch]


def _marked_step(step: dict[str, Any], classed: Classed, hide: Container[str] | None) -> dict[str, Any]:
    if "value" not in step:
        return step
    path = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
    value = step["value"]
    for part in reversed(path):
        value = [value] if part.isdigit() else {part: value}
    value = marked(value, classed, hide)
    for part in path:
        if isinstance(value, str):
            break  # a mark for something around it
        value = value[0] if part.isdigit() else value[part]
    return {**step, "value": value}


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def action_digest(operation: str, parameters: Mapping[str, Any]) -> str:
    """What an approval is bound to: the operation and its parameters in canonical form."""
    return digest_of({"operation": operation, "parameters": parameters})


def view_hash(shown: Mapping[str, Any]) -> str:
    """The digest of what the page showed; a decision carries it and the record keeps it."""
    return digest_of(shown)


RETRY_WORDS = ("never", "after_change")
AFTER = "after:"


def retry_time(retry: str) -> datetime | None:
    """The instant of ``after:<RFC 3339 time with offset>``; None for the two words and for nothing."""
    if not retry.startswith(AFTER):
        return None
    found = datetime.fromisoformat(retry.removeprefix(AFTER))
    if found.tzinfo is None:
        raise ValueError("A time needs its offset from UTC.")
    return found


def is_retry(retry: str) -> bool:
    """Whether this is a hint that an agent can follow: ``never``, ``after_change`` or ``after:<time>``."""
    if retry in RETRY_WORDS:
        return True
    try:
        return retry_time(retry) is not None
    except ValueError:
        return False
