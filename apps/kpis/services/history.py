"""Invented history, through the same fact writer as the ledger's."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.access.services.units import require_manager
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError
from apps.core.models import User
from apps.kpis.models import HistoryImport, RunFact
from apps.kpis.models.clock import database_now
from apps.kpis.rules.facts import Facts, run_ids_of
from apps.kpis.rules.history import HistoryPlan
from apps.kpis.services.facts import write_facts
from apps.kpis.services.invented import write_invented
from apps.kpis.services.locks import hold_projection

MANAGE = "kpis.manage_target"


@transaction.atomic
def import_history(
    actor: User, *, facts: Facts, plan: HistoryPlan | None = None, part: int = 0, is_last: bool = True
) -> int:
    """Write simulated facts with their own timestamps, marked as such; one entry ``history.imported``; how many runs.

    Every run must have ended in the past, and none may be a real one. A repeat writes nothing and records nothing. A
    long history comes in parts, each whole or not at all; ``unfinished_history`` says where to go on.
    """
    require_manager(actor, None, MANAGE)
    hold_projection()
    ids = [run.run_id for run in facts.runs]
    _check(facts, database_now())
    if RunFact.objects.filter(run_id__any_of=ids, simulated=False).exists():
        raise ConflictError("A run of this history is a real one.")
    known = RunFact.objects.filter(run_id__any_of=ids).count()
    if not ids or known == len(set(ids)):
        return 0
    _check_order(_kept(plan), part)
    write_facts(facts=facts, simulated=True)
    write_invented(facts)
    ends = sorted(run.finished_at for run in facts.runs if run.finished_at is not None)
    imported = HistoryImport.objects.create(
        runs=len(ids),
        workflows=sorted({run.workflow for run in facts.runs}),
        first=ends[0],
        last=ends[-1],
        plan=_kept(plan),
        part=part,
        is_last=is_last,
    )
    said = {
        "runs": len(ids),
        "acts": len(facts.acts),
        "incidents": len(facts.incidents),
        "decisions": len(facts.decisions),
        "costs": len(facts.costs),
        "simulated": True,
    }
    span = {"workflows": imported.workflows, "first": imported.first, "last": imported.last}
    record(actor, imported, "history.imported", payload=said | span)
    return len(ids)


def unfinished_history() -> tuple[HistoryPlan, int] | None:
    """The plan of a history of which parts are missing, and how many are there."""
    newest = HistoryImport.objects.order_by("-created_at", "-id").first()
    if newest is None or newest.is_last:
        return None
    plan = newest.plan
    return HistoryPlan(**{**plan, "until": datetime.fromisoformat(plan["until"])}), newest.part


def _check_order(plan: dict[str, Any], part: int) -> None:
    """Part follows part, and no history begins within another."""
    newest = HistoryImport.objects.order_by("-created_at", "-id").first()
    before = (newest.plan, newest.part) if newest and not newest.is_last else None
    if before != ((plan, part - 1) if part > 1 else None):
        raise ConflictError("Another history is being imported.")


def _kept(plan: HistoryPlan | None) -> dict[str, Any]:
    return {} if plan is None else {**asdict(plan), "until": plan.until.isoformat()}


def _check(facts: Facts, now: datetime) -> None:
    if any(run.finished_at is None or run.finished_at > now for run in facts.runs):
        raise InvalidError("A run of this history has not ended yet.")
    if not set(run_ids_of(facts)) <= {run.run_id for run in facts.runs}:
        raise InvalidError("A fact of this history belongs to no run of it.")
