"""What the numbers say, in words. English text for the catalogue with its values; whoever shows it translates it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from apps.core.amounts import exponent_of
from apps.core.statistics import Z95
from apps.kpis.rules.comparing import SURE, Share, adjusted, exact_test
from apps.kpis.rules.definitions import Definition, Kind, Unit, gettext_noop
from apps.kpis.rules.figures import Figure, Trend, differs, trend_of, value_text
from apps.kpis.rules.formats import count_text, money_text, percent_text
from apps.kpis.rules.statistics import SMALL_N, has_sample

FLAT = 0.01
"""A relative change below this is called none."""
WORTH_SAYING = 0.1
"""A relative worsening below this is not worth a sentence."""
CROWDED = 0.5
"""One person with this share of the decisions is worth a sentence."""
STOP_ERRORS, FIX_ERRORS, SCALE_ERRORS, ON_TIME = 0.1, 0.05, 0.03, 0.9
"""The criteria of a workflow's verdict: each holds where the whole 95 % interval is on its side."""
CRITERIA = gettext_noop(
    "Scale: at most %(scale)s fail, at least %(time)s are on time, where there is an SLA, and it saves. Fix: more than "
    "%(fix)s fail, less than %(time)s are on time, or it costs more than before. Stop: more than %(stop)s fail and it "
    "costs more. Keep: all else. Shares count with their whole 95 %% interval; where the value alone says fix, or "
    "fewer than %(few)s runs ended, it is too early. The verdict suggests; nobody acts on it but you."
)
NOT_YET = {
    "error": gettext_noop(
        "%(error)s failed or wrong, %(sla)s on time, savings %(savings)s; to scale, surely at most %(border)s may fail"
    ),
    "sla": gettext_noop(
        "%(error)s failed or wrong, %(sla)s on time, savings %(savings)s; to scale, surely %(border)s have to be on "
        "time"
    ),
    "savings": gettext_noop(
        "%(error)s failed or wrong, %(sla)s on time, savings %(savings)s; to scale, it has to save"
    ),
}
"""What keeps a workflow from being scaled: the first of these that does."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """English text with named places, and what stands in them. ``kpi`` is where its link leads."""

    text: str
    values: Mapping[str, str] = field(default_factory=dict)
    kpi: str = ""
    workflow: str = ""


class Verdict(StrEnum):
    """What the numbers of one workflow suggest; a suggestion, never an act."""

    SCALE = "scale"
    KEEP = "keep"
    FIX = "fix"
    STOP = "stop"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One KPI of one workflow against the period before it."""

    workflow: str
    name: str
    now: Figure
    was: Figure


def value_sentence(no_touch: Figure, helped: float, savings: Figure, saved_s: float | None) -> Sentence:
    """The first sentence: how many runs were finished, without a person, with one or in vain, and what that saved."""
    if not no_touch.denominator:
        return Sentence(gettext_noop("No run finished in this period."), kpi="throughput")
    values = {"runs": count_text(no_touch.denominator), "share": percent_text(no_touch.value)}
    values |= _rest(no_touch, helped)
    if savings.value is None:
        text = gettext_noop(
            "Agents finished %(runs)s runs: %(share)s succeeded without a person, %(helped)s with one, "
            "%(failed)s failed. "
            "No baseline yet, so no savings."
        )
        return Sentence(text, values, kpi="no_touch_rate")
    values |= {"money": money_text(abs(savings.value), savings.currency)}
    if savings.value < 0:
        text = gettext_noop(
            "Agents finished %(runs)s runs: %(share)s succeeded without a person, %(helped)s with one, "
            "%(failed)s failed. "
            "They cost %(money)s more than the baseline."
        )
        return Sentence(text, values, kpi="savings_minor")
    if saved_s is None or saved_s <= 0:
        text = gettext_noop(
            "Agents finished %(runs)s runs: %(share)s succeeded without a person, %(helped)s with one, "
            "%(failed)s failed. "
            "They saved %(money)s against the baseline, "
            "after what their runs cost."
        )
        return Sentence(text, values, kpi="savings_minor")
    values |= {"hours": count_text(round(saved_s / 3600))}
    text = gettext_noop(
        "Agents finished %(runs)s runs: %(share)s succeeded without a person, %(helped)s with one, "
        "%(failed)s failed. "
        "They saved %(money)s and %(hours)s hours of "
        "people's work against the baseline, after what their runs cost."
    )
    return Sentence(text, values, kpi="savings_minor")


def _rest(no_touch: Figure, helped: float) -> dict[str, str]:
    """The shares of finished runs that succeeded with a person and that failed: with the autonomy rate the whole."""
    finished = no_touch.denominator or 1
    failed = finished - (no_touch.numerator or 0) - helped
    return {"helped": percent_text(helped / finished), "failed": percent_text(failed / finished)}


def beside_of(key: str, figures: Mapping[str, Figure]) -> Sentence:
    """What a KPI's card says so that it is not read as the rest of another; empty for most."""
    if key == "no_touch_rate" and figures[key].denominator:
        values = _rest(figures[key], figures["helped"].value or 0)
        return Sentence(gettext_noop("%(helped)s succeeded with a person, %(failed)s failed"), values)
    if key == "escalation_rate":
        return Sentence(gettext_noop("unplanned alone: approvals that a workflow plans are not in it"))
    return Sentence("")


def attention_sentence(compared: Sequence[Compared], busiest_share: float | None, decided: int) -> Sentence:
    """The third sentence: what worsened most against the period before, and whether one person carries it all.

    Many figures are asked at once, and of what is said at most one in twenty is chance (``adjusted``).
    """
    asked = [row for row in compared if row.now.enough and row.was.enough]
    chances = adjusted([_chance(row) for row in asked])
    clear = [row for row, chance in zip(asked, chances, strict=True) if chance < SURE]
    worst = max((row for row in clear if _worsening(row) >= WORTH_SAYING), key=_worsening, default=None)
    crowded = busiest_share is not None and busiest_share >= CROWDED and has_sample(decided)
    if worst is None and not crowded:
        return Sentence(gettext_noop("Nothing got clearly worse than in the period before."))
    share = {"share": percent_text(busiest_share)}
    if worst is None:
        return Sentence(
            gettext_noop("One person took %(share)s of all decisions."), share, kpi="approval_latency_p50_s"
        )
    values = {
        "workflow": worst.name,
        "kpi": worst.now.definition.label,
        "now": worst.now.text,
        "was": worst.was.text,
    } | share
    text = gettext_noop("%(workflow)s: %(kpi)s is %(now)s, was %(was)s in the period before.")
    if crowded:
        text = gettext_noop(
            "%(workflow)s: %(kpi)s is %(now)s, was %(was)s in the period before; one person took %(share)s of all "
            "decisions."
        )
    return Sentence(text, values, kpi=worst.now.definition.key, workflow=worst.workflow)


def _worsening(row: Compared) -> float:
    """How much worse, as a share of what it was; 0 when better or equal."""
    now, was = row.now.value, row.was.value
    if now is None or was is None or trend_of(row.now.definition.direction, now - was) != Trend.WORSE:
        return 0.0
    return abs(now - was) / max(abs(was), 0.01)


def _chance(row: Compared) -> float:
    """How likely chance alone is so far off, 0..1, of figures with intervals; 1 where these say that it may be chance.

    Shares by Fisher's exact test. All else as normal, with the deviation that both 95 % intervals have where they face
    each other.
    """
    now, was = row.now, row.was
    if not differs(now, was):
        return 1.0
    if now.definition.kind == Kind.SHARE:
        sides = (Share(int(one.numerator or 0), int(one.denominator or 0)) for one in (now, was))
        return exact_test(*([side] for side in sides))
    if now.value is None or now.low is None or now.high is None or was.value is None:
        return 1.0
    if was.low is None or was.high is None:
        return 1.0
    rises = now.value > was.value
    facing = (now.value - now.low, was.high - was.value) if rises else (now.high - now.value, was.value - was.low)
    off = math.hypot(*facing) / Z95
    return math.erfc(abs(now.value - was.value) / off / math.sqrt(2)) if off else 0.0


def finding_of(first: Figure, second: Figure, baseline: float | None) -> Sentence:
    """One sentence for a chart: the first half of the period against the second, and the baseline."""
    definition = first.definition
    if not (first.enough and second.enough) or first.value is None or second.value is None:
        text = gettext_noop("Too few to compare the halves of this period: n = %(first)s and %(second)s.")
        return Sentence(text, {"first": count_text(first.n), "second": count_text(second.n)}, kpi=definition.key)
    values = {
        "first": first.text,
        "second": second.text,
        "baseline": value_text(definition, baseline, first.currency),
    }
    return Sentence(_finding_text(first.value, second.value, baseline is not None), values, kpi=definition.key)


def _finding_text(first: float, second: float, compared: bool) -> str:
    change = (second - first) / abs(first) if first else second
    if abs(change) < FLAT:
        if compared:
            return gettext_noop(
                "Held at %(second)s over both halves of the period, against a baseline of %(baseline)s."
            )
        return gettext_noop("Held at %(second)s over both halves of the period.")
    if change < 0:
        if compared:
            return gettext_noop(
                "Fell from %(first)s in the first half of the period to %(second)s in the second, against a baseline "
                "of %(baseline)s."
            )
        return gettext_noop("Fell from %(first)s in the first half of the period to %(second)s in the second.")
    if compared:
        return gettext_noop(
            "Rose from %(first)s in the first half of the period to %(second)s in the second, against a baseline of "
            "%(baseline)s."
        )
    return gettext_noop("Rose from %(first)s in the first half of the period to %(second)s in the second.")


def throughput_finding(succeeded: float, failed: float, cancelled: float, days: float) -> Sentence:
    """How many ended, and how."""
    if not succeeded + failed + cancelled:
        return Sentence(gettext_noop("No run ended in this period."), kpi="throughput")
    text = gettext_noop(
        "%(succeeded)s runs succeeded, %(daily)s a day; %(failed)s failed and %(cancelled)s were cancelled."
    )
    values = {
        "succeeded": count_text(succeeded),
        "daily": count_text(round(succeeded / days, 1)),
        "failed": count_text(failed),
        "cancelled": count_text(cancelled),
    }
    return Sentence(text, values, kpi="throughput")


def cost_finding(human_micro: float, llm_micro: float, total_micro: float, *, is_estimated: bool) -> Sentence:
    """What most of the money went to. ``is_estimated``: some of people's time."""
    if not total_micro:
        return Sentence(gettext_noop("No cost was recorded for the runs of this period."), kpi="cost_per_success_minor")
    values = {"human": percent_text(human_micro / total_micro), "llm": percent_text(llm_micro / total_micro)}
    text = (
        gettext_noop("People's time is %(human)s of the cost (partly estimated), models are %(llm)s.")
        if is_estimated
        else gettext_noop("People's time is %(human)s of the cost, models are %(llm)s.")
    )
    return Sentence(text, values, kpi="cost_per_success_minor")


def autonomy_finding(no_touch: Figure) -> Sentence:
    """How many runs needed nobody."""
    if no_touch.value is None:
        return Sentence(gettext_noop("No run finished in this period."), kpi="no_touch_rate")
    text = gettext_noop("%(alone)s of %(all)s finished runs needed nobody: %(share)s.")
    values = {
        "alone": count_text(no_touch.numerator),
        "all": count_text(no_touch.denominator),
        "share": percent_text(no_touch.value),
    }
    return Sentence(text, values, kpi="no_touch_rate")


def sum_finding(whole: Figure, daily: str, was: str) -> Sentence:
    """A sum over the period and by the day; ``was``: by the day, before, in words, or nothing."""
    values = {"value": whole.text, "daily": daily, "baseline": was}
    if was:
        text = gettext_noop("%(value)s in this period, %(daily)s a day, against a baseline of %(baseline)s a day.")
        return Sentence(text, values)
    return Sentence(gettext_noop("%(value)s in this period, %(daily)s a day."), values)


def reasons_finding(name: str, most: int, whole: int) -> Sentence:
    """Why people rejected most, and how much of all rejections that is."""
    text = gettext_noop("Most frequent: %(name)s, %(most)s of %(whole)s rejected or sent back (%(share)s).")
    values = {"name": name, "most": count_text(most), "whole": count_text(whole), "share": percent_text(most / whole)}
    return Sentence(text, values)


def errors_finding(name: str, most: int, whole: int) -> Sentence:
    """Which class of errors is the most frequent, and how much of all errors it is."""
    text = gettext_noop("Most frequent: %(name)s, %(most)s of %(whole)s runs with an error (%(share)s).")
    values = {"name": name, "most": count_text(most), "whole": count_text(whole), "share": percent_text(most / whole)}
    return Sentence(text, values, kpi="error_rate")


def criteria_sentence() -> Sentence:
    """What a workflow's verdict goes by, all of it: ``verdict_of`` in words."""
    borders = {"scale": SCALE_ERRORS, "fix": FIX_ERRORS, "stop": STOP_ERRORS, "time": ON_TIME}
    return Sentence(
        CRITERIA, {name: percent_text(border) for name, border in borders.items()} | {"few": count_text(SMALL_N)}
    )


def verdict_of(figures: Mapping[str, Figure]) -> tuple[Verdict, Sentence]:
    """A workflow's verdict with the criteria that gave it: failures, targets met, savings.

    As with targets, a share is beyond a border where its whole interval is; one that chance may have put there says
    that it is too early, and no act follows from it.
    """
    error, sla, savings = figures["error_rate"], figures["sla_adherence"], figures["savings_minor"]
    values = {"error": _with_interval(error), "sla": _with_interval(sla), "savings": savings.text}
    values |= {"n": count_text(error.n)}
    if not error.enough or error.value is None or error.low is None or error.high is None:
        return Verdict.WAIT, Sentence(gettext_noop("only %(n)s runs ended"), values)
    loses = savings.value is not None and savings.value < 0
    late = sla.high is not None and sla.high < ON_TIME
    text = gettext_noop("%(error)s failed or wrong, %(sla)s on time, savings %(savings)s")
    if error.low > STOP_ERRORS and loses:
        return Verdict.STOP, Sentence(text, values)
    if error.low > FIX_ERRORS or late or loses:
        return Verdict.FIX, Sentence(text, values)
    if error.value > FIX_ERRORS or (sla.value is not None and sla.value < ON_TIME):
        return Verdict.WAIT, Sentence(
            gettext_noop("%(error)s failed or wrong, %(sla)s on time: that may be chance"), values
        )
    kept = (
        ("error", error.high > SCALE_ERRORS, SCALE_ERRORS),
        ("sla", sla.low is not None and sla.low < ON_TIME, ON_TIME),
        ("savings", not savings.value, None),
    )
    for name, holds, border in kept:
        if holds:
            return Verdict.KEEP, Sentence(NOT_YET[name], values | {"border": percent_text(border)})
    return Verdict.SCALE, Sentence(text, values)


def _with_interval(figure: Figure) -> str:
    """A share with its interval in brackets."""
    interval = interval_text(figure)
    return f"{figure.text} ({interval})" if interval else figure.text


def interval_text(figure: Figure) -> str:
    """The 95 % interval as people read it, open where there are too few values for an end; empty without both."""
    ends = [
        "" if end is None else value_text(figure.definition, end, figure.currency) for end in (figure.low, figure.high)
    ]
    if all(ends):
        return "–".join(ends)
    return f"≥ {ends[0]}" if ends[0] else f"≤ {ends[1]}" if ends[1] else ""


def axis_of(definition: Definition, largest: float, currency: str) -> tuple[float, str]:
    """What values are divided by for an axis, and what the axis is called."""
    if definition.unit == Unit.RATIO:
        return 0.01, "%"
    if definition.unit == Unit.MINOR:
        return float(10 ** exponent_of(currency)), currency
    if definition.unit != Unit.SECONDS:
        return 1.0, str(definition.unit)
    for size, name in ((172_800, "days"), (7_200, "hours"), (120, "minutes")):
        if largest >= size:
            return size / 2, name
    return 1.0, "seconds"
