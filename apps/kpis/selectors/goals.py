"""Baselines and targets, read whole: there are few."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.access.selectors import unit_ids_below
from apps.audit.models import Entry
from apps.core.errors import NotFoundError
from apps.core.gate import require, scope_for, visible
from apps.core.models import User
from apps.kpis.models import Baseline, RollupDay, Target
from apps.kpis.models.clock import reporting_currency, reporting_zone
from apps.kpis.models.goals import LIVE
from apps.kpis.rules.buckets import local_day, local_midnight
from apps.kpis.rules.definitions import Definition, Measures
from apps.kpis.rules.figures import Figure
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.rules.goals import (
    BaselineSeen,
    BaselineState,
    TargetSeen,
    baseline_in_force,
    counting,
    gives_way_on,
    mix_of,
    mixed_baseline,
    target_in_force,
)
from apps.kpis.selectors.approvals import REMOVAL_ASKED
from apps.kpis.selectors.definitions import VIEW, definitions_for, hidden_for
from apps.workflows.models import Workflow

MANAGE = "kpis.manage_target"
COST_KPI = "cost_per_success_minor"
TIME_KPI = "human_time_s"
SAVED_KPIS = (COST_KPI, TIME_KPI)
RESTS_ON = {"savings_minor": COST_KPI, "roi": COST_KPI, "time_saved_s": TIME_KPI}
"""The figures that are what they are against a baseline of another."""
COST_MICRO, HUMAN_MS = "cost_micro", "human_ms"
"""What a run took, by the column of its fact that says how much."""
INSTANT = timedelta(microseconds=1)
"""A period ends just before its end: a baseline from that day on is the next one's."""


@dataclass(frozen=True, slots=True)
class BaselineCost:
    """What a success took ``of`` money or time before, for runs that started in ``since`` until before ``until``."""

    workflow: str
    since: datetime
    until: datetime | None
    amount: int
    of: str = COST_MICRO


@dataclass(frozen=True, slots=True)
class Goals:
    """Every baseline and target. ``whole``: the workflows of which a question is about everything; None: of all.

    ``waiting``: of which workflow a baseline, a correction or a removal waits for somebody else, and since when.
    """

    baselines: tuple[BaselineSeen, ...]
    targets: tuple[TargetSeen, ...]
    whole: frozenset[str] | None = None
    waiting: tuple[tuple[str, datetime], ...] = ()

    def is_held(self, definition: Definition, goal: BaselineSeen | TargetSeen | None, workflow: str) -> bool:
        """Whether a figure of this workflow, or of all, may be held against a goal.

        So many a day are of the whole of what the goal is for: a part of it, a unit or a version say, has less by being
        a part. Rates, medians and costs of one are held against it all the same.
        """
        if goal is None or not definition.is_amount:
            return goal is not None
        return goal.workflow == workflow and (self.whole is None or workflow in self.whole)

    def baseline_of(
        self, definition: Definition, asked: KpiFilter, workflows: Mapping[str, Measures]
    ) -> BaselineSeen | None:
        """What this figure was before; of several workflows by what each counts, unless one baseline is for all."""
        day = local_day(asked.period.end - INSTANT, asked.zone)
        own = baseline_in_force(self.baselines, asked.workflow, definition.key, day)
        if own is not None or asked.workflow:
            return own if self.is_held(definition, own, asked.workflow) else None
        mix = mix_of(definition, workflows)
        found = {name: baseline_in_force(self.baselines, name, definition.key, day) for name in mix}
        found = {name: one if self.is_held(definition, one, name) else None for name, one in found.items()}
        value = mixed_baseline(definition, {name: one.value if one else None for name, one in found.items()}, mix)
        known = [found[name] for name in sorted(found) if mix[name] and found[name]]
        return None if value is None else _mixed([one for one in known if one], value)

    def target_of(self, definition: Definition, asked: KpiFilter) -> TargetSeen | None:
        """What this figure should be."""
        target = target_in_force(self.targets, asked.workflow, definition.key)
        return target if self.is_held(definition, target, asked.workflow) else None

    def are_costs_approved(self, workflow: str, kpi: str = COST_KPI) -> bool:
        """Whether somebody else approved every such baseline of this workflow, or of all where none is named."""
        rows = [one for one in self.baselines if one.kpi == kpi]
        return all(one.approved for one in rows if not workflow or one.workflow in {workflow, ""})

    def unapproved(self, figure: Figure, workflow: str) -> str:
        """That nobody approved what a figure such as savings rests on (ADR 0030), in words; empty for all else."""
        rests_on = RESTS_ON.get(figure.definition.key)
        if rests_on is None or figure.value is None or self.are_costs_approved(workflow, rests_on):
            return ""
        return _("baseline not approved")

    def costs(self) -> list[BaselineCost]:
        """What a success took before, of money and of people's time, in the order in which it applies.

        A workflow's own before one for all, newest first.
        """
        scales = {COST_KPI: (COST_MICRO, micro_per_minor(reporting_currency())), TIME_KPI: (HUMAN_MS, 1000)}
        return [cost for kpi, (of, scale) in scales.items() for cost in self._costs(kpi, of, scale)]

    def _costs(self, kpi: str, of: str, scale: int) -> list[BaselineCost]:
        rows = [one for one in self.baselines if one.kpi == kpi]
        zone, found = reporting_zone(), list[BaselineCost]()
        for workflow in sorted({one.workflow for one in rows}, reverse=True):
            own = sorted((one for one in rows if one.workflow == workflow), key=lambda one: one.valid_from)
            starts: list[datetime | None] = [*(local_midnight(one.valid_from, zone) for one in own), None]
            for one, (since, until) in zip(own, pairwise(starts), strict=True):
                assert since is not None
                day = gives_way_on(one, rows)
                ends = [moment for moment in (until, local_midnight(day, zone) if day else None) if moment]
                found.append(BaselineCost(workflow, since, min(ends, default=None), round(one.value * scale), of))
        return found


def _mixed(parts: list[BaselineSeen], value: float) -> BaselineSeen:
    """One baseline for several workflows together; its source names each of theirs."""
    if len({one.source for one in parts}) == 1:
        source = parts[0].source
    else:
        source = _("Mixed by what each counts. %s") % " ".join(
            f"{one.workflow or _('All')}: {one.source}" for one in parts
        )
    since = max(one.valid_from for one in parts)
    approved = all(one.approved for one in parts)
    return BaselineSeen(workflow="", kpi=parts[0].kpi, value=value, valid_from=since, source=source, approved=approved)


def goals_for(actor: User, asked: KpiFilter) -> Goals:
    """Every baseline and target of what ``actor`` may see figures of, to be held against what is asked."""
    rows = list(_own(actor, Baseline.objects.filter(ended_at=None)).select_related("owner"))
    baselines = counting([_seen(row) for row in rows if row.corrects_id is None])
    targets = tuple(
        TargetSeen(
            workflow=row.workflow,
            kpi=row.kpi,
            value=float(row.value),
            direction=row.direction,
            tolerance=float(row.tolerance),
        )
        for row in _own(actor, Target.objects.all())
    )
    return Goals(baselines, targets, _whole_for(actor, asked), tuple(_waiting(rows)))


def _waiting(rows: Sequence[Baseline]) -> Iterator[tuple[str, datetime]]:
    """Of which workflow each waits for somebody else, and since when: a removal since the ledger says it was asked for.

    An approved row says when it was approved, and is never changed.
    """
    removed = [row.pk for row in rows if row.removal_by_id]
    asked = Entry.objects.filter(subject_id__in=removed, name=REMOVAL_ASKED).order_by("id")
    since = dict(asked.values_list("subject_id", "occurred_at"))
    for row in rows:
        if row.removal_by_id or row.approved_at is None:
            yield row.workflow, since.get(row.pk, row.changed_at)


def _whole_for(actor: User, asked: KpiFilter) -> frozenset[str] | None:
    """The workflows of which ``actor`` is told everything: by their units, whatever else was started elsewhere."""
    if asked.agent or asked.operation or (asked.version, asked.agent_version, asked.part) != (None, None, None):
        return frozenset()
    scope, rows = scope_for(actor, VIEW), Workflow.objects.all()
    if scope.everywhere and not asked.unit:
        return None
    if not scope.everywhere:
        rows = rows.filter(unit__in=scope.units)
    if asked.unit:
        rows = rows.filter(unit__in=unit_ids_below(asked.unit))
    return frozenset(rows.values_list("slug", flat=True))


def _seen(row: Baseline) -> BaselineSeen:
    return BaselineSeen(
        workflow=row.workflow,
        kpi=row.kpi,
        value=float(row.value),
        valid_from=row.valid_from,
        source=row.source,
        period=row.period,
        n=row.n,
        owner=str(row.owner or ""),
        version=row.number,
        approved=row.approved_at is not None,
    )


def provenance_of(one: BaselineSeen) -> str:
    """Where a baseline comes from, in a line: source, period, sample, owner, version, and whether it is approved."""
    parts = [one.source, one.period, f"n = {one.n}" if one.n else ""]
    parts += [_("owner %(name)s") % {"name": one.owner} if one.owner else ""]
    parts += [_("version %(number)s") % {"number": one.version} if one.version > 1 else ""]
    parts += ["" if one.approved else _("not approved")]
    return " · ".join(part for part in parts if part)


def savings_note_of(goals: Goals, workflows: Collection[str], *, in_words: bool = True) -> str:
    """Which baselines the savings of these workflows rest on, and how many of them nobody approved.

    ``in_words``: with what people wrote of one that stands alone, which is for the page and not for a letter.
    """
    own = [one for one in goals.baselines if one.kpi in SAVED_KPIS and one.workflow in {*workflows, ""}]
    if not own:
        return ""
    if len(own) == 1 and in_words:
        return _("Baseline: %(provenance)s") % {"provenance": provenance_of(own[0])}
    if len(own) == 1:
        return _("It rests on an approved baseline.") if own[0].approved else _("It rests on a baseline, not approved.")
    words = {"n": len(own), "open": sum(not one.approved for one in own)}
    if not words["open"]:
        return _("It rests on %(n)s baselines, all approved.") % words
    if words["open"] == words["n"]:
        return _("It rests on %(n)s baselines, none of which somebody else has approved yet.") % words
    return _("It rests on %(n)s baselines; of these %(open)s still wait for somebody else's approval.") % words


def _own[G: (Baseline, Target)](actor: User, rows: QuerySet[G]) -> QuerySet[G]:
    """Of all workflows together, and of those that ``actor`` may see figures of or set goals for."""
    require(actor, VIEW)
    rows = rows.exclude(kpi__in=hidden_for(actor).values("slug"))
    if scope_for(actor, VIEW).everywhere:
        return rows
    counted = visible(actor, VIEW, RollupDay.objects.all()).order_by().values("workflow")
    there = [visible(actor, right, Workflow.objects.all()).values("slug") for right in (VIEW, MANAGE)]
    own = Q(workflow="") | Q(workflow__in=counted) | Q(workflow__in=there[0]) | Q(workflow__in=there[1])
    return rows.filter(own)


def baselines_for(actor: User) -> QuerySet[Baseline]:
    """The baselines of what ``actor`` may see figures of; none of a figure of others."""
    rows = _own(actor, Baseline.objects.filter(LIVE))
    rows = rows.select_related("owner", "entered_by", "approved_by", "removal_by")
    return rows.prefetch_related("corrections__entered_by")


def ended_baselines_for(actor: User, slug: str = "") -> QuerySet[Baseline]:
    """What was approved and counts no more, of one baseline or of all, what ended last first.

    Of a figure of one's own that is there no more nobody knows whose it was: that is for who sees figures everywhere.
    """
    rows = _own(actor, Baseline.objects.filter(approved_at__isnull=False, ended_at__isnull=False))
    rows = rows.select_related("owner", "entered_by", "approved_by")
    if not scope_for(actor, VIEW).everywhere:
        rows = rows.filter(kpi__in=list(definitions_for(actor)))
    return (rows.filter(slug=slug) if slug else rows).order_by("-ended_at", "-id")


def waiting_for(actor: User) -> set[UUID]:
    """The baselines that count nowhere yet, because an approved one does."""
    require(actor, VIEW)
    rows = list(Baseline.objects.filter(LIVE).select_related("owner"))
    seen = {row.pk: _seen(row) for row in rows}
    counts = {id(one) for one in counting(list(seen.values()))}
    return {key for key, one in seen.items() if id(one) not in counts}


def waiting_note_of(goals: Goals, workflow: str = "") -> str:
    """How many baselines of a workflow, or of all that are there, wait for approval, and since when.

    A correction and a removal wait as well; empty where nothing does.
    """
    found = [since for of, since in goals.waiting if not workflow or of in {workflow, ""}]
    if not found:
        return ""
    words = {"n": len(found), "since": local_day(min(found), reporting_zone()).isoformat()}
    text = ngettext(
        "%(n)s baseline waits for approval, since %(since)s.",
        "%(n)s baselines wait for approval, the first since %(since)s.",
        len(found),
    )
    return text % words


def correction_of(actor: User, row: Baseline) -> Baseline | None:
    """The correction that waits of a baseline that was fetched for ``actor``."""
    assert actor.is_active
    return next((one for one in row.corrections.all() if one.ended_at is None), None)


def state_of(actor: User, row: Baseline) -> BaselineState:
    """What waits of a baseline that was fetched for ``actor``, or whether it is approved."""
    if row.ended_at:
        return BaselineState.ENDED
    if row.removal_by_id:
        return BaselineState.REMOVAL_WAITS
    if correction_of(actor, row):
        return BaselineState.CORRECTION_WAITS
    return BaselineState.APPROVED if row.approved_at else BaselineState.UNAPPROVED


def targets_for(actor: User) -> QuerySet[Target]:
    """The targets of what ``actor`` may see figures of; none of a figure of others."""
    return _own(actor, Target.objects.all())


def baseline_for(actor: User, slug: str) -> Baseline:
    """One baseline. Raises NotFoundError."""
    found = baselines_for(actor).filter(slug=slug).first()
    if found is None:
        raise NotFoundError
    return found


def target_for(actor: User, slug: str) -> Target:
    """One target. Raises NotFoundError."""
    found = targets_for(actor).filter(slug=slug).first()
    if found is None:
        raise NotFoundError
    return found
