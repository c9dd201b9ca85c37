"""Projections read facts alone: what they ask of a payload is what an erasure keeps."""

import ast
from pathlib import Path

from apps.audit.rules import FACTS
from tests.conftest import ROOT

FOLDS = ["apps/kpis/services/seen.py", "apps/kpis/services/folding.py", "apps/policies/services/numbers.py"]
TOLD = {"told", "payload"}


def asked_in(path: Path) -> set[str]:
    """The keys that a module reads of ``told`` or ``entry.payload``, by index or by ``get``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Subscript(value=asked, slice=ast.Constant(value=str(key))):
                pass
            case ast.Call(func=ast.Attribute(value=asked, attr="get"), args=[ast.Constant(value=str(key)), *_]):
                pass
            case _:
                continue
        if (asked.id if isinstance(asked, ast.Name) else getattr(asked, "attr", "")) in TOLD:
            found.add(key)
    return found


def test_what_projections_read_is_kept():
    asked = {key for path in FOLDS for key in asked_in(ROOT / path)}
    assert {"created_at", "state", "input_tokens", "cost_minor", "simulated", "from"} <= asked
    assert asked <= FACTS
