"""Rates of exchange: every way in which a cost arises, by the rate of its time, and as it was told before."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from apps.access.models import BusinessUnit
from apps.agents.models import Action, Agent
from apps.audit.models import Entry
from apps.audit.services import record
from apps.configuration.services import apply_texts
from apps.connectors.models import Connector
from apps.core.errors import InvalidError
from apps.core.models import User
from apps.core.services import system_user
from apps.kpis.models import CostItem, Rate, RunFact
from apps.kpis.models.clock import database_now
from apps.kpis.rules.buckets import day_period
from apps.kpis.rules.costs import PricedBy
from apps.kpis.rules.fixed import fixed_micro_in
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.rules.rates import RateBook, RateSeen, exchanged, half_up, rated_micro
from apps.kpis.selectors.data_quality import data_quality_for
from apps.kpis.services import fold_entries, save_rate, weigh_rate
from apps.kpis.services.rated import Money
from apps.kpis.services.recounting import recount_costs
from apps.telemetry.selectors.work import Work
from apps.telemetry.services.usage import Used, keep_usage
from apps.workflows.models import Workflow
from apps.workflows.services import complete_task
from tests.factories.access import make_holder, make_unit
from tests.factories.kpis import make_fixed
from tests.kpis.test_folding import fold, whole_run
from tests.kpis.test_rates import LONG_AGO, admin, caller, held, voted, worker, workflow

__all__ = ["admin", "worker", "workflow"]

YEN = Decimal("0.6")
"""Cents for a yen."""
BERLIN = ZoneInfo("Europe/Berlin")
SCALES = {"EUR": 10_000, "JPY": 1_000_000, "KWD": 1_000, "USD": 10_000}


def of_yen(**fields: Any) -> dict[str, Any]:
    return {"per": "unit", "of_currency": "JPY", "valid_from": LONG_AGO, "amount_minor": YEN, **fields}


def worth(since: datetime, minor: str, money: str = "JPY", currency: str = "EUR") -> RateSeen:
    return RateSeen("unit", since, Decimal(minor), currency, of_currency=money)


def costs(**fields: Any) -> dict[str, tuple[int, str]]:
    return {one.kind: (one.amount_micro, one.priced_by) for one in CostItem.objects.filter(**fields)}


def unpriced() -> int:
    return CostItem.objects.filter(priced_by="unpriced").count()


def rounded(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


AMOUNTS = st.decimals(min_value=0, max_value=10**8, places=4)
WORTHS = st.decimals(min_value=Decimal("0.00000001"), max_value=10**6, places=8)


class TestSums:
    @given(st.integers(0, 10**9), AMOUNTS, WORTHS, st.sampled_from(sorted(SCALES)), st.sampled_from(["EUR", "JPY"]))
    def test_only_the_last_step_rounds(self, ms: int, minor: Decimal, value: Decimal, money: str, home: str) -> None:
        hour = RateSeen("hour", LONG_AGO, minor, money)
        found = half_up(exchanged(rated_micro(hour, ms, SCALES[money]), worth(LONG_AGO, str(value)), SCALES[home]))
        exact = Fraction(ms) * Fraction(minor) * SCALES[money] / 3_600_000 * Fraction(value) * SCALES[home] / 10**6
        assert found == rounded(exact)

    @pytest.mark.parametrize(("micro", "found"), [("0.5", 1), ("1.5", 2), ("2.4999", 2), ("0.49", 0)])
    def test_half_of_a_millionth_goes_up(self, micro: str, found: int) -> None:
        assert half_up(Decimal(micro)) == found

    def test_a_yen_has_no_cents_and_a_dinar_has_a_thousand(self) -> None:
        money = Money(RateBook([worth(LONG_AGO, "0.6"), worth(LONG_AGO, "300", "KWD")]))
        at = datetime(2026, 5, 1, tzinfo=UTC)
        assert money.worth_of_minor(1000, "JPY", at, PricedBy.FEE).micro == 6_000_000
        assert money.worth_of_minor(1000, "KWD", at, PricedBy.FEE).micro == 3_000_000
        assert money.worth_of_minor(1000, "EUR", at, PricedBy.FEE).micro == 10_000_000

    def test_none_that_held_leaves_it_unpriced_but_nothing_is_nothing(self) -> None:
        at = datetime(2026, 5, 1, tzinfo=UTC)
        later = worth(at + timedelta(seconds=1), "0.6")
        money = Money(RateBook([later, worth(LONG_AGO, "90", "USD", currency="CHF")]))
        for currency in ("JPY", "USD", "GBP"):
            found = money.worth_of_minor(5, currency, at, PricedBy.FEE)
            assert (found.micro, found.priced_by, list(found.by)) == (0, "unpriced", [])
        assert money.worth_of_minor(0, "JPY", at, PricedBy.FEE).priced_by == "fee"
        assert money.worth_of_minor(5, "JPY", later.since, PricedBy.FEE).by == [later]

    @given(st.lists(st.tuples(st.integers(0, 70), st.integers(1, 400)), max_size=4, unique_by=lambda one: one[0]))
    def test_a_month_is_worth_what_each_of_its_days_is(self, known: list[tuple[int, int]]) -> None:
        begin, yen = datetime(2026, 9, 20, tzinfo=BERLIN), 30_000
        rates = [worth(begin + timedelta(days=day, hours=5), str(minor)) for day, minor in known]
        month = RateSeen("month", LONG_AGO, Decimal(yen), "JPY")
        total, day, found = Fraction(0), date(2026, 10, 1), False
        while day <= date(2026, 11, 30):
            on = [one for one in rates if one.since.date() <= day]
            if on:
                found = True
                part = Fraction(yen, monthrange(day.year, day.month)[1]) * 10**6
                total += part * Fraction(max(on, key=lambda one: one.since).minor) / 100
            day += timedelta(days=1)
        period = day_period(date(2026, 10, 1), date(2026, 11, 30), BERLIN)
        counted = fixed_micro_in(
            [month, *rates],
            period,
            zone=BERLIN,
            now=datetime(2027, 1, 1, tzinfo=UTC),
            currency="EUR",
            micro_per_minor=micro_per_minor,
        )
        assert counted == (rounded(total) if found else None)


@pytest.mark.django_db
class TestEachWay:
    def test_everything_that_was_unpriced_has_a_price_as_it_was_told(
        self, admin: User, workflow: Workflow, worker: Agent
    ) -> None:
        run = whole_run(workflow, worker, cost_minor=9)
        BusinessUnit.objects.update(currency="JPY", hourly_rate_minor=600_000_000)
        Connector.objects.update(unit=run.unit)
        record(system_user("plane"), Action.objects.get(), "succeeded", payload={"cost_minor": 70, "currency": ""})
        fold()
        assert unpriced() == 4
        viewer = make_holder("kpis.view_kpi")
        assert data_quality_for(viewer).abroad == 3
        told = weigh_rate(admin, **of_yen())
        assert (told.costs, told.runs, told.unpriced, told.still_unpriced, told.before_micro) == (4, 1, 4, 0, 0)
        assert not Rate.objects.exists()
        assert save_rate(admin, **of_yen(source="Bank"))[1] == "created"
        fold()
        found = costs()
        time = CostItem.objects.get(kind="human")
        assert found == {
            "llm": (54_000, "reported"),
            "connector": (30_000, "fee"),
            "agent": (420_000, "reported"),
            "human": (rounded(Fraction(time.quantity * 600_000_000 * 6_000, 3_600_000)), "hourly_rate"),
        }
        assert found["human"][0] > 0
        assert sum(micro for micro, _by in found.values()) == told.after_micro == RunFact.objects.get().cost_micro
        assert RunFact.objects.get().unpriced == 0
        assert data_quality_for(viewer).abroad == 0
        assert data_quality_for(viewer).unpriced == []

    def test_what_is_folded_later_and_counted_again_is_the_same(
        self, admin: User, workflow: Workflow, worker: Agent
    ) -> None:
        save_rate(admin, **of_yen())
        fold()
        BusinessUnit.objects.update(currency="JPY", hourly_rate_minor=600_000_000)
        whole_run(workflow, worker, cost_minor=9)
        fold()
        found = costs()
        assert found["llm"] == (54_000, "reported")
        assert unpriced() == 0
        recount_costs()
        assert costs() == found

    def test_people_at_a_rate_in_another_currency(self, admin: User) -> None:
        voted()
        save_rate(admin, per="hour", valid_from=LONG_AGO, amount_minor=Decimal(900_000), currency="JPY")
        fold()
        assert unpriced() == 2
        told = weigh_rate(admin, **of_yen())
        save_rate(admin, **of_yen())
        fold()
        found = CostItem.objects.filter(priced_by="rate")
        exact = [rounded(Fraction(one.quantity * 900_000 * 6_000, 3_600_000)) for one in found]
        assert [one.amount_micro for one in found] == exact
        assert (told.costs, told.after_micro) == (2, sum(exact))

    def test_minutes_of_an_agent_in_another_currency(self, admin: User, workflow: Workflow, worker: Agent) -> None:
        task = held(workflow, worker, minutes=3)
        complete_task(worker.user, task_id=task.pk, lease=str(task.fence), output={"ok": True})
        save_rate(admin, per="minute", valid_from=LONG_AGO, amount_minor=Decimal(60), currency="JPY", agent=worker.slug)
        fold()
        agents = CostItem.objects.get(kind="agent")
        assert (agents.amount_micro, agents.priced_by) == (0, "unpriced")
        told = weigh_rate(admin, **of_yen())
        assert told.unpriced == told.costs == unpriced()
        save_rate(admin, **of_yen())
        fold()
        agents.refresh_from_db()
        assert agents.amount_micro == rounded(Fraction(agents.quantity * 60 * 6_000, 60_000)) > 0
        assert unpriced() == 0
        assert sum(CostItem.objects.filter(priced_by="rate").values_list("amount_micro", flat=True)) == told.after_micro

    def test_calls_at_a_rate_in_another_currency(self, admin: User, workflow: Workflow, worker: Agent) -> None:
        whole_run(workflow, worker)
        operation = Action.objects.get().operation
        save_rate(
            admin, per="success", valid_from=LONG_AGO, amount_minor=Decimal("2.5"), currency="JPY", operation=operation
        )
        fold()
        assert costs(kind="connector") == {"connector": (0, "unpriced")}
        told = weigh_rate(admin, **of_yen())
        assert (told.costs, told.after_micro) == (1, 15_000)
        save_rate(admin, **of_yen())
        fold()
        assert costs(kind="connector") == {"connector": (15_000, "rate")}

    def test_what_spans_say_in_dollars(self, admin: User, worker: Agent) -> None:
        used = Used(Work(worker.unit_id), "large", 10, 1, reported_micro=2_500_001)
        keep_usage(worker.user, agent=worker, used=[used])
        fold()
        assert costs() == {"llm": (0, "unpriced")}
        said = of_yen(of_currency="USD", amount_minor=Decimal("92.12345678"))
        told = weigh_rate(admin, **said)
        save_rate(admin, **said)
        fold()
        exact = rounded(Fraction(2_500_001) * Fraction("92.12345678") / 100)
        assert costs() == {"llm": (exact, "reported")}
        assert told.after_micro == exact
        one = CostItem.objects.get()
        assert (one.reported_micro, one.reported_currency) == (2_500_001, "USD")

    def test_a_word_in_a_third_currency_stays_unpriced(self, admin: User, workflow: Workflow, worker: Agent) -> None:
        whole_run(workflow, worker)
        told = {"cost_minor": 70, "currency": "USD"}
        record(system_user("plane"), Action.objects.get(), "succeeded", payload=told)
        save_rate(admin, **of_yen())
        fold()
        assert costs(kind="agent") == {"agent": (0, "unpriced")}
        assert weigh_rate(admin, **of_yen(of_currency="USD", amount_minor=Decimal(90))).costs == 1
        assert weigh_rate(admin, **of_yen(of_currency="CHF", amount_minor=Decimal(90))).costs == 0

    def test_a_month_in_another_currency(self, admin: User) -> None:
        make_fixed(310_000, currency="JPY", valid_from=datetime(2024, 1, 1, tzinfo=UTC))
        since = datetime(2025, 1, 1, tzinfo=UTC)
        save_rate(admin, **of_yen(valid_from=datetime(2025, 3, 1, tzinfo=UTC)))
        told = weigh_rate(admin, **of_yen(valid_from=since))
        assert (told.fixed_before_micro, told.costs) == (0, 0)
        two_months = 2 * 310_000 * 6_000
        assert told.fixed_after_micro == pytest.approx(two_months, rel=0.03)  # zones may cut a day


@pytest.mark.django_db
class TestDays:
    def test_what_was_before_stays_unpriced_and_a_later_rate_ends_it(self, admin: User) -> None:
        voted()
        BusinessUnit.objects.update(currency="JPY", hourly_rate_minor=600_000)
        fold()
        first, second = CostItem.objects.order_by("incurred_at")
        assert unpriced() == 2
        save_rate(admin, **of_yen(valid_from=second.incurred_at))
        fold()
        first.refresh_from_db()
        second.refresh_from_db()
        assert (first.priced_by, second.priced_by) == ("unpriced", "hourly_rate")
        priced = second.amount_micro
        save_rate(admin, **of_yen(amount_minor=Decimal("1.2")))
        fold()
        first.refresh_from_db()
        second.refresh_from_db()
        assert first.amount_micro == pytest.approx(2 * priced, rel=0.01)
        assert second.amount_micro == priced
        again = weigh_rate(admin, **of_yen(valid_from=second.incurred_at, amount_minor=Decimal("0.3")))
        assert (again.costs, again.before_micro, again.until) == (1, priced, None)
        assert again.instead_of is not None
        assert weigh_rate(admin, **of_yen()).until == second.incurred_at

    def test_one_that_begins_later_changes_nothing(self, admin: User) -> None:
        voted()
        BusinessUnit.objects.update(currency="JPY", hourly_rate_minor=600_000)
        fold()
        later = database_now() + timedelta(minutes=1)
        assert weigh_rate(admin, **of_yen(valid_from=later)).costs == 0
        save_rate(admin, **of_yen(valid_from=later))
        fold_entries(entries=list(Entry.objects.filter(subject_kind="rate")))
        assert unpriced() == 2

    def test_after_another_reporting_currency_it_is_unpriced_until_there_is_one_to_that(
        self, admin: User, settings: Any
    ) -> None:
        voted()
        BusinessUnit.objects.update(currency="JPY", hourly_rate_minor=600_000)
        save_rate(admin, **of_yen())
        fold()
        assert unpriced() == 0
        settings.ACP_REPORTING_CURRENCY = "USD"
        recount_costs()
        assert unpriced() == 2
        save_rate(admin, **of_yen(amount_minor=Decimal("0.65")))
        fold()
        assert unpriced() == 0
        assert Rate.objects.get().currency == "USD"


@pytest.mark.django_db
class TestDoors:
    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"of_currency": "EUR"}, "of_currency"),
            ({"of_currency": "XYZ"}, "of_currency"),
            ({"of_currency": "jpy"}, "of_currency"),
            ({"of_currency": ""}, "of_currency"),
            ({"currency": "USD"}, "currency"),
            ({"unit": "x"}, "unit"),
            ({"amount_minor": Decimal(0)}, "amount_minor"),
            ({"amount_minor": Decimal(-1)}, "amount_minor"),
            ({"amount_minor": Decimal("NaN")}, "amount_minor"),
            ({"amount_minor": Decimal("0.000000001")}, "amount_minor"),
            ({"amount_minor": Decimal("12345678.12345678")}, "amount_minor"),
            ({"amount_minor": Decimal(10**10)}, "amount_minor"),
            ({"per": "hour"}, "of_currency"),
        ],
    )
    def test_what_does_not_fit_is_said_where(self, admin: User, wrong: dict[str, Any], field: str) -> None:
        for command in (save_rate, weigh_rate):
            with pytest.raises(InvalidError) as refused:
                command(admin, **of_yen(**wrong))
            assert field in refused.value.errors
        assert not Rate.objects.exists()

    def test_the_api_tells_sets_and_lists_it_to_its_last_digit(self, admin: User) -> None:
        api = caller(admin)
        body = {"per": "unit", "of_currency": "USD", "from": "2020-01-01T00:00:00Z", "amount_minor": 92.12345678}
        told = api.post("/api/v1/rates/preview/", body, content_type="application/json").json()
        assert (told["costs"], told["fixed_before_minor"], told["fixed_after_minor"]) == (0, 0, 0)
        made = api.post("/api/v1/rates/", {**body, "source": "Bank"}, content_type="application/json")
        assert made.status_code == 201
        (one,) = api.get("/api/v1/rates/").json()["results"]
        named = [one[name] for name in ("kind", "per", "of_currency", "currency", "amount_minor", "source")]
        assert named == ["currency", "unit", "USD", "EUR", 92.12345678, "Bank"]
        assert Rate.objects.get().amount_minor == Decimal("92.12345678")
        for wrong in ({"of_currency": "EUR"}, {"of_currency": "DOLLAR"}, {"amount_minor": 0}, {"currency": "USD"}):
            answer = api.post("/api/v1/rates/", {**body, **wrong}, content_type="application/json")
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), wrong
        reader = caller(make_holder("kpis.view_kpi", unit=make_unit()))
        assert [one["of_currency"] for one in reader.get("/api/v1/rates/").json()["results"]] == ["USD"]
        assert reader.post("/api/v1/rates/", body, content_type="application/json").status_code == 403

    def test_the_page_tells_it_first_and_of_what_else_there_is_no_rate(self, admin: User) -> None:
        voted()
        BusinessUnit.objects.update(currency="JPY", hourly_rate_minor=600_000)
        make_fixed(310_000, currency="JPY")
        make_fixed(5, currency="CHF", workflow="w")
        fold()
        page = Client()
        page.force_login(admin)
        assert page.get("/dashboards/rates/").content.decode().count("no rate of exchange: in no sum") == 2
        asked = {
            "rate-per": "unit", "rate-amount": "0.0061234567", "rate-currency": "EUR", "rate-of_currency": "JPY",
            "rate-valid_from": "2020-01-01", "rate-source": "Bank",
        }  # fmt: skip
        told = page.post("/dashboards/rates/set/", asked).content.decode()
        assert "2 costs, in 0 runs, were counted with" in told
        assert "2 of them had no price so far." in told
        assert "Fixed cost of its days until now came to" in told
        assert page.post("/dashboards/rates/set/", {**asked, "rate-of_currency": "EUR"}).status_code == 422
        assert page.post("/dashboards/rates/set/", {**asked, "confirm": "1"}).status_code == 302
        assert Rate.objects.get(kind="currency").amount_minor == Decimal("0.61234567")
        shown = page.get("/dashboards/rates/").content.decode()
        assert "0.0061234567 EUR" in shown
        assert shown.count("no rate of exchange: in no sum") == 1

    def test_a_document_says_it_too(self, admin: User) -> None:
        text = "kind: Rate\nper: unit\nof_currency: USD\nfrom: 2026-01-01\namount_minor: 92.12345678\n"
        for outcome in ("created", "unchanged"):
            assert [one.outcome for one in apply_texts(admin, texts={"a.yaml": text})] == [outcome]
        assert Rate.objects.get().amount_minor == Decimal("92.12345678")
