"""Which runs that failed may begin anew, and why others may not."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.agents.models import Action
from apps.core.gate import visible
from apps.core.models import User
from apps.workflows.models import Retry, Run
from apps.workflows.rules.retrying import Did, RetryState, Unsafe, unsafe_by
from apps.workflows.rules.states import RunState
from apps.workflows.selectors.runs import runs_for

OPERATE = "workflows.operate_run"


def failed_runs_for(actor: User) -> QuerySet[Run]:
    """Runs that failed and that ``actor`` may see, the newest first."""
    return runs_for(actor).filter(state=RunState.FAILED)


def operable_for(actor: User, runs: Sequence[Run]) -> frozenset[UUID]:
    """Those of ``runs`` in which ``actor`` may intervene."""
    rows = visible(actor, OPERATE, Run.objects.filter(pk__in=[run.pk for run in runs]))
    return frozenset(rows.values_list("pk", flat=True)) if actor.is_human else frozenset()


def unsafe_runs_of(actor: User, runs: Sequence[Run], *, asked: bool = True) -> dict[UUID, Unsafe]:
    """Why each of these failed runs (seen by ``actor``) is not begun anew; those not named are safe.

    Whatever was done under a run's key counts, in whichever of the runs that ever had it.
    ``asked``: whether one for which somebody asked already counts as such.
    """
    assert actor.is_active
    ids = [run.pk for run in runs]
    done = _done(runs)
    going = Retry.objects.filter(run__in=ids).exclude(state=RetryState.REFUSED)
    retried, replaced = set(going.values_list("run", flat=True)) if asked else set(), _replaced(ids)
    found = {
        run.pk: unsafe_by(done[_work_of(run)])
        or (Unsafe.REPLACED if run.pk in replaced else None)
        or (Unsafe.ERASED if run.erased_at else None)
        or (Unsafe.SIMULATED if run.simulated else None)
        for run in runs
    }
    return {pk: why for pk, why in (found | dict.fromkeys(retried, Unsafe.RETRIED)).items() if why}


type Work = tuple[UUID, str] | UUID
"""What a run is about: a key of its workflow, else the run alone."""


def _work_of(run: Run) -> Work:
    return (run.workflow_id, run.key) if run.key else run.pk


def _done(runs: Sequence[Run]) -> dict[Work, list[Did]]:
    keyed = {run.key for run in runs if run.key}
    flows = {run.workflow_id for run in runs}
    of_key = Run.objects.filter(workflow__in=flows, key__in=keyed) if keyed else Run.objects.none()
    works = {run.pk: _work_of(run) for run in (*of_key.only("id", "workflow_id", "key"), *runs)}
    found: dict[Work, list[Did]] = defaultdict(list)
    rows = Action.objects.filter(run_id__any_of=list(works))
    for run_id, state, effect, original, error in rows.values_list("run_id", "state", "effect", "compensates", "error"):
        if run_id is not None:
            by_agent = (error or {}).get("by") == "agent"
            found[works[run_id]].append(Did(state, effect, original is not None, by_agent))
    return found


def _replaced(ids: Sequence[UUID]) -> set[UUID]:
    """Those whose key a later run has that goes on or went well: somebody began it anew by other ways."""
    later = Run.objects.filter(workflow=OuterRef("workflow"), key=OuterRef("key"), id__gt=OuterRef("id")).exclude(
        state__in=[RunState.FAILED, RunState.CANCELLED]
    )
    rows = Run.objects.filter(pk__in=ids).exclude(key=None)
    return set(rows.filter(Exists(later)).values_list("pk", flat=True))


def tries_of(actor: User, run: Run) -> dict[str, Retry | None]:
    """The retry of a run (fetched through ``run_for``), and the one that it is itself."""
    assert actor.is_active
    found = Retry.objects.filter(Q(run=run) | Q(started=run))
    return {
        "again": next((one for one in found if one.run_id == run.pk), None),
        "first_try": next((one for one in found if one.started_id == run.pk), None),
    }
