"""Hours that were out of line, in words, with the runs behind them."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.utils.translation import gettext as _

from apps.core.errors import NotFoundError
from apps.core.gate import require, visible
from apps.core.models import User
from apps.kpis.models import Anomaly
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules.anomalies import SENTENCES, Unusual
from apps.kpis.rules.buckets import BucketSize, Period
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import count_text
from apps.kpis.selectors.drawings import page_of_kpi
from apps.kpis.selectors.reading import VIEW

SHOWN_DAYS, RECENT = 60, timedelta(hours=24)
MOST = 200
BEHIND = {Unusual.FAILURES: "error_rate", Unusual.MORE: "arrivals", Unusual.FEWER: "arrivals"}


@dataclass(frozen=True, slots=True)
class AnomalySeen:
    """One anomaly in words; ``muted``: nobody is told of the like of it now."""

    row: Anomaly
    sentence: str
    href: str
    muted: bool


def anomalies_for(actor: User, workflow: str = "") -> list[AnomalySeen]:
    """What was found in 60 days, the newest first; of one workflow, or of all.

    Raises NotAllowedError for who may see no figures anywhere.
    """
    require(actor, VIEW)
    now = database_now()
    rows = visible(actor, VIEW, Anomaly.objects.filter(until__gte=now - timedelta(days=SHOWN_DAYS)))
    if workflow:
        rows = rows.filter(workflow__slug=workflow)
    found = list(rows.select_related("workflow__unit", "muted_by").order_by("-until", "-id")[:MOST])
    muting = visible(actor, VIEW, Anomaly.objects.filter(muted_until__gt=now))
    hushed = set(muting.values_list("workflow_id", "kind"))
    return [AnomalySeen(row, _sentence(row), _behind(row), (row.workflow_id, row.kind) in hushed) for row in found]


def recent_anomalies_for(actor: User, workflow: str = "") -> list[AnomalySeen]:
    """What is worth a look now: of the last 24 hours, and not muted; of one workflow, or of all."""
    since = database_now() - RECENT
    return [one for one in anomalies_for(actor, workflow) if one.row.until >= since and not one.muted]


def anomaly_for(actor: User, anomaly_id: UUID) -> Anomaly:
    """The anomaly that ``actor`` may see. Raises NotFoundError."""
    rows = visible(actor, VIEW, Anomaly.objects.filter(pk=anomaly_id))
    found = rows.select_related("workflow__unit").first()
    if found is None:
        raise NotFoundError
    return found


def _sentence(row: Anomaly) -> str:
    values = {"count": count_text(row.count), "of": count_text(row.of), "expected": count_text(round(row.expected, 1))}
    return _(SENTENCES[Unusual(row.kind)]) % values


def _behind(row: Anomaly) -> str:
    asked = KpiFilter(
        period=Period(row.began_at, row.until),
        zone=reporting_zone(),
        size=BucketSize.HOUR,
        workflow=row.workflow.slug,
    )
    return page_of_kpi(asked, BEHIND[Unusual(row.kind)])
