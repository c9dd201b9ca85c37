"""The price book's page: what models cost, what has no price, and what another price changes before it does."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from django.test import Client

from apps.access.models import BusinessUnit
from apps.agents.models import Agent
from apps.audit.models import Entry
from apps.configuration.services.applying import apply_documents
from apps.configuration.services.reading import ConfigurationError
from apps.core.errors import NotAllowedError
from apps.core.models import User
from apps.kpis.models import CostItem, PriceBook
from apps.kpis.models.clock import database_now
from apps.kpis.rules.costs import TokenPrice
from apps.kpis.selectors.prices import price_book_for, repricing_for
from apps.kpis.services import fold_entries, save_price, save_rate, weigh_rate
from apps.telemetry.services import record_usage
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.agents import make_action, make_agent
from tests.factories.kpis import make_price

pytestmark = pytest.mark.django_db

SET = "/dashboards/prices/set/"
ASKED = {
    "price-model": "large",
    "price-valid_from": "2026-01-01",
    "price-input_micro": "2.5",
    "price-output_micro": "10",
}


@pytest.fixture
def admin() -> User:
    return make_admin()


@pytest.fixture
def agent() -> Agent:
    return make_agent(unit=make_unit())


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def use(agent: Agent, model: str = "large", **tokens: int) -> None:
    work = make_action(agent=agent).pk
    record_usage(agent.user, model=model, action_id=work, **{"input_tokens": 1_000, "output_tokens": 100, **tokens})


def fold() -> None:
    fold_entries(entries=list(Entry.objects.select_related("actor").order_by("id")))


def cost(model: str = "large") -> int:
    return sum(CostItem.objects.filter(model=model).values_list("amount_micro", flat=True))


def price(*amounts: str) -> TokenPrice:
    return TokenPrice(*map(Decimal, amounts))


class TestWhatItChanges:
    def test_what_is_told_before_is_what_comes_of_it(self, admin: User, agent: Agent) -> None:
        use(agent, input_tokens=3, output_tokens=0)
        use(agent, input_tokens=1_001, output_tokens=7, cache_read_tokens=400, cache_write_tokens=101)
        use(agent, "other")
        fold()
        asked = price("0.5", "1.333333", "0.05", "0.625")
        since = database_now() - timedelta(days=1)
        found = repricing_for(admin, model="large", valid_from=since, price=asked)
        assert (found.calls, found.unpriced, found.before_micro, found.runs) == (2, 2, 0, 0)
        assert cost() == 0
        names = ("input_micro", "output_micro", "cache_read_micro", "cache_write_micro")
        save_price(admin, model="large", valid_from=since, **{name: getattr(asked, name) for name in names})
        fold()
        assert found.after_micro == cost() == 2 + 342  # 1.5 rounds up; 500*.5 + 400*.05 + 101*.625 + 7*1.333333
        assert cost("other") == 0

    def test_it_reaches_to_the_next_price_and_no_further(self, admin: User, agent: Agent) -> None:
        use(agent)
        make_price(valid_from=database_now() - timedelta(hours=1))
        fold()
        before = repricing_for(
            admin, model="large", valid_from=database_now() - timedelta(days=9), price=price("9", "9", "9", "9")
        )
        assert (before.calls, before.after_micro) == (0, 0)
        assert before.until is not None
        now = repricing_for(
            admin, model="large", valid_from=database_now() - timedelta(minutes=1), price=price("9", "9", "9", "9")
        )
        assert (now.calls, now.before_micro, now.after_micro, now.until) == (1, 4_500, 9_900, None)

    def test_it_is_for_those_who_may_set_prices(self, agent: Agent) -> None:
        reader = make_holder("kpis.view_kpi", unit=agent.unit)
        here = make_holder("kpis.view_kpi", "kpis.manage_target", unit=agent.unit)
        for person in (reader, here):
            with pytest.raises(NotAllowedError):
                repricing_for(person, model="large", valid_from=database_now(), price=price("1", "1", "1", "1"))
        assert signed_in(here).post(SET, ASKED).status_code == 403


class TestAnotherCurrency:
    YEN: ClassVar[dict[str, Any]] = {"input_micro": Decimal("0.5"), "output_micro": Decimal(150)}
    """1,001 tokens in and 7 out: 1,550.5 millionths of a yen."""

    def test_it_counts_at_the_rate_of_exchange_and_until_then_as_without_a_price(
        self, admin: User, agent: Agent
    ) -> None:
        since = database_now() - timedelta(days=1)
        use(agent, input_tokens=1_001, output_tokens=7)
        fold()
        asked = {"model": "large", "valid_from": since, "price": price("0.5", "150", "0", "0"), "currency": "JPY"}
        told = repricing_for(admin, **asked)
        assert (told.calls, told.unpriced, told.left_unpriced, told.after_micro) == (1, 1, 1, 0)
        save_price(admin, model="large", valid_from=since, currency="JPY", **self.YEN)
        fold()
        assert CostItem.objects.get().priced_by == "unpriced"
        rate = {"per": "unit", "of_currency": "JPY", "valid_from": since, "amount_minor": Decimal("0.6")}
        weighed = weigh_rate(admin, **rate)
        assert (weighed.unpriced, weighed.still_unpriced, weighed.after_micro) == (1, 0, 9)
        save_rate(admin, **rate)
        fold()
        assert (cost(), CostItem.objects.get().priced_by) == (9, "book")  # 1,550.5 * 0.006 = 9.303, in one step
        told = repricing_for(admin, **asked)
        assert (told.left_unpriced, told.before_micro, told.after_micro) == (0, 9, 9)
        save_rate(admin, **{**rate, "amount_minor": Decimal("0.7")})
        fold()
        assert cost() == 11  # 10.8535

    def test_what_is_told_before_it_is_set_is_what_comes_of_it(self, admin: User, agent: Agent) -> None:
        since = database_now() - timedelta(days=1)
        save_rate(admin, per="unit", of_currency="USD", valid_from=since, amount_minor=Decimal("91.7"))
        for tokens in (3, 17, 1_001):
            use(agent, input_tokens=tokens, output_tokens=tokens // 3)
        fold()
        asked = price("0.333333", "1.75", "0", "0")
        told = repricing_for(admin, model="large", valid_from=since, price=asked, currency="USD")
        amounts = {"input_micro": asked.input_micro, "output_micro": asked.output_micro}
        save_price(admin, model="large", valid_from=since, currency="USD", **amounts)
        fold()
        assert told.after_micro == cost() > 0
        assert told.left_unpriced == 0

    def test_without_a_rate_what_agents_say_stays_as_it_is_told_before(self, admin: User, agent: Agent) -> None:
        since = database_now() - timedelta(days=1)
        use(agent, cost_minor=7)
        use(agent)
        fold()
        assert cost() == 70_000
        asked = {"model": "large", "valid_from": since, "price": price("0.5", "150", "0", "0"), "currency": "JPY"}
        told = repricing_for(admin, **asked)
        assert (told.calls, told.unpriced, told.left_unpriced) == (2, 1, 1)
        save_price(admin, model="large", valid_from=since, currency="JPY", **self.YEN)
        fold()
        assert told.before_micro == told.after_micro == cost() == 70_000
        assert sorted(CostItem.objects.values_list("priced_by", flat=True)) == ["reported", "unpriced"]
        rate = {"per": "unit", "of_currency": "JPY", "valid_from": since, "amount_minor": Decimal("0.6")}
        weighed = weigh_rate(admin, **rate)
        save_rate(admin, **rate)
        fold()
        assert cost() == weighed.after_micro == 2 * 93  # 500 + 15,000 millionths of a yen each
        assert repricing_for(admin, **asked).after_micro == cost()
        told = repricing_for(admin, **{**asked, "currency": "USD"})
        assert (told.left_unpriced, told.before_micro, told.after_micro) == (1, cost(), 70_000)
        save_price(admin, model="large", valid_from=since, currency="USD", **self.YEN)
        fold()
        assert cost() == told.after_micro

    def test_what_agents_say_in_another_currency_stays_at_its_own_rate(self, admin: User, agent: Agent) -> None:
        since = database_now() - timedelta(days=1)
        save_rate(admin, per="unit", of_currency="USD", valid_from=since, amount_minor=Decimal("91.7"))
        BusinessUnit.objects.update(currency="USD")
        use(agent, cost_minor=7)
        fold()
        told = repricing_for(admin, model="large", valid_from=since, price=price("1", "1", "0", "0"), currency="JPY")
        save_price(admin, model="large", valid_from=since, currency="JPY", **self.YEN)
        fold()
        assert (told.left_unpriced, told.after_micro) == (0, 64_190)
        assert cost() == 64_190

    def test_who_says_none_of_a_price_that_is_there_leaves_it_its_own(self, admin: User, agent: Agent) -> None:
        since = datetime(2026, 1, 1, tzinfo=UTC)
        text = "kind: Price\nmodel: large\nfrom: 2026-01-01T00:00:00Z\ninput_micro: 1\noutput_micro: 2\n"
        apply_documents(admin, texts={"prices.yaml": text + "currency: USD\n"})
        apply_documents(admin, texts={"prices.yaml": text.replace("output_micro: 2", "output_micro: 3")})
        assert [(row.currency, row.output_micro) for row in PriceBook.objects.all()] == [("USD", 3)]
        use(agent)
        fold()
        told = repricing_for(admin, model="large", valid_from=since, price=price("9", "9", "9", "9"))
        assert told.left_unpriced == 1
        page = signed_in(admin)
        assert "no rate of exchange for USD" in page.post(SET, ASKED).content.decode()
        page.post(SET, {**ASKED, "confirm": "1"})
        assert [(row.currency, row.output_micro) for row in PriceBook.objects.all()] == [("USD", 10)]

    def test_the_page_says_so_and_takes_no_word_that_is_none(self, admin: User, agent: Agent) -> None:
        use(agent)
        fold()
        page, abroad = signed_in(admin), {**ASKED, "price-currency": "USD"}
        assert "1 of them has no price then: no rate of exchange for USD" in page.post(SET, abroad).content.decode()
        for wrong in ("US", "usd", "XYZ", "EURO"):
            answer = page.post(SET, {**abroad, "price-currency": wrong, "confirm": "1"})
            assert (answer.status_code, PriceBook.objects.count()) == (422, 0)
        page.post(SET, {**abroad, "confirm": "1"})
        assert PriceBook.objects.get().currency == "USD"
        shown = page.get("/dashboards/prices/?model=large").content.decode()
        assert "<td>USD</td>" in shown
        assert 'name="price-currency" value="USD"' in shown

    def test_a_document_says_it_too_and_an_export_says_it_again(self, admin: User) -> None:
        text = "kind: Price\nmodel: m\nfrom: 2026-01-01\ninput_micro: 1\noutput_micro: 2\ncurrency: USD\n"
        apply_documents(admin, texts={"prices.yaml": text})
        assert PriceBook.objects.get().currency == "USD"
        with pytest.raises(ConfigurationError, match="currency"):
            apply_documents(admin, texts={"prices.yaml": text.replace("USD", "XXZ")})


class TestTheBook:
    def test_what_has_no_price_stands_first(self, admin: User, agent: Agent) -> None:
        make_price(model="large")
        make_price(model="large", valid_from=database_now() + timedelta(days=3), input_micro=99)
        use(agent)
        use(agent, "unheard-of")
        fold()
        first, second = price_book_for(admin)
        assert (first.model, first.unpriced, first.prices, first.current) == ("unheard-of", 1, [], None)
        assert (second.model, second.unpriced, second.tokens, second.cost_micro) == ("large", 0, 1_100, 4_500)
        assert [row.input_micro for row in second.prices] == [99, 3]
        assert second.current is not None
        assert second.current.input_micro == 3

    def test_use_is_told_of_what_the_reader_may_see(self, agent: Agent) -> None:
        make_price()
        use(agent)
        use(agent, "secret-model")
        fold()
        (found,) = price_book_for(make_holder("kpis.view_kpi", unit=make_unit()))
        assert (found.model, found.tokens, found.calls, found.cost_micro) == ("large", 0, 0, 0)
        assert len(price_book_for(make_holder("kpis.view_kpi", unit=agent.unit))) == 2


class TestThePage:
    def test_first_what_it_changes_then_so(self, admin: User, agent: Agent) -> None:
        use(agent)
        fold()
        page = signed_in(admin)
        told = page.get("/dashboards/prices/").content.decode()
        assert "1 call has no price" in told
        told = page.post(SET, ASKED).content.decode()
        assert "1 call, in 0 runs, was counted with" in told
        assert "1 of them had no price so far." in told
        assert not PriceBook.objects.exists()
        assert page.post(SET, {**ASKED, "confirm": "1"}).status_code == 302
        fold()
        assert cost() == 3_500
        told = page.get("/dashboards/prices/?model=large").content.decode()
        assert "has no price" not in told
        assert 'value="2.5"' in told

    def test_a_price_of_ten_is_not_written_as_a_power(self, admin: User) -> None:
        make_price(input_micro=30, output_micro=100)
        told = signed_in(admin).get("/dashboards/prices/").content.decode()
        assert '<td class="num">30</td><td class="num">100</td>' in told

    def test_a_day_is_one_of_the_reporting_zone(self, admin: User, settings: Any) -> None:
        settings.ACP_REPORTING_TZ = "Europe/Berlin"
        page = signed_in(admin)
        page.post(SET, {**ASKED, "confirm": "1"})
        assert PriceBook.objects.get().valid_from == datetime(2025, 12, 31, 23, tzinfo=UTC)
        assert '<td class="nowrap">2026-01-01 ' in page.get("/dashboards/prices/").content.decode()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"price-model": ""},
            {"price-model": "x" * 121},
            {"price-valid_from": "yesterday"},
            {"price-valid_from": "0001-01-01"},
            {"price-input_micro": "-1"},
            {"price-output_micro": "NaN"},
            {"price-input_micro": "1e400"},
            {"price-cache_read_micro": "0.0000001"},
        ],
    )
    def test_what_is_wrong_is_said_and_nothing_is_lost(self, admin: User, wrong: dict[str, Any]) -> None:
        for more in ({}, {"confirm": "1"}):
            answer = signed_in(admin).post(SET, {**ASKED, **wrong, **more})
            assert answer.status_code == 422
            assert 'value="10"' in answer.content.decode() or "price-output_micro" in wrong
        assert not PriceBook.objects.exists()

    def test_what_no_keyboard_types_is_refused_before_the_form_reads_it(self, admin: User) -> None:
        """U+0000 stands in no field: the page says which, and leads back to what was typed."""
        sent = {**ASKED, "price-model": "nul\x00", "confirm": "1"}
        answer = signed_in(admin).post(SET, sent, headers={"referer": "http://testserver/dashboards/prices/"})
        assert answer.status_code == 422
        assert "U+0000" in (page := answer.content.decode())
        assert "price-model" in page
        assert 'href="http://testserver/dashboards/prices/"' in page
        assert not PriceBook.objects.exists()

    def test_readers_read_and_set_nothing(self, agent: Agent) -> None:
        make_price()
        reader = signed_in(make_holder("kpis.view_kpi", unit=agent.unit))
        assert "Show what it changes" not in reader.get("/dashboards/prices/").content.decode()
        for more in ({}, {"confirm": "1"}):
            assert reader.post(SET, {**ASKED, **more}).status_code == 403
        assert signed_in(make_holder(unit=agent.unit)).get("/dashboards/prices/").status_code == 403
