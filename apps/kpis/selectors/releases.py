"""The versions of workflows that came into force, as the ledger tells them."""

from collections.abc import Mapping

from django.db.models import QuerySet

from apps.access.selectors import unit_ids_below
from apps.audit.models import Entry
from apps.core.gate import require, visible
from apps.core.models import User
from apps.kpis.models.clock import database_now, reporting_currency
from apps.kpis.rules.definitions import RELEASES, Definition
from apps.kpis.rules.figures import Figure, figure_of
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.releases import Release, ReleaseCounts, releases_in
from apps.kpis.selectors.changes import OF_WORKFLOW
from apps.kpis.selectors.definitions import VIEW
from apps.workflows.models import WorkflowVersion

NEWEST = ("-occurred_at", "-id")


def release_figures_for(actor: User, asked: KpiFilter) -> Mapping[str, Figure]:
    """How versions came into force in the period, within workflow and unit; nothing else of the filter limits it."""
    require(actor, VIEW)
    measures, currency = _counts(actor, asked).measures, reporting_currency()
    return {key: figure_of(definition, measures, currency) for key, definition in RELEASES.items()}


def releases_for(actor: User, definition: Definition, asked: KpiFilter) -> QuerySet[Entry]:
    """The entries behind such a figure."""
    require(actor, VIEW)
    counted: list[Release] = getattr(_counts(actor, asked), definition.members)
    return visible(actor, VIEW, Entry.objects.filter(pk__in=[one.entry for one in counted]))


def _counts(actor: User, asked: KpiFilter) -> ReleaseCounts:
    return releases_in(_releases(actor, asked), asked.period, database_now())


def _releases(actor: User, asked: KpiFilter) -> list[Release]:
    """Every one there was: what a period comes to depends on what came before and after it."""
    rows = visible(actor, VIEW, Entry.objects.filter(name=OF_WORKFLOW))
    if asked.unit:
        rows = rows.filter(unit__in=unit_ids_below(asked.unit))
    told = list(rows.order_by("pk"))
    drafted = dict(
        WorkflowVersion.objects.filter(pk__in={entry.subject_id for entry in told}).values_list("pk", "created_at")
    )
    return [
        Release(
            entry=entry.pk,
            workflow=str(entry.payload.get("workflow") or ""),
            number=int(entry.payload.get("number") or 0),
            before=entry.payload.get("before"),
            at=entry.occurred_at,
            drafted_at=drafted.get(entry.subject_id),
        )
        for entry in told
        if asked.workflow in {"", entry.payload.get("workflow")}
    ]
