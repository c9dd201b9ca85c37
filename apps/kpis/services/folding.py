"""Folding the ledger into facts."""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from apps.audit.models import Entry
from apps.kpis.models import PriceBook, RunFact, rate_book
from apps.kpis.rules.facts import CostSeen, DecisionSeen, Facts, StepSeen, run_ids_of
from apps.kpis.services.facts import write_facts
from apps.kpis.services.incidents import fold_incidents
from apps.kpis.services.judged import judge_actions, judged_in
from apps.kpis.services.locks import hold_projection
from apps.kpis.services.rated import action_costs_rated, human_costs_rated, task_costs_rated
from apps.kpis.services.rates import ACTION_ENDS, USED, costs_rerated, rates_told
from apps.kpis.services.seen import decisions_seen, repriced_costs_rated, run_seen, step_seen, usage_costs_rated
from apps.kpis.services.values import mark_runs

ESCALATION_ENDS = frozenset(
    f"escalation.{state}"
    for state in (
        "approved",
        "rejected",
        "changes_requested",
        "answered",
        "expired",
        "cancelled",
        "superseded",
        "invalidated",
    )
)
REVIEW = "review"
READ_BACK = frozenset({"effect.verified", "effect.mismatch"})


@transaction.atomic
def fold_entries(*, entries: Sequence[Entry]) -> int:
    """Write the facts that these entries tell; how many. The same entries again change nothing."""
    hold_projection()
    facts = facts_in(entries)
    written = _write(entries, facts) if len(facts) else 0
    return written + judge_actions(ids=judged_in(entries)) + fold_incidents(entries=entries)


def _write(entries: Sequence[Entry], facts: Facts) -> int:
    write_told(entries=entries, facts=facts)
    mark_runs(ids={run.run_id for run in facts.runs if run.finished_at})
    return len(facts)


def facts_in(entries: Sequence[Entry]) -> Facts:
    """The facts of these entries, in their order."""
    runs = [run for entry in entries if entry.subject_kind == "run" and (run := run_seen(entry))]
    steps = [step for entry in entries if entry.subject_kind == "step" and (step := step_seen(entry))]
    decisions = decisions_seen(_ended_in(entries))
    costs = _costs(entries, steps, decisions)
    if set_here := rates_told(entries):
        costs += costs_rerated(set_here, rate_book())
    if changed := _models_in(entries):
        costs += [cost for cost, _rates in repriced_costs_rated(changed, rate_book())]
    asked_first = [one for one in decisions if one.kind != REVIEW]  # a look afterwards delays and decides nothing
    looked_at = [
        UUID(run_id) for entry in entries if entry.name in READ_BACK and (run_id := entry.payload.get("run_id"))
    ]
    return Facts(runs, steps, asked_first, costs, looked_at)


def costs_in(entries: Sequence[Entry]) -> list[CostSeen]:
    """The costs of these entries alone, by the prices and rates of now."""
    steps = [step for entry in entries if entry.subject_kind == "step" and (step := step_seen(entry))]
    return _costs(entries, steps, decisions_seen(_ended_in(entries)))


def write_told(*, entries: Sequence[Entry], facts: Facts) -> int:
    """Write what these entries tell, what was invented apart; how many facts. Callers hold the projection's lock."""
    invented = _simulated_runs(entries, facts)
    for simulated in (False, True):
        write_facts(facts=_part(facts, invented, simulated), simulated=simulated)
    return len(facts)


def _ended_in(entries: Sequence[Entry]) -> set[UUID]:
    return {entry.subject_id for entry in entries if entry.name in ESCALATION_ENDS}


def _costs(entries: Sequence[Entry], steps: Sequence[StepSeen], decisions: Sequence[DecisionSeen]) -> list[CostSeen]:
    """What people, agents, systems and models cost."""
    book = rate_book()
    rated = human_costs_rated(decisions, book)
    rated += task_costs_rated(steps, book)
    rated += action_costs_rated([entry for entry in entries if entry.name in ACTION_ENDS], book)
    rated += usage_costs_rated([entry for entry in entries if entry.name == USED], book)
    return [cost for cost, _rates in rated]


def _models_in(entries: Sequence[Entry]) -> set[str]:
    ids = [entry.subject_id for entry in entries if entry.subject_kind == "pricebook"]
    return set(PriceBook.objects.filter(pk__in=ids).values_list("model", flat=True)) if ids else set()


def _simulated_runs(entries: Sequence[Entry], facts: Facts) -> set[UUID]:
    """Runs of tests and rehearsals: they say so in their entries, and their facts said so before."""
    told = {entry.subject_id for entry in entries if entry.subject_kind == "run" and entry.payload.get("simulated")}
    others = set(run_ids_of(facts)) - told
    known = RunFact.objects.filter(run_id__any_of=list(others), simulated=True).values_list("run_id", flat=True)
    return told | set(known)


def _part(facts: Facts, invented: set[UUID], simulated: bool) -> Facts:
    return Facts(
        [row for row in facts.runs if (row.run_id in invented) == simulated],
        [row for row in facts.steps if (row.run_id in invented) == simulated],
        [row for row in facts.decisions if (row.run_id in invented) == simulated],
        [row for row in facts.costs if (row.run_id in invented) == simulated],
        [run_id for run_id in facts.looked_at if (run_id in invented) == simulated],
    )
