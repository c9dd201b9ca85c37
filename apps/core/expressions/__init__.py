"""Expressions: CEL, compiled and bounded, for the rules of policies and the steps of workflows.

Pure: no database, no clock, no network. ``Declarations`` say what may be named, ``compile_expression`` makes a
``Program``, ``Declarations.activation`` converts a context once for any number of programs.
"""

from apps.core.expressions.programs import (
    Activation,
    Declarations,
    ExpressionError,
    Function,
    FunctionCall,
    Problem,
    Program,
    check_expression,
    compile_expression,
)
from apps.core.expressions.reading import Reading, joined_readings, narrowed, reading_of
from apps.core.expressions.syntax import Node, meaning_of, path_of, walk
from apps.core.expressions.values import LIMITS, ContextError, EvaluationError, Kind, Limits, Plain

__all__ = [
    "LIMITS",
    "Activation",
    "ContextError",
    "Declarations",
    "EvaluationError",
    "ExpressionError",
    "Function",
    "FunctionCall",
    "Kind",
    "Limits",
    "Node",
    "Plain",
    "Problem",
    "Program",
    "Reading",
    "check_expression",
    "compile_expression",
    "joined_readings",
    "meaning_of",
    "narrowed",
    "path_of",
    "reading_of",
    "walk",
]
