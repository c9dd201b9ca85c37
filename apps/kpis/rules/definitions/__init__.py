"""Every KPI as one object: what a tile, a chart, a table, a drill-down, the CSV and the API all use."""

from collections.abc import Mapping

from apps.kpis.rules.definitions.actions import ACTIONS
from apps.kpis.rules.definitions.kinds import Behind, Definition, Direction, Kind, Unit, gettext_noop
from apps.kpis.rules.definitions.live import AT_RISK, NOW
from apps.kpis.rules.definitions.measures import (
    ACTION_COUNTS,
    ADDITIVE,
    COST_SUMS,
    DECISION_COUNTS,
    FLOW_SUMS,
    HASTY_MS,
    HIGH,
    INCIDENT_COUNTS,
    LOW,
    MEMBER,
    PERCENTILES,
    RUN_COUNTS,
    RUN_SUMS,
    STEP_SUMS,
    Measures,
    percentile_name,
    with_totals,
)
from apps.kpis.rules.definitions.period import PERIOD
from apps.kpis.rules.definitions.releases import RELEASES
from apps.kpis.rules.definitions.returns import RETURNS
from apps.kpis.rules.definitions.times import TIMES
from apps.kpis.rules.definitions.uptime import UPTIME

DEFINITIONS: Mapping[str, Definition] = {
    definition.key: definition for definition in (*PERIOD, *TIMES, *ACTIONS, *RETURNS)
}
"""The figures of a period."""
LIVE: Mapping[str, Definition] = {definition.key: definition for definition in NOW}
"""The figures of now."""

CARDS = (
    "cycle_time_p50_s",
    "error_rate",
    "throughput",
    "sla_adherence",
    "cost_per_success_minor",
    "escalation_rate",
    "no_touch_rate",
)
"""The seven cards, in the order in which an executive asks."""

__all__ = [
    "ACTION_COUNTS",
    "ADDITIVE",
    "AT_RISK",
    "CARDS",
    "COST_SUMS",
    "DECISION_COUNTS",
    "DEFINITIONS",
    "FLOW_SUMS",
    "HASTY_MS",
    "HIGH",
    "INCIDENT_COUNTS",
    "LIVE",
    "LOW",
    "MEMBER",
    "PERCENTILES",
    "RELEASES",
    "RUN_COUNTS",
    "RUN_SUMS",
    "STEP_SUMS",
    "UPTIME",
    "Behind",
    "Definition",
    "Direction",
    "Kind",
    "Measures",
    "Unit",
    "gettext_noop",
    "percentile_name",
    "with_totals",
]
