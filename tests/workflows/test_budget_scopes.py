"""Every scope of budgets over the API: what each counts, says where nothing is left, whom it warns, when it ends."""

from datetime import date
from typing import Any

import pytest

from apps.audit.models import Entry
from apps.oversight.services import cast_vote
from apps.policies.models import BudgetPeriod, Reservation
from apps.policies.selectors import budgets
from apps.policies.selectors.budgets import used_of
from apps.policies.services import reserving
from apps.policies.services.reserving import settle_reservations
from tests.workflows.actions import the_item, work
from tests.workflows.budgeted import MEASURES, SCOPES, Budgeted, make_budgeted

pytestmark = pytest.mark.django_db
EACH = pytest.mark.parametrize("scope", SCOPES)
OF_BOTH = pytest.mark.parametrize("measure", MEASURES)
AMOUNT = 10_000
"""What each request of these tests takes, in minor units; of calls it is one."""


def cap_of(measure: str, times: int) -> dict[str, Any]:
    """The terms under which so many requests fit."""
    return {"cap": times * (AMOUNT if measure == "money" else 1), **MEASURES[measure]}


@pytest.fixture
def house() -> Budgeted:
    return make_budgeted()


@EACH
@OF_BOTH
def test_it_counts_what_is_its_own_and_denies_what_does_not_fit(house: Budgeted, scope: str, measure: str) -> None:
    budget = house.budget(scope, **cap_of(measure, 2))
    said = [house.ask(AMOUNT), house.ask(AMOUNT, house.second), house.ask(AMOUNT)]
    counts_second = scope != "agent"
    assert [each["state"] for each in said] == ["approved", "approved", "denied" if counts_second else "approved"]
    assert house.ask(AMOUNT)["verdict"]["reason"] == "budget_exhausted"
    used = used_of([budget])[budget.pk]
    assert (used.spent, used.reserved) == (0, budget.cap)
    assert Reservation.objects.count() == 2


@EACH
def test_what_is_asked_elsewhere_takes_nothing_of_it(house: Budgeted, scope: str) -> None:
    house.budget(scope, **cap_of("money", 1))
    other = make_budgeted()
    assert other.ask(AMOUNT)["state"] == "approved"
    assert not BudgetPeriod.objects.exists()
    assert house.ask(AMOUNT)["state"] == "approved"


def test_a_workflows_budget_counts_no_request_outside_its_runs(house: Budgeted) -> None:
    budget = house.budget("workflow", **cap_of("money", 1))
    assert house.first.ask(AMOUNT).json()["state"] == "approved"
    assert used_of([budget])[budget.pk].reserved == 0
    assert house.ask(AMOUNT)["state"] == "approved"
    assert house.ask(AMOUNT)["verdict"]["budgets"][0]["budget"] == budget.slug
    assert house.first.ask(AMOUNT).json()["state"] == "approved"


@EACH
@OF_BOTH
def test_exhausted_it_asks_people_where_it_says_so_and_counts_what_they_allow(
    system: Any, scope: str, measure: str
) -> None:
    house = make_budgeted(base_url=system.url)
    budget = house.budget(scope, **cap_of(measure, 1), exhausted="escalate", queue=house.first.queue.slug)
    assert house.ask(AMOUNT)["state"] == "approved"
    asked = house.ask(AMOUNT)
    assert (asked["state"], asked["verdict"]["reason"]) == ("pending_approval", "budget_exhausted")
    item = the_item()
    assert [group["rules"] for group in item.verdict["groups"]] == [[f"budget/{budget.slug}"]]
    used = used_of([budget])[budget.pk]
    assert (used.reserved, used.beyond) == (budget.cap, budget.cap)
    cast_vote(house.first.approver, escalation_id=item.pk, verdict="approve", version=1)
    work()
    settle_reservations()
    assert used_of([budget])[budget.pk].spent == 2 * budget.cap


@EACH
@OF_BOTH
def test_its_owner_is_warned_once_from_eighty_percent_on(house: Budgeted, scope: str, measure: str) -> None:
    budget = house.budget(scope, **cap_of(measure, 5))
    warned = Entry.objects.filter(name="budget.warned", subject_id=budget.pk)
    for _ in range(3):
        house.ask(AMOUNT)
    assert not warned.exists()
    for _ in range(2):
        house.ask(AMOUNT)
    (entry,) = warned
    assert (entry.payload["used"] * 5, entry.payload["cap"]) == (budget.cap * 4, budget.cap)


@EACH
def test_another_currency_never_fits_whichever_counts_it(house: Budgeted, scope: str) -> None:
    house.budget(scope, cap=10**9, currency="USD")
    (told,) = house.ask(AMOUNT)["verdict"]["budgets"]
    assert told["why"] == "other_currency"
    assert not Reservation.objects.exists()


def at(monkeypatch: pytest.MonkeyPatch, now: str) -> None:
    """From here on it is ``now`` for budgets: what is asked over the API is counted in the day or month of then."""
    for room, name in ((reserving, "RESERVE"), (budgets, "USED"), (budgets, "NEAR")):
        text = ORIGINAL[name].replace("clock_timestamp()", f"timestamptz '{now}'")
        monkeypatch.setattr(room, name, text)


ORIGINAL = {"RESERVE": reserving.RESERVE, "USED": budgets.USED, "NEAR": budgets.NEAR}
DAYS = [
    # a day of 23 hours in Berlin: from 23:00Z to 22:00Z
    ("day", "Europe/Berlin", "2026-03-28 22:59:59Z", date(2026, 3, 28)),
    ("day", "Europe/Berlin", "2026-03-28 23:00Z", date(2026, 3, 29)),
    ("day", "Europe/Berlin", "2026-03-29 21:59:59Z", date(2026, 3, 29)),
    ("day", "Europe/Berlin", "2026-03-29 22:00Z", date(2026, 3, 30)),
    # and one of 25: from 22:00Z to 23:00Z, with one hour twice
    ("day", "Europe/Berlin", "2026-10-24 22:00Z", date(2026, 10, 25)),
    ("day", "Europe/Berlin", "2026-10-25 22:59:59Z", date(2026, 10, 25)),
    ("day", "Europe/Berlin", "2026-10-25 23:00Z", date(2026, 10, 26)),
    # in Santiago the clock is put forward at midnight: that day begins at one
    ("day", "America/Santiago", "2026-09-06 03:59:59Z", date(2026, 9, 5)),
    ("day", "America/Santiago", "2026-09-06 04:00Z", date(2026, 9, 6)),
    # a month ends while UTC is in the next one, or is still in the one before
    ("month", "America/Los_Angeles", "2026-11-01 06:59:59Z", date(2026, 10, 1)),
    ("month", "America/Los_Angeles", "2026-11-01 07:00Z", date(2026, 11, 1)),
    ("month", "Pacific/Auckland", "2026-03-31 10:59:59Z", date(2026, 3, 1)),
    ("month", "Pacific/Auckland", "2026-03-31 11:00Z", date(2026, 4, 1)),
    ("month", "Pacific/Auckland", "2027-12-31 11:00Z", date(2028, 1, 1)),
]


@pytest.mark.parametrize(("period", "zone", "now", "begins"), DAYS)
def test_a_day_and_a_month_begin_by_the_clock_of_the_units_zone(
    house: Budgeted, monkeypatch: pytest.MonkeyPatch, period: str, zone: str, now: str, begins: date
) -> None:
    budget = house.budget("workflow", **cap_of("money", 1), period=period)
    house.over.timezone = zone
    house.over.save()
    at(monkeypatch, now)
    assert house.ask(AMOUNT)["state"] == "approved"
    assert BudgetPeriod.objects.get().starts == begins
    assert used_of([budget])[budget.pk].starts == begins


@EACH
@pytest.mark.parametrize(
    ("period", "zone", "last", "first"),
    [
        ("day", "Europe/Berlin", "2026-03-29 21:59:59Z", "2026-03-29 22:00Z"),
        ("day", "Europe/Berlin", "2026-10-25 22:59:59Z", "2026-10-25 23:00Z"),
        ("month", "America/Los_Angeles", "2026-11-01 06:59:59Z", "2026-11-01 07:00Z"),
        ("month", "Pacific/Auckland", "2026-03-31 10:59:59Z", "2026-03-31 11:00Z"),
    ],
)
def test_it_is_whole_again_at_the_end_and_not_before(
    house: Budgeted, monkeypatch: pytest.MonkeyPatch, scope: str, period: str, zone: str, last: str, first: str
) -> None:
    house.over.timezone = zone
    house.over.save()
    budget = house.budget(scope, **cap_of("money", 1), period=period)
    at(monkeypatch, last)
    assert [house.ask(AMOUNT)["state"] for _ in range(2)] == ["approved", "denied"]
    at(monkeypatch, first)
    assert used_of([budget])[budget.pk].reserved == 0
    assert [house.ask(AMOUNT)["state"] for _ in range(2)] == ["approved", "denied"]
    assert BudgetPeriod.objects.filter(budget=budget, reserved=AMOUNT).count() == 2
