"""Which figures there are: the plane's, and those of one's own that the reader may know of."""

from django.db.models import Q, QuerySet

from apps.core.errors import NotFoundError
from apps.core.gate import require, visible
from apps.core.models import User
from apps.kpis.models import Kpi, RollupDay
from apps.kpis.rules.definitions import DEFINITIONS, LIVE, RELEASES, UPTIME, Definition
from apps.workflows.models import Workflow

VIEW = "kpis.view_kpi"


def kpis_of(actor: User, workflow: str = "") -> QuerySet[Kpi]:
    """The KPIs that people defined, of one workflow or of all of which ``actor`` may count runs or is in the unit."""
    require(actor, VIEW)
    counted = visible(actor, VIEW, RollupDay.objects.all()).order_by().values("workflow")
    kept = visible(actor, VIEW, Workflow.objects.all()).order_by().values("slug")
    rows = Kpi.objects.filter(Q(workflow__in=counted) | Q(workflow__in=kept)).order_by("slug")
    return rows.filter(workflow=workflow) if workflow else rows


def any_definition_for(actor: User, key: str) -> Definition:
    """The plane's KPI of this name, or one of one's own. Raises NotFoundError."""
    require(actor, VIEW)
    if known := DEFINITIONS.get(key) or LIVE.get(key) or UPTIME.get(key) or RELEASES.get(key):
        return known
    if (own := kpis_of(actor).filter(slug=key).first()) is None:
        raise NotFoundError
    return own.definition


def definitions_for(actor: User) -> dict[str, Definition]:
    """What a baseline or a target can be of: the plane's figures, and one's own."""
    return {**DEFINITIONS, **{kpi.slug: kpi.definition for kpi in kpis_of(actor)}}


def hidden_for(actor: User) -> QuerySet[Kpi]:
    """The KPIs of others, of which ``actor`` is told nothing: no baseline and no target either."""
    return Kpi.objects.exclude(pk__in=kpis_of(actor).order_by().values("pk"))
