"""What definitions name: counts and sums that may be added, percentiles that may not, and who is counted."""

from collections.abc import Callable, Mapping

RUN_COUNTS = (
    "succeeded",
    "failed",
    "wrong",
    "cancelled",
    "sla_due",
    "sla_met",
    "no_touch",
    "amended",
    "turned_down",
    "escalated",
    "reworked",
    "first_pass",
    "in_calendar",
)
"""Counts over finished runs; ``finished`` is succeeded + failed, ``closed`` with the cancelled.

``helped`` is what succeeded and is not ``no_touch``: ``amended``, ``turned_down`` and, the rest of it, ``as_asked``.
``given_up`` is failed + turned_down, ``late`` what was due and is not ``sla_met``.
"""
RUN_SUMS = (
    "cost_micro",
    "human_ms",
    "llm_micro",
    "human_micro",
    "connector_micro",
    "agent_micro",
    "unpriced",
    "paused_ms",
    "handovers",
    "touch_ms",
    "agent_ms",
    "connector_ms",
    "wait_ms",
    "queue_ms",
)
"""Sums over all runs that ended, called as their columns are."""
FLOW_SUMS = ("flow_ms", "taken_ms")
"""Over runs that succeeded: how long somebody or something worked, and how long they took."""
STEP_SUMS = ("tries", "failed_tries", "worked_steps", "automated_steps")
"""Over runs that succeeded or failed, called as their columns are."""
DECISION_COUNTS = (
    "decided",
    "approved",
    "edited",
    "overridden",
    "expired",
    "asked_by_rule",
    "needless",
    "decided_in_calendar",
    "hasty",
)
HASTY_MS = 5000
"""Who decides within this time cannot have read much."""
ACTION_COUNTS = (
    "judged",
    "judged_right",
    "judged_by_decision",
    "right_by_decision",
    "judged_by_review",
    "right_by_review",
    "judged_by_reading",
    "right_by_reading",
    "judged_alone",
    "missed",
    "denied",
    "acted",
    "acted_alone",
)
INCIDENT_COUNTS = ("incidents",)
COST_SUMS = ("spend_micro", "cost_items")
ADDITIVE = (
    *RUN_COUNTS,
    *RUN_SUMS,
    *FLOW_SUMS,
    *STEP_SUMS,
    "arrivals",
    *DECISION_COUNTS,
    *ACTION_COUNTS,
    *INCIDENT_COUNTS,
    *COST_SUMS,
)
"""What a rollup keeps: measures that may be added over days, units and versions."""
PERCENTILES: Mapping[str, tuple[float, ...]] = {
    "cycle": (0.5, 0.9, 0.95),
    "lead": (0.5, 0.9),
    "business": (0.5, 0.9),
    "failed_cycle": (0.5,),
    "cancelled_cycle": (0.5,),
    "latency": (0.5, 0.9),
    "open_latency": (0.5, 0.9),
    "age": (0.5, 0.85, 1.0),
    "pending_age": (1.0,),
}
"""What must be computed from facts: a percentile of percentiles is none."""

LOW, HIGH = "_low", "_high"
"""Behind the name of a percentile: the ends of its interval."""

type Measures = Mapping[str, float | None]


def percentile_name(of: str, fraction: float) -> str:
    """``cycle_p90``: the measure that holds a percentile, in milliseconds."""
    return f"{of}_p{round(fraction * 100)}"


def with_totals(measures: Mapping[str, float | None]) -> dict[str, float | None]:
    """Add what follows from the counts (``RUN_COUNTS`` says what)."""
    succeeded = measures.get("succeeded") or 0
    finished = succeeded + (measures.get("failed") or 0)
    closed = finished + (measures.get("cancelled") or 0)
    helped, turned_down = succeeded - (measures.get("no_touch") or 0), measures.get("turned_down") or 0
    return {
        **measures,
        "finished": finished,
        "closed": closed,
        "helped": helped,
        "as_asked": helped - (measures.get("amended") or 0) - turned_down,
        "given_up": (measures.get("failed") or 0) + turned_down,
        "late": (measures.get("sla_due") or 0) - (measures.get("sla_met") or 0),
    }


MEMBER: Mapping[str, Callable[[Mapping[str, object]], bool]] = {
    "succeeded": lambda run: run["state"] == "succeeded",
    "failed": lambda run: run["state"] == "failed",
    "wrong": lambda run: MEMBER["finished"](run) and (run["state"] == "failed" or int(str(run["mismatches"])) > 0),
    "cancelled": lambda run: run["state"] == "cancelled",
    "finished": lambda run: run["state"] in ("succeeded", "failed"),
    "closed": lambda run: run["state"] in ("succeeded", "failed", "cancelled"),
    "sla_due": lambda run: MEMBER["finished"](run) and run["sla_met"] is not None,
    "sla_met": lambda run: MEMBER["finished"](run) and run["sla_met"] is True,
    "no_touch": lambda run: run["state"] == "succeeded" and run["touches"] == 0,
    "helped": lambda run: run["state"] == "succeeded" and int(str(run["touches"])) > 0,
    "as_asked": lambda run: MEMBER["helped"](run) and not (run["amended"] or run["turned_down"]),
    "amended": lambda run: run["state"] == "succeeded" and bool(run["amended"]) and not run["turned_down"],
    "turned_down": lambda run: run["state"] == "succeeded" and bool(run["turned_down"]),
    "given_up": lambda run: run["state"] == "failed" or MEMBER["turned_down"](run),
    "late": lambda run: MEMBER["finished"](run) and run["sla_met"] is False,
    "escalated": lambda run: MEMBER["finished"](run) and run["escalated"] is True,
    "reworked": lambda run: MEMBER["finished"](run) and run["reworked"] is True,
    "first_pass": lambda run: MEMBER["finished"](run) and run["failed_attempts"] == 0,
    "in_calendar": lambda run: run["state"] == "succeeded" and run["business_ms"] is not None,
}
"""Which finished runs a count counts: the same words in Python that selectors say in SQL; a test holds them equal."""
