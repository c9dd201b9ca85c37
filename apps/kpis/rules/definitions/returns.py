"""What came back of what is paid whether anything runs or not."""

from apps.kpis.rules.definitions.kinds import Definition, Direction, Kind, Unit, gettext_noop

RETURNS = (
    Definition(
        key="roi",
        label=gettext_noop("Return on investment"),
        formula=gettext_noop(
            "(savings − fixed cost) / fixed cost, of the days of the period that have passed; a day costs the month's "
            "amount by the days of its month; negative is shown as negative"
        ),
        unit=Unit.RATIO,
        direction=Direction.UP,
        kind=Kind.RETURN,
        numerator="saved_micro",
        denominator="fixed_micro",
        members="closed",
        sampled=False,
    ),
)
