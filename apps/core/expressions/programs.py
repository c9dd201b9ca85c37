"""Compile once, evaluate often: the one place that touches the CEL library.

Many programs share one ``Activation``, because converting the context costs far more than evaluating (measured: 7,655
decisions a second with one activation for 50 rules, 956 with one for each).
"""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cel_expr_python import cel

from apps.core.expressions import syntax, wording
from apps.core.expressions.syntax import Call, Ident, Literal, Macro, Node, Position
from apps.core.expressions.values import (
    LIMITS,
    EvaluationError,
    Kind,
    Limits,
    Plain,
    checked_context,
    evaluation_error,
    plain_result,
)

_PROBLEM = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_ODD = re.compile(r"[\x00\ud800-\udfff]")
_NOISE = re.compile(r" \(in container ''\)| \[[A-Z_]+\]$")
_GROWING = ("add_string", "add_bytes", "add_list")
_TYPES: dict[Kind, Any] = {
    Kind.BOOL: cel.Type.BOOL,
    Kind.INT: cel.Type.INT,
    Kind.DOUBLE: cel.Type.DOUBLE,
    Kind.STRING: cel.Type.STRING,
    Kind.STRINGS: cel.Type.List(cel.Type.STRING),
    Kind.TIMESTAMP: cel.Type.TIMESTAMP,
    Kind.LIST: cel.Type.List(cel.Type.DYN),
    Kind.MAP: cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    Kind.DYN: cel.Type.DYN,
}
_RETURNS: dict[Kind, frozenset[str]] = {
    Kind.STRINGS: frozenset({"LIST"}),
    Kind.LIST: frozenset({"LIST"}),
    Kind.MAP: frozenset({"MAP"}),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a source; line and column count from 1."""

    message: str
    line: int
    column: int


class ExpressionError(ValueError):
    """A source that does not compile or breaks a limit; ``problems`` has all that was found, at least one."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        first = problems[0]
        self.message, self.line, self.column = first.message, first.line, first.column
        super().__init__(f"{first.line}:{first.column}: {first.message}")


@dataclass(frozen=True, slots=True)
class Function:
    """A function whose value is bound before evaluation: its arguments must be literals."""

    name: str
    parameters: tuple[Kind, ...]
    returns: Kind = Kind.INT


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """One use of a ``Function``: what the caller computes and binds in the activation."""

    name: str
    arguments: tuple[bool | int | float | str | bytes | None, ...]


@dataclass(frozen=True)
class Declarations:
    """The variables (qualified names and kinds) and functions that a family of expressions may use."""

    variables: Mapping[str, Kind]
    functions: tuple[Function, ...] = ()
    limits: Limits = LIMITS
    _environment: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_environment", _environment(self))

    def activation(
        self,
        values: Mapping[str, Any],
        calls: Mapping[FunctionCall, int | float | str | bool] | None = None,
        *,
        reads: frozenset[str] | None = None,
    ) -> "Activation":
        """The context for any number of programs; ContextError when a value is not one expressions take.

        ``reads``: the variables that these programs read, where that is known: all are checked, others are not
        converted, which is most of the work where values are large.
        """
        context = checked_context(values, self.variables, self.limits)
        if reads is not None:
            context = {name: value for name, value in context.items() if name in reads}
        return Activation(self._environment.Activation(context), calls or {})


@dataclass(frozen=True, slots=True)
class Activation:
    """A converted context, shared by the programs that run on it."""

    handle: Any
    calls: Mapping[FunctionCall, int | float | str | bool]


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled source. ``tree`` is what it says, ``calls`` what must be bound before it runs.

    ``reads``: the variables that it names; whatever the others are, it comes to the same.
    """

    source: str
    tree: Node
    calls: tuple[FunctionCall, ...]
    reads: frozenset[str]
    limits: Limits
    handle: Any

    def evaluate(self, activation: Activation) -> Plain | EvaluationError:
        """The result as plain Python; an EvaluationError where there is none."""
        value = self._run(activation)
        if isinstance(value, EvaluationError):
            return value
        return plain_result(value.type().name(), value.value(), self.limits)

    def test(self, activation: Activation) -> bool | EvaluationError:
        """The result of a condition; anything but true and false is an EvaluationError."""
        value = self._run(activation)
        if isinstance(value, EvaluationError):
            return value
        content = value.value()
        if content is True or content is False:
            return bool(content)
        kind = value.type().name()
        if kind == "ERROR":
            return evaluation_error(str(content))
        return EvaluationError(f"a condition is true or false, not {kind.lower()}")

    def _run(self, activation: Activation) -> Any:
        if self.calls:
            _bound.calls = activation.calls
        try:
            return self.handle.eval(activation.handle)
        except (RuntimeError, ValueError) as error:  # spent budgets, duplicate keys: the library raises these alone
            return evaluation_error(str(error))
        finally:
            if self.calls:
                _bound.calls = {}


def compile_expression(source: str, declarations: Declarations, *, returns: Kind | None = None) -> Program:
    """The program for ``source``; ExpressionError says what is wrong and where.

    ``returns`` is the kind of result wanted; an expression whose kind shows only when it runs passes.
    """
    limits = declarations.limits
    _require_readable(source, limits)
    try:
        handle = declarations._environment.compile(source)
    except (RuntimeError, ValueError) as error:
        raise ExpressionError(*_problems_of(str(error), source)) from None
    tree = syntax.tree_of(handle.serialize())
    functions = frozenset(function.name for function in declarations.functions)
    problems = [*_breaches(tree, limits), *_open_calls(tree, functions), *_wrong_kind(handle, tree, returns)]
    if problems:
        raise ExpressionError(*problems)
    reads = frozenset(
        node.name for node in syntax.walk(tree) if isinstance(node, Ident) and node.name in declarations.variables
    )
    return Program(source, tree, _calls_of(tree, functions), reads, limits, handle)


def _require_readable(source: str, limits: Limits) -> None:
    if not source.strip():
        raise ExpressionError(Problem("The expression is empty.", 1, 1))
    if len(source) > limits.source_chars:
        raise ExpressionError(Problem(f"Longer than {limits.source_chars} characters.", 1, 1))
    odd = _ODD.search(source)
    if odd:
        line, before = source.count("\n", 0, odd.start()) + 1, source.rfind("\n", 0, odd.start())
        raise ExpressionError(Problem(f"U+{ord(odd.group()):04X} in the source.", line, odd.start() - before))


def check_expression(source: str, declarations: Declarations, *, returns: Kind | None = None) -> tuple[Problem, ...]:
    """Everything wrong with ``source``; nothing if it compiles."""
    try:
        compile_expression(source, declarations, returns=returns)
    except ExpressionError as error:
        return error.problems
    return ()


_bound = threading.local()


def _bound_value(name: str) -> Callable[..., Any]:
    def value(*arguments: Any) -> Any:
        call = FunctionCall(name, arguments)
        if call not in _bound.calls:
            raise LookupError(f"{name} is not bound")
        return _bound.calls[call]

    return value


def _environment(declarations: Declarations) -> Any:
    functions = [
        cel.FunctionDecl(
            function.name,
            [
                cel.Overload(
                    function.name.replace(".", "_"),
                    return_type=_TYPES[function.returns],
                    parameters=[_TYPES[kind] for kind in function.parameters],
                    impl=_bound_value(function.name),
                )
            ],
        )
        for function in declarations.functions
    ]
    variables = {name: _TYPES[kind] for name, kind in declarations.variables.items()}
    return cel.NewEnv(variables=variables, functions=functions)


def _problems_of(text: str, source: str) -> list[Problem]:
    """What the library says, in words: all of it, or the first that cannot be read, as what follows is its recovery."""
    said = [
        Problem(_NOISE.sub("", message), max(int(line), 1), max(int(column), 1))
        for line, column, message in _PROBLEM.findall(text)
        if not message.startswith(wording.ECHO)
    ]
    unread = [problem for problem in said if wording.is_of_syntax(problem.message)]
    told = [min(unread, key=lambda problem: (problem.line, problem.column))] if unread else dict.fromkeys(said)
    found = [replace(one, message=wording.in_words(one.message, source, one.line, one.column)) for one in told]
    return found or [Problem(evaluation_error(text).message, 1, 1)]


def _at(message: str, at: Position) -> Problem:
    return Problem(message, at.line, at.column)


def _breaches(tree: Node, limits: Limits) -> list[Problem]:
    """What the library would run and should not: too many loops, growing values and patterns inside them."""
    macros = [node for node in syntax.walk(tree) if isinstance(node, Macro)]
    problems = [_at(f"More than {limits.macros} macros.", extra.at) for extra in macros[limits.macros :]]
    for macro in macros:
        for node in _repeated(macro):
            if isinstance(node, Call) and _grows(node):
                problems.append(_at("Concatenation inside a macro.", node.at))
            elif isinstance(node, Call) and node.function == "matches":
                problems.append(_at("matches() inside a macro.", node.at))
    problems.extend(
        _at("The pattern of matches() must be a literal.", node.at)
        for node in syntax.walk(tree)
        if isinstance(node, Call) and node.function == "matches" and not isinstance(node.arguments[-1], Literal)
    )
    return list(dict.fromkeys(problems))


def _repeated(macro: Macro) -> list[Node]:
    return [node for part in (macro.condition, macro.step) for node in syntax.walk(part)]


def _grows(call: Call) -> bool:
    if call.function != "_+_" or syntax.is_accumulator(call.arguments[0]):
        return False
    return any(overload.startswith(_GROWING) for overload in call.overloads)


def _open_calls(tree: Node, functions: frozenset[str]) -> list[Problem]:
    return [
        _at(f"The arguments of {node.function}() must be literals.", node.at)
        for node in syntax.walk(tree)
        if isinstance(node, Call)
        and node.function in functions
        and not all(isinstance(argument, Literal) for argument in node.arguments)
    ]


def _calls_of(tree: Node, functions: frozenset[str]) -> tuple[FunctionCall, ...]:
    found = {
        FunctionCall(node.function, tuple(arg.value for arg in node.arguments if isinstance(arg, Literal))): None
        for node in syntax.walk(tree)
        if isinstance(node, Call) and node.function in functions
    }
    return tuple(found)


def _wrong_kind(handle: Any, tree: Node, returns: Kind | None) -> list[Problem]:
    if returns is None or returns is Kind.DYN:
        return []
    found = handle.return_type().name().split("<")[0]
    if found == "DYN" or found in _RETURNS.get(returns, {returns.name}):
        return []
    return [_at(f"Gives {found.lower()}, not {returns.value}.", syntax.START)]
