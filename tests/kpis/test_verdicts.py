"""What the numbers of one workflow suggest, at each border; and how far beside its target a figure may lie."""

import re
from collections import Counter
from itertools import product

import pytest

from apps.kpis.rules import DEFINITIONS
from apps.kpis.rules.figures import Figure, Status, figure_of, status_of
from apps.kpis.rules.goals import TargetSeen
from apps.kpis.rules.sentences import Verdict, criteria_sentence, value_sentence, verdict_of


def share(key: str, top: int, bottom: int) -> Figure:
    definition = DEFINITIONS[key]
    return figure_of(definition, {definition.numerator: top, definition.denominator: bottom}, "EUR")


def figures(
    failed: int, *, ended: int = 1000, on_time: int | None = 1000, saved: float | None = 500
) -> dict[str, Figure]:
    return {
        "error_rate": share("error_rate", failed, ended),
        "sla_adherence": share("sla_adherence", on_time or 0, 0 if on_time is None else 1000),
        "savings_minor": Figure(DEFINITIONS["savings_minor"], saved, ended, "EUR"),
    }


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (figures(19), Verdict.SCALE),
        (figures(20), Verdict.KEEP),
        (figures(19, saved=0), Verdict.KEEP),
        (figures(19, saved=None), Verdict.KEEP),
        (figures(0, on_time=None), Verdict.SCALE),
        (figures(50), Verdict.KEEP),
        (figures(51), Verdict.WAIT),
        (figures(63), Verdict.WAIT),
        (figures(64), Verdict.FIX),
        (figures(0, on_time=919), Verdict.SCALE),
        (figures(0, on_time=918), Verdict.KEEP),
        (figures(0, on_time=900), Verdict.KEEP),
        (figures(0, on_time=899), Verdict.WAIT),
        (figures(0, on_time=882), Verdict.WAIT),
        (figures(0, on_time=881), Verdict.FIX),
        (figures(0, saved=-1), Verdict.FIX),
        (figures(118, saved=-1), Verdict.FIX),
        (figures(119, saved=-1), Verdict.STOP),
        (figures(119, saved=1), Verdict.FIX),
        (figures(119, saved=None), Verdict.FIX),
        (figures(29, ended=29, saved=-1), Verdict.WAIT),
        (figures(30, ended=30, saved=-1), Verdict.STOP),
        (figures(4, ended=30, saved=-1), Verdict.FIX),
        (figures(3, ended=30), Verdict.WAIT),
        (figures(0, ended=30), Verdict.KEEP),
        (figures(0, ended=0), Verdict.WAIT),
    ],
)
def test_the_verdict_changes_at_its_borders_and_names_its_criteria(found: dict[str, Figure], verdict: Verdict) -> None:
    told, why = verdict_of(found)
    assert told == verdict
    criteria = {"error", "sla"} if found["error_rate"].n >= 30 else {"n"}
    assert all(f"%({name})s" in why.text for name in criteria)
    assert ("%(savings)s" in why.text) == (verdict != Verdict.WAIT)
    assert why.values["error"].startswith(found["error_rate"].text)


def test_a_verdict_goes_by_what_chance_alone_would_hardly_do() -> None:
    """Four of thirty are 13%, and may as well be 6%: that is no reason to stop anything."""
    told, why = verdict_of(figures(4, ended=30, saved=-1))
    assert (told, why.values["error"]) == (Verdict.FIX, "13.3% (5.3%–29.7%)")


def test_the_criteria_are_those_by_which_the_verdict_goes() -> None:
    said = criteria_sentence()
    words = said.text % said.values
    assert "whole 95 % interval" in words
    scale, time, fix, late, stop, few = (float(one) for one in re.findall(r"(?:than|most|least) ([\d.]+)", words))
    assert time == late
    shares, sums = (0, 9, 19, 20, 29, 35, 50, 51, 63, 64, 99, 101, 118, 119, 400), (-1.0, 0.0, 1.0, None)
    seen = Counter[str]()
    for failed, saved, ended in product(shares, sums, (29, 30, 500, 1000)):
        for on_time in (None, 850, 881, 882, 899, 900, 910, 918, 919, 1000):
            found = figures(min(failed, ended), ended=ended, on_time=on_time, saved=saved)
            error, sla = ([(one.value or 0) * 100, *ends(one)] for one in (found["error_rate"], found["sla_adherence"]))
            timed, loses, saves = on_time is not None, (saved or 0) < 0, (saved or 0) > 0
            if ended < few:
                read = "wait"
            elif error[1] > stop and loses:
                read = "stop"
            elif error[1] > fix or (timed and sla[2] < time) or loses:
                read = "fix"
            elif error[0] > fix or (timed and sla[0] < time):
                read = "wait"
            else:
                read = "scale" if error[2] <= scale and (not timed or sla[1] >= time) and saves else "keep"
            assert verdict_of(found)[0] == read, (failed, saved, ended, on_time)
            seen[read] += 1
    assert set(seen) == set(Verdict)
    assert min(seen.values()) > 10


def ends(figure: Figure) -> list[float]:
    """The ends of its interval in percent, 0 and 100 where it has none."""
    return [100 * (0.0 if figure.low is None else figure.low), 100 * (1.0 if figure.high is None else figure.high)]


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (figures(20), "2.0% (1.3%–3.1%) failed or wrong, 100.0% (99.6%–100.0%) on time, savings 5.00 EUR; "
                      "to scale, surely at most 3.0% may fail"),
        (figures(5, on_time=910), "0.5% (0.2%–1.2%) failed or wrong, 91.0% (89.1%–92.6%) on time, savings 5.00 EUR; "
                                  "to scale, surely 90.0% have to be on time"),
        (figures(5, saved=0), "0.5% (0.2%–1.2%) failed or wrong, 100.0% (99.6%–100.0%) on time, savings 0.00 EUR; "
                              "to scale, it has to save"),
        (figures(5, saved=None), "0.5% (0.2%–1.2%) failed or wrong, 100.0% (99.6%–100.0%) on time, savings —; "
                                 "to scale, it has to save"),
    ],
)  # fmt: skip
def test_what_is_kept_says_why_it_is_not_scaled(found: dict[str, Figure], says: str) -> None:
    told, why = verdict_of(found)
    assert told == Verdict.KEEP
    assert why.text % why.values == says


@pytest.mark.parametrize(
    ("direction", "value", "tolerance", "status"),
    [
        ("down", 100.0, 0.0, Status.GOOD),
        ("down", 100.1, 0.0, Status.BAD),
        ("down", 110.0, 10.0, Status.GOOD),
        ("down", 110.1, 10.0, Status.BAD),
        ("up", 100.0, 0.0, Status.GOOD),
        ("up", 99.9, 0.0, Status.BAD),
        ("up", 90.0, 10.0, Status.GOOD),
        ("up", 89.9, 10.0, Status.BAD),
    ],
)
def test_a_tolerance_widens_the_good_side_of_a_target_of_one_hundred(
    direction: str, value: float, tolerance: float, status: Status
) -> None:
    target = TargetSeen(workflow="w", kpi="cycle_time_p50_s", value=100, direction=direction, tolerance=tolerance)
    figure = Figure(DEFINITIONS["cycle_time_p50_s"], value, 50, "EUR")
    assert status_of(figure, value, target) == status


def test_what_cost_more_than_before_is_said_so() -> None:
    lost = Figure(DEFINITIONS["savings_minor"], -123_400, 40, "EUR")
    told = value_sentence(share("no_touch_rate", 30, 40), 6, lost, saved_s=None)
    assert "They cost %(money)s more than the baseline." in told.text
    assert told.values["money"] == "1,234 EUR"
    assert told.kpi == "savings_minor"
