"""What somebody may see of a run whose data carries classes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from uuid import UUID

from apps.agents.selectors import veil_of_run
from apps.classification.rules import ANYTHING, Classed, Veil, classed_by
from apps.core.models import User
from apps.workflows.models import Run
from apps.workflows.models.definitions import definition_of_version
from apps.workflows.selectors.reading import StepShown

INPUT = ""


@lru_cache(maxsize=512)
def classes_of_version(version_id: UUID) -> dict[str, Classed]:
    """What carries a class in each step's output, and (``INPUT``) in what starts a run; kept as versions are."""
    definition = definition_of_version(version_id)
    schemas = {INPUT: definition.input, **{name: step.schema for name, step in definition.steps.items()}}
    found = {name: classed_by(schema, ANYTHING)[0] for name, schema in schemas.items() if schema}
    return {name: classed for name, classed in found.items() if classed}


def veil_over(actor: User, run: Run, steps: Sequence[StepShown]) -> Veil:
    """Marks for what ``actor`` may not see of a run that they fetched."""
    outputs = [(step.name, step.output) for step in steps if step.output is not None]
    return veil_of_run(actor, run.pk, *sources_of(run, outputs), unit=run.unit_id)


def sources_of(run: Run, outputs: Sequence[tuple[str, object]]) -> Iterator[tuple[Classed, object]]:
    """What of a run's input and its steps' outputs carries a class. A step over many items has a list of outputs."""
    classes = classes_of_version(run.version_id)
    if INPUT in classes:
        yield classes[INPUT], run.input
    for name, output in outputs:
        for each in (output if isinstance(output, list) else [output]) if name in classes else ():
            yield classes[name], each


def veiled_steps(veil: Veil, steps: Sequence[StepShown]) -> list[StepShown]:
    """The steps with marks in what they gave and what went wrong."""
    if not veil:
        return list(steps)
    return [replace(step, output=veil.over(step.output), error=veil.over(step.error)) for step in steps]
