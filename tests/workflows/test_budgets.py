"""Budgets: reserved before anything is done, settled when it ended, never more than the cap."""

from datetime import date, timedelta
from uuid import uuid4

import pytest
from django.db import transaction
from django.db.models import Sum
from hypothesis import given
from hypothesis import strategies as st

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.connectors.models import Effect, Operation
from apps.core.errors import InvalidError
from apps.oversight.models import Escalation
from apps.oversight.services import cast_vote
from apps.policies.models import BudgetPeriod, Reservation
from apps.policies.rules import Verdict
from apps.policies.rules.budgets import BudgetTerms, Covering, Excess, Why
from apps.policies.rules.documents import STRICTNESS
from apps.policies.rules.documents import Effect as Says
from apps.policies.rules.excesses import beyond_budgets
from apps.policies.selectors import budgets
from apps.policies.selectors.budgets import used_of
from apps.policies.services.budgets import end_budget, save_budget
from apps.policies.services.changes import release_change
from apps.policies.services.reserving import settle_reservations
from apps.workflows.services.actions import Ask, check_action
from tests.factories.access import make_admin, make_unit
from tests.factories.budgets import make_budget
from tests.factories.connectors import make_operation, permit
from tests.factories.policies import make_policy, make_rule
from tests.workflows.actions import make_desk, rules_of, the_item, work

pytestmark = pytest.mark.django_db


def used() -> tuple[int, int]:
    """What the only period says is spent and reserved; its reservations say the same."""
    period = BudgetPeriod.objects.get()
    rows = Reservation.objects.filter(period=period)
    held = rows.filter(state="held", is_beyond=False).aggregate(sum=Sum("amount"))["sum"] or 0
    spent = rows.filter(state="spent").aggregate(sum=Sum("amount"))["sum"] or 0
    assert (spent, held) == (period.spent, period.reserved)
    return period.spent, period.reserved


def test_what_is_allowed_is_reserved_and_spent_when_it_is_done(system):
    desk = make_desk(system.url)
    make_budget(desk.agent, cap=100_000)
    assert desk.ask(60_000).json()["state"] == "approved"
    assert used() == (0, 60_000)
    work()
    assert settle_reservations() == 1
    assert used() == (60_000, 0)
    assert settle_reservations() == 0


def test_what_does_not_fit_is_denied_says_what_is_left_and_takes_nothing():
    desk = make_desk()
    budget = make_budget(desk.agent, cap=100_000)
    desk.ask(60_000)
    answer = desk.ask(50_000)
    assert (answer.status_code, answer.json()["state"]) == (201, "denied")
    verdict = answer.json()["verdict"]
    assert verdict["reason"] == "budget_exhausted"
    (told,) = verdict["budgets"]
    assert (told["budget"], told["why"], told["left"], told["cap"]) == (budget.slug, "exhausted", 40_000, 100_000)
    assert used() == (0, 60_000)
    assert Effect.objects.count() == 1
    assert desk.ask(40_000).json()["state"] == "approved"


def test_what_rules_deny_touches_no_budget():
    desk = make_desk()
    make_budget(desk.agent, cap=10**9)
    assert desk.ask(20_000_000).json()["state"] == "denied"
    assert not BudgetPeriod.objects.exists()


@pytest.mark.parametrize("end", ["reject", "cancel"])
def test_an_approval_keeps_its_reservation_until_it_ends(end):
    desk = make_desk()
    make_budget(desk.agent, cap=300_000)
    action = desk.ask(250_000).json()
    assert action["state"] == "pending_approval"
    settle_reservations()
    assert used() == (0, 250_000)
    assert desk.ask(90_000).json()["state"] == "denied"
    if end == "reject":
        cast_vote(desk.approver, escalation_id=the_item().pk, verdict="reject", reason="no", version=1)
    else:
        desk.post(f"actions/{action['id']}/cancel/", {}, key="c")
    assert desk.ask(90_000).json()["state"] == "approved", "what was given back serves at once"
    assert used() == (0, 90_000)


def test_what_failed_is_given_back(system):
    desk = make_desk(system.url)
    make_budget(desk.agent, cap=100_000)
    system.will(status=400)
    desk.ask(60_000)
    work()
    assert Action.objects.get().state == "failed"
    settle_reservations()
    assert used() == (0, 0)


def test_an_exhausted_budget_may_ask_people_and_what_they_allow_is_counted(system):
    desk = make_desk(system.url)
    budget = make_budget(desk.agent, cap=10_000, exhausted="escalate", queue=desk.queue.slug)
    answer = desk.ask(60_000).json()
    assert (answer["state"], answer["verdict"]["reason"]) == ("pending_approval", "budget_exhausted")
    assert used() == (0, 0)
    item = the_item()
    assert [group["rules"] for group in item.verdict["groups"]] == [[f"budget/{budget.slug}"]]
    cast_vote(desk.approver, escalation_id=item.pk, verdict="approve", version=1)
    work()
    assert Action.objects.get().state == "succeeded"
    settle_reservations()
    assert used() == (60_000, 0)


def test_another_currency_is_beyond_the_budget_and_never_counted_as_its_own():
    desk = make_desk()
    budget = make_budget(desk.agent, cap=10**9, currency="USD", exhausted="escalate", queue=desk.queue.slug)
    answer = desk.ask(100).json()
    assert answer["state"] == "pending_approval"
    assert [told["why"] for told in answer["verdict"]["budgets"]] == ["other_currency"]
    period = BudgetPeriod.objects.get(budget=budget)
    assert (period.spent, period.reserved) == (0, 0)


def test_an_edit_reserves_the_edited_amount_or_is_refused():
    desk = make_desk()
    make_budget(desk.agent, cap=300_000)
    desk.ask(250_000)
    item = the_item()

    def edit(amount: int, version: int) -> None:
        parameters = {**item.action.parameters, "amount_minor": amount}
        cast_vote(desk.approver, escalation_id=item.pk, verdict="approve", parameters=parameters, version=version)

    with pytest.raises(InvalidError), transaction.atomic():
        edit(310_000, 1)
    assert used() == (0, 250_000)
    edit(120_000, 1)
    assert used() == (0, 120_000)
    assert desk.ask(90_000).json()["state"] == "approved"


def test_an_edit_that_adds_an_amount_is_reserved_or_refused_though_nothing_was_held():
    any_amount = {"type": "object", "properties": {name: {} for name in ("amount_minor", "currency", "iban")}}
    desk = make_desk(parameters=any_amount)
    rules_of(desk, {"effect": "require_approval", "queue": desk.queue.slug})
    make_budget(desk.agent, cap=300_000)
    assert desk.ask(0).json()["state"] == "pending_approval"
    assert not BudgetPeriod.objects.exists()
    item = the_item()
    wanted = {**item.action.parameters, "amount_minor": 310_000}
    with pytest.raises(InvalidError), transaction.atomic():
        cast_vote(desk.approver, escalation_id=item.pk, verdict="approve", parameters=wanted, version=1)
    wanted["amount_minor"] = 120_000
    cast_vote(desk.approver, escalation_id=item.pk, verdict="approve", parameters=wanted, version=1)
    assert used() == (0, 120_000)


@pytest.mark.parametrize(("said", "outcome"), [(40_000, "approved"), (40_001, "approved"), (90_000, "denied")])
def test_an_undoing_is_counted_where_it_moves_more_than_was_done(said, outcome):
    """What takes it back is made of what the agent says came of it; here, how much."""
    desk = make_desk(execution="agent")
    undoing = make_operation(connector=desk.operation.connector, path="/refunds")
    permit(desk.agent.user, undoing)
    parameters = {"amount_minor": "response.paid", "currency": "request.currency", "iban": "request.iban"}
    named = {"operation": undoing.slug, "parameters": parameters}
    Operation.objects.filter(pk=desk.operation.pk).update(compensation=named)
    make_policy(make_rule(scope={"operations": [undoing.slug]}), unit=desk.agent.unit)
    make_budget(desk.agent, cap=100_000)
    action = desk.ask(40_000, execution="agent").json()
    at = f"actions/{action['id']}"
    desk.post(f"{at}/consume/", {"digest": action["digest"]})
    desk.post(f"{at}/outcome/", {"succeeded": True, "result": {"paid": said}})
    assert desk.post(f"{at}/compensate/", {"reason": "Wrong."}, key="undo").json()["state"] == outcome
    settle_reservations()
    assert used() == (40_000, 40_001 if said == 40_001 else 0)


def test_calls_are_counted_one_by_one_whatever_they_cost():
    desk = make_desk()
    make_budget(
        desk.agent, cap=2, measure="calls", currency="", scope="connector", target=desk.operation.connector.slug
    )
    assert [desk.ask(100).json()["state"] for _ in range(3)] == ["approved", "approved", "denied"]


def test_a_units_budget_counts_what_is_asked_below_it_too():
    desk = make_desk()
    above = make_unit()
    unit = desk.agent.unit
    unit.parent = above
    unit.save()
    make_budget(desk.agent, cap=50_000, scope="unit", target=above.slug, unit=above)
    assert [desk.ask(30_000).json()["state"] for _ in range(2)] == ["approved", "denied"]


def test_where_one_of_two_budgets_does_not_fit_the_other_keeps_what_it_had():
    desk = make_desk()
    wide = make_budget(desk.agent, cap=10**6)
    make_budget(desk.agent, cap=10_000, period="month")
    assert desk.ask(50_000).json()["state"] == "denied"
    assert not BudgetPeriod.objects.filter(budget=wide, reserved__gt=0).exists()
    assert not Reservation.objects.exists()


def test_a_day_begins_in_the_units_zone():
    desk = make_desk()
    make_budget(desk.agent, cap=100_000)
    move(desk, "Pacific/Kiritimati")
    desk.ask(100)
    first = BudgetPeriod.objects.get()
    BudgetPeriod.objects.update(starts=first.starts - timedelta(days=9))  # over in every zone
    move(desk, "Etc/GMT+12")
    desk.ask(100)
    second = BudgetPeriod.objects.exclude(pk=first.pk).get()
    assert (first.zone, second.zone) == ("Pacific/Kiritimati", "Etc/GMT+12")
    assert first.starts - second.starts >= timedelta(days=1)


def move(desk, zone):
    """Give the agent's unit another zone; these are 26 hours apart: never the same day."""
    desk.agent.unit.timezone = zone
    desk.agent.unit.save()


@pytest.mark.parametrize("zones", [("Etc/GMT+12", "Pacific/Kiritimati"), ("Pacific/Kiritimati", "Etc/GMT+12")])
def test_another_zone_begins_no_day_anew(zones):
    desk = make_desk()
    budget = make_budget(desk.agent, cap=100_000)
    move(desk, zones[0])
    assert desk.ask(60_000).json()["state"] == "approved"
    for zone in (zones[1], zones[0], zones[1]):
        move(desk, zone)
        assert desk.ask(60_000).json()["verdict"]["reason"] == "budget_exhausted"
        assert used_of([budget])[budget.pk].reserved == 60_000
    assert used() == (0, 60_000)
    BudgetPeriod.objects.update(starts=BudgetPeriod.objects.get().starts - timedelta(days=9))
    assert used_of([budget])[budget.pk].reserved == 0
    assert desk.ask(60_000).json()["state"] == "approved"
    assert BudgetPeriod.objects.order_by("-starts").values_list("zone", flat=True)[0] == zones[1]


@pytest.mark.parametrize(
    ("zone", "now", "begins"),
    [
        ("Etc/GMT+12", "2026-03-10 12:30Z", date(2026, 3, 10)),  # 00:30 where it began and is
        ("UTC", "2026-03-10 12:30Z", date(2026, 3, 10)),  # half of this day was in the one before
        ("Etc/GMT-1", "2026-03-10 12:30Z", date(2026, 3, 11)),  # more than half of it was
        ("Etc/GMT-11", "2026-03-10 12:30Z", date(2026, 3, 11)),  # 23:30: an hour is no day
        ("Etc/GMT-11", "2026-03-10 13:30Z", date(2026, 3, 11)),
        ("Etc/GMT-11", "2026-03-11 13:30Z", date(2026, 3, 12)),
        ("Etc/GMT-11", "2026-03-10 11:30Z", date(2026, 3, 9)),  # it is not over where it began
    ],
)
def test_the_rest_of_a_day_elsewhere_is_no_day(monkeypatch, zone, now, begins):
    desk = make_desk()
    budget = make_budget(desk.agent, cap=100_000)
    BudgetPeriod.objects.create(budget=budget, starts=date(2026, 3, 9), zone="Etc/GMT+12", spent=9)
    move(desk, zone)
    monkeypatch.setattr(budgets, "USED", budgets.USED.replace("clock_timestamp()", f"timestamptz '{now}'"))
    assert used_of([budget])[budget.pk].starts == begins


def test_a_period_written_before_it_knew_its_zone_has_the_units():
    desk = make_desk()
    make_budget(desk.agent, cap=100_000)
    desk.ask(60_000)
    BudgetPeriod.objects.update(zone="")
    assert desk.ask(60_000).json()["verdict"]["reason"] == "budget_exhausted"
    assert used() == (0, 60_000)


def test_its_owner_is_warned_once_at_eighty_percent():
    desk = make_desk()
    make_budget(desk.agent, cap=100_000)
    desk.ask(70_000)
    assert not Entry.objects.filter(name="budget.warned").exists()
    desk.ask(10_000)
    desk.ask(10_000)
    (entry,) = Entry.objects.filter(name="budget.warned")
    assert (entry.payload["used"], entry.payload["cap"]) == (80_000, 100_000)


def test_a_test_key_and_a_dry_run_take_nothing():
    desk = make_desk()
    make_budget(desk.agent, cap=100_000)
    check_action(desk.agent.user, ask=Ask(operation=desk.operation.slug, parameters=desk.body()["parameters"]))
    assert not BudgetPeriod.objects.exists()


class TestDryRun:
    """`/actions/check/` says what asking would, and takes nothing."""

    def check(self, desk, amount, **more):
        answer = desk.post("actions/check/", desk.body(amount, **more)).json()
        return answer["verdict"]["effect"], answer["verdict"]["reason"], answer["within_budgets"]

    def test_it_says_whether_it_fits_now(self):
        desk = make_desk()
        make_budget(desk.agent, cap=100_000)
        assert self.check(desk, 100_000) == ("allow", "", True)
        assert desk.ask(60_000).json()["state"] == "approved"
        before = list(BudgetPeriod.objects.values_list("spent", "reserved"))
        assert self.check(desk, 40_000) == ("allow", "", True)
        assert self.check(desk, 40_001) == ("deny", "budget_exhausted", False)
        assert list(BudgetPeriod.objects.values_list("spent", "reserved")) == before
        assert Reservation.objects.count() == 1

    def test_it_says_the_same_as_asking_does_whatever_ended_meanwhile(self):
        desk = make_desk()
        make_budget(desk.agent, cap=100_000)
        first = desk.ask(100_000).json()["id"]
        assert self.check(desk, 1) == ("deny", "budget_exhausted", False)
        Action.objects.filter(pk=first).update(state="failed")  # not settled yet
        assert self.check(desk, 100_000) == ("allow", "", True)
        assert desk.ask(100_000).json()["state"] == "approved"

    def test_people_are_asked_where_the_budget_asks_and_nobody_where_rules_deny(self):
        desk = make_desk()
        budget = make_budget(desk.agent, cap=10_000, exhausted="escalate", queue=desk.queue.slug)
        answer = desk.post("actions/check/", desk.body(20_000)).json()
        assert (answer["verdict"]["effect"], answer["within_budgets"]) == ("require_approval", False)
        assert [each["budget"] for each in answer["verdict"]["budgets"]] == [budget.slug]
        denied = desk.post("actions/check/", desk.body(20_000_000)).json()
        assert (denied["verdict"]["effect"], denied["within_budgets"]) == ("deny", None)
        assert denied["verdict"]["budgets"] == []
        assert not Escalation.objects.exists()

    def test_what_it_would_replace_holds_nothing_against_it(self):
        desk = make_desk()
        make_budget(desk.agent, cap=300_000)
        assert desk.ask(200_000, reference="invoice-1").json()["state"] == "pending_approval"
        assert self.check(desk, 250_000)[2] is False
        assert self.check(desk, 250_000, reference="invoice-1")[2] is True
        assert desk.ask(250_000, reference="invoice-1").json()["state"] == "pending_approval"

    def test_an_amount_in_another_currency_does_not_fit_and_none_takes_none(self):
        desk = make_desk()
        make_budget(desk.agent, cap=10**9, currency="USD")
        (told,) = desk.post("actions/check/", desk.body(1)).json()["verdict"]["budgets"]
        assert told["why"] == "other_currency"

    def test_people_who_try_rules_are_told_too(self, client):
        desk = make_desk()
        make_budget(desk.agent, cap=10_000)
        client.force_login(make_admin())
        body = {"agent": desk.agent.slug, **desk.body(20_000)}
        answer = client.post("/api/v1/policies/evaluate/", body, content_type="application/json").json()
        assert (answer["verdict"]["effect"], answer["within_budgets"]) == ("deny", False)
        assert not Reservation.objects.exists()


@given(
    effect=st.sampled_from([Says.ALLOW, Says.REQUIRE_APPROVAL]),
    exhausted=st.lists(st.sampled_from(["deny", "escalate"]), min_size=1, max_size=3),
)
def test_budgets_only_tighten_so_the_order_of_rules_and_budgets_says_the_same(effect, exhausted):
    excesses = [
        Excess(Covering(uuid4(), f"b{n}", "B", "money", "EUR", 1, "day", then, "q"), Why.EXHAUSTED, 0)
        for n, then in enumerate(exhausted)
    ]
    of_budgets = max(STRICTNESS["deny" if then == "deny" else "require_approval"] for then in exhausted)
    said = beyond_budgets(Verdict(effect=effect), excesses)
    assert STRICTNESS[said.effect] == max(STRICTNESS[effect], of_budgets)


def test_what_of_a_budget_cannot_change_is_refused_and_an_ended_one_counts_nothing():
    desk = make_desk()
    budget = make_budget(desk.agent, cap=10)
    about = {"slug": budget.slug, "target": desk.agent.slug, "unit": desk.agent.unit, "owner": desk.agent.owner}
    with pytest.raises(InvalidError) as refused:
        save_budget(
            desk.agent.owner.__class__.objects.get(username="console"),
            scope="unit",
            terms=BudgetTerms(cap=-1, period="week", currency="eur"),
            **about,
        )
    assert set(refused.value.errors) == {"cap", "period", "currency"}
    release_change(make_admin(), change=end_budget(make_admin(), budget=budget, reason="Not needed."))
    assert desk.ask(50_000).json()["state"] == "approved"
    assert not Escalation.objects.exists()
