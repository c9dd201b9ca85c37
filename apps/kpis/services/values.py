"""What runs give for KPIs of one's own: soon after each is folded, and once more after a change of the definition.

No expression runs under the lock under which facts are written. As a run is folded it is marked, in one statement; the
clock works out what is marked. After a change the runs that were there are gone through page by page, the newest first.
A page's values and the place reached are written together, so a worker that dies repeats one page. A run that ends
meanwhile is not missed: it is marked.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet

from apps.agents.models import Action
from apps.classification.rules import Classed, Veil, marked
from apps.core.models import ClockTimestamp
from apps.kpis.models import Kpi, KpiValue
from apps.kpis.models.business import MARKED
from apps.kpis.rules.business import Aggregate, left_of, outcome_of
from apps.kpis.services.locks import hold_projection
from apps.workflows.models import Run, Step
from apps.workflows.selectors.veils import classes_of_version, sources_of

AT_ONCE = 200
"""So many runs are a page, whether they gave something or not."""
SUCCEEDED = "succeeded"


def mark_runs(*, ids: Collection[UUID]) -> int:
    """Mark these runs for the KPIs of their workflows, those that succeeded; how many values are to be worked out.

    Callers hold the projection's lock. Mostly one query: most workflows have none. What has a value already keeps it.
    """
    if not ids or not (kpis := list(Kpi.objects.all())):
        return 0
    runs = _readable(Run.objects.filter(workflow__slug__in={kpi.workflow for kpi in kpis}, pk__any_of=list(ids)))
    rows = [_row(kpi, run, digest=MARKED) for run in runs for kpi in kpis if kpi.workflow == run.workflow.slug]
    KpiValue.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
    return len(rows)


def fill_values() -> int:
    """Work out a page of what is marked, and go one page further back with each KPI; how many runs that were."""
    waiting = Kpi.objects.filter(filled_at=None).order_by("changed_at", "id")
    return value_marked() + sum(_fill(kpi) for kpi in waiting)


def value_marked() -> int:
    """Work out a page of what is marked, the oldest first; how many values are settled."""
    marked = list(KpiValue.objects.filter(digest=MARKED).order_by("id")[:AT_ONCE])
    if not marked:
        return 0
    kpis = list(Kpi.objects.filter(slug__in={row.kpi for row in marked}))
    rows = _given(kpis, list(_readable(Run.objects.filter(pk__any_of=[row.run_id for row in marked]))))
    return _settle(marked, kpis, rows)


@transaction.atomic
def _settle(marked: Sequence[KpiValue], kpis: Sequence[Kpi], rows: Sequence[KpiValue]) -> int:
    """Write what marked runs gave, and forget marks of which nothing is left: of runs erased, or KPIs removed, since.

    A KPI that was changed since, or is held by a change, keeps its marks for the next time.
    """
    hold_projection()
    held = Kpi.objects.select_for_update(skip_locked=True).filter(pk__in=[kpi.pk for kpi in kpis])
    digests = {kpi.slug: kpi.digest for kpi in kpis}
    here = {kpi.slug for kpi in held if kpi.digest == digests[kpi.slug]}
    removed = {row.kpi for row in marked} - set(Kpi.objects.values_list("slug", flat=True))
    left = KpiValue.objects.filter(pk__in=[row.pk for row in marked], digest=MARKED)
    settled = {(row.kpi, row.run_id): row.pk for row in left if row.kpi in here | removed}
    erased = _erased([row.run_id for row in marked])
    given = [row for row in rows if (row.kpi, row.run_id) in settled and row.run_id not in erased]
    gone = set(settled) - {(row.kpi, row.run_id) for row in given}
    KpiValue.objects.filter(pk__in=[settled[one] for one in gone]).delete()
    _write(given)
    return len(settled)


def _fill(kpi: Kpi) -> int:
    runs = Run.objects.filter(workflow__slug=kpi.workflow)
    if kpi.filled_to is not None:
        runs = runs.filter(pk__lt=kpi.filled_to)
    page = list(runs.order_by("-id").values_list("pk", flat=True)[:AT_ONCE])
    left = set(page) - _known(kpi, page)
    rows = _given([kpi], list(_readable(Run.objects.filter(pk__any_of=list(left)))))
    return len(page) if _keep(kpi, page, rows) else 0


@transaction.atomic
def _keep(kpi: Kpi, page: Sequence[UUID], rows: Sequence[KpiValue]) -> bool:
    """Write a page with the place reached; False where the definition was changed, or another went on from here.

    What was erased or folded since the page was read stays as it is. A row that a change of the definition holds is
    not waited for: whoever holds it may be waiting for the lock.
    """
    hold_projection()
    here = Kpi.objects.select_for_update(skip_locked=True).filter(pk=kpi.pk, digest=kpi.digest, filled_at=None)
    if not here.filter(filled_to=kpi.filled_to).exists():
        return False
    settled = _known(kpi, page) | _erased(page)
    _write([row for row in rows if row.run_id not in settled])
    is_last = len(page) < AT_ONCE
    Kpi.objects.filter(pk=kpi.pk).update(
        filled_to=page[-1] if page else F("filled_to"), filled_at=ClockTimestamp() if is_last else None
    )
    return True


def _known(kpi: Kpi, page: Sequence[UUID]) -> set[UUID]:
    rows = KpiValue.objects.filter(kpi=kpi.slug, digest=kpi.digest, run_id__any_of=list(page))
    return set(rows.values_list("run_id", flat=True))


def _erased(page: Sequence[UUID]) -> set[UUID]:
    return set(Run.objects.filter(pk__any_of=list(page), erased_at__isnull=False).values_list("pk", flat=True))


def _readable(runs: QuerySet[Run]) -> QuerySet[Run]:
    """Those that gave something, and of which it still stands."""
    return runs.filter(state=SUCCEEDED, erased_at=None, finished_at__isnull=False).select_related("workflow")


def _given(kpis: Iterable[Kpi], runs: Sequence[Run]) -> list[KpiValue]:
    """The value of each run for each KPI of its workflow."""
    if not runs:
        return []
    outputs: dict[UUID | None, list[tuple[str, Any]]] = defaultdict(list)
    ids = [run.pk for run in runs]
    steps = Step.objects.filter(run__in=ids, current=True, output__isnull=False).order_by("id")
    for run_id, name, output in steps.values_list("run_id", "name", "output"):
        outputs[run_id].append((name, output))
    asked: dict[UUID | None, list[Any]] = defaultdict(list)
    actions = Action.objects.filter(run_id__in=ids).exclude(classed={})
    for of_run, classed, parameters in actions.values_list("run_id", "classed", "parameters"):
        asked[of_run].append((classed, parameters))
    return [
        _value(kpi, run, output, context)
        for run in runs
        for output, context in [_seen(run, outputs[run.pk], asked[run.pk])]
        for kpi in kpis
        if kpi.workflow == run.workflow.slug
    ]


def _write(rows: Sequence[KpiValue]) -> int:
    changing = ("digest", "value", "fault", "workflow", "unit", "simulated", "finished_at")
    KpiValue.objects.bulk_create(
        rows, batch_size=500, update_conflicts=True, unique_fields=["kpi", "run_id"], update_fields=changing
    )
    return len(rows)


def _seen(run: Run, outputs: list[tuple[str, Any]], asked: list[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an expression sees of a run: nothing that carries a class of data, whoever looks at the figure.

    What a step gave by its schema, and whatever quotes what the run carries. A run's output is its last steps' outputs.
    """
    classes, veil = classes_of_version(run.version_id), Veil([*sources_of(run, outputs), *asked])
    gave = dict(outputs)
    context = left_of(gave, veil.over({name: _marked(output, classes.get(name, {})) for name, output in gave.items()}))
    return {name: context[name] for name in run.output or () if name in context}, context


def _marked(output: Any, classed: Classed) -> Any:
    """With marks by the schema, which is that of each item where a step went over many."""
    seen = marked(output, classed)
    return [marked(each, classed) for each in seen] if isinstance(seen, list) else seen


def _value(kpi: Kpi, run: Run, output: Any, context: dict[str, Any]) -> KpiValue:
    found = outcome_of(kpi.value, Aggregate(kpi.aggregate), output=output, context=context)
    return _row(kpi, run, digest=kpi.digest, value=found.value, fault=found.fault)


def _row(kpi: Kpi, run: Run, **given: Any) -> KpiValue:
    assert run.finished_at is not None
    return KpiValue(
        kpi=kpi.slug,
        run_id=run.pk,
        workflow=kpi.workflow,
        unit=run.unit_id,
        simulated=run.simulated,
        finished_at=run.finished_at,
        **given,
    )
