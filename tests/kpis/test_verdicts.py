"""What the numbers of one workflow suggest, at each border; and how far beside its target a figure may lie."""

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
        (figures(19, saved=0), Verdict.SCALE),
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
    assert "at most 3.0% fail" in said.text % said.values
    assert "whole 95 % interval" in said.text % said.values


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
