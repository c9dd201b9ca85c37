"""What changed in a period, for who looks at its figures: versions, rules, halts, outages, prices, rates, baselines."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from django.db.models import CharField, Count, F, Func, JSONField, Model, Q, QuerySet, Value
from django.db.models.functions import TruncHour
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from apps.access.models import BusinessUnit
from apps.access.selectors import ancestors_for, unit_ids_below
from apps.agents.models import AgentVersion
from apps.agents.rules import Environment
from apps.audit.models import Entry
from apps.connectors.models import ConnectorCall
from apps.core.gate import require, visible
from apps.core.models import User
from apps.halts.models import Halt
from apps.halts.rules import HaltScope
from apps.kpis.models import HistoryMark, PriceBook
from apps.kpis.models.measures import within
from apps.kpis.rules.changes import HOUR, OUTAGE_CALLS, CallHour, Change, ChangeKind, outages_of
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import count_text
from apps.kpis.selectors.reading import VIEW, runs_for
from apps.kpis.selectors.standards import baseline_changes_for, rate_changes_for
from apps.policies.models import Policy, Release
from apps.workflows.models import Workflow

VIEW_POLICY = "policies.view_policy"
HALTS = "/halts/"
OF_WORKFLOW, OF_AGENT = "workflowversion.published", "agentversion.active"
MOST = 200
"""So many changes of each kind at most; of more, the newest."""
STOPPED = {
    HaltScope.EVERYTHING: gettext_noop("Everything was stopped"),
    HaltScope.UNIT: gettext_noop("Stopped: unit %(target)s"),
    HaltScope.WORKFLOW: gettext_noop("Stopped: workflow %(target)s"),
    HaltScope.AGENT: gettext_noop("Stopped: agent %(target)s"),
    HaltScope.VERSION: gettext_noop("Stopped: agent version %(target)s"),
    HaltScope.CONNECTOR: gettext_noop("Stopped: system %(target)s"),
    HaltScope.OPERATION: gettext_noop("Stopped: operation %(target)s"),
}

INVENTED = {
    ChangeKind.VERSION: gettext_noop("%(name)s: version %(number)s in force (simulated)"),
    ChangeKind.OUTAGE: gettext_noop("%(name)s: most calls failed (simulated)"),
    ChangeKind.POLICY: gettext_noop("Rules of %(name)s: version %(number)s in force (simulated)"),
    ChangeKind.HALT: gettext_noop("Stopped: agent %(name)s (simulated)"),
    ChangeKind.PRICE: gettext_noop("Another price for the model %(name)s (simulated)"),
}


def changes_for(actor: User, asked: KpiFilter) -> list[Change]:
    """What changed within the filter, in order of time. Of rules only where ``actor`` may see their policy."""
    require(actor, VIEW)
    reader = _Reader(actor, asked)
    parts = (
        reader.workflows(), reader.agents(), reader.policies(), reader.halts(), reader.outages(), reader.prices(),
        rate_changes_for(actor, asked, reader.taking_part, reader.around),
        baseline_changes_for(actor, asked, reader.below), reader.invented(),
    )  # fmt: skip
    return sorted((change for part in parts for change in part), key=lambda one: one.at)


class _Each(Func):
    """One member of each policy of a release: its rules, which are long, stay where they are."""

    function, template = "jsonb_path_query_array", "%(function)s(%(expressions)s::jsonpath)"

    def __init__(self, member: str) -> None:
        super().__init__(F("policies"), Value(f"$[*].{member}"), output_field=JSONField())


class _Reader:
    """One actor's view of what changed within one filter."""

    def __init__(self, actor: User, asked: KpiFilter) -> None:
        self.actor, self.asked = actor, asked
        self.below = set(unit_ids_below(asked.unit)) if asked.unit else None
        own = BusinessUnit.objects.filter(slug=asked.unit).values_list("pk", flat=True).first() if asked.unit else None
        self.around = (self.below or set()) | set(ancestors_for(actor, own) if own else ())
        rows = visible(actor, VIEW, Entry.objects.filter(name__in=[OF_WORKFLOW, OF_AGENT]))
        rows = self._in_units(rows.filter(within("occurred_at", asked.period)), "unit")
        self.entries = list(rows.order_by("-id")[:MOST])

    def workflows(self) -> Iterator[Change]:
        """Versions of workflows that came into force."""
        entries = [entry for entry in self.entries if entry.name == OF_WORKFLOW]
        told = [(entry, str(entry.payload.get("workflow", "")), entry.payload.get("number")) for entry in entries]
        names = dict(Workflow.objects.filter(slug__in={slug for _e, slug, _n in told}).values_list("slug", "name"))
        for entry, slug, number in told:
            if self.asked.workflow not in {"", slug}:
                continue
            words = {"name": names.get(slug, slug), "number": number or "?"}
            yield Change(
                kind=ChangeKind.VERSION,
                at=entry.occurred_at,
                text=_("%(name)s: version %(number)s in force") % words,
                why=str(entry.payload.get("reason") or ""),
                href=self._runs_of(slug, number),
            )

    def agents(self) -> Iterator[Change]:
        """Versions of agents that became the current ones; of one workflow, of the agents that took part in it."""
        entries = [entry for entry in self.entries if entry.name == OF_AGENT]
        rows = AgentVersion.objects.filter(pk__in=[entry.subject_id for entry in entries]).select_related("agent")
        versions = {row.pk: row for row in rows}
        taking_part = self.taking_part({row.agent.slug for row in rows})
        for entry in entries:
            version = versions.get(entry.subject_id)
            if version is None or version.agent.slug not in taking_part:
                continue
            words = {"name": version.agent.name, "number": version.number}
            text = _("Agent %(name)s: version %(number)s active") % words
            why = str(entry.payload.get("reason") or "")
            yield Change(kind=ChangeKind.VERSION, at=entry.occurred_at, text=text, why=why)

    def policies(self) -> Iterator[Change]:
        """What each release brought into force, changed or retired, of policies that the reader may see."""
        releases = Release.objects.defer("policies")
        rows = list(releases.filter(within("created_at", self.asked.period)).order_by("-number")[:MOST])
        if not rows:
            return
        seen = visible(self.actor, VIEW_POLICY, Policy.objects.all())
        if self.below is not None:
            seen = seen.filter(Q(unit=None) | Q(unit__in=self.around))
        names = dict(seen.values_list("slug", "name"))
        numbers = {row.number for row in rows} | {row.number - 1 for row in rows}
        told = releases.filter(number__in=numbers).values_list("number", _Each("policy"), _Each("version"))
        in_force = {number: dict(zip(slugs, versions, strict=True)) for number, slugs, versions in told}
        for row in rows:
            before, now = in_force.get(row.number - 1, {}), in_force[row.number]
            for slug in sorted(slug for slug in before.keys() | now.keys() if before.get(slug) != now.get(slug)):
                if slug in names:
                    yield self._of_release(row, names[slug], now.get(slug))

    def halts(self) -> Iterator[Change]:
        """What was stopped, from when until when. A stopped plane is nobody's secret; a unit's is its own."""
        ours = Q(pk__in=visible(self.actor, VIEW, Halt.objects.all()).values("pk")) | Q(unit=None)
        period = self.asked.period
        rows = Halt.objects.filter(ours, created_at__lt=period.end)
        rows = rows.filter(Q(lifted_at=None) | Q(lifted_at__gte=period.start))
        if self.below is not None:
            rows = rows.filter(Q(unit=None) | Q(unit__in=self.around))
        found = [halt for halt in rows.order_by("-created_at")[:MOST] if self._concerns(halt)]
        for halt in found:
            yield Change(
                kind=ChangeKind.HALT,
                at=halt.created_at,
                until=halt.lifted_at,
                text=_(STOPPED[HaltScope(halt.scope)]) % {"target": halt.target},
                why=halt.reason,
                href=HALTS,
            )

    def outages(self) -> Iterator[Change]:
        """Hours in which most calls to a system were in trouble, as far back as calls are kept."""
        rows = visible(self.actor, VIEW, ConnectorCall.objects.filter(environment=Environment.LIVE))
        rows = self._in_units(rows.filter(within("created_at", self.asked.period)), "connector__unit")
        for outage in outages_of(_call_hours(rows)):
            words = {
                "name": outage.system,
                "troubles": count_text(outage.troubles),
                "calls": count_text(outage.calls),
            }
            text = ngettext(
                "%(name)s: %(troubles)s of %(calls)s call failed",
                "%(name)s: %(troubles)s of %(calls)s calls failed",
                outage.calls,
            )
            yield Change(kind=ChangeKind.OUTAGE, at=outage.at, until=outage.until, text=text % words)

    def prices(self) -> Iterator[Change]:
        """Prices of models that began to hold."""
        rows = PriceBook.objects.filter(within("valid_from", self.asked.period)).order_by("-valid_from")
        for row in rows[:MOST]:
            text = _("Another price for the model %(model)s") % {"model": row.model}
            yield Change(kind=ChangeKind.PRICE, at=row.valid_from, text=text, href=reverse("kpis:prices"))

    def invented(self) -> Iterator[Change]:
        """What changed within simulated history, where its runs are counted."""
        if not self.asked.simulated:
            return
        everybody_s = Q(unit=None, workflow="")
        ours = Q(pk__in=visible(self.actor, VIEW, HistoryMark.objects.all()).values("pk")) | everybody_s
        rows = HistoryMark.objects.filter(ours, within("at", self.asked.period)).order_by("-at")
        if self.below is not None:
            rows = rows.filter(Q(unit__in=self.below) | everybody_s)
        if self.asked.workflow:
            rows = rows.filter(workflow__in=["", self.asked.workflow])
        if self.asked.agent:
            rows = rows.filter(everybody_s)
        for mark in rows[:MOST]:
            words = {"name": self._names.get(mark.workflow) or mark.workflow or mark.name, "number": mark.number or 0}
            text = _(INVENTED[ChangeKind(mark.kind)]) % words
            href = self._runs_of(mark.workflow, mark.number)
            yield Change(kind=ChangeKind(mark.kind), at=mark.at, until=mark.until, text=text, href=href)

    @cached_property
    def _names(self) -> dict[str, str]:
        return dict(Workflow.objects.values_list("slug", "name"))

    def _in_units[R: Model](self, rows: QuerySet[R], unit: str) -> QuerySet[R]:
        return rows if self.below is None else rows.filter(**{f"{unit}__in": self.below})

    def taking_part(self, agents: set[str]) -> set[str]:
        """Which of these agents the filter is about: of a workflow, those that runs of the period name."""
        if self.asked.agent:
            return agents & {self.asked.agent}
        if not self.asked.workflow or not agents:
            return agents
        return agents & self._agents_of_runs

    @cached_property
    def _agents_of_runs(self) -> set[str]:
        """The agents that runs of the period name: one question, however many changes and halts there are."""
        runs = runs_for(self.actor, self.asked).filter(within("finished_at", self.asked.period))
        each = Func(F("agents"), function="unnest", output_field=CharField())
        return set(runs.order_by().values_list(each, flat=True).distinct())

    def _concerns(self, halt: Halt) -> bool:
        if halt.scope == HaltScope.WORKFLOW:
            return self.asked.workflow in {"", halt.target}
        if halt.scope in {HaltScope.AGENT, HaltScope.VERSION}:
            agent = halt.target.partition("@")[0]
            return agent in self.taking_part({agent})
        return True

    def _runs_of(self, workflow: str, number: object) -> str:
        if not isinstance(number, int) or not workflow:
            return ""
        asked = replace(self.asked, workflow="", version=number)
        return f"{reverse('kpis:dashboard', args=[workflow])}?{asked.query}"

    def _of_release(self, row: Release, name: str, version: int | None) -> Change:
        words = {"name": name, "number": version or 0}
        text = _("Rules of %(name)s: version %(number)s in force") if version else _("Rules of %(name)s: retired")
        return Change(kind=ChangeKind.POLICY, at=row.created_at, text=text % words, why=row.note)


def _call_hours(rows: QuerySet[ConnectorCall]) -> list[CallHour]:
    """The hours with enough calls in trouble to be an outage; all calls are counted in these alone, as few as they are.

    One index knows the calls in trouble, so that the many that are not are left alone where there is no such hour.
    """
    by_hour = rows.annotate(hour=TruncHour("created_at")).values("connector", "hour")
    troubles = by_hour.filter(in_trouble=True).annotate(n=Count("pk")).filter(n__gte=OUTAGE_CALLS).order_by("-hour")
    found = {(row["connector"], row["hour"]): row["n"] for row in troubles[:MOST]}
    if not found:
        return []
    hours = [hour for _connector, hour in found]
    near = by_hour.filter(connector__in={one for one, _hour in found}, hour__in=set(hours))
    near = near.filter(created_at__gte=min(hours), created_at__lt=max(hours) + HOUR)
    counted = near.values("connector", "connector__name", "hour").annotate(n=Count("pk")).order_by("connector", "hour")
    return [
        CallHour(row["connector__name"], row["hour"], row["n"], found[place])
        for row in counted
        if (place := (row["connector"], row["hour"])) in found
    ]
