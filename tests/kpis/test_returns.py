"""Return on investment: by days, of what is asked for and seen, and never a number where there is none."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from apps.access.models import BusinessUnit
from apps.access.services import create_token
from apps.core.models import User
from apps.kpis.rules.buckets import Period, day_period
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.fixed import fixed_micro_in
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.rules.rates import RateSeen
from apps.kpis.services import save_rate, weigh_rate, write_facts
from apps.workflows.models import Workflow
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.kpis import make_baseline, make_cost, make_fixed, make_run

BERLIN = ZoneInfo("Europe/Berlin")
LATER = datetime(2027, 1, 1, tzinfo=UTC)
NOON = datetime(2025, 11, 10, 12, tzinfo=UTC)
NOVEMBER = {"from": "2025-11-01", "to": "2025-12-01", "tz": "UTC"}


def monthly(minor: int, **fields: Any) -> RateSeen:
    since = fields.pop("since", datetime(2024, 1, 1, tzinfo=UTC))
    return RateSeen(**{"per": "month", "since": since, "minor": Decimal(minor), "currency": "EUR", **fields})


def cost(rates: list[RateSeen], period: Period, *, now: datetime = LATER, zone: ZoneInfo = BERLIN) -> int | None:
    return fixed_micro_in(rates, period, zone=zone, now=now, currency="EUR", micro_per_minor=micro_per_minor)


class TestByDays:
    @pytest.mark.parametrize(("month", "days"), [(2, 28), (3, 31), (10, 31), (11, 30)])
    def test_a_month_costs_what_it_costs_also_where_a_clock_is_set(self, month: int, days: int) -> None:
        whole = day_period(date(2026, month, 1), date(2026, month, days), BERLIN)
        assert cost([monthly(31_000)], whole) == 310_000_000
        one = day_period(date(2026, month, days), date(2026, month, days), BERLIN)
        assert cost([monthly(31_000)], one) == round(310_000_000 / days)

    def test_a_part_of_a_day_is_that_part_of_its_real_length(self) -> None:
        start = day_period(date(2026, 10, 25), date(2026, 10, 25), BERLIN).start  # of 25 hours
        assert cost([monthly(3_100)], Period(start, start + timedelta(hours=5))) == 31_000_000 // 31 // 5

    def test_what_has_not_passed_costs_nothing_yet(self) -> None:
        whole = day_period(date(2026, 11, 1), date(2026, 11, 30), BERLIN)
        assert cost([monthly(3_000)], whole, now=whole.start + timedelta(days=3)) == 3_000_000
        assert cost([monthly(3_000)], whole, now=whole.start) is None

    def test_a_later_one_ends_it_and_none_holds_before_the_first(self) -> None:
        rates = [
            monthly(3_000, since=datetime(2026, 11, 10, tzinfo=BERLIN)),
            monthly(0, since=datetime(2026, 11, 20, 0, 30, tzinfo=BERLIN)),
            monthly(300, workflow="w", since=datetime(2026, 11, 29, tzinfo=BERLIN)),
            monthly(9_000, unit="u", currency="USD"),
        ]
        assert cost(rates, day_period(date(2026, 11, 1), date(2026, 11, 30), BERLIN)) == 10 * 1_000_000 + 2 * 100_000
        assert cost(rates, day_period(date(2026, 11, 1), date(2026, 11, 9), BERLIN)) is None

    def test_one_in_another_currency_ends_it_too(self) -> None:
        rates = [monthly(3_000), monthly(500, currency="USD", since=datetime(2026, 11, 10, tzinfo=BERLIN))]
        assert cost(rates, day_period(date(2026, 11, 1), date(2026, 11, 30), BERLIN)) == 9 * 1_000_000
        assert cost(rates, day_period(date(2026, 11, 10), date(2026, 11, 30), BERLIN)) is None

    def test_a_day_that_a_zone_skipped_costs_nothing(self) -> None:
        apia = ZoneInfo("Pacific/Apia")
        december = day_period(date(2011, 12, 1), date(2011, 12, 31), apia)
        rates = [monthly(3_100, since=datetime(2010, 1, 1, tzinfo=UTC))]
        assert cost(rates, december, zone=apia) == 30 * 1_000_000


@pytest.fixture
def executive(db: None) -> User:
    return make_holder("kpis.view_kpi")


def asked(user: User, **query: str) -> dict[str, Any]:
    token = create_token(user, user=user, days=1)
    answer = Client(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/kpis/", {**NOVEMBER, **query})
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()["totals"]["roi"]
    return found


def two_runs(**fields: Any) -> None:
    """Each saves 100.00 EUR less half a euro."""
    runs = [make_run(finished_at=NOON, **fields) for _ in range(2)]
    write_facts(facts=Facts(runs=runs, costs=[make_cost(run, incurred_at=NOON) for run in runs]))
    make_baseline(kpi="cost_per_success_minor", workflow="", value=10_000, valid_from=date(2024, 1, 1))


def test_it_is_what_came_back_of_what_was_paid(executive: User) -> None:
    two_runs()
    make_fixed(9_950)
    found = asked(executive)
    assert (found["value"], found["unit"], found["n"]) == (1.0, "ratio", 2)
    assert (found["numerator"], found["denominator"]) == (9_950.0, 9_950.0)


def test_below_what_was_paid_it_is_negative_and_looks_it(executive: User) -> None:
    two_runs()
    make_fixed(39_800)
    assert asked(executive)["value"] == -0.5
    page = Client()
    page.force_login(executive)
    said = page.get("/dashboards/cost/", NOVEMBER).content.decode()
    assert "−50.0%" in said
    assert "−50.0%" in page.get("/dashboards/overview/", NOVEMBER).content.decode()


def test_where_there_is_none_it_says_why(executive: User) -> None:
    assert asked(executive)["reason"] == "No fixed cost is entered for what is asked"
    two_runs()
    for query in ({}, {"version": "1"}):
        found = asked(executive, **query)
        assert (found["value"], found["reason"]) == (None, "No fixed cost is entered for what is asked")
    make_fixed(1_000)
    assert asked(executive)["value"] is not None
    assert asked(executive, version="1")["value"] is None
    assert asked(executive, workflow="w")["reason"] == "No fixed cost is entered for what is asked"
    quiet = asked(executive, **{"from": "2025-09-01", "to": "2025-10-01"})
    assert (quiet["value"], quiet["reason"]) == (None, "No run that ended has a baseline cost")
    page = Client()
    page.force_login(executive)
    said = page.get("/dashboards/cost/", {**NOVEMBER, "workflow": "w"}).content.decode()
    assert "No fixed cost is entered for what is asked" in said
    assert "Not enough data (2 of 30)" in said  # of the others


def test_it_is_of_what_is_asked_for_and_seen(executive: User) -> None:
    above, other = make_unit(), make_unit()
    below = make_unit(parent=above)
    Workflow.objects.create(slug="w", name="w", unit=below, owner=make_user())
    two_runs(unit_id=below.pk)
    for minor, about in ((1_000, {}), (200, {"unit": above.slug}), (30, {"workflow": "w"}), (4, {"unit": other.slug})):
        make_fixed(minor, **about)

    def paid(user: User, **query: str) -> float | None:
        found: float | None = asked(user, **query).get("denominator")
        return found

    assert paid(executive) == 1_234
    assert paid(executive, workflow="w") == 30
    assert paid(executive, unit=above.slug) == 230
    assert paid(executive, unit=below.slug) == 30
    assert paid(executive, workflow="w", unit=above.slug) == 30
    near = make_holder("kpis.view_kpi", unit=above)
    assert paid(near) == 230
    assert BusinessUnit.objects.count() == 3


def test_what_fixed_cost_changes_is_told_and_past_weeks_follow(executive: User) -> None:
    two_runs()
    said: dict[str, Any] = {"per": "month", "amount_minor": Decimal(9_950)}
    said["valid_from"] = datetime(2024, 1, 1, tzinfo=UTC)
    admin = make_admin()
    told = weigh_rate(admin, **said)
    assert (told.is_fixed, told.before_micro, told.costs) == (True, 0, 0)
    assert told.after_micro > 22 * 9_950 * 10_000
    assert asked(executive)["value"] is None
    save_rate(admin, source="Plan", **said)
    assert asked(executive)["value"] == pytest.approx(1.0)
    told = weigh_rate(admin, **{**said, "amount_minor": Decimal(0)})
    assert (told.after_micro, told.instead_of is not None) == (0, True)
