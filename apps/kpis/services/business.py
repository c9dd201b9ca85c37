"""Commands on KPIs of one's own."""

from typing import Any

from django.db import transaction

from apps.access.services.units import require_manager, write_if_changed
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError
from apps.core.expressions import ExpressionError
from apps.core.expressions.trial import slow_expressions
from apps.core.models import ClockTimestamp, User
from apps.core.rules import digest_of
from apps.kpis.models import Baseline, Kpi, KpiValue, Target
from apps.kpis.rules import DEFINITIONS, LIVE, Direction
from apps.kpis.rules.business import OF_RUN, Aggregate, program_of, say_the_same
from apps.kpis.rules.definitions import RELEASES, UPTIME
from apps.kpis.services.baselines import refuse_approved, reopen_baselines
from apps.kpis.services.goals import MANAGE, unit_of

LONGEST = 40
PAGES = ("versions", "weeks")
"""Pages of a workflow that stand where the list behind a figure of this name would."""


@transaction.atomic
def save_kpi(
    actor: User, *, slug: str, name: str, workflow: str, value: str, aggregate: str, direction: str, unit: str = ""
) -> tuple[Kpi, str]:
    """Say what a figure of a workflow is; with ``created``, ``changed`` or ``unchanged``.

    Defined anew (another expression by what it means, another aggregate or workflow), the values that runs gave before
    count no more. No run is looked at here: that is done by the clock (``services.values``). Raises ConflictError
    ``invalid_state`` for that while an approved baseline holds against it, which takes two people to end; InvalidError
    for an expression that does not compile or is slow at its worst.
    """
    require_manager(actor, unit_of(workflow), MANAGE)
    if len(slug) > LONGEST:
        raise InvalidError(errors={"slug": [f"At most {LONGEST} characters."]})
    if slug in {*DEFINITIONS, *LIVE, *RELEASES, *UPTIME, *PAGES}:
        raise InvalidError(errors={"slug": ["The plane's own figures or pages are called so."]})
    found = Kpi.objects.select_for_update().filter(slug=slug).first()
    if found and found.workflow != workflow:
        require_manager(actor, unit_of(found.workflow, known=False), MANAGE)
    row = found or Kpi(slug=slug)
    before = row.digest
    kind = _compiled(value, aggregate)
    values = {
        "name": name,
        "unit": unit,
        "direction": str(_one_of(Direction, direction, "direction")),
        "workflow": workflow,
        "value": value,
        "aggregate": str(kind),
        "digest": before if found and _is_same(found, value, kind, workflow) else digest_of([value, kind, workflow]),
    }
    is_another = found is not None and values["digest"] != before
    if is_another:
        refuse_approved(kpi=slug)
    said = write_if_changed(actor, row, is_new=found is None, values=values)
    if said == "changed":
        again: dict[str, Any] = {"filled_to": None, "filled_at": None} if is_another else {}
        Kpi.objects.filter(pk=row.pk).update(changed_at=ClockTimestamp(), **again)
        if is_another:
            reopen_baselines(actor, kpi=slug)
    return row, said


@transaction.atomic
def delete_kpi(actor: User, *, kpi: Kpi) -> None:
    """Remove a KPI with the values that runs gave for it; the ledger keeps what it said. Its goals go first.

    The row is held and no lock of the facts: who works values out passes by what is held, and forgets marks of what is
    gone.
    """
    require_manager(actor, unit_of(kpi.workflow, known=False), MANAGE)
    Kpi.objects.select_for_update().filter(pk=kpi.pk).first()
    goals = (Target.objects.all(), Baseline.objects.filter(ended_at=None))
    if any(rows.filter(kpi=kpi.slug).exists() for rows in goals):
        raise ConflictError("A baseline or a target holds against it: remove that first.", code="invalid_state")
    record(actor, kpi, "deleted", payload={"workflow": kpi.workflow, "name": kpi.name, "value": kpi.value})
    KpiValue.objects.filter(kpi=kpi.slug).delete()
    kpi.delete()


def _is_same(kpi: Kpi, value: str, aggregate: Aggregate, workflow: str) -> bool:
    """Whether it is the figure that it was: the same values of the same runs, put together in the same way."""
    return (kpi.workflow, kpi.aggregate) == (workflow, aggregate) and say_the_same(kpi.value, value, aggregate)


def _compiled(value: str, aggregate: str) -> Aggregate:
    kind = _one_of(Aggregate, aggregate, "aggregate")
    try:
        program = program_of(value, kind)
    except ExpressionError as error:
        raise InvalidError(errors={"value": [str(error)]}) from error
    if slow_expressions([program], OF_RUN):
        raise InvalidError(errors={"value": ["This takes more than a second on a run as large as it may be."]})
    return kind


def _one_of[E: (Aggregate, Direction)](words: type[E], text: str, field: str) -> E:
    if text not in list(words):
        raise InvalidError(errors={field: [f"One of {', '.join(words)}."]})
    return words(text)
