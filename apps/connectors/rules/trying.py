"""Trying an operation without effect: which call that is, and what its answer says."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from apps.connectors.rules.egress import path_problem
from apps.connectors.rules.parameters import IN_PATH, path_names

METHODS_OF_TRYING = ("GET", "POST")
"""Others change something by what they are called."""
KEYS = frozenset({"method", "path"})
NAMES = re.compile(IN_PATH)


def plan_problem(plan: object, *, schema: Mapping[str, Any]) -> str:
    """Why this is no ``{method, path}`` of a dry run; empty when it is one."""
    if not isinstance(plan, Mapping) or set(plan) != KEYS:
        return "An object with method and path."
    if plan["method"] not in METHODS_OF_TRYING:
        return f"One of: {', '.join(METHODS_OF_TRYING)}; another changes something."
    if problem := path_problem(str(plan["path"])):
        return problem
    missing = [name for name in path_names(str(plan["path"])) if name not in schema.get("required", [])]
    return f"Every parameter in the path must be required: {', '.join(missing)}." if missing else ""


def does_it(plan: Mapping[str, Any], others: Iterable[tuple[str, str]]) -> bool:
    """Whether a dry run is the very call of one of ``others`` (method and path), whatever its parameters are called."""
    return _shape(str(plan["method"]), str(plan["path"])) in {_shape(method, path) for method, path in others}


def _shape(method: str, path: str) -> tuple[str, str]:
    return method, NAMES.sub("{}", path).rstrip("/").lower()
