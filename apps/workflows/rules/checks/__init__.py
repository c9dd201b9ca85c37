"""Checking a workflow document: every problem at once, each with its path and its line."""

from apps.workflows.rules.checks.catalogue import NOTHING_ASKED, Catalogue, OperationFacts
from apps.workflows.rules.checks.edges import graph_problems
from apps.workflows.rules.checks.form import duration_problems, form_problems, inner_schema_problems, schema_problems
from apps.workflows.rules.checks.references import reference_problems
from apps.workflows.rules.checks.texts import expression_problems
from apps.workflows.rules.definition import compile_document, definition_of
from apps.workflows.rules.source import Problem, Source

__all__ = ["NOTHING_ASKED", "Catalogue", "OperationFacts", "check_document", "schema_problems"]


def check_document(source: Source, catalogue: Catalogue = NOTHING_ASKED) -> list[Problem]:
    """Everything wrong with the document; nothing if it may be published.

    The checks come in stages (form, graph, expressions, what it refers to); a stage runs only when those before it
    found nothing, because its messages would be noise.
    """
    for stage in (form_problems, duration_problems, inner_schema_problems, graph_problems):
        if problems := list(stage(source)):
            return problems
    steps = definition_of(compile_document(source.value, queues=catalogue.queues or frozenset())).steps
    return [*expression_problems(source, steps), *reference_problems(source, steps, catalogue)]
