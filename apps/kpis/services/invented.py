"""What an invented history tells beside its runs: acts, incidents and changes, marked as simulated."""

from collections.abc import Sequence
from dataclasses import asdict

from apps.kpis.models import ActionFact, Fact, HistoryMark, IncidentFact
from apps.kpis.models.clock import reporting_zone
from apps.kpis.rules.buckets import local_day
from apps.kpis.rules.facts import ActionSeen, Facts, MarkSeen
from apps.kpis.rules.incidents import IncidentSeen
from apps.kpis.services.rollups import Touched, recompute_rollups

BATCH = 2000


def write_invented(facts: Facts) -> None:
    """Write them, each once, and recompute the days on which they lie. Call under the projection's lock."""
    _write(ActionFact, facts.acts)
    _write(IncidentFact, facts.incidents)
    _write(HistoryMark, facts.marks)
    zone = reporting_zone()
    touched: Touched = {("", local_day(act.ended_at, zone)) for act in facts.acts}
    touched |= {(one.workflow, local_day(one.began_at, zone)) for one in facts.incidents}
    recompute_rollups(touched=touched)


def _write(model: type[Fact], seen: Sequence[ActionSeen | IncidentSeen | MarkSeen]) -> None:
    """Their places have the names of the columns, but for the unit."""
    rows = []
    for one in seen:
        told = asdict(one)
        rows.append(model(unit=told.pop("unit_id"), **{**told, "simulated": True}))
    model._default_manager.bulk_create(rows, BATCH, ignore_conflicts=True)
