"""How versions of workflows come into force, and how often they are taken back."""

from apps.kpis.rules.definitions.kinds import (
    Behind,
    Definition,
    Direction,
    Kind,
    Unit,
    gettext_noop,
    percentile,
    share,
)

_RELEASED = (
    Definition(
        key="activations_per_week",
        label=gettext_noop("Activations per week"),
        formula=gettext_noop(
            "versions put in force / weeks of the period that have passed; what puts an earlier version back is a "
            "rollback and none"
        ),
        unit=Unit.NUMBER,
        direction=Direction.NONE,
        kind=Kind.PART,
        numerator="activations",
        denominator="weeks",
        members="activations",
        behind=Behind.RELEASES,
        sampled=False,
    ),
    percentile(
        "version_lead_time_p50_s",
        gettext_noop("Draft to active, median"),
        gettext_noop("from the draft to the first time in force, of versions first put in force in the period"),
        0.5,
        "version_lead",
        "first_activations",
        Behind.RELEASES,
    ),
    share(
        "rolled_back_rate",
        gettext_noop("Rolled back within 7 days"),
        gettext_noop(
            "activations followed within 7 days by a rollback as the next change / activations of at least 7 days ago"
        ),
        Direction.DOWN,
        "rolled_back",
        "settled",
        behind=Behind.RELEASES,
    ),
    percentile(
        "rollback_time_p50_s",
        gettext_noop("Time to roll back, median"),
        gettext_noop("from when a version came in force to when an earlier one took its place, of rollbacks"),
        0.5,
        "rollback_time",
        "rollbacks",
        Behind.RELEASES,
    ),
)
RELEASES: dict[str, Definition] = {one.key: one for one in _RELEASED}
