"""Where the dashboards are: those of the plane, those of workflows, and those where nothing is to be seen yet."""

from dataclasses import dataclass

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.core.gate import require, visible
from apps.core.models import User
from apps.kpis.models import RollupDay
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors.drawings import AGENTS, COST, OVERSIGHT, OVERVIEW
from apps.kpis.selectors.lines import said_slug
from apps.kpis.selectors.reading import VIEW
from apps.workflows.models import Workflow

type Place = tuple[str, str, bool]
"""An address, its name, whether it is this page."""


@dataclass(frozen=True, slots=True)
class Places:
    """The dashboards. ``unused``: those of workflows without a run and without a version in force."""

    used: list[Place]
    unused: list[Place]


@dataclass(frozen=True, slots=True)
class WorkflowsSeen:
    """Slug and name of workflows, in the order of names.

    ``there``: those that can be chosen; of what simulated history alone tells of nothing can be said. ``unused``: those
    that neither ran nor have a version in force.
    """

    names: dict[str, str]
    there: dict[str, str]
    unused: frozenset[str]


def places_for(actor: User, slug: str, asked: KpiFilter, seen: WorkflowsSeen) -> Places:
    """The dashboards, with the filter kept. The page that one is on always stands among those that are used."""
    assert actor.is_active
    query = asked.of_workflow("").query
    known = {OVERVIEW: _("Overview"), AGENTS: _("Agents"), COST: _("Cost"), OVERSIGHT: _("Oversight")} | seen.names
    used, unused = list[Place](), list[Place]()
    for one, name in known.items():
        place = (f"{reverse('kpis:dashboard', args=[one])}?{query}", name, one == slug)
        (unused if one in seen.unused and one != slug else used).append(place)
    return Places(used, unused)


def workflows_seen_for(actor: User) -> WorkflowsSeen:
    """Every workflow of which ``actor`` may count runs, or which is there in their units."""
    require(actor, VIEW)
    ran = set(visible(actor, VIEW, RollupDay.objects.all()).order_by().values_list("workflow", flat=True).distinct())
    kept = visible(actor, VIEW, Workflow.objects.all()).values("pk")
    rows = Workflow.objects.filter(Q(slug__in=ran) | Q(pk__in=kept)).annotate(is_idle=Q(active=None))
    told = rows.values_list("slug", "name", "is_idle")
    named = {slug: name for slug, name, _is_idle in told}
    found = {slug: named.get(slug) or said_slug(slug) for slug in ran | named.keys() if slug}
    idle = frozenset(slug for slug, _name, is_idle in told if is_idle and slug not in ran)
    names = dict(sorted(found.items(), key=lambda one: one[1]))
    return WorkflowsSeen(names, {slug: name for slug, name in names.items() if slug in named}, idle)
