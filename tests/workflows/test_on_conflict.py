"""What becomes of an action whose key another holds when it should begin: it waits, people decide, it is denied."""

from typing import Any

import pytest

from apps.access.models import Role
from apps.agents.models import Action
from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.connectors.models import Effect, Operation
from apps.core.models import ClockTimestamp
from apps.oversight.models import Escalation, Grant
from tests.connectors.test_views import browser
from tests.factories.access import make_admin
from tests.factories.connectors import make_operation, permit
from tests.factories.oversight import say
from tests.factories.policies import make_policy, make_rule
from tests.workflows.actions import Desk, make_desk, work
from tests.workflows.test_one_at_a_time import KEY

pytestmark = pytest.mark.django_db


def meeting(system: Any, on_conflict: str, **operation: Any) -> tuple[Desk, Action, Action]:
    """A first action that is under way at the system, and a second with its key that should begin."""
    desk = make_desk(system.url, exclusive=KEY, on_conflict=on_conflict, **operation)
    for amount in (1000, 2000):
        desk.ask(amount)
    first, second = Action.objects.order_by("id")
    Effect.objects.filter(action=first).update(state="dispatched", lease_until="2999-01-01T00:00Z", attempt=1)
    Action.objects.filter(pk=first.pk).update(state="executing")
    return desk, first, second


def end(first: Action) -> None:
    """The first is over: whoever looked found that it failed."""
    Effect.objects.filter(action=first).update(state="failed", lease_until=None)
    Action.objects.filter(pk=first.pk).update(state="failed")
    Effect.objects.filter(state="prepared").update(retry_at=None)


def test_denied_it_is_over_and_nothing_was_called(system) -> None:
    desk, first, second = meeting(system, "deny")
    work()
    second.refresh_from_db()
    assert (second.state, second.verdict["reason"], system.asked) == ("denied", "key_held", [])
    assert (Effect.objects.get(action=second).state, Escalation.objects.count()) == ("failed", 0)
    assert desk.get(f"actions/{second.pk}/").json()["verdict"]["reason"] == "key_held"
    entry = Entry.objects.get(name="action.denied")
    assert entry.payload["why"] == "key_held"
    assert "its operation does not wait" in browser(make_admin()).get(f"/actions/{second.pk}/").content.decode()
    end(first)
    work()
    assert system.asked == []


@pytest.mark.parametrize("way", ["ask", "deny", "supersede"])
def test_what_takes_something_back_waits_whatever_is_said(system, way: str) -> None:
    desk, _first, second = meeting(system, way)
    desk.ask(3000)
    Action.objects.exclude(state="executing").update(purpose="compensate")
    work()
    second.refresh_from_db()
    assert (second.state, system.asked, Escalation.objects.count()) == ("approved", [], 0)
    assert Effect.objects.get(action=second).in_line


def test_without_another_it_runs_at_once_whatever_is_said(system) -> None:
    for way in ("queue", "ask", "deny", "supersede"):
        desk = make_desk(system.url, exclusive=f"'{way}'", on_conflict=way)
        desk.ask(1000)
        work()
    assert set(Action.objects.values_list("state", flat=True)) == {"succeeded"}
    assert len(system.asked) == 4


def test_asked_about_it_waits_for_people_and_then_for_its_turn(system) -> None:
    desk, first, second = meeting(system, "ask")
    work()
    second.refresh_from_db()
    item = Escalation.objects.get(action=second)
    assert (second.state, item.state, item.verdict["reason"]) == ("pending_approval", "pending", "key_held")
    assert [group.queue for group in item.groups.all()] == [desk.queue]
    page = browser(desk.approver).get(f"/inbox/{item.pk}/").content.decode()
    assert "people are asked whether it should still follow" in page
    assert say(desk.approver, item).state == "approved"
    deliver_reactions()
    work()
    second.refresh_from_db()
    assert (second.state, system.asked, Escalation.objects.count()) == ("approved", [], 1)  # nobody is asked twice
    assert desk.get(f"actions/{second.pk}/").json()["in_line"] is True
    end(first)
    work()
    second.refresh_from_db()
    assert (second.state, len(system.asked)) == ("succeeded", 1)


def test_where_nobody_can_be_asked_it_is_denied(system) -> None:
    desk, _first, second = meeting(system, "ask")
    Role.objects.filter(pk=desk.queue.role_id).update(permissions=[])
    work()
    second.refresh_from_db()
    assert (second.state, second.verdict["reason"], system.asked) == ("denied", "key_held", [])


class TestSuperseding:
    def test_of_two_that_wait_the_newer_follows(self, system) -> None:
        desk, first, second = meeting(system, "supersede")
        desk.ask(3000)
        third = Action.objects.order_by("id").last()
        work()
        second.refresh_from_db()
        third.refresh_from_db()
        assert (second.state, third.state, system.asked) == ("cancelled", "approved", [])
        assert Effect.objects.get(action=second).state == "failed"
        assert Entry.objects.get(name="action.cancelled").payload["reason"] == "superseded"
        end(first)
        work()
        assert len(system.asked) == 1
        third.refresh_from_db()
        assert third.state == "succeeded"

    def test_what_follows_first_makes_the_older_stale(self, system) -> None:
        desk, first, second = meeting(system, "supersede")
        Effect.objects.filter(action=second).update(retry_at="2999-01-01T00:00Z")
        desk.ask(3000)
        Effect.objects.filter(action=first).update(state="failed", lease_until=None)
        Action.objects.filter(pk=first.pk).update(state="failed")
        work()
        assert len(system.asked) == 1
        Effect.objects.filter(action=second).update(retry_at=ClockTimestamp())
        work()
        second.refresh_from_db()
        assert (second.state, len(system.asked)) == ("cancelled", 1)

    def test_what_had_ended_before_it_was_ready_is_no_successor(self, system) -> None:
        desk = make_desk(system.url, exclusive=KEY, on_conflict="supersede")
        desk.ask(150_000)  # waits for a person
        older = Action.objects.get()
        desk.ask(1000)
        work()
        item = Escalation.objects.get(action=older)
        say(desk.approver, item)
        deliver_reactions()
        work()
        older.refresh_from_db()
        assert (older.state, len(system.asked)) == ("succeeded", 2)

    def test_another_operation_with_the_key_supersedes_nothing(self, system) -> None:
        desk, _first, second = meeting(system, "supersede")
        other = make_operation(connector=desk.operation.connector, exclusive=KEY, on_conflict="supersede")
        permit(desk.agent.user, other)
        make_policy(make_rule(slug="all", scope={"operations": [other.slug]}), unit=desk.agent.unit)
        assert desk.post("actions/", {**desk.body(1000), "operation": other.slug}, key="x1").status_code == 202
        work()
        second.refresh_from_db()
        assert (second.state, system.asked) == ("approved", [])


@pytest.mark.parametrize(("way", "state"), [("deny", "denied"), ("ask", "pending_approval"), ("queue", "approved")])
def test_an_agents_own_meets_it_when_it_consumes(system, way: str, state: str) -> None:
    desk = make_desk(system.url, exclusive=KEY, on_conflict=way, execution="both")
    first, second = (Action.objects.get(pk=desk.ask(n, execution="agent").json()["id"]) for n in (1000, 2000))
    assert desk.post(f"actions/{first.pk}/consume/", {"digest": first.digest}, key="c1").status_code == 200
    refused = desk.post(f"actions/{second.pk}/consume/", {"digest": second.digest}, key="c2")
    second.refresh_from_db()
    assert (refused.status_code, second.state) == (409, state)
    assert refused.json()["code"] == ("key_held" if way == "queue" else "invalid_state")
    assert Grant.objects.get(action=second).state == ("live" if way == "queue" else "revoked")


@pytest.mark.parametrize(
    ("said", "status"), [({"on_conflict": "deny"}, 200), ({"on_conflict": "shout"}, 422), ({"exclusive": ""}, 422)]
)
def test_it_is_one_of_four_words_and_needs_a_key(said: dict[str, str], status: int) -> None:
    operation = make_operation(exclusive=KEY, on_conflict="ask")
    answer = browser(make_admin()).patch(f"/api/v1/operations/{operation.slug}/", said, content_type="application/json")
    assert answer.status_code == status
    expected = said["on_conflict"] if status == 200 else "ask"
    assert Operation.objects.get(pk=operation.pk).on_conflict == expected
