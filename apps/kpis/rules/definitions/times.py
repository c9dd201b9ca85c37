"""Where the time of runs and decisions goes, and what steps came to.

Each moment of a run is counted once: as people's, else as an agent's, else as a connector's, else as waiting.
"""

from apps.kpis.rules.definitions.kinds import (
    Behind,
    Definition,
    Direction,
    Kind,
    Unit,
    gettext_noop,
    part,
    per_run,
    percentile,
    share,
)

_OPEN_WAIT = gettext_noop(
    "open time from requested at to decided at, of every decision in the period in a unit with a calendar: its own, or "
    "that of the nearest unit above it, as it stood when it was decided"
)

TIMES = (
    per_run(
        "touch_time_s",
        gettext_noop("Touch time per run"),
        gettext_noop(
            "time in runs in which people were at it: as long as their time costs, up to each vote "
            "/ runs that ended, cancelled ones too"
        ),
        Unit.SECONDS,
        "touch_ms",
    ),
    per_run(
        "agent_time_s",
        gettext_noop("Agents' time per run"),
        gettext_noop(
            "time in runs in which a step of an agent was being worked on, and nobody was at it "
            "/ runs that ended, cancelled ones too"
        ),
        Unit.SECONDS,
        "agent_ms",
    ),
    per_run(
        "connector_time_s",
        gettext_noop("Connectors' time per run"),
        gettext_noop(
            "time in runs in which a connector's step was under way, and neither people nor agents worked "
            "/ runs that ended, cancelled ones too"
        ),
        Unit.SECONDS,
        "connector_ms",
    ),
    per_run(
        "wait_time_s",
        gettext_noop("Waiting time per run"),
        gettext_noop("time in runs in which nobody and nothing worked / runs that ended, cancelled ones too"),
        Unit.SECONDS,
        "wait_ms",
    ),
    per_run(
        "queue_time_s",
        gettext_noop("Queue time per run"),
        gettext_noop(
            "of the waiting time, that in which an agent's step lay in its queue until it was taken "
            "/ runs that ended, cancelled ones too"
        ),
        Unit.SECONDS,
        "queue_ms",
    ),
    percentile(
        "failed_time_p50_s",
        gettext_noop("Cycle time of failed runs, median"),
        gettext_noop("finished at minus started at, of the runs that failed; calendar time; exact percentile, type 7"),
        0.5,
        "failed_cycle",
        "failed",
    ),
    percentile(
        "cancelled_time_p50_s",
        gettext_noop("Cycle time of cancelled runs, median"),
        gettext_noop(
            "finished at minus started at, of the runs that were cancelled; calendar time; exact percentile, type 7"
        ),
        0.5,
        "cancelled_cycle",
        "cancelled",
    ),
    percentile(
        "business_latency_p50_s",
        gettext_noop("Approval latency in open hours, median"),
        _OPEN_WAIT,
        0.5,
        "open_latency",
        "decided_in_calendar",
        Behind.DECISIONS,
    ),
    percentile(
        "business_latency_p90_s",
        gettext_noop("Approval latency in open hours, 90th percentile"),
        _OPEN_WAIT,
        0.9,
        "open_latency",
        "decided_in_calendar",
        Behind.DECISIONS,
    ),
    share(
        "hasty_rate",
        gettext_noop("Decided in under 5 s"),
        gettext_noop("decisions taken less than 5 seconds after they were asked for / decisions"),
        Direction.DOWN,
        "hasty",
        "decided",
        behind=Behind.DECISIONS,
    ),
    Definition(
        key="time_saved_s",
        label=gettext_noop("Time saved"),
        formula=gettext_noop(
            "people's time per run of the baseline × runs that succeeded − people's time of all finished and cancelled "
            "runs, where a baseline was in force when the run started; negative is shown as negative"
        ),
        unit=Unit.SECONDS,
        direction=Direction.UP,
        kind=Kind.SUM,
        numerator="saved_ms",
        denominator="compared_time",
        members="closed",
        sampled=False,
        per_day=True,
    ),
    part(
        "flow_efficiency",
        gettext_noop("Flow efficiency"),
        gettext_noop(
            "time in which somebody or something worked / time from started to finished: "
            "the sum over the sum, of the runs that succeeded"
        ),
        Direction.UP,
        "flow_ms",
        "taken_ms",
        "succeeded",
    ),
    part(
        "step_failure_rate",
        gettext_noop("Step failure rate"),
        gettext_noop(
            "attempts of agents and connectors that failed / their attempts: "
            "the sum over the sum, of the runs that succeeded or failed"
        ),
        Direction.DOWN,
        "failed_tries",
        "tries",
        "finished",
    ),
    part(
        "step_automation_rate",
        gettext_noop("Step automation rate"),
        gettext_noop(
            "steps that agents and connectors did and nobody mended / steps that people, agents and connectors worked "
            "on: the sum over the sum, of the runs that succeeded or failed"
        ),
        Direction.UP,
        "automated_steps",
        "worked_steps",
        "finished",
    ),
)
