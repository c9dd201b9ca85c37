"""Rates: which one holds, what it changes before it does, and that past weeks follow it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from apps.access.models import BusinessUnit
from apps.access.services import create_token
from apps.agents.models import Action, Agent
from apps.audit.models import Entry
from apps.audit.services import record
from apps.connectors.models import Effect, Operation
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.models import User
from apps.core.services import system_user
from apps.kpis.models import CostItem, Rate, RollupDay, RunFact
from apps.kpis.models.clock import database_now
from apps.kpis.rules.rates import RateBook, RateSeen, half_up, rated_micro
from apps.kpis.services import fold_entries, save_rate, weigh_rate
from apps.oversight.services import cast_vote
from apps.workflows.models import Task, Workflow
from apps.workflows.services import cancel_run, claim_tasks, complete_task, fail_task
from apps.workflows.services.tasks.sweeps import offer_scheduled
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit
from tests.factories.agents import make_agent
from tests.factories.oversight import Payment, make_payment
from tests.factories.workflows import make_run, make_worker, make_workflow
from tests.kpis.test_folding import DOCUMENT, fold, whole_run

JULY, AUGUST = datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 8, 1, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ASKED = {
    "rate-per": "hour", "rate-amount": "36000", "rate-currency": "EUR", "rate-valid_from": "2020-01-01",
    "rate-source": "Plan",
}  # fmt: skip


def rate(**fields: Any) -> RateSeen:
    return RateSeen(**{"per": "hour", "since": JULY, "minor": Decimal(100), "currency": "EUR", **fields})


class TestWhichOneHolds:
    BOOK = RateBook(
        [
            rate(unit="below", since=AUGUST),
            rate(unit="above"),
            rate(role="head", minor=Decimal(7)),
            rate(unit="above", role="head", minor=Decimal(9)),
            rate(),
        ]
    )

    @pytest.mark.parametrize(
        ("units", "roles", "at", "found"),
        [
            (["below", "above", ""], [], AUGUST, ("below", "")),
            (["below", "above", ""], [], AUGUST - timedelta(seconds=1), ("above", "")),
            (["below", "above", ""], ["head"], AUGUST, ("above", "head")),
            (["other", ""], ["head"], AUGUST, ("", "head")),
            (["other", ""], ["clerk"], AUGUST, ("", "")),
            (["other", ""], ["clerk"], JULY - timedelta(seconds=1), None),
        ],
    )
    def test_the_role_goes_first_then_the_nearest_unit(
        self, units: list[str], roles: list[str], at: datetime, found: tuple[str, str] | None
    ) -> None:
        one = self.BOOK.of_people(units, roles, at)
        assert (one and (one.unit, one.role)) == found

    def test_a_later_one_of_the_same_subject_ends_it_whatever_it_is_per(self) -> None:
        book = RateBook([rate(per="task", agent="x"), rate(per="minute", agent="x", since=AUGUST)])
        at_first, later = book.of_agent("x", JULY), book.of_agent("x", AUGUST)
        assert at_first is not None
        assert later is not None
        assert (at_first.per, later.per, book.until(at_first)) == ("task", "minute", AUGUST)
        assert book.of_agent("y", AUGUST) is None

    def test_amounts_are_exact_and_round_half_up(self) -> None:
        assert half_up(rated_micro(rate(minor=Decimal(3600)), 1_000, 10_000)) == 10_000
        assert half_up(rated_micro(rate(per="minute", minor=Decimal("0.0001")), 30_000, 10_000)) == 1
        assert half_up(rated_micro(rate(per="task", minor=Decimal("1.5")), 3, 10_000)) == 45_000


@pytest.fixture
def admin(db: None) -> User:
    return make_admin()


@pytest.fixture
def workflow(db: None) -> Workflow:
    flow = make_workflow(DOCUMENT)
    Operation.objects.update(fee_minor=5)
    return flow


@pytest.fixture
def worker(workflow: Workflow) -> Agent:
    return make_worker(workflow, "order.check")


def human() -> list[CostItem]:
    return list(CostItem.objects.filter(kind="human").order_by("incurred_at"))


def at_rate(one: CostItem, minor: int) -> int:
    """Milliseconds at so much an hour, in millionths."""
    return int(Decimal(one.quantity * minor * 10_000 / Decimal(3_600_000)).quantize(Decimal(1)))


def voted(quorum: int = 2) -> Payment:
    payment = make_payment(quorum=quorum)
    item = payment.item
    type(item).objects.filter(pk=item.pk).update(created_at=database_now() - timedelta(minutes=6))
    for person in (payment.ada, payment.ben)[:quorum]:
        cast_vote(person, escalation_id=item.pk, verdict="approve", version=payment.now().version)
    return payment


class TestPeople:
    def test_past_decisions_follow_a_rate_and_what_was_told_is_what_comes(self, admin: User) -> None:
        payment = voted()
        fold()
        unit = payment.item.unit
        before = human()
        assert [one.priced_by for one in before] == ["hourly_rate"] * 2
        said = {"per": "hour", "valid_from": LONG_AGO, "amount_minor": Decimal(9_900), "unit": unit.slug}
        told = weigh_rate(admin, **said)
        assert (told.costs, told.unpriced, told.runs) == (2, 0, 0)
        assert told.before_micro == sum(one.amount_micro for one in before)
        assert [one.amount_micro for one in human()] == [one.amount_micro for one in before]
        assert save_rate(admin, **said)[1] == "created"
        fold()
        after = human()
        assert [one.priced_by for one in after] == ["rate"] * 2
        assert [one.amount_micro for one in after] == pytest.approx([at_rate(one, 9_900) for one in after], abs=1)
        assert told.after_micro == sum(one.amount_micro for one in after) > 0
        assert RollupDay.objects.get(spend_micro__gt=0).spend_micro == told.after_micro
        assert Entry.objects.get(name="rate.created").payload["amount_minor"] == "9900.0000"

    def test_a_rate_above_holds_below_and_the_role_that_decided_goes_first(self, admin: User) -> None:
        payment = voted()
        above = make_unit()
        BusinessUnit.objects.filter(pk=payment.item.unit_id).update(parent=above)
        role = payment.item.group_list()[0].queue.role
        save_rate(admin, per="hour", valid_from=LONG_AGO, amount_minor=Decimal(1_000), unit=above.slug)
        save_rate(admin, per="hour", valid_from=LONG_AGO, amount_minor=Decimal(1), role=make_role().slug)
        fold()
        assert [one.amount_micro for one in human()] == pytest.approx([at_rate(one, 1_000) for one in human()], abs=1)
        save_rate(admin, per="hour", valid_from=LONG_AGO, amount_minor=Decimal(2_000), role=role.slug)
        fold()
        assert [one.amount_micro for one in human()] == pytest.approx([at_rate(one, 2_000) for one in human()], abs=1)

    def test_of_two_groups_it_is_the_role_that_the_person_held(self, admin: User) -> None:
        payment = voted(quorum=1)
        group = payment.item.group_list()[0]
        other = make_role()
        grant(payment.ada, other, payment.item.unit, created_at=database_now() - timedelta(days=1))
        type(group).objects.create(escalation=payment.item, queue=group.queue, role=other, position=9)
        type(group).objects.filter(pk=group.pk).update(role=make_role())  # nobody holds it
        save_rate(admin, per="hour", valid_from=LONG_AGO, amount_minor=Decimal(4_000), role=other.slug)
        fold()
        (one,) = human()
        assert one.amount_micro == pytest.approx(at_rate(one, 4_000), abs=1)

    def test_one_that_begins_later_leaves_what_was_before_as_it_is(self, admin: User) -> None:
        voted()
        fold()
        before = [one.amount_micro for one in human()]
        BusinessUnit.objects.update(hourly_rate_minor=1)  # what a document says now is for what comes
        later = database_now() + timedelta(minutes=1)
        assert weigh_rate(admin, per="hour", valid_from=later, amount_minor=Decimal(1)).costs == 0
        save_rate(admin, per="hour", valid_from=later, amount_minor=Decimal(1))
        fold_entries(entries=list(Entry.objects.filter(subject_kind="rate")))
        assert [one.amount_micro for one in human()] == before

    def test_in_another_currency_it_is_unpriced_and_no_euro(self, admin: User) -> None:
        voted()
        fold()
        said = {"per": "hour", "valid_from": LONG_AGO, "amount_minor": Decimal(9_000), "currency": "JPY"}
        told = weigh_rate(admin, **said)
        assert (told.costs, told.still_unpriced, told.after_micro) == (2, 2, 0)
        save_rate(admin, **said)
        fold()
        assert [(one.priced_by, one.amount_micro) for one in human()] == [("unpriced", 0)] * 2
        assert all(one.quantity for one in human())


class TestAgents:
    def test_work_is_counted_by_the_task_and_its_own_word_beside_it_is_nothing(
        self, admin: User, workflow: Workflow, worker: Agent
    ) -> None:
        run = whole_run(workflow, worker)
        action = Action.objects.get(run_id=run.pk)
        Action.objects.update(agent=worker)
        record(system_user("plane"), action, "succeeded", payload={"cost_minor": 70, "currency": "EUR"})
        fold()
        assert [one.priced_by for one in CostItem.objects.filter(kind="agent")] == ["reported"]
        said = {"per": "task", "valid_from": LONG_AGO, "amount_minor": Decimal(12), "agent": worker.slug}
        told = weigh_rate(admin, **said)
        assert (told.costs, told.before_micro, told.after_micro, told.runs) == (2, 700_000, 120_000, 1)
        save_rate(admin, **said)
        fold()
        costs = {one.priced_by: one.amount_micro for one in CostItem.objects.filter(kind="agent")}
        assert costs == {"covered": 0, "rate": 120_000}
        fact = RunFact.objects.get()
        assert fact.agent_micro == 120_000
        assert fact.cost_micro == sum(CostItem.objects.values_list("amount_micro", flat=True))

    def test_by_the_minute_from_claim_to_end_and_once(self, admin: User, workflow: Workflow, worker: Agent) -> None:
        save_rate(admin, per="minute", valid_from=LONG_AGO, amount_minor=Decimal(60), agent=worker.slug)
        task = held(workflow, worker, minutes=3)
        complete_task(worker.user, task_id=task.pk, lease=str(task.fence), output={})
        fold()
        fold()
        (one,) = CostItem.objects.filter(kind="agent")
        assert one.amount_micro == pytest.approx(one.quantity * 10, abs=1)
        assert (one.quantity // 10_000, one.agent) == (18, worker.slug)

    def test_a_claim_whose_run_was_cancelled_costs_its_minutes(
        self, admin: User, workflow: Workflow, worker: Agent
    ) -> None:
        save_rate(admin, per="minute", valid_from=LONG_AGO, amount_minor=Decimal(60), agent=worker.slug)
        task = held(workflow, worker, minutes=3)
        cancel_run(admin, run_id=task.run_id, reason="Enough.")
        fold()
        (one,) = CostItem.objects.filter(kind="agent")
        assert (one.quantity // 10_000, one.agent) == (18, worker.slug)

    def test_what_cost_by_the_minute_costs_nothing_where_only_done_tasks_do(
        self, admin: User, workflow: Workflow, worker: Agent
    ) -> None:
        task = held(workflow, worker, minutes=3)
        for code in ("busy", "broken"):
            fail_task(
                worker.user, task_id=task.pk, lease=str(task.fence), code=code, message="", retryable=code == "busy"
            )
            Task.objects.update(not_before=database_now() - timedelta(seconds=1))
            offer_scheduled()
            task = next(iter(claim_tasks(worker.user)), task)
        said = {"valid_from": LONG_AGO, "amount_minor": Decimal(60), "agent": worker.slug}
        save_rate(admin, per="minute", **said)
        fold()
        assert CostItem.objects.filter(kind="agent", amount_micro__gt=1_000_000).count() == 1
        assert save_rate(admin, per="task", **said)[1] == "changed"
        fold()
        assert set(CostItem.objects.filter(kind="agent").values_list("amount_micro", "priced_by")) == {(0, "rate")}


def held(workflow: Workflow, worker: Agent, *, minutes: int) -> Task:
    """A task that was claimed so many minutes ago."""
    make_run(workflow, {})
    (task,) = claim_tasks(worker.user)
    Task.objects.filter(pk=task.pk).update(claimed_at=database_now() - timedelta(minutes=minutes))
    return task


def sent(action: Action, times: int) -> None:
    """Claimed more often than anything was sent: a worker died before, and it was claimed anew."""
    effect = Effect.objects.get(action=action)
    Effect.objects.filter(pk=effect.pk).update(attempt=times + 2)
    for _ in range(times - Entry.objects.filter(subject_id=effect.pk, name="effect.dispatched").count()):
        record(system_user("plane"), effect, "dispatched", payload={})


class TestCalls:
    def test_any_call_or_only_those_that_succeeded(self, admin: User, workflow: Workflow, worker: Agent) -> None:
        run = whole_run(workflow, worker)
        action = Action.objects.get(run_id=run.pk)
        sent(action, 3)
        fold()
        assert CostItem.objects.get(kind="connector").priced_by == "fee"
        said = {"valid_from": LONG_AGO, "amount_minor": Decimal("2.5"), "operation": action.operation}
        told = weigh_rate(admin, per="call", **said)
        assert (told.costs, told.before_micro, told.after_micro) == (1, 50_000, 75_000)
        save_rate(admin, per="call", **said)
        fold()
        assert CostItem.objects.get(kind="connector").amount_micro == 75_000
        save_rate(admin, per="success", **said)
        fold()
        one = CostItem.objects.get(kind="connector")
        assert (one.amount_micro, one.quantity, one.priced_by) == (25_000, 1, "rate")
        assert RunFact.objects.get().connector_micro == 25_000

    def test_a_call_that_failed_costs_where_any_does(self, admin: User, workflow: Workflow, worker: Agent) -> None:
        run = whole_run(workflow, worker)
        action = Action.objects.get(run_id=run.pk)
        sent(action, 1)
        record(system_user("plane"), action, "failed", payload={})
        failed = Entry.objects.filter(name="action.failed")
        for per, costs in (("success", 0), ("call", 1)):
            CostItem.objects.all().delete()
            save_rate(admin, per=per, valid_from=LONG_AGO, amount_minor=Decimal(4), operation=action.operation)
            fold_entries(entries=list(failed))
            assert CostItem.objects.filter(kind="connector", amount_micro__gt=0).count() == costs, per


class TestWhoAndWhat:
    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"per": "day"}, "per"),
            ({"agent": "x"}, "agent"),
            ({"per": "task"}, "agent"),
            ({"per": "call", "unit": "x"}, "operation"),
            ({"unit": "nowhere"}, "unit"),
            ({"role": "nobody"}, "role"),
            ({"amount_minor": Decimal("-0.1")}, "amount_minor"),
            ({"amount_minor": Decimal("NaN")}, "amount_minor"),
            ({"amount_minor": Decimal("0.00001")}, "amount_minor"),
            ({"amount_minor": Decimal(10**8)}, "amount_minor"),
            ({"valid_from": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)}, "from"),
            ({"valid_from": datetime(1, 1, 1, tzinfo=UTC)}, "from"),
            ({"currency": "eur"}, "currency"),
            ({"per": "month"}, "source"),
            ({"per": "month", "source": "s", "unit": "a", "workflow": "b"}, "workflow"),
        ],
    )
    def test_what_does_not_fit_is_said_where(self, admin: User, wrong: dict[str, Any], field: str) -> None:
        with pytest.raises(InvalidError) as refused:
            save_rate(admin, **{"per": "hour", "valid_from": JULY, "amount_minor": Decimal(1), **wrong})
        assert field in refused.value.errors
        assert not Rate.objects.exists()

    def test_only_who_may_set_prices_everywhere_sets_or_weighs_one(self, db: None) -> None:
        unit = make_unit()
        said: dict[str, Any] = {"per": "hour", "valid_from": JULY, "amount_minor": Decimal(1), "unit": unit.slug}
        for person in (make_holder("kpis.view_kpi"), make_holder("kpis.manage_target", unit=unit), make_agent().user):
            for command in (save_rate, weigh_rate):
                with pytest.raises(NotAllowedError):
                    command(person, **said)

    def test_nobody_reads_what_is_about_another_unit(self, admin: User) -> None:
        mine, other = make_unit(), make_unit()
        agent = make_agent(unit=other)
        for about in ({"unit": mine.slug}, {"unit": other.slug}, {}, {"per": "task", "agent": agent.slug}):
            save_rate(admin, **{"per": "hour", "valid_from": JULY, "amount_minor": Decimal(1), **about})
        save_rate(admin, per="month", valid_from=JULY, amount_minor=Decimal(1), source="Plan")
        reader = make_holder("kpis.view_kpi", unit=mine)
        found = caller(reader).get("/api/v1/rates/").json()["results"]
        assert sorted((one["kind"], one["unit"]) for one in found) == [("people", ""), ("people", mine.slug)]
        assert len(caller(admin).get("/api/v1/rates/").json()["results"]) == 5
        page = Client()
        page.force_login(reader)
        said = page.get("/dashboards/rates/").content.decode()
        assert mine.slug in said
        assert other.slug not in said
        assert "Show what it changes" not in said
        assert page.post("/dashboards/rates/set/", ASKED).status_code == 403

    @pytest.mark.django_db
    def test_the_page_says_what_an_hour_costs_without_a_rate_and_whether_anybody_chose_that(self) -> None:
        chosen, other, left = make_unit(hourly_rate_minor=7250), make_unit(hourly_rate_minor=4321), make_unit()
        for unit, said in ((chosen, "72.50 EUR"), (left, "60.00 EUR")):
            page = Client()
            page.force_login(make_holder("kpis.view_kpi", unit=unit))
            told = page.get("/dashboards/rates/").content.decode().partition('id="hourly"')[2]
            assert said in told
            assert ("as delivered" in told.partition("</tbody>")[0]) == (unit == left)
            assert other.slug not in told


def caller(user: User) -> Client:
    return Client(headers={"Authorization": f"Bearer {create_token(user, user=user, days=1)}"})


class TestDoors:
    def test_first_what_it_changes_then_so(self, admin: User) -> None:
        voted()
        fold()
        page = Client()
        page.force_login(admin)
        assert "No rate yet" in page.get("/dashboards/rates/").content.decode()
        told = page.post("/dashboards/rates/set/", ASKED).content.decode()
        assert "2 costs, in 0 runs, were counted with" in told
        assert not Rate.objects.exists()
        assert page.post("/dashboards/rates/set/", {**ASKED, "confirm": "1"}).status_code == 302
        assert Rate.objects.get().amount_minor == 3_600_000
        fold()
        assert {one.priced_by for one in human()} == {"rate"}
        told = page.get("/dashboards/rates/").content.decode()
        assert "36,000.00 EUR" in told
        assert "Now" in told

    @pytest.mark.parametrize(
        "wrong",
        [{"rate-amount": "-1"}, {"rate-amount": "0.0000001"}, {"rate-per": "task"}, {"rate-unit": "nowhere"},
         {"rate-currency": "euro"}, {"rate-per": "month", "rate-source": ""}],
    )  # fmt: skip
    def test_what_is_wrong_is_said_and_nothing_is_lost(self, admin: User, wrong: dict[str, str]) -> None:
        page = Client()
        page.force_login(admin)
        answer = page.post("/dashboards/rates/set/", {**ASKED, **wrong, "confirm": "1"})
        assert answer.status_code == 422
        assert 'role="alert"' in answer.content.decode()
        assert not Rate.objects.exists()

    def test_the_api_previews_sets_and_lists(self, admin: User) -> None:
        voted()
        fold()
        api = caller(admin)
        body = {"per": "hour", "from": "2020-01-01T00:00:00Z", "amount_minor": 3_600_000.5}
        told = api.post("/api/v1/rates/preview/", body, content_type="application/json").json()
        assert (told["costs"], told["replaces"], told["currency"]) == (2, None, "EUR")
        assert not Rate.objects.exists()
        made = api.post("/api/v1/rates/", {**body, "source": "Plan"}, content_type="application/json")
        assert (made.status_code, made.json()["amount_minor"]) == (201, 3_600_000.5)
        fold()
        total = sum(one.amount_micro for one in human()) / 10_000
        assert told["after_minor"] == pytest.approx(total, abs=1e-3)
        again = api.post("/api/v1/rates/", {**body, "amount_minor": 1}, content_type="application/json")
        assert (again.status_code, again.json()["source"]) == (200, "")
        for wrong in ({"per": "day"}, {"amount_minor": "1"}, {"amount_minor": True}, {"from": "soon"}, {"of": "x"}):
            answer = api.post("/api/v1/rates/", {**body, **wrong}, content_type="application/json")
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), wrong
        reader = caller(make_holder("kpis.view_kpi"))
        assert reader.post("/api/v1/rates/", body, content_type="application/json").status_code == 403
        assert reader.post("/api/v1/rates/preview/", body, content_type="application/json").status_code == 403
