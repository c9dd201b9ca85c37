"""The second sentence of a dashboard: what went wrong, what was refused, what was seen, how right agents are."""

from dataclasses import dataclass

from apps.core.statistics import wilson_interval
from apps.kpis.rules.definitions import gettext_noop
from apps.kpis.rules.figures import Figure
from apps.kpis.rules.formats import count_text, percent_text
from apps.kpis.rules.sentences import Sentence

GOVERNED = "governed"
"""Where the part about calls of tools leads: it is no KPI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskSeen:
    """Of the period: incidents that began, attempts that policy denied, calls of tools with an action behind them.

    ``unresolved``: incidents of any time that are open now. ``accuracy``: of agents' actions that were judged.
    """

    incidents: int
    unresolved: int
    denied: int
    governed: int
    called: int
    accuracy: Figure


def risk_parts(seen: RiskSeen) -> list[Sentence]:
    """The sentence, part by part; each says with ``kpi`` what lists it."""
    return [
        _counted(seen.incidents, gettext_noop("%(n)s incident"), gettext_noop("%(n)s incidents"), kpi="incidents"),
        Sentence(gettext_noop("%(n)s open now"), {"n": count_text(seen.unresolved)}, kpi="incidents_open"),
        _counted(
            seen.denied, gettext_noop("%(n)s denied attempt"), gettext_noop("%(n)s denied attempts"), kpi="denied"
        ),
        _governed(seen.governed, seen.called),
        _accuracy(seen.accuracy),
    ]


def _counted(n: int, one: str, more: str, kpi: str) -> Sentence:
    return Sentence(one if n == 1 else more, {"n": count_text(n)}, kpi=kpi)


def _governed(governed: int, called: int) -> Sentence:
    if (interval := wilson_interval(governed, called)) is None:
        return Sentence(gettext_noop("no call of a tool was reported"), kpi=GOVERNED)
    low, high = (percent_text(end) for end in interval)
    values = {"share": percent_text(governed / called), "n": count_text(called), "interval": f"{low}–{high}"}
    text = gettext_noop("%(share)s of %(n)s reported calls of tools governed (%(interval)s)")
    return Sentence(text, values, kpi=GOVERNED)


def _accuracy(accuracy: Figure) -> Sentence:
    if accuracy.value is None or accuracy.low is None or accuracy.high is None:
        return Sentence(gettext_noop("no action was judged, so no accuracy"), kpi="accuracy")
    values = {
        "share": percent_text(accuracy.value),
        "interval": f"{percent_text(accuracy.low)}–{percent_text(accuracy.high)}",
        "n": count_text(accuracy.denominator),
    }
    return Sentence(gettext_noop("accuracy %(share)s (%(interval)s, %(n)s judged)"), values, kpi="accuracy")
