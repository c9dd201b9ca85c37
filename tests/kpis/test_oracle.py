"""Every figure against a slow count of the same world, across both changes of the clock; and every way to read it."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from apps.core.models import User
from apps.kpis.rules import DEFINITIONS, BucketSize
from apps.kpis.rules.buckets import day_period
from apps.kpis.rules.figures import Figure
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors import kpis_for
from tests.factories.access import make_holder
from tests.factories.kpis import make_baseline
from tests.kpis.oracle import FIGURES, WHOLES, Oracle, Question, World, make_world, pay_monthly

pytestmark = pytest.mark.django_db
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
SPRING, AUTUMN = date(2025, 3, 27), date(2025, 10, 23)
"""Three days before a clock in Berlin is set forward, and back."""
PER_SUCCESS = 250
BEFORE_S = 90


@pytest.fixture
def viewer() -> User:
    return make_holder("kpis.view_kpi")


def test_every_figure_is_counted_slowly_too() -> None:
    assert set(FIGURES) == set(DEFINITIONS)


@pytest.mark.parametrize("first", [SPRING, AUTUMN], ids=["forward", "back"])
@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK], ids=["rollups", "facts"])
def test_every_figure_is_what_counting_by_hand_gives(viewer: User, settings: Any, first: date, zone: ZoneInfo) -> None:
    settings.ACP_REPORTING_TZ = BERLIN.key
    days = 6
    world = make_world(first, days, seed=first.month)
    make_baseline(kpi="cost_per_success_minor", workflow="", value=PER_SUCCESS, valid_from=date(2024, 1, 1))
    make_baseline(kpi="human_time_s", workflow="", value=BEFORE_S, valid_from=date(2024, 1, 1))
    pay_monthly(world, first)
    above, below, other = world.units
    limits: list[dict[str, Any]] = [{}, {"workflow": "a"}, {"version": 2}, {"unit": above}, {"agent": "x"}]
    limits += [{"workflow": "b", "unit": below, "version": 1}, {"agent": "y", "unit": other}]
    for limit in limits:
        asked = Question(first, first + timedelta(days=days), zone, **limit)
        answer = kpis_for(viewer, filter_of(asked))
        check(asked, world, {key: one.figure for key, one in answer.totals.items()})
        covered = {
            key: (one.coverage.counted, one.coverage.whole) for key, one in answer.totals.items() if one.coverage
        }
        oracle = Oracle(world, asked, per_success_minor=PER_SUCCESS, before_s=BEFORE_S)
        assert covered == {key: (answer.totals[key].figure.n, whole(oracle)) for key, whole in WHOLES.items()}, asked
        for number, point in enumerate(answer.series):
            day = first + timedelta(days=number)
            check(Question(day, day, zone, **limit), world, point.figures)
        assert number == days


def filter_of(asked: Question) -> KpiFilter:
    limits = {name: getattr(asked, name) for name in ("workflow", "unit", "version", "agent")}
    period = day_period(asked.first, asked.last, asked.zone)
    return KpiFilter(period=period, zone=asked.zone, size=BucketSize.DAY, **limits)


def check(asked: Question, world: World, found: dict[str, Figure]) -> None:
    oracle = Oracle(world, asked, per_success_minor=PER_SUCCESS, before_s=BEFORE_S)
    for key, count in FIGURES.items():
        told, figure = count(oracle), found[key]
        wanted = None if told.value is None else pytest.approx(told.value, rel=1e-6, abs=1e-3)
        assert figure.value == wanted, (key, asked)
        if told.bottom is not None:
            assert (figure.numerator, figure.denominator) == (told.top, told.bottom), (key, asked)
