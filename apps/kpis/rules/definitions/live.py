"""The figures of now: what is open, how old it is, what is late. No period limits them, and none of them is in one."""

from apps.kpis.rules.definitions.kinds import (
    Behind,
    Definition,
    Direction,
    Kind,
    Unit,
    gettext_noop,
    percentile,
)

AT_RISK = 0.8
"""From this share of its target on, an open run is at risk."""


def _open(
    key: str, label: str, formula: str, of: str, unit: Unit = Unit.RUNS, behind: Behind = Behind.NOW
) -> Definition:
    return Definition(
        key=key,
        label=label,
        formula=formula,
        unit=unit,
        direction=Direction.DOWN,
        kind=Kind.STOCK,
        numerator=of,
        denominator=of,
        members=of,
        behind=behind,
        sampled=False,
    )


def _pending(key: str, label: str, formula: str) -> Definition:
    return _open(key, label, formula, key, Unit.DECISIONS, Behind.PENDING)


_AGE = gettext_noop("now minus started at, of the runs that are open; calendar time, pauses included")

NOW = (
    _open("wip", gettext_noop("Open runs"), gettext_noop("runs that have started and not finished, now"), "open"),
    percentile("wip_age_p50_s", gettext_noop("Age of open runs, median"), _AGE, 0.5, "age", "open", Behind.NOW),
    percentile(
        "wip_age_p85_s", gettext_noop("Age of open runs, 85th percentile"), _AGE, 0.85, "age", "open", Behind.NOW
    ),
    percentile("wip_age_max_s", gettext_noop("Age of the oldest open run"), _AGE, 1.0, "age", "open", Behind.NOW),
    _open(
        "breached_open",
        gettext_noop("Open past their SLA"),
        gettext_noop("open runs whose time since the start, without pauses, is beyond their target, now"),
        "breached",
    ),
    _open(
        "at_risk",
        gettext_noop("Open and at risk"),
        gettext_noop("open runs beyond 80 % of their target and not yet beyond it, counted without pauses, now"),
        "at_risk",
    ),
    _open(
        "incidents_open",
        gettext_noop("Open incidents"),
        gettext_noop("incidents that are not in order again, now, whenever they began"),
        "unresolved",
        Unit.INCIDENTS,
        Behind.UNRESOLVED,
    ),
    _pending("pending", gettext_noop("Waiting for people"), gettext_noop("what waits for people's decision, now")),
    percentile(
        "pending_age_max_s",
        gettext_noop("Longest wait for people"),
        gettext_noop("now minus requested at, of what has waited longest; calendar time"),
        1.0,
        "pending_age",
        "pending",
        Behind.PENDING,
    ),
    _pending(
        "pending_1d",
        gettext_noop("Waiting for people for more than a day"),
        gettext_noop("what waits for people's decision and was asked for more than 24 hours ago, now"),
    ),
    _pending(
        "pending_3d",
        gettext_noop("Waiting for people for more than 3 days"),
        gettext_noop("what waits for people's decision and was asked for more than 72 hours ago, now"),
    ),
    _pending(
        "pending_7d",
        gettext_noop("Waiting for people for more than 7 days"),
        gettext_noop("what waits for people's decision and was asked for more than 168 hours ago, now"),
    ),
)
