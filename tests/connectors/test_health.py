"""How a system does: every call noted without a word of it, a budget of errors, and caps that hold effects up."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.audit.tasks import deliver_reactions
from apps.connectors import services
from apps.connectors.models import Connector, ConnectorCall, Effect
from apps.connectors.rules.health import Condition, condition_of
from apps.connectors.rules.states import CODE_OF_END, NEVER_LEFT
from apps.connectors.selectors import health_for
from apps.core.errors import InvalidError, RateLimitedError, UnavailableError
from apps.core.models import ClockTimestamp
from apps.core.reasons import CALLS, call_words
from apps.core.services import system_user
from apps.workflows.services.actions import perform_due
from tests.connectors.test_api import agent_api, person
from tests.connectors.test_effects import approved, perform
from tests.connectors.test_views import browser
from tests.factories.access import make_admin, make_user
from tests.factories.agents import make_agent
from tests.factories.connectors import make_connector
from tests.workflows.actions import make_desk

pytestmark = pytest.mark.django_db
CANARY = "canary-7c41/9+w"


@pytest.fixture
def plane():
    return system_user("plane")


@pytest.fixture
def bank(system):
    connector = make_connector(slug="bank", name="Bank", base_url=system.url, auth={"type": "bearer"})
    services.set_secret(make_admin(), connector=connector, secret=CANARY)
    return connector


def called(connector, number, *, troubled=0, took_ms=20, ago_s=3600):
    """So many calls, some of which went wrong."""
    rows = [
        ConnectorCall(
            connector=connector, purpose="effect", end="answered", status=500 if place < troubled else 200,
            code="system_error" if place < troubled else "", in_trouble=place < troubled, duration_ms=took_ms + place,
        )
        for place in range(number)
    ]  # fmt: skip
    ConnectorCall.objects.bulk_create(rows)
    ConnectorCall.objects.update(created_at=ClockTimestamp() - timedelta(seconds=ago_s))


counts = st.integers(0, 3000)


@given(counts, counts, st.integers(0, 500), st.integers(0, 50), st.integers(0, 50))
def test_the_word_follows_the_numbers(calls, troubled, budget, recent, bad):
    troubled, recent = min(troubled, calls), min(recent, calls)
    bad = min(bad, recent)
    word = condition_of(calls, troubled, errors_per_1000=budget, recent=recent, recent_troubled=bad)
    if not calls and recent < 3:
        assert word == Condition.UNUSED
    elif word == Condition.HEALTHY:
        assert troubled * 1000 <= calls * budget
    elif word == Condition.FAILING:
        assert bad * 2 > recent >= 3
    else:
        assert troubled * 1000 > calls * budget


def test_each_call_is_noted_with_its_outcome_and_never_with_a_word_of_it(plane, bank, system):
    agent = make_agent()
    for answer in ({"status": 200}, {"status": 422, "body": b'{"iban": "DE89"}'}, {"status": 500, "echo": True}):
        system.will(**answer)
        perform(plane, approved(bank, agent))
    services.probe_connector(make_admin(), connector=bank)
    noted = [(call.purpose, call.status, call.code, call.in_trouble) for call in ConnectorCall.objects.order_by("id")]
    assert noted == [
        ("effect", 200, "", False), ("effect", 422, "refused_by_system", False), ("effect", 500, "system_error", True),
        ("probe", None, "", False),
    ]  # fmt: skip
    written = json.dumps(list(ConnectorCall.objects.values()), default=str)
    assert CANARY not in written
    assert "DE89" not in written


def test_health_says_how_sure_it_is(bank):
    admin = make_admin()
    assert health_for(admin, bank).condition == "unused"
    called(bank, 19, troubled=1)
    few = health_for(admin, bank)
    assert (few.condition, few.calls, few.troubled, few.p50_ms, few.p95_ms) == ("strained", 19, 1, 29, None)
    called(bank, 181, troubled=19)
    many = health_for(admin, bank)
    assert (many.condition, many.calls, many.allowed, many.codes) == ("over_budget", 200, 2.0, {"system_error": 20})
    assert many.p95_ms is not None
    Connector.objects.update(limits={"errors_per_1000": 200})
    assert health_for(admin, Connector.objects.get()).condition == "healthy"


def test_a_test_of_the_connection_is_no_use_of_it(bank):
    Connector.objects.update(base_url="http://127.0.0.1:1")
    with pytest.raises(UnavailableError):
        services.probe_connector(make_admin(), connector=Connector.objects.get())
    told = health_for(make_admin(), bank)
    assert (told.condition, told.calls, told.troubled, told.codes) == ("unused", 0, 0, {})
    assert told.last_call_at


def test_what_just_broke_is_failing_and_what_is_old_is_forgotten(bank):
    called(bank, 500)
    assert health_for(make_admin(), bank).condition == "healthy"
    ConnectorCall.objects.update(created_at=ClockTimestamp() - timedelta(days=6))
    services.probe_connector(make_admin(), connector=bank)
    Connector.objects.update(base_url="http://127.0.0.1:1")
    for _ in range(3):
        with pytest.raises(UnavailableError):
            services.probe_connector(make_admin(), connector=Connector.objects.get())
    assert health_for(make_admin(), bank).condition == "failing"
    ConnectorCall.objects.filter(status=200).update(created_at=ClockTimestamp() - timedelta(days=36))
    assert services.forget_calls() == 500
    assert ConnectorCall.objects.count() == 4


def test_a_refusal_of_the_egress_guard_is_listed_with_its_reason(plane, system):
    outside = make_connector(slug="outside", base_url=system.url, allow_internal=False)
    perform(plane, approved(outside))
    call = ConnectorCall.objects.get()
    assert (call.end, call.code, call.said) == ("refused", "egress_refused", "127.0.0.1 leads to an internal address.")
    assert system.asked == []
    page = browser(make_admin()).get("/connectors/outside/").content.decode()
    assert "127.0.0.1 leads to an internal address." in page
    assert "Not called: the address is not allowed" in page
    assert "egress_refused" not in page
    listed = person(make_admin())("GET", "/connectors/outside/calls/?end=refused").body["results"]
    assert [row["code"] for row in listed] == ["egress_refused"]


def test_the_page_and_the_api_list_the_last_calls(plane, bank, system):
    agent = make_agent()
    system.will(200)
    perform(plane, approved(bank, agent))
    page = browser(make_admin()).get("/connectors/bank/").content.decode()
    for shown in ("Last calls", "Carry out", "0 of 1", "95 % interval", "10 wrong of 1,000", "ms at the median"):
        assert shown in page, shown
    (row,) = person(make_admin())("GET", "/connectors/bank/calls/").body["results"]
    assert (row["purpose"], row["status"], row["action"]) == ("effect", 200, str(Effect.objects.get().action_id))
    assert person(make_user())("GET", "/connectors/bank/calls/").status_code == 404
    assert agent_api(agent)("GET", "/connectors/bank/calls/").status_code in {403, 404}
    assert person(make_admin())("GET", "/connectors/bank/calls/?nope=1").status_code == 422


class TestCaps:
    def limited(self, bank, **limits):
        Connector.objects.filter(pk=bank.pk).update(limits=limits)
        bank.refresh_from_db()
        return bank

    def test_one_at_once_means_one(self, plane, bank, system):
        agent = make_agent()
        self.limited(bank, concurrent=1)
        first, second = approved(bank, agent), approved(bank, agent)
        for action in (first, second):
            services.prepare_effect(plane, action=action)
        held = services.claim_effect(plane, action=first)
        with pytest.raises(RateLimitedError):
            services.claim_effect(plane, action=second)
        assert Effect.objects.get(action=second).state == "prepared"
        system.will(200)
        services.settle_effect(plane, effect=held, call=services.dispatch_effect(plane, effect=held))
        assert services.claim_effect(plane, action=second).state == "claimed"

    def test_so_many_in_a_minute(self, plane, bank, system):
        agent = make_agent()
        self.limited(bank, per_minute=2)
        for _ in range(2):
            perform(plane, approved(bank, agent))
        last = approved(bank, agent)
        services.prepare_effect(plane, action=last)
        with pytest.raises(RateLimitedError):
            services.claim_effect(plane, action=last)
        ConnectorCall.objects.update(created_at=ClockTimestamp() - timedelta(seconds=61))
        assert services.claim_effect(plane, action=last).state == "claimed"

    def test_an_answer_is_no_larger_and_takes_no_longer(self, plane, bank, system):
        agent = make_agent()
        self.limited(bank, response_kb=1, timeout_s=1)
        system.will(200, json.dumps({"long": "x" * 2000}).encode())
        large = perform(plane, approved(bank, agent))
        assert (large.state, large.error["code"]) == ("unknown", "broken_answer")
        assert "larger than 1024 bytes" in large.error["message"]
        system.will(200, before_s=1.5)
        slow = perform(plane, approved(bank, agent))
        assert slow.error["code"] == "no_answer"
        assert slow.duration_ms < 1400

    @pytest.mark.parametrize(
        "limits", [{"concurrent": 0}, {"per_minute": "9"}, {"timeout_s": 999}, {"response_kb": True}, {"more": 1}]
    )
    def test_what_is_no_limit_is_refused(self, bank, limits):
        with pytest.raises(InvalidError) as refused:
            services.save_connector(
                make_admin(), slug="bank", name="Bank", base_url=bank.base_url, auth=bank.auth, limits=limits
            )
        assert list(refused.value.errors) == [f"limits.{next(iter(limits))}"]
        bank.refresh_from_db()
        assert bank.limits == {}

    def test_a_limit_holds_effects_up_and_loses_none(self, system):
        desk = make_desk(system.url)
        Connector.objects.update(limits={"per_minute": 1})
        for number in range(2):
            assert desk.ask(50_000 + number).status_code == 202
        while deliver_reactions():
            pass
        assert perform_due() == 1
        assert perform_due() == 1
        assert perform_due() == 0
        assert sorted(Effect.objects.values_list("state", flat=True)) == ["prepared", "succeeded"]
        ConnectorCall.objects.update(created_at=ClockTimestamp() - timedelta(seconds=61))
        Effect.objects.filter(state="prepared").update(retry_at=ClockTimestamp())
        assert perform_due() == 1
        assert set(Effect.objects.values_list("state", flat=True)) == {"succeeded"}
        assert len(system.asked) == 2


def test_however_a_call_ends_people_read_words_and_no_code():
    codes = {*NEVER_LEFT.values(), *CODE_OF_END.values(), "refused_by_system", "busy"}
    assert codes == set(CALLS)
    assert all("_" not in call_words(code) for code in codes)
    assert call_words("of_another_version") == "of_another_version"
