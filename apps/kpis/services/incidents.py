"""Incidents: each begins with one entry of the ledger and ends with another."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from apps.agents.models import Action
from apps.agents.rules import Environment
from apps.audit.models import Entry
from apps.connectors.models import Effect
from apps.halts.models import Halt, Trip
from apps.kpis.models import IncidentFact, RunFact
from apps.kpis.models.clock import reporting_zone
from apps.kpis.rules.buckets import local_day
from apps.kpis.rules.incidents import BEGINS, ENDS, IncidentKind, IncidentSeen
from apps.kpis.services.rollups import recompute_rollups
from apps.oversight.models import Escalation
from apps.oversight.rules import Kind

TOLD = frozenset(BEGINS) | frozenset(ENDS)
ANSWERED = "escalation.answered"


def fold_incidents(*, entries: Sequence[Entry]) -> int:
    """Write the incidents that these entries, in their order, begin or end; how many began.

    The same entries again change nothing.
    """
    begun = _begun([entry for entry in entries if entry.name in BEGINS])
    known = _known(entries) | {one.source_id for one in begun.values()}
    mended = _mended(entries)
    for entry in entries:
        if (one := begun.get(entry.pk)) is not None:
            _begin(one)
        if entry.subject_id in known and entry.name in ENDS and _is_end(entry):
            _close(Q(kind__in=ENDS[entry.name], source_id=entry.subject_id), entry.occurred_at)
        if entry.subject_id in mended and entry.name == ANSWERED:
            _close(Q(kind=IncidentKind.MISMATCH, action_id=mended[entry.subject_id]), entry.occurred_at)
    zone = reporting_zone()
    recompute_rollups(touched={(one.workflow, local_day(one.began_at, zone)) for one in begun.values()})
    return len(begun)


def unfolded_incidents(limit: int) -> list[Entry]:
    """Entries that begin an incident which nobody wrote down, and all that end them: those from before it was done."""
    known = IncidentFact.objects.filter(source_id=OuterRef("subject_id"))
    tried = Action.objects.exclude(environment=Environment.LIVE)
    never = Q(subject_id__in=tried.values("pk")) | Q(
        subject_id__in=Effect.objects.filter(action__in=tried).values("pk")
    )
    begun = Entry.objects.filter(Q(name__in=sorted(BEGINS)), ~Exists(known)).exclude(never)
    lost = begun.order_by("id")[:limit]
    sources = {entry.subject_id for entry in lost}
    return list(Entry.objects.filter(subject_id__in=sources, name__in=sorted(TOLD)).order_by("id")) if sources else []


def _begin(one: IncidentSeen) -> None:
    """Once; what was in order and goes wrong again is the same incident, which goes on."""
    values = {
        "began_at": one.began_at,
        "workflow": one.workflow,
        "unit": one.unit_id,
        "action_id": one.action_id,
        "run_id": one.run_id,
        "version": one.version,
        "agent": one.agent,
        "about": one.about[:160],
        "amount_minor": one.amount_minor,
        "currency": one.currency,
        "simulated": one.simulated,
    }
    fact, is_new = IncidentFact.objects.get_or_create(kind=one.kind, source_id=one.source_id, defaults=values)
    if not is_new and fact.ended_at is not None and fact.ended_at < one.began_at:
        IncidentFact.objects.filter(pk=fact.pk).update(ended_at=None)


def _is_end(entry: Entry) -> bool:
    """A first reading that fits mends nothing; a person's word that it is in order does."""
    return entry.name != "effect.verified" or bool(entry.payload.get("reconciled"))


def _known(entries: Sequence[Entry]) -> set[UUID]:
    """Which of the subjects of entries that could end an incident are one."""
    ids = {entry.subject_id for entry in entries if entry.name in ENDS}
    rows = IncidentFact.objects.filter(source_id__any_of=list(ids)) if ids else IncidentFact.objects.none()
    return set(rows.values_list("source_id", flat=True))


def _mended(entries: Sequence[Entry]) -> dict[UUID, UUID | None]:
    """Items in which people said what they found of an action, by the item: with that a mismatch is over."""
    ids = [entry.subject_id for entry in entries if entry.name == ANSWERED]
    items = Escalation.objects.filter(pk__in=ids, kind=Kind.EXCEPTION, action__isnull=False)
    return dict(items.values_list("pk", "action_id")) if ids else {}


def _close(which: Q, at: datetime) -> None:
    IncidentFact.objects.filter(which, began_at__lte=at, ended_at=None).update(ended_at=at)


def _begun(entries: Sequence[Entry]) -> dict[int, IncidentSeen]:
    """The incidents that entries begin, by the entry."""
    if not entries:
        return {}
    actions = _actions([_action_of(entry) for entry in entries])
    tripped = set(Trip.objects.filter(halt__in=_subjects(entries, "halt.engaged")).values_list("halt_id", flat=True))
    halts = {halt.pk: halt for halt in Halt.objects.filter(pk__in=_subjects(entries, "halt.engaged"))}
    runs = {run.pk: run for run in RunFact.objects.filter(pk__in=_trails(entries))}
    found: dict[int, IncidentSeen] = {}
    for entry in entries:
        kind = BEGINS[entry.name]
        if kind == IncidentKind.HALT:
            found[entry.pk] = _of_halt(entry, halts.get(entry.subject_id), entry.subject_id in tripped)
        elif kind == IncidentKind.UNCOMPENSATED:
            found[entry.pk] = _of_compensation(entry, runs.get(entry.trail_id))
        elif (action := actions.get(_action_of(entry))) is not None:
            found[entry.pk] = _of_action(entry, kind, action, runs.get(action.run_id) if action.run_id else None)
    return found


def _action_of(entry: Entry) -> UUID | None:
    if entry.subject_kind == "action":
        return entry.subject_id
    told = entry.payload.get("action")
    return UUID(str(told)) if entry.name == "effect.mismatch" and told else None


def _actions(ids: Iterable[UUID | None]) -> Mapping[UUID | None, Action]:
    rows = Action.objects.filter(pk__in=[pk for pk in ids if pk], environment=Environment.LIVE).select_related("agent")
    return {action.pk: action for action in rows}


def _subjects(entries: Sequence[Entry], name: str) -> list[UUID]:
    return [entry.subject_id for entry in entries if entry.name == name]


def _trails(entries: Sequence[Entry]) -> list[UUID]:
    return [entry.trail_id for entry in entries if entry.name != "halt.engaged"]


def _of_action(entry: Entry, kind: IncidentKind, action: Action, run: RunFact | None) -> IncidentSeen:
    return IncidentSeen(
        kind=kind,
        source_id=entry.subject_id,
        began_at=entry.occurred_at,
        workflow=action.workflow,
        unit_id=action.unit_id,
        action_id=action.pk,
        run_id=action.run_id,
        version=run.version if run else 0,
        agent=action.agent.slug if action.agent else "",
        about=action.operation,
        amount_minor=action.amount_minor,
        currency=action.currency,
        simulated=bool(run and run.simulated),
    )


def _of_compensation(entry: Entry, run: RunFact | None) -> IncidentSeen:
    return IncidentSeen(
        kind=IncidentKind.UNCOMPENSATED,
        source_id=entry.subject_id,
        began_at=entry.occurred_at,
        workflow=run.workflow if run else "",
        unit_id=entry.unit,
        run_id=entry.trail_id,
        version=run.version if run else 0,
        about=str(entry.payload.get("operation") or ""),
        simulated=bool(run and run.simulated),
    )


def _of_halt(entry: Entry, halt: Halt | None, tripped: bool) -> IncidentSeen:
    scope, target = (halt.scope, halt.target) if halt else ("", "")
    return IncidentSeen(
        kind=IncidentKind.BREAKER if tripped else IncidentKind.HALT,
        source_id=entry.subject_id,
        began_at=entry.occurred_at,
        workflow=target if scope == "workflow" else "",
        unit_id=entry.unit,
        agent=target if scope == "agent" else "",
        about=f"{scope} {target}".strip(),
    )
