"""What must not be done twice at once: the key of an operation's parameters, and what it may be."""

from collections.abc import Mapping
from typing import Any

from apps.core.expressions import (
    ContextError,
    Declarations,
    EvaluationError,
    ExpressionError,
    Kind,
    compile_expression,
)
from apps.core.rules import ValueProblem, digest_of

KEYED = Declarations({"request": Kind.MAP})
"""What the key of an operation is made of: what is asked."""

KEY_MAX = 200


def exclusive_problem(source: str) -> str:
    """Why this makes no key; empty where it does, or where nothing is said."""
    if not source:
        return ""
    try:
        compile_expression(source, KEYED)
    except ExpressionError as error:
        return str(error)
    return ""


def key_of(source: str, parameters: Mapping[str, Any], *, environment: str) -> str:
    """The digest of the key that ``source`` makes of the parameters; empty where it makes an empty text: no key.

    A digest, because parameters may carry what not everybody sees. What is tried with a test key stands in a line of
    its own. Raises ValueProblem where there is no key to be had: what cannot be kept apart must not run.
    """
    if not source:
        return ""
    try:
        value = compile_expression(source, KEYED).evaluate(KEYED.activation({"request": dict(parameters)}))
    except (ContextError, ExpressionError) as error:
        raise ValueProblem(f"What it may not run beside cannot be told: {error}") from error
    if isinstance(value, EvaluationError):
        raise ValueProblem(f"What it may not run beside cannot be told: {value.message}")
    if isinstance(value, bool) or not isinstance(value, str | int) or len(str(value)) > KEY_MAX:
        raise ValueProblem(f"What it may not run beside is no text of at most {KEY_MAX} characters.")
    return digest_of([environment, str(value)]) if str(value) else ""
