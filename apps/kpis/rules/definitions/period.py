"""The figures of a period."""

from apps.kpis.rules.definitions.kinds import (
    Behind,
    Definition,
    Direction,
    Kind,
    Unit,
    count,
    gettext_noop,
    per_run,
    percentile,
    share,
)

_CYCLE = gettext_noop(
    "finished at minus started at, of the runs that succeeded; calendar time; exact percentile, type 7"
)
_LEAD = gettext_noop("finished at minus accepted at, of the runs that succeeded; the queue before the start included")
_BUSINESS = gettext_noop(
    "open time from started to finished, of the runs that succeeded in a unit with a calendar: its own, or that of the "
    "nearest unit above it, as it stood when the run ended"
)
_LATENCY = gettext_noop("decided at minus requested at, of every decision in the period; expiries are counted apart")

PERIOD = (
    count(
        "throughput",
        gettext_noop("Throughput"),
        gettext_noop("runs that succeeded, by the time at which they finished"),
        Direction.UP,
        "succeeded",
        Behind.FINISHED,
    ),
    count(
        "arrivals",
        gettext_noop("Arrivals"),
        gettext_noop("runs by the time at which their first step started"),
        Direction.NONE,
        "arrivals",
        Behind.STARTED,
    ),
    count(
        "failed",
        gettext_noop("Failed runs"),
        gettext_noop("runs that failed for good, by the time at which they finished"),
        Direction.DOWN,
        "failed",
        Behind.FINISHED,
    ),
    count(
        "cancelled",
        gettext_noop("Cancelled runs"),
        gettext_noop("runs that were cancelled; they are in the cost and in no rate"),
        Direction.NONE,
        "cancelled",
        Behind.FINISHED,
    ),
    percentile("cycle_time_p50_s", gettext_noop("Cycle time, median"), _CYCLE, 0.5, "cycle", "succeeded"),
    percentile("cycle_time_p90_s", gettext_noop("Cycle time, 90th percentile"), _CYCLE, 0.9, "cycle", "succeeded"),
    percentile("cycle_time_p95_s", gettext_noop("Cycle time, 95th percentile"), _CYCLE, 0.95, "cycle", "succeeded"),
    percentile("lead_time_p50_s", gettext_noop("Lead time, median"), _LEAD, 0.5, "lead", "succeeded"),
    percentile("lead_time_p90_s", gettext_noop("Lead time, 90th percentile"), _LEAD, 0.9, "lead", "succeeded"),
    share(
        "error_rate",
        gettext_noop("Error rate"),
        gettext_noop(
            "runs that failed, or of which a system of record shows something else than was done "
            "/ runs that succeeded or failed; what a retry mended is no failure"
        ),
        Direction.DOWN,
        "wrong",
        "finished",
    ),
    share(
        "sla_adherence",
        gettext_noop("SLA adherence"),
        gettext_noop(
            "runs that succeeded within their target / finished runs that have one; a failed run does not meet it, "
            "paused time does not count"
        ),
        Direction.UP,
        "sla_met",
        "sla_due",
    ),
    count(
        "sla_breaches",
        gettext_noop("SLA breaches"),
        gettext_noop(
            "finished runs that did not meet their target, failed ones too, by the time at which they finished"
        ),
        Direction.DOWN,
        "late",
        Behind.FINISHED,
    ),
    Definition(
        key="cost_per_success_minor",
        label=gettext_noop("Cost per workflow"),
        formula=gettext_noop(
            "cost of all finished and cancelled runs / runs that succeeded: successes pay for failures"
        ),
        unit=Unit.MINOR,
        direction=Direction.DOWN,
        kind=Kind.QUOTIENT,
        numerator="cost_micro",
        denominator="succeeded",
        members="closed",
    ),
    Definition(
        key="cost_per_finished_minor",
        label=gettext_noop("Cost per finished run"),
        formula=gettext_noop(
            "cost of all finished and cancelled runs / runs that succeeded or failed: what a run takes, however it ends"
        ),
        unit=Unit.MINOR,
        direction=Direction.DOWN,
        kind=Kind.QUOTIENT,
        numerator="cost_micro",
        denominator="finished",
        members="closed",
    ),
    Definition(
        key="spend_minor",
        label=gettext_noop("Spend"),
        formula=gettext_noop("every cost by the time at which it was incurred, running runs included"),
        unit=Unit.MINOR,
        direction=Direction.DOWN,
        kind=Kind.SUM,
        numerator="spend_micro",
        denominator="cost_items",
        members="cost_items",
        behind=Behind.COSTS,
        sampled=False,
        per_day=True,
    ),
    Definition(
        key="savings_minor",
        label=gettext_noop("Savings"),
        formula=gettext_noop(
            "baseline cost × runs that succeeded − cost of all finished and cancelled runs, where a baseline was in "
            "force when the run started; negative is shown as negative"
        ),
        unit=Unit.MINOR,
        direction=Direction.UP,
        kind=Kind.SUM,
        numerator="saved_micro",
        denominator="compared",
        members="closed",
        sampled=False,
        per_day=True,
    ),
    share(
        "escalation_rate",
        gettext_noop("Escalation rate"),
        gettext_noop(
            "runs with an action, a question or an exception that went to people, or a person's step past its due date "
            "/ runs that succeeded or failed; planned approvals and forms are touches"
        ),
        Direction.DOWN,
        "escalated",
        "finished",
    ),
    share(
        "no_touch_rate",
        gettext_noop("Autonomy rate"),
        gettext_noop("runs that succeeded without any person's hand / runs that succeeded or failed"),
        Direction.UP,
        "no_touch",
        "finished",
    ),
    count(
        "helped",
        gettext_noop("Runs with a person"),
        gettext_noop("runs that succeeded with at least one person's hand, by the time at which they finished"),
        Direction.NONE,
        "helped",
        Behind.FINISHED,
    ),
    count(
        "helped_as_asked",
        gettext_noop("Runs approved as asked"),
        gettext_noop(
            "runs that succeeded with a person's hand, and nothing in them was edited, sent back or rejected, by the "
            "time at which they finished"
        ),
        Direction.NONE,
        "as_asked",
        Behind.FINISHED,
    ),
    count(
        "helped_edited",
        gettext_noop("Runs edited or sent back"),
        gettext_noop(
            "runs that succeeded, in which a person edited or sent back what was proposed and rejected nothing, by the "
            "time at which they finished"
        ),
        Direction.NONE,
        "amended",
        Behind.FINISHED,
    ),
    count(
        "rejected_or_failed",
        gettext_noop("Runs rejected or failed"),
        gettext_noop(
            "runs that failed, or that succeeded after a person had rejected what was proposed, by the time at which "
            "they finished"
        ),
        Direction.DOWN,
        "given_up",
        Behind.FINISHED,
    ),
    share(
        "rework_rate",
        gettext_noop("Rework rate"),
        gettext_noop(
            "runs with a step done again for its content / runs that succeeded or failed; retries are no rework"
        ),
        Direction.DOWN,
        "reworked",
        "finished",
    ),
    percentile(
        "approval_latency_p50_s",
        gettext_noop("Approval latency, median"),
        _LATENCY,
        0.5,
        "latency",
        "decided",
        Behind.DECISIONS,
    ),
    percentile(
        "approval_latency_p90_s",
        gettext_noop("Approval latency, 90th percentile"),
        _LATENCY,
        0.9,
        "latency",
        "decided",
        Behind.DECISIONS,
    ),
    share(
        "approval_rate",
        gettext_noop("Approval rate"),
        gettext_noop("decisions that approved, as proposed or edited / decisions"),
        Direction.NONE,
        "approved",
        "decided",
        behind=Behind.DECISIONS,
    ),
    share(
        "override_rate",
        gettext_noop("Override rate"),
        gettext_noop("decisions that edited or rejected what was proposed / decisions"),
        Direction.NONE,
        "overridden",
        "decided",
        behind=Behind.DECISIONS,
    ),
    share(
        "first_pass_yield",
        gettext_noop("First-pass yield"),
        gettext_noop("runs without any failed attempt / runs that succeeded or failed"),
        Direction.UP,
        "first_pass",
        "finished",
    ),
    per_run(
        "human_time_s",
        gettext_noop("Human time per run"),
        gettext_noop(
            "people's active time, at most 15 minutes a decision where it is estimated "
            "/ runs that ended, cancelled ones too"
        ),
        Unit.SECONDS,
        "human_ms",
    ),
    percentile(
        "business_time_p50_s", gettext_noop("Business cycle time, median"), _BUSINESS, 0.5, "business", "in_calendar"
    ),
    percentile(
        "business_time_p90_s",
        gettext_noop("Business cycle time, 90th percentile"),
        _BUSINESS,
        0.9,
        "business",
        "in_calendar",
    ),
    per_run(
        "paused_time_s",
        gettext_noop("Paused time per run"),
        gettext_noop("time for which people had paused runs / runs that ended, cancelled ones too; no SLA counts it"),
        Unit.SECONDS,
        "paused_ms",
    ),
    per_run(
        "handovers",
        gettext_noop("Handovers per run"),
        gettext_noop(
            "two steps in a row, by the time at which they ended, that different ones did: an agent, or people as one; "
            "a step that nobody did breaks the row / runs that ended, cancelled ones too"
        ),
        Unit.HANDOVERS,
        "handovers",
    ),
    count(
        "expiries",
        gettext_noop("Expired approvals"),
        gettext_noop("what waited for people until its time was over, by that time"),
        Direction.DOWN,
        "expired",
        Behind.DECISIONS,
        Unit.DECISIONS,
    ),
    share(
        "needless_escalations",
        gettext_noop("Needless escalations"),
        gettext_noop(
            "decisions that approved exactly what was asked, where a rule had asked for people "
            "/ decisions where a rule had"
        ),
        Direction.DOWN,
        "needless",
        "asked_by_rule",
        behind=Behind.DECISIONS,
    ),
    Definition(
        key="backlog",
        label=gettext_noop("Backlog"),
        formula=gettext_noop("runs started and not finished at the end of the period, or now"),
        unit=Unit.RUNS,
        direction=Direction.DOWN,
        kind=Kind.STOCK,
        numerator="backlog",
        denominator="backlog",
        members="backlog",
        behind=Behind.OPEN,
        sampled=False,
    ),
)
