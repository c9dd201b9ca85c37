"""What an invented history tells beside its runs: acts, incidents and changes, marked as simulated."""

from collections.abc import Sequence

from apps.kpis.models import ActionFact, HistoryMark, IncidentFact
from apps.kpis.models.clock import reporting_zone
from apps.kpis.rules.buckets import local_day
from apps.kpis.rules.facts import ActionSeen, Facts, MarkSeen
from apps.kpis.rules.incidents import IncidentSeen
from apps.kpis.services.rollups import Touched, recompute_rollups

BATCH = 2000


def write_invented(facts: Facts) -> None:
    """Write them, each once, and recompute the days on which they lie. Call under the projection's lock."""
    _write_acts(facts.acts)
    _write_incidents(facts.incidents)
    _write_marks(facts.marks)
    zone = reporting_zone()
    touched: Touched = {("", local_day(act.ended_at, zone)) for act in facts.acts}
    touched |= {(one.workflow, local_day(one.began_at, zone)) for one in facts.incidents}
    recompute_rollups(touched=touched)


def _write_acts(acts: Sequence[ActionSeen]) -> None:
    rows = [
        ActionFact(
            action_id=act.action_id,
            unit=act.unit_id,
            simulated=True,
            agent=act.agent,
            operation=act.operation,
            state=act.state,
            ended_at=act.ended_at,
            alone=act.alone,
            decided=act.decided,
            reviewed=act.reviewed,
            read_back=act.read_back,
            amount_minor=act.amount_minor,
            currency=act.currency,
        )
        for act in acts
    ]
    ActionFact.objects.bulk_create(rows, BATCH, ignore_conflicts=True)


def _write_incidents(incidents: Sequence[IncidentSeen]) -> None:
    rows = [
        IncidentFact(
            kind=one.kind,
            source_id=one.source_id,
            began_at=one.began_at,
            ended_at=one.ended_at,
            workflow=one.workflow,
            unit=one.unit_id,
            simulated=True,
            action_id=one.action_id,
            agent=one.agent,
            about=one.about[:160],
            amount_minor=one.amount_minor,
            currency=one.currency,
        )
        for one in incidents
    ]
    IncidentFact.objects.bulk_create(rows, BATCH, ignore_conflicts=True)


def _write_marks(marks: Sequence[MarkSeen]) -> None:
    rows = [
        HistoryMark(
            kind=mark.kind,
            at=mark.at,
            until=mark.until,
            workflow=mark.workflow,
            unit=mark.unit_id,
            simulated=True,
            name=mark.name,
            number=mark.number,
        )
        for mark in marks
    ]
    HistoryMark.objects.bulk_create(rows, BATCH, ignore_conflicts=True)
