"""How people decide: of each rule, of what was looked at afterwards, and, to each person alone, of themselves."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet

from apps.access.selectors import unit_ids_below
from apps.core.gate import require, visible
from apps.core.models import User
from apps.kpis.models import ActionFact, ApprovalFact
from apps.kpis.models.measures import MEMBERS, PercentileCont, within
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.quality import RuleQuality, Share
from apps.kpis.selectors.reading import VIEW, decisions_for
from apps.oversight.models import Drill, Escalation
from apps.oversight.rules import OVERTURNED, EscalationState, Judgement, Kind
from apps.oversight.selectors import DrillResult, drill_results_for, own_drills_for

AS_ASKED = MEMBERS["approved"] & Q(edited=False)
REJECTED = Q(by_person=True, outcome__in=["rejected", "changes_requested"])
MOST_RULES = 200


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
    ended: QuerySet[Any] = decisions_for(actor, asked).filter(within("decided_at", asked.period)).order_by()
    decided = ended.filter(MEMBERS["decided"])
    found = list(decided.exclude(rule="").values("rule").annotate(**MEASURES).order_by("-n", "rule")[:MOST_RULES])
    expired = ended.filter(MEMBERS["expired"]).count()
    whole = _one("", decided.aggregate(**MEASURES))
    own = ApprovalFact.objects.filter(within("decided_at", asked.period), decided_by=actor.username, simulated=False)
    return Quality(
        whole=whole,
        expired=Share(expired, expired + whole.decided),
        rules=[_one(row["rule"], row) for row in found],
        reviews=_reviews(actor, asked),
        own=_one("", own.filter(MEMBERS["decided"]).aggregate(**MEASURES)),
        drills=drill_results_for(actor, VIEW, _drills_in(asked)),
        own_drills=own_drills_for(actor, within("ended_at", asked.period)),
    )


MEASURES: dict[str, Any] = {
    "n": Count("escalation_id"),
    "as_asked": Count("escalation_id", filter=AS_ASKED),
    "changed": Count("escalation_id", filter=MEMBERS["approved"] & Q(edited=True)),
    "rejected": Count("escalation_id", filter=REJECTED),
    "median": PercentileCont("latency_ms", fractions=[0.5]),
}


def _one(rule: str, row: dict[str, Any]) -> RuleQuality:
    median = (row["median"] or [None])[0]
    median_s = None if median is None else median / 1000
    return RuleQuality(rule, row["n"], row["as_asked"], row["changed"], row["rejected"], median_s)


def _drills_in(asked: KpiFilter) -> Q:
    """The drills that ended in the period, of the unit, workflow, agent and version that are asked for."""
    found = within("ended_at", asked.period)
    if asked.workflow:
        found &= Q(item__workflow=asked.workflow)
    if asked.agent:
        found &= Q(source__agent__slug=asked.agent)
    if asked.version is not None:
        found &= Q(source__action__in=_actions_of(asked.version))
    return found & Q(item__unit__in=unit_ids_below(asked.unit)) if asked.unit else found


def _reviews(actor: User, asked: KpiFilter) -> Reviews:
    rows = visible(actor, VIEW, Escalation.objects.filter(kind=Kind.REVIEW)).order_by()
    if asked.workflow:
        rows = rows.filter(workflow=asked.workflow)
    if asked.agent:
        rows = rows.filter(agent__slug=asked.agent)
    if asked.version is not None:
        rows = rows.filter(action__in=_actions_of(asked.version))
    if asked.unit:
        rows = rows.filter(unit__in=unit_ids_below(asked.unit))
    answered = rows.filter(within("ended_at", asked.period), state=EscalationState.ANSWERED)
    counts = dict(answered.values_list("answer__verdict").annotate(n=Count("pk")))
    waiting = rows.filter(state__in=[EscalationState.PENDING, EscalationState.HELD]).count()
    return Reviews(waiting, {one.value: counts.get(one.value, 0) for one in Judgement})


def _actions_of(version: int) -> QuerySet[Any]:
    """The actions of runs of this version: what is looked at afterwards names no run itself."""
    return ActionFact.objects.filter(version=version).values("action_id")
