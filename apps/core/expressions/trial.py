"""What an expression costs at its worst: run on contexts made for it, in a process that is killed when it lasts.

The library bounds loops, not what happens inside them: comparing two long lists ten thousand times is within its
budget and takes minutes. An expression without a loop cannot be that slow and is not tried.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from apps.core.expressions.programs import Declarations, Function, Program, compile_expression
from apps.core.expressions.syntax import Macro, path_of, walk
from apps.core.expressions.values import EvaluationError, Kind, Limits

ROOT = Path(__file__).resolve().parents[3]
CPU_S = 1.0
WALL_S = 60
ROOMY = frozenset({Kind.MAP, Kind.LIST, Kind.DYN, Kind.STRING, Kind.STRINGS})
"""Kinds of variables that can be large."""


def has_loop(program: Program) -> bool:
    """Whether the program repeats anything, and so is worth a trial."""
    return any(isinstance(node, Macro) for node in walk(program.tree))


def slow_expressions(programs: Sequence[Program], declarations: Declarations) -> list[Program]:
    """Those that take more than a second of processor time on a context within the limits."""
    left = [program for program in programs if has_loop(program)]
    slow: list[Program] = []
    while left:
        tried = _try(left, declarations)
        if tried == len(left):
            break
        slow.append(left[tried])
        left = left[tried + 1 :]
    return slow


def _try(programs: Sequence[Program], declarations: Declarations) -> int:
    """How many of the programs came to an end before the process did."""
    limits = declarations.limits
    task = {
        "variables": {name: kind.value for name, kind in declarations.variables.items()},
        "functions": [
            [function.name, [kind.value for kind in function.parameters], function.returns.value]
            for function in declarations.functions
        ],
        "limits": [limits.source_chars, limits.macros, limits.context_bytes, limits.string_bytes, limits.list_items],
        "sources": [program.source for program in programs],
    }
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ.get("PATH", ""), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "apps.core.expressions.trial"]
    text = json.dumps(task)
    try:
        done = subprocess.run(  # noqa: S603 - our own module, its task on standard input
            command, cwd=ROOT, env=environment, input=text, capture_output=True, text=True, timeout=WALL_S, check=False
        )
        answer = done.stdout
    except subprocess.TimeoutExpired as late:
        answer = (late.stdout or b"").decode()
    return answer.count("done\n")


def worst_contexts(program: Program, declarations: Declarations) -> Iterator[dict[str, Any]]:
    """Contexts as large as the limits allow, shaped after what the program reads: texts, then lists."""
    macros = [node for node in walk(program.tree) if isinstance(node, Macro)]
    ranges = {path for macro in macros for path in [path_of(macro.over)] if path}
    read = {path for path in map(path_of, walk(program.tree)) if path}
    leaves = {path for path in read if not any(other != path and other[: len(path)] == path for other in read)}
    leaves |= {
        (*path, "filler") for path in read - leaves - ranges if declarations.variables.get(".".join(path)) is Kind.MAP
    }
    fields = {path for path in read if len(path) > 1 and path[0] in {macro.variable for macro in macros}}
    length = 95 if len(macros) > 1 else declarations.limits.list_items
    for fill in (_text, _other_text, _list):
        values = {
            path: _rows(fields, length) if path in ranges else fill(place, len(leaves), declarations.limits)
            for place, path in enumerate(sorted(leaves | ranges))
        }
        yield _context(values, declarations)


def _text(place: int, count: int, limits: Limits) -> str:
    """Long texts that nearly match each other: a search compares most of both."""
    room = min(limits.string_bytes, limits.context_bytes // (2 * max(count, 1))) - 8
    return "a" * room if place % 2 == 0 else "a" * (room // 2) + "b"


def _other_text(place: int, count: int, limits: Limits) -> str:
    """The same the other way round: what is searched for may be written first."""
    return _text(place + 1, count, limits)


def _list(place: int, count: int, limits: Limits) -> list[int]:
    return list(range(min(limits.list_items, limits.context_bytes // (50 * max(count, 1)))))


def _rows(fields: set[tuple[str, ...]], length: int) -> list[Any]:
    if not fields:
        return [f"a{place}" for place in range(length)]
    rows = min(length, 200)
    return [{path[1]: place for path in fields} for place in range(rows)]


def _context(values: dict[tuple[str, ...], Any], declarations: Declarations) -> dict[str, Any]:
    context: dict[str, Any] = {}
    for name, kind in declarations.variables.items():
        root = tuple(name.split("."))
        inside = {path[len(root) :]: value for path, value in values.items() if path[: len(root)] == root}
        if not inside or kind not in ROOMY:
            continue
        found = inside.get(()) if () in inside and len(inside) == 1 else _tree(inside)
        if _fits(found, kind):
            context[name] = found
    return context


def _tree(inside: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in inside.items():
        at = tree
        for word in path[:-1]:
            at = at.setdefault(word, {}) if isinstance(at.get(word, {}), dict) else {}
        if path:
            at[path[-1]] = value
    return tree


def _fits(value: Any, kind: Kind) -> bool:
    wanted = {Kind.MAP: dict, Kind.LIST: list, Kind.STRING: str}.get(kind, object)
    return isinstance(value, wanted) and (kind is not Kind.STRINGS or _is_texts(value))


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def run_trial(task: dict[str, Any]) -> Iterator[EvaluationError | object]:
    """Evaluate every source of a task on its worst contexts, one result each; the alarm ends the process."""
    functions = tuple(
        Function(name, tuple(map(Kind, kinds)), Kind(returns)) for name, kinds, returns in task["functions"]
    )
    variables = {name: Kind(kind) for name, kind in task["variables"].items()}
    declarations = Declarations(variables, functions, Limits(*task["limits"]))
    for source in task["sources"]:
        program = compile_expression(source, declarations)
        contexts = list(worst_contexts(program, declarations))
        signal.setitimer(signal.ITIMER_VIRTUAL, CPU_S)
        results = [program.evaluate(declarations.activation(context)) for context in contexts]
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        yield results[-1]


if __name__ == "__main__":
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    for _ in run_trial(json.load(sys.stdin)):
        sys.stdout.write("done\n")
        sys.stdout.flush()
