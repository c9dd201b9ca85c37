"""What money and figures are measured by, and from when: rates and approved baselines, as changes of a period."""

from collections.abc import Callable, Collection, Iterator
from uuid import UUID

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.access.models import BusinessUnit
from apps.core.gate import visible
from apps.core.models import User
from apps.kpis.models import Baseline, RollupDay
from apps.kpis.models.clock import reporting_currency, reporting_zone
from apps.kpis.models.goals import LIVE
from apps.kpis.models.measures import within
from apps.kpis.rules.buckets import local_day, local_midnight
from apps.kpis.rules.changes import Change, ChangeKind
from apps.kpis.rules.figures import value_text
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import rate_text
from apps.kpis.rules.rates import ABOUT, RateKind
from apps.kpis.selectors.definitions import VIEW, definitions_for, hidden_for
from apps.kpis.selectors.rates import rates_for
from apps.workflows.models import Workflow

MOST = 200
"""So many of each at most; of more, the newest."""
RATED = {
    RateKind.PEOPLE: gettext_noop("Rate of people's time, %(about)s: %(amount)s"),
    RateKind.AGENT: gettext_noop("Rate of the agent %(about)s: %(amount)s"),
    RateKind.OPERATION: gettext_noop("Fee of %(about)s: %(amount)s"),
    RateKind.FIXED: gettext_noop("Fixed cost of a month, %(about)s: %(amount)s"),
    RateKind.CURRENCY: gettext_noop("Rate of exchange of %(about)s: %(amount)s"),
}


type TakingPart = Callable[[set[str]], set[str]]


def rate_changes_for(
    actor: User, asked: KpiFilter, taking_part: TakingPart, units: Collection[UUID]
) -> Iterator[Change]:
    """The rates that began to hold in the period.

    ``taking_part``: which of some agents the filter is about; ``units``: those of the filter and around it.
    """
    rows = rates_for(actor).filter(within("valid_from", asked.period))
    if asked.workflow:
        rows = rows.filter(workflow__in=["", asked.workflow])
    if asked.unit:
        slugs = BusinessUnit.objects.filter(pk__in=units).values("slug")
        rows = rows.filter(Q(unit="") | Q(unit__in=slugs))
    found = list(rows.order_by("-valid_from", "-id")[:MOST])
    agents = taking_part({row.agent for row in found if row.agent}) | {""}
    for row in found:
        if row.agent not in agents:
            continue
        named = [slug for name in ABOUT[RateKind(row.kind)] if (slug := getattr(row, name))]
        words = {"about": ", ".join(named) or _("everywhere"), "amount": rate_text(row.amount_minor, row.currency)}
        text = _(RATED[RateKind(row.kind)]) % words
        yield Change(kind=ChangeKind.PRICE, at=row.valid_from, text=text, why=row.source, href=reverse("kpis:rates"))


def baseline_changes_for(actor: User, asked: KpiFilter, below: set[UUID] | None) -> Iterator[Change]:
    """The approved baselines that began to hold in the period, and those for earlier days that were approved in it.

    ``below``: the units of the filter, None without one.
    """
    days = local_day(asked.period.start, reporting_zone()), local_day(asked.period.end, reporting_zone())
    rows = Baseline.objects.filter(LIVE, approved_at__isnull=False).exclude(kpi__in=hidden_for(actor).values("slug"))
    rows = rows.filter(Q(valid_from__range=days) | within("approved_at", asked.period))
    rows = rows.filter(workflow__in=["", asked.workflow]) if asked.workflow else rows
    counted = visible(actor, VIEW, RollupDay.objects.all())
    kept = visible(actor, VIEW, Workflow.objects.all())
    if below is not None:
        counted, kept = counted.filter(unit__in=below), kept.filter(unit__in=below)
    rows = rows.filter(
        Q(workflow="")
        | Q(workflow__in=counted.order_by().values("workflow"))
        | Q(workflow__in=kept.order_by().values("slug"))
    )
    found = list(rows.order_by("-valid_from", "-id")[:MOST])
    known = definitions_for(actor) if found else {}
    names = dict(Workflow.objects.filter(slug__in={row.workflow for row in found}).values_list("slug", "name"))
    for row in found:
        if (definition := known.get(row.kpi)) is None or row.approved_at is None:
            continue
        begins = local_midnight(row.valid_from, reporting_zone())
        words = {
            "name": names.get(row.workflow, row.workflow) or _("All workflows"),
            "kpi": _(definition.label),
            "value": value_text(definition, float(row.value), reporting_currency()),
            "day": row.valid_from.isoformat(),
        }
        if asked.period.start <= begins < asked.period.end:
            at, text = begins, _("%(name)s: baseline of %(kpi)s from here on, %(value)s") % words
        elif asked.period.start <= row.approved_at < asked.period.end:
            at, text = (
                row.approved_at,
                _("%(name)s: baseline of %(kpi)s for runs from %(day)s approved, %(value)s") % words,
            )
        else:
            continue
        yield Change(kind=ChangeKind.BASELINE, at=at, text=text, why=row.reason, href=reverse("kpis:goals"))
