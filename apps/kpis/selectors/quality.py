"""How people decide: of each rule, of what was looked at afterwards, and, to each person alone, of themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.access.selectors import unit_ids_below
from apps.core.errors import NotFoundError
from apps.core.gate import require, visible
from apps.core.models import User
from apps.kpis.models import ActionFact
from apps.kpis.models.clock import reporting_zone
from apps.kpis.models.measures import PercentileCont, within
from apps.kpis.rules.asking import AskedPart, Became
from apps.kpis.rules.buckets import weeks_of
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import count_text, duration_text
from apps.kpis.rules.quality import Drilled, Looked, RuleQuality, Share
from apps.kpis.selectors.accuracy import share_cells
from apps.kpis.selectors.asking import MEMBERS_OF, asked_href, became_names, ended_for, own_ended_for
from apps.kpis.selectors.drawings import Cell, Table
from apps.kpis.selectors.reading import VIEW
from apps.oversight.models import Drill, Escalation
from apps.oversight.rules import OVERTURNED, DrillOutcome, EscalationState, Judgement, Kind
from apps.oversight.selectors import DrillResult, drill_results_for, own_drills_for

MOST_RULES = 200
ANSWERED = Q(state=EscalationState.ANSWERED)
LOOKED: Mapping[Looked, Q] = {
    Looked.JUDGED: ANSWERED & Q(answer__verdict__in=list(Judgement)),
    Looked.RIGHT: ANSWERED & Q(answer__verdict=Judgement.RIGHT),
    Looked.WRONG: ANSWERED & Q(answer__verdict=Judgement.WRONG),
    Looked.HARMFUL: ANSWERED & Q(answer__verdict=Judgement.HARMFUL),
    Looked.OVERTURNED: ANSWERED & Q(answer__verdict__in=sorted(OVERTURNED)),
    Looked.WAITING: Q(state__in=[EscalationState.PENDING, EscalationState.HELD]),
}
"""Which looks afterwards each counts; what the list behind its number shows."""
DRILLED: Mapping[Drilled, Q] = {
    Drilled.ANSWERED: Q(outcome__in=[DrillOutcome.CAUGHT, DrillOutcome.MISSED]),
    Drilled.CAUGHT: Q(outcome=DrillOutcome.CAUGHT),
    Drilled.MISSED: Q(outcome=DrillOutcome.MISSED),
}


@dataclass(frozen=True, slots=True)
class Reviews:
    """What people said of the sample of what was done."""

    waiting: int
    judged: dict[str, int]

    @property
    def overturned(self) -> Share:
        """How many were wrong or harmful, of all that were judged."""
        return Share(sum(self.judged.get(one, 0) for one in OVERTURNED), sum(self.judged.values()))


@dataclass(frozen=True, slots=True)
class Quality:
    """The page: all decisions, the rules behind them, the reviews, and the reader's own decisions."""

    whole: RuleQuality
    expired: Share
    rules: list[RuleQuality]
    reviews: Reviews
    own: RuleQuality
    drills: list[DrillResult]
    own_drills: list[Drill]

    @property
    def relaxable(self) -> list[RuleQuality]:
        """The rules whose items people approve unchanged."""
        return [rule for rule in self.rules if rule.asks_too_much]


def quality_for(actor: User, asked: KpiFilter) -> Quality:
    """How people decided in the period, as far as ``actor`` sees it. Nobody is compared with anybody."""
    require(actor, VIEW)
    ended: QuerySet[Any] = ended_for(actor, asked)
    by_rule = ended.filter(MEMBERS_OF[Became.ASKED]).exclude(rule="").values("rule")
    found = list(by_rule.annotate(**MEASURES, **FATES).order_by("-n", "rule")[:MOST_RULES])
    whole = _one("", ended.aggregate(**MEASURES, **FATES))
    own = own_ended_for(actor, asked)
    return Quality(
        whole=whole,
        expired=Share(whole.expired, whole.expired + whole.decided),
        rules=[_one(row["rule"], row) for row in found],
        reviews=_reviews(actor, asked),
        own=_one("", own.aggregate(**MEASURES)),
        drills=drill_results_for(actor, VIEW, _drills_in(asked)),
        own_drills=own_drills_for(actor, within("ended_at", asked.period)),
    )


def _counted(became: Became) -> Any:
    return Count("escalation_id", filter=MEMBERS_OF[became])


MEASURES: dict[str, Any] = {
    "n": _counted(Became.DECIDED),
    "as_asked": _counted(Became.AS_ASKED),
    "changed": _counted(Became.EDITED),
    "rejected": _counted(Became.REJECTED),
    "median": PercentileCont("latency_ms", fractions=[0.5], filter=MEMBERS_OF[Became.DECIDED]),
}
FATES: dict[str, Any] = {"expired": _counted(Became.EXPIRED), "overturned": _counted(Became.OVERTURNED)}


def _one(rule: str, row: dict[str, Any]) -> RuleQuality:
    median = (row["median"] or [None])[0]
    median_s = None if median is None else median / 1000
    fates = {name: row[name] for name in FATES if name in row}
    return RuleQuality(rule, row["n"], row["as_asked"], row["changed"], row["rejected"], median_s, **fates)


def rule_table_for(actor: User, asked: KpiFilter, rules: Sequence[RuleQuality]) -> Table | None:
    """What became of what each rule sent to people, of rules that ``actor`` was given; None where there are none."""
    if not (actor.is_active and rules):
        return None
    names = became_names()
    shown = (Became.EDITED, Became.REJECTED, Became.EXPIRED, Became.OVERTURNED)
    rows = []
    for one in rules:
        part = AskedPart(rule=one.rule)
        counts = dict(zip(shown, (one.edited, one.rejected, one.expired, one.overturned), strict=True))
        median = Cell(duration_text(one.median_s), one.median_s, unit="s")
        rows.append([
            Cell(one.rule, one.rule, reverse("policies:policy", args=[one.policy])),
            _count(asked, Became.DECIDED, part, one.decided),
            *share_cells(one.share, asked_href(asked, Became.AS_ASKED, part)),
            *(_count(asked, became, part, n) for became, n in counts.items()),
            median,
        ])  # fmt: skip
    return Table(
        slug="by-rule",
        title=_("By rule"),
        says=_(
            "What people said of what each rule sent them, the most decided first. Overturned: what they approved and "
            "what was then taken back, found wrong by a look afterwards, or shown otherwise by the system."
        ),
        columns=[
            _("Rule"),
            _("Decided"),
            _("As asked"),
            _("95 % interval"),
            *(names[one] for one in shown),
            _("Median wait"),
        ],
        rows=rows,
        last=[],
    )


def _count(asked: KpiFilter, became: Became, part: AskedPart, n: int) -> Cell:
    return Cell(count_text(n), n, asked_href(asked, became, part) if n else "")


def _drills_in(asked: KpiFilter) -> Q:
    """The drills that ended in the weeks of the period, of the unit, workflow, agent and version that are asked for.

    Whole weeks of the reporting zone whatever is asked: two ranges that differ by a minute would tell when, and so
    perhaps by whom, one was answered.
    """
    found = within("ended_at", weeks_of(asked.period, reporting_zone()))
    if asked.workflow:
        found &= Q(item__workflow=asked.workflow)
    if asked.agent:
        found &= Q(source__agent__slug=asked.agent)
    if asked.version is not None:
        found &= Q(source__action__in=_actions_of(asked.version))
    return found & Q(item__unit__in=unit_ids_below(asked.unit)) if asked.unit else found


def reviews_behind_for(actor: User, asked: KpiFilter, looked: Looked) -> QuerySet[Escalation]:
    """The looks afterwards that a number counts: by when they were answered, and those that wait as of now."""
    rows = _reviews_of(actor, asked).filter(LOOKED[looked]).select_related("agent")
    return rows if looked == Looked.WAITING else rows.filter(within("ended_at", asked.period))


def drills_behind_for(
    actor: User, asked: KpiFilter, drilled: Drilled, queue: str
) -> tuple[DrillResult, QuerySet[Drill]]:
    """The drills of one queue that a number counts, in an order that tells nothing of who answered which, or when.

    Raises NotFoundError where the queue has none, or too few people answered to tell how they ended.
    """
    found = [one for one in drill_results_for(actor, VIEW, _drills_in(asked)) if one.queue.slug == queue]
    if not found or (found[0].caught is None and drilled != Drilled.ANSWERED):
        raise NotFoundError
    rows = visible(actor, VIEW, Drill.objects.filter(_drills_in(asked), DRILLED[drilled], queue=found[0].queue))
    return found[0], rows.select_related("source").order_by("source_id", "fault", "outcome")


def _reviews(actor: User, asked: KpiFilter) -> Reviews:
    rows = _reviews_of(actor, asked)
    answered = rows.filter(within("ended_at", asked.period), ANSWERED)
    counts = dict(answered.values_list("answer__verdict").annotate(n=Count("pk")))
    waiting = rows.filter(LOOKED[Looked.WAITING]).count()
    return Reviews(waiting, {one.value: counts.get(one.value, 0) for one in Judgement})


def _reviews_of(actor: User, asked: KpiFilter) -> QuerySet[Escalation]:
    rows = visible(actor, VIEW, Escalation.objects.filter(kind=Kind.REVIEW)).order_by()
    if asked.workflow:
        rows = rows.filter(workflow=asked.workflow)
    if asked.agent:
        rows = rows.filter(agent__slug=asked.agent)
    if asked.version is not None:
        rows = rows.filter(action__in=_actions_of(asked.version))
    return rows.filter(unit__in=unit_ids_below(asked.unit)) if asked.unit else rows


def _actions_of(version: int) -> QuerySet[Any]:
    """The actions of runs of this version: what is looked at afterwards names no run itself."""
    return ActionFact.objects.filter(version=version).values("action_id")
