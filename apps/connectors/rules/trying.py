"""Trying an operation without effect: which call that is, and what its answer says."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from apps.connectors.rules.egress import path_problem
from apps.connectors.rules.parameters import CALL, IN_PATH, path_names
from apps.connectors.rules.tools import MCP, TOOL

METHODS_OF_TRYING = ("GET", "POST")
"""Others change something by what they are called."""


def methods_of_trying(adapter: str) -> tuple[str, ...]:
    """What a dry run may be: of a system with tools another tool."""
    return (CALL,) if adapter == MCP else METHODS_OF_TRYING


KEYS = frozenset({"method", "path"})
NAMES = re.compile(IN_PATH)


def plan_problem(plan: object, *, schema: Mapping[str, Any], adapter: str) -> str:
    """Why this is no ``{method, path}`` of a dry run; empty when it is one."""
    if not isinstance(plan, Mapping) or set(plan) != KEYS:
        return "An object with method and path."
    if plan["method"] not in (methods := methods_of_trying(adapter)):
        return f"One of: {', '.join(methods)}; another changes something."
    if adapter == MCP and not TOOL.fullmatch(str(plan["path"])):
        return "“/” and the name of a tool."
    if problem := path_problem(str(plan["path"])):
        return problem
    missing = [name for name in path_names(str(plan["path"])) if name not in schema.get("required", [])]
    return f"Every parameter in the path must be required: {', '.join(missing)}." if missing else ""


def does_it(plan: Mapping[str, Any], others: Iterable[tuple[str, str]]) -> bool:
    """Whether a dry run is the very call of one of ``others`` (method and path), whatever its parameters are called."""
    return _shape(str(plan["method"]), str(plan["path"])) in {_shape(method, path) for method, path in others}


def _shape(method: str, path: str) -> tuple[str, str]:
    return method, NAMES.sub("{}", path).rstrip("/").lower()
