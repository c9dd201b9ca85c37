"""What is kept of each class of data: why, until when, what is due, what was erased."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast

from apps.agents.models import Action
from apps.classification.models import DataClass
from apps.classification.rules import KEYWORD
from apps.classification.selectors import MANAGE, READ, data_classes_for
from apps.connectors.models import Connector, Operation
from apps.connectors.rules import ConnectorState
from apps.core.gate import scope_for, visible
from apps.core.models import ClockTimestamp, User, database_now
from apps.oversight.models import Escalation
from apps.oversight.models.escalations import OPEN
from apps.oversight.rules import Kind
from apps.workflows.models import Run, WorkflowVersion
from apps.workflows.selectors.veils import classes_of_version

PLANE = "plane"
"""Who erases at the end of retention."""


@dataclass(frozen=True, slots=True)
class Held:
    """Actions, or runs, in the units of whoever asks.

    ``kept`` still hold values of a class, ``open`` of them are under way, ``due`` are over their time; ``next_at``:
    when the next one is (None: never, or nothing is kept). ``erased`` were erased, ``by_retention`` of them because
    their time was up, the last at ``erased_at``.
    """

    kept: int
    open: int
    due: int
    oldest_at: datetime | None
    next_at: datetime | None
    erased: int
    by_retention: int
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class Kept:
    """One class. ``operations`` can carry it, ``systems`` are cleared for it."""

    data_class: DataClass
    actions: Held
    runs: Held
    oldest_at: datetime | None
    next_at: datetime | None
    erased_at: datetime | None
    operations: list[str]
    systems: list[str]


def ended_actions(slug: str) -> QuerySet[Action]:
    """Actions that still hold values of a class, have ended, and about which nobody is asked any more."""
    rows = Action.objects.exclude(classed={}).filter(erased_at=None, classed__has_key=slug, finished_at__isnull=False)
    return rows.exclude(Exists(Escalation.objects.filter(action=OuterRef("pk"), state__in=OPEN)))


def carrying_runs(slug: str) -> QuerySet[Run]:
    """Runs that ended and still hold values of a class: their own, their actions', or answers to their agents."""
    rows = _runs_with(slug).filter(erased_at=None, finished_at__isnull=False)
    return rows.exclude(Exists(Escalation.objects.filter(run_id=OuterRef("pk"), state__in=OPEN)))


def _runs_with(slug: str) -> QuerySet[Run]:
    """Runs that hold values of a class, or did until they were erased.

    But for an erased one that had them from an answer to its agent alone: the question's schema went with it.
    """
    own = [pk for pk in _versions() if any(slug in classed for classed in classes_of_version(pk).values())]
    actions = Action.objects.exclude(classed={}).filter(classed__has_key=slug, run_id=OuterRef("pk"))
    asked = Escalation.objects.filter(run_id=OuterRef("pk"), kind=Kind.QUESTION, answer__isnull=False)
    said = asked.annotate(text=Cast("schema", TextField())).filter(text__contains=f'"{KEYWORD}": "{slug}"')
    return Run.objects.filter(Q(version__in=own) | Exists(actions) | Exists(said))


def _versions() -> list[object]:
    named = WorkflowVersion.objects.annotate(text=Cast("compiled", TextField())).filter(text__contains=KEYWORD)
    return list(named.values_list("pk", flat=True))


def report_for(actor: User) -> list[Kept]:
    """The report on every class, by slug; for those who read the ledger, of their units."""
    now = database_now()
    return [kept_of(actor, found, now=now) for found in data_classes_for(actor)]


def kept_of(actor: User, found: DataClass, *, now: datetime) -> Kept:
    """The report on one class that ``actor`` may see."""
    carrying = Action.objects.exclude(classed={}).filter(classed__has_key=found.slug)
    actions = _held(visible(actor, READ, carrying), days=found.retention_days, now=now)
    runs = _held(visible(actor, READ, _runs_with(found.slug)), days=found.retention_days, now=now)
    there = _systems_for(actor)
    live = Operation.objects.filter(classed__has_key=found.slug, connector__in=there)
    live = live.exclude(state=ConnectorState.RETIRED)
    cleared = there.filter(cleared__contains=[found.slug]).exclude(state=ConnectorState.RETIRED)
    return Kept(
        data_class=found,
        actions=actions,
        runs=runs,
        oldest_at=min(filter(None, (actions.oldest_at, runs.oldest_at)), default=None),
        next_at=min(filter(None, (actions.next_at, runs.next_at)), default=None),
        erased_at=max(filter(None, (actions.erased_at, runs.erased_at)), default=None),
        operations=list(live.order_by("slug").values_list("slug", flat=True)),
        systems=list(cleared.order_by("slug").values_list("slug", flat=True)),
    )


def _systems_for(actor: User) -> QuerySet[Connector]:
    """Systems of the units in which ``actor`` reads the ledger or manages access, and those of no unit."""
    scopes = scope_for(actor, READ), scope_for(actor, MANAGE)
    if any(scope.everywhere for scope in scopes):
        return Connector.objects.all()
    return Connector.objects.filter(Q(unit=None) | Q(unit__in={unit for scope in scopes for unit in scope.units}))


def _held(rows: "QuerySet[Action] | QuerySet[Run]", *, days: int | None, now: datetime) -> Held:
    """``rows``: all that hold values of a class, or did; ``days``: how long they are kept after their end."""
    ended = Q(finished_at__isnull=False)
    past = Q(finished_at__lte=now - timedelta(days=days)) if days else Q(pk__in=[])
    told = rows.aggregate(
        kept=Count("pk", filter=Q(erased_at=None)),
        open=Count("pk", filter=Q(erased_at=None) & ~ended),
        due=Count("pk", filter=Q(erased_at=None) & past),
        oldest=Min("created_at", filter=Q(erased_at=None)),
        first=Min("finished_at", filter=Q(erased_at=None) & ~past),
        erased=Count("pk", filter=Q(erased_at__isnull=False)),
        ours=Count("pk", filter=Q(erased_at__isnull=False, erased_by=PLANE)),
        last=Max("erased_at"),
    )
    return Held(
        kept=told["kept"],
        open=told["open"],
        due=told["due"],
        oldest_at=told["oldest"],
        next_at=told["first"] + timedelta(days=days) if days and told["first"] else None,
        erased=told["erased"],
        by_retention=told["ours"],
        erased_at=told["last"],
    )


def kept_actions_for(actor: User, found: DataClass) -> QuerySet[Action]:
    """Actions that still hold values of a class, those that end first first, the open ones last; of one's units."""
    rows = Action.objects.exclude(classed={}).filter(erased_at=None, classed__has_key=found.slug)
    rows = visible(actor, READ, rows).select_related("agent", "unit", "principal")
    return rows.annotate(now=ClockTimestamp()).order_by("finished_at", "id")


COLUMNS = (
    "class", "name", "purpose", "sensitivity", "retention_days", "visible_to", "hidden_in", "operations", "systems",
    "kept", "open", "due", "oldest_at", "next_at", "erased", "by_retention", "erased_at",
    "runs_kept", "runs_open", "runs_due", "runs_erased", "runs_by_retention",
)  # fmt: skip


def cells_of(kept: Kept) -> list[str | int]:
    """The report on one class as a line of a table, by ``COLUMNS``; what is not said to be of runs is of actions."""
    found, actions, runs = kept.data_class, kept.actions, kept.runs
    times = [moment.isoformat() if moment else "" for moment in (kept.oldest_at, kept.next_at, kept.erased_at)]
    lists = [" ".join(words) for words in (found.visible_to, found.redact_in, kept.operations, kept.systems)]
    return [
        found.slug, found.name, found.purpose, found.sensitivity, found.retention_days or "", *lists,
        actions.kept, actions.open, actions.due, times[0], times[1], actions.erased, actions.by_retention, times[2],
        runs.kept, runs.open, runs.due, runs.erased, runs.by_retention,
    ]  # fmt: skip
