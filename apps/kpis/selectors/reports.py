"""The weekly report: a week's overview in words, what changed beside it, and which decisions it asks for."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, Q, QuerySet, Value
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from apps.access.models import BusinessUnit
from apps.access.selectors import unit_ids_below
from apps.core.errors import NotFoundError
from apps.core.gate import require, visible
from apps.core.models import User
from apps.halts.selectors import breaker_changes_for
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.models.measures import DURATIONS
from apps.kpis.rules.buckets import BucketSize
from apps.kpis.rules.definitions import DEFINITIONS
from apps.kpis.rules.figures import Status
from apps.kpis.rules.filters import Compare, KpiFilter
from apps.kpis.rules.sentences import Verdict
from apps.kpis.rules.weeks import Week, ended_week
from apps.kpis.selectors.approvals import Approval, approvals_for
from apps.kpis.selectors.business import own_for
from apps.kpis.selectors.dashboards import Dashboard, dashboard_for, workflows_for
from apps.kpis.selectors.definitions import definitions_for
from apps.kpis.selectors.drawings import OVERVIEW, page_of_kpi
from apps.kpis.selectors.kpis import Answer, kpis_for
from apps.kpis.selectors.reading import VIEW
from apps.kpis.selectors.tables import daily_text
from apps.kpis.selectors.totals import Total
from apps.policies.models import BudgetChange, Waiver
from apps.policies.rules import ProposalState
from apps.policies.rules.waivers import WaiverState
from apps.policies.selectors.proposals import proposals_for

VIEW_POLICY = "policies.view_policy"
MOST = 50
SUGGESTED = {
    Verdict.FIX: gettext_noop("%(name)s: the figures suggest to fix it"),
    Verdict.STOP: gettext_noop("%(name)s: the figures suggest to stop it"),
}

APPROVED_BY_ANOTHER = {
    ("baseline", False): gettext_noop("%(name)s: the baseline of %(kpi)s waits for another person"),
    ("baseline", True): gettext_noop("%(name)s: the baseline of %(kpi)s waited for another person"),
    ("correction", False): gettext_noop("%(name)s: a correction of the baseline of %(kpi)s waits for another person"),
    ("correction", True): gettext_noop("%(name)s: a correction of the baseline of %(kpi)s waited for another person"),
    ("removal", False): gettext_noop("%(name)s: the removal of the baseline of %(kpi)s waits for another person"),
    ("removal", True): gettext_noop("%(name)s: the removal of the baseline of %(kpi)s waited for another person"),
}
"""What waits of a baseline, and whether that is over by now."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A decision that the report asks for: what, what it rests on, where it leads."""

    text: str
    why: str
    href: str


@dataclass(frozen=True, slots=True)
class Report:
    """One week of one unit (all that the reader sees, without one), as its reader may see it now.

    ``waited_at``: what is said to wait did so then: at the week's end, or now where it is not over.
    """

    week: Week
    unit: str
    unit_name: str
    page: Dashboard
    decisions: list[Asked]
    waited_at: datetime
    path: str
    dashboard: str

    @property
    def as_of(self) -> datetime:
        """When it was worked out."""
        return self.page.answer.as_of


def last_week_for(actor: User) -> Week:
    """The last week that is over in the reporting zone, for who may see figures."""
    require(actor, VIEW)
    return ended_week(database_now(), reporting_zone())


def report_for(actor: User, *, week: Week, unit: str = "") -> Report:
    """The report of a week. Raises NotFoundError for a unit of which ``actor`` sees no figures, or a week to come."""
    require(actor, VIEW)
    name = _name_of(actor, unit) if unit else ""
    if week > last_week_for(actor).moved(1):
        raise NotFoundError
    asked = KpiFilter(
        period=week.period(reporting_zone()),
        zone=reporting_zone(),
        size=BucketSize.DAY,
        unit=unit,
        compare=Compare.PREVIOUS,
        simulated=settings.ACP_DEMO,
    )
    page = dashboard_for(actor, OVERVIEW, asked)
    at = min(asked.period.end, page.answer.as_of)
    return Report(
        week=week,
        unit=unit,
        unit_name=name,
        page=page,
        decisions=[*_missed(actor, page.answer), *_suggested(page), *_waiting(actor, unit, at)],
        waited_at=at,
        path=path_of(week, unit),
        dashboard=f"{reverse('kpis:dashboard', args=[OVERVIEW])}?{asked.query}",
    )


def path_of(week: Week, unit: str) -> str:
    """The report's own address: it names the week, so that it stays what it was."""
    return f"/reports/weekly/{week}/{_query_of(unit)}"


def pdf_path_of(week: Week, unit: str) -> str:
    """Where it is as PDF."""
    return f"/reports/weekly/{week}.pdf{_query_of(unit)}"


def _query_of(unit: str) -> str:
    return f"?{urlencode({'unit': unit})}" if unit else ""


def _name_of(actor: User, unit: str) -> str:
    found = visible(actor, VIEW, BusinessUnit.objects.filter(slug=unit)).values_list("name", flat=True).first()
    if found is None:
        raise NotFoundError
    return found


def _missed(actor: User, answer: Answer) -> list[Asked]:
    """Targets that the week misses beyond chance: for all, and workflow by workflow."""
    found = [
        _miss(_("All workflows"), answer.asked, total) for total in answer.totals.values() if total.status == Status.BAD
    ]
    names, alone = workflows_for(actor), replace(answer.asked, compare=Compare.NONE)
    own = [target for target in answer.goals.targets if target.workflow in names and target.kpi in DEFINITIONS]
    for workflow in sorted({target.workflow for target in own}):
        asked = alone.of_workflow(workflow)
        needed = {DEFINITIONS[one.kpi].numerator for one in own if one.workflow == workflow}
        totals = kpis_for(actor, asked, durations=[one for one in DURATIONS if one.name in needed]).totals
        missed = [one.kpi for one in own if one.workflow == workflow and totals[one.kpi].status == Status.BAD]
        found += [_miss(names[workflow], asked, totals[kpi]) for kpi in missed]
    return found + [
        _miss(names[one.workflow], alone.of_workflow(one.workflow), one.total)
        for one in own_for(actor, alone)
        if one.total.status == Status.BAD and one.workflow in names
    ]


def _miss(name: str, asked: KpiFilter, one: Total) -> Asked:
    """Both as they are held against each other: counts and sums by the day."""
    figure, definition = one.figure, one.figure.definition
    assert one.daily is not None, "without a value none is missed"
    assert one.target is not None, "nor without a target"
    words = {"name": name, "kpi": _(definition.label)}
    texts = [daily_text(definition, held, figure.currency) for held in (one.daily, one.target.value)]
    why = _("%(value)s; the target is %(aim)s") % {"value": texts[0], "aim": texts[1]}
    return Asked(_("%(name)s: the target of %(kpi)s is missed") % words, why, page_of_kpi(asked, definition.key))


def _suggested(page: Dashboard) -> list[Asked]:
    return [
        Asked(_(SUGGESTED[line.verdict]) % {"name": line.name}, line.why, line.href)
        for line in page.lines
        if line.verdict in SUGGESTED
    ]


def _waiting(actor: User, unit: str, at: datetime) -> list[Asked]:
    """What was proposed and undecided ``at`` that time, where the reader may see the rules that it is about."""
    below = unit_ids_below(unit) if unit else None
    undecided = Q(created_at__lt=at) & (Q(state=ProposalState.OPEN) | Q(decided_at__gte=at))
    proposals = proposals_for(actor).filter(undecided)
    found = []
    for one in proposals.filter(Q() if below is None else Q(policy__unit__in=below))[:MOST]:
        words = {"name": one.policy.name, "who": one.version.author}
        waits = one.state == ProposalState.OPEN
        found.append(
            Asked(
                (
                    _("A change of the rules of %(name)s waits for another person")
                    if waits
                    else _("A change of the rules of %(name)s waited for another person")
                )
                % words,
                (_("proposed by %(who)s") if waits else _("proposed by %(who)s, decided since")) % words,
                f"/policies/{one.policy.slug}/?version={one.version.number}",
            )
        )
    budgets: QuerySet[BudgetChange] = visible(actor, VIEW_POLICY, BudgetChange.objects.filter(undecided))
    waivers: QuerySet[Waiver] = visible(actor, VIEW_POLICY, _asked_waivers(at))
    if below is not None:
        budgets, waivers = budgets.filter(budget__unit__in=below), waivers.filter(policy__unit__in=below)
    if n := budgets.count():
        text = ngettext("%(n)s change of a budget waits", "%(n)s changes of budgets wait", n) % {"n": n}
        found.append(Asked(text, _since(budgets.exclude(state=ProposalState.OPEN).count()), "/budgets/"))
    breakers = breaker_changes_for(actor).filter(undecided, Q() if below is None else Q(breaker__unit__in=below))
    if n := breakers.count():
        text = ngettext("%(n)s change of a breaker waits", "%(n)s changes of breakers wait", n) % {"n": n}
        found.append(Asked(text, _since(breakers.exclude(state=ProposalState.OPEN).count()), "/breakers/"))
    if n := waivers.count():
        text = ngettext("%(n)s waiver waits for approval", "%(n)s waivers wait for approval", n) % {"n": n}
        found.append(Asked(text, _since(waivers.exclude(state=WaiverState.ASKED).count()), "/waivers/"))
    return found + _of_baselines(actor, approvals_for(actor, at=at, below=below))


def _of_baselines(actor: User, waiting: list[Approval]) -> list[Asked]:
    """What waits of baselines, for who answers on them."""
    known, names = definitions_for(actor), workflows_for(actor)
    found = []
    for one in waiting[:MOST]:
        where = names.get(one.workflow, one.workflow) or _("All workflows")
        words = {"name": where, "kpi": _(known[one.kpi].label)}
        why = _("asked for by %(who)s") if one.what == "removal" else _("entered by %(who)s")
        whys = [why % {"who": one.who}] if one.who else []
        whys += [_("answered since")] if one.over else []
        text = _(APPROVED_BY_ANOTHER[one.what, one.over]) % words
        found.append(Asked(text, ", ".join(whys), reverse("kpis:goals")))
    return found


def _asked_waivers(at: datetime) -> QuerySet[Waiver]:
    """Those that were asked for and not answered ``at`` that time; one holds for so many days from its approval on."""
    days = ExpressionWrapper(F("days") * Value(timedelta(days=1)), output_field=DurationField())
    rows = Waiver.objects.alias(approved_at=ExpressionWrapper(F("until") - days, output_field=DateTimeField()))
    answered = Q(approver=None, ended_at__gte=at) | Q(approver__isnull=False, approved_at__gte=at)
    return rows.filter(Q(state=WaiverState.ASKED) | answered, created_at__lt=at)


def _since(n: int) -> str:
    return ngettext("%(n)s of them decided since", "%(n)s of them decided since", n) % {"n": n} if n else ""
