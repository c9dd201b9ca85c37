"""What somebody may see of a run whose data carries classes."""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import lru_cache
from uuid import UUID

from apps.agents.models import Action
from apps.agents.selectors import hidden_of, shown_to, veil_of_run
from apps.classification.rules import ANYTHING, Classed, Place, Veil, classed_by, named
from apps.classification.selectors import hidden_for
from apps.core.gate import recall
from apps.core.models import User
from apps.oversight.models import Escalation
from apps.oversight.rules import Kind
from apps.policies.selectors.quiet import quieted_for
from apps.workflows.models import Run, Step
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


def marks_of(run: Run) -> Veil:
    """Marks for all that a run carries so far, whoever looks: for what the plane writes. Mostly one query."""
    return Veil(_carried_by(run))


def _carried_by(run: Run) -> list[tuple[Classed, object]]:
    names = [name for name in classes_of_version(run.version_id) if name != INPUT]
    rows = Step.objects.filter(run=run.pk, name__in=names, output__isnull=False)
    return list(sources_of(run, rows.values_list("name", "output") if names else ()))


def _carried_in(run_id: UUID) -> list[tuple[Classed, object]]:
    run = Run.objects.filter(pk=run_id).first()
    return _carried_by(run) if run else []


def action_shown_to(actor: User, action: Action) -> Action:
    """The action to be shown to ``actor``, who fetched it.

    What carries a class and came from its run is marked in what systems answered too, wherever they quote a part, and
    confidential rules have no names for those who may not see them.
    """
    shown = shown_to(actor, action)
    if action.run_id is not None and (veil := veil_before(actor, action)):
        shown.result, shown.error, shown.refusal = map(veil.over, (shown.result, shown.error, shown.refusal))
    if (told := quieted_for(actor, shown.verdict)) != shown.verdict:
        shown = copy(shown)
        shown.verdict = told
    return shown


def veil_before(actor: User, action: Action) -> Veil:
    """Marks for what ``actor`` may not see of an action and of what its run carries. Mostly no query."""
    if not (hide := hidden_of(actor, action)):
        return Veil([])
    sources: list[tuple[Classed, object]] = [(action.classed, action.parameters)]
    if run_id := action.run_id:
        sources += recall(actor, f"workflows.carried.{run_id}", lambda: _carried_in(run_id))
        slugs = {slug for classed, _value in sources for slug in classed}
        hide |= hidden_for(actor, slugs - hide, unit=action.unit_id, place=Place.INBOX)
    return Veil(sources, hide)


def sources_of(run: Run, outputs: Iterable[tuple[str, object]]) -> Iterator[tuple[Classed, object]]:
    """What carries a class of a run's input, its steps' outputs, and what people answered to its agents' questions.

    A step over many items has a list of outputs.
    """
    classes = classes_of_version(run.version_id)
    if INPUT in classes:
        yield classes[INPUT], run.input
    for name, output in outputs:
        for each in (output if isinstance(output, list) else [output]) if name in classes else ():
            yield classes[name], each
    answered = Escalation.objects.filter(run_id=run.pk, kind=Kind.QUESTION, answer__isnull=False)
    for schema, answer in answered.values_list("schema", "answer"):
        if named(schema):
            yield classed_by(schema, ANYTHING)[0], answer


def veiled_steps(veil: Veil, steps: Sequence[StepShown]) -> list[StepShown]:
    """The steps with marks in what they gave and what went wrong."""
    if not veil:
        return list(steps)
    return [replace(step, output=veil.over(step.output), error=veil.over(step.error)) for step in steps]
