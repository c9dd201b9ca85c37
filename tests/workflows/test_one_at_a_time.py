"""One at a time: actions with the same key never run at once, over all agents, runs and operations."""

import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

import pytest
from django.conf import settings
from django.db import connection

from apps.agents.models import Action
from apps.agents.rules import FINAL_ACTIONS
from apps.connectors.models import Effect, Operation
from apps.connectors.rules import OperationSpec
from apps.connectors.services import save_operation
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.workflows.services.actions import consume_action, perform_due, report_outcome
from tests.connectors.conftest import Handler
from tests.connectors.test_views import browser
from tests.factories.access import make_admin
from tests.factories.agents import make_agent, make_key_for
from tests.factories.connectors import make_connector, make_operation, permit
from tests.factories.policies import make_policy, make_rule
from tests.together import at_once
from tests.workflows.actions import Desk, make_desk, work

ROOT = Path(__file__).resolve().parents[2]
KEY = "'iban:' + request.iban"


class Busiest:
    """How many calls the system was busy with at most."""

    def __init__(self) -> None:
        self.now, self.most, self.lock = 0, 0, Lock()


@pytest.fixture
def busiest(monkeypatch: pytest.MonkeyPatch) -> Iterator[Busiest]:
    seen, answer = Busiest(), Handler.do_POST

    def counted(handler: Handler) -> None:
        with seen.lock:
            seen.now += 1
            seen.most = max(seen.most, seen.now)
        answer(handler)
        with seen.lock:
            seen.now -= 1

    monkeypatch.setattr(Handler, "do_POST", counted)
    return seen


def another(desk: Desk, slug: str = "", **fields: object) -> Desk:
    """A further agent that pays by an operation of its own, at the same system."""
    agent = make_agent(unit=desk.agent.unit)
    operation = make_operation(connector=desk.operation.connector, **({"exclusive": KEY} | fields))
    permit(agent.user, operation)
    make_policy(make_rule(slug="all", scope={"operations": [operation.slug]}), unit=desk.agent.unit)
    return Desk(agent, make_key_for(agent), operation, desk.queue, desk.policy, desk.approver)


def finish() -> None:
    """Work until nothing is left to wait for."""
    for _ in range(3000):
        if not Action.objects.exclude(state__in=FINAL_ACTIONS).exists():
            return
        perform_due()
    raise AssertionError(Counter(Action.objects.values_list("state", flat=True)))


def test_what_has_one_key_never_meets_at_the_system(real_db, system, busiest: Busiest) -> None:
    desk = make_desk(system.url, exclusive=KEY)
    desks = [desk, another(desk), another(desk)]
    for one in desks:
        for n in range(4):
            system.will(200, before_s=0.03)
            assert one.ask(1000 + n).status_code == 202
    at_once(*[finish] * 5)
    assert Counter(Action.objects.values_list("state", flat=True)) == {"succeeded": 12}
    assert (len(system.asked), busiest.most) == (12, 1)
    assert set(Effect.objects.values_list("attempt", flat=True)) == {1}


def test_other_keys_are_others(real_db, system) -> None:
    desk = make_desk(system.url, exclusive=KEY)
    for iban in ("DE1", "DE2", ""):
        assert desk.ask(1000, parameters={"iban": iban}).status_code == 202
    assert len(set(Action.objects.values_list("exclusive", flat=True))) == 3
    assert not Action.objects.filter(exclusive__contains="DE").exists()  # a digest: not everybody sees the account


@pytest.mark.django_db
class TestWaiting:
    def held(self, system, **operation: str) -> tuple[Desk, Action, Action]:
        """A first action under way, and a second that waits."""
        desk = make_desk(system.url, exclusive=KEY, **operation)
        for amount in (1000, 2000):
            desk.ask(amount)
        first, second = Action.objects.order_by("id")
        Effect.objects.filter(action=second).update(retry_at=ClockTimestamp())
        Effect.objects.filter(action=first).update(state="dispatched", lease_until="2999-01-01T00:00Z", attempt=1)
        Action.objects.filter(pk=first.pk).update(state="executing")
        work()
        return desk, first, second

    def test_it_is_shown_and_nothing_was_sent(self, system) -> None:
        desk, first, second = self.held(system)
        assert (system.asked, Effect.objects.get(action=second).state) == ([], "prepared")
        assert desk.get(f"actions/{second.pk}/").json()["in_line"] is True
        assert desk.get(f"actions/{first.pk}/").json()["in_line"] is False
        page = browser(make_admin()).get(f"/actions/{second.pk}/").content.decode()
        assert "Waits for its turn" in page
        assert f"/actions/{first.pk}/" in page

    def test_a_holder_that_crashed_frees_it(self, system) -> None:
        _desk, first, second = self.held(system, idempotency="none")
        Effect.objects.filter(action=first).update(lease_until=ClockTimestamp())
        work()  # nobody knows what the first did: it is not under way any more, people are asked, the next follows
        first.refresh_from_db()
        second.refresh_from_db()
        assert first.state == "unknown"
        assert (second.state, len(system.asked)) == ("succeeded", 1)

    def test_what_will_be_repeated_keeps_it(self, system) -> None:
        _desk, first, second = self.held(system)
        Effect.objects.filter(action=first).update(lease_until=ClockTimestamp())
        work()
        Effect.objects.filter(action=second).update(retry_at=None)
        work()
        first.refresh_from_db()
        assert (first.state, system.asked) == ("unknown", [])
        Effect.objects.filter(action=first).update(retry_at=ClockTimestamp())
        work()  # the repeat settles it, and calls the other
        assert set(Action.objects.values_list("state", flat=True)) == {"succeeded"}
        assert len(system.asked) == 2

    def test_what_is_said_of_the_operation_later_counts(self, system) -> None:
        desk, _first, second = self.held(system)
        spec = {name: getattr(desk.operation, name) for name in OperationSpec.__dataclass_fields__}
        save_operation(
            system_user("console"), slug=desk.operation.slug, connector=desk.operation.connector,
            spec=OperationSpec(**{**spec, "exclusive": ""}),
        )  # fmt: skip
        Effect.objects.filter(action=second).update(retry_at=None)
        work()
        second.refresh_from_db()
        assert (second.state, second.exclusive) == ("succeeded", "")


@pytest.mark.django_db
class TestAgentsOwn:
    def asked(self, desk: Desk, amount: int) -> Action:
        return Action.objects.get(pk=desk.ask(amount, execution="agent").json()["id"])

    def test_it_is_refused_with_a_time_to_wait_and_the_grant_stays(self, system) -> None:
        desk = make_desk(system.url, exclusive=KEY, execution="both")
        first, second = self.asked(desk, 1000), self.asked(desk, 2000)
        assert desk.post(f"actions/{first.pk}/consume/", {"digest": first.digest}).status_code == 200
        refused = desk.post(f"actions/{second.pk}/consume/", {"digest": second.digest}, key="c2")
        assert (refused.status_code, refused.json()["code"], refused.json()["retry_after_s"]) == (409, "key_held", 2)
        second.refresh_from_db()
        assert second.state == "approved"
        assert desk.post(f"actions/{first.pk}/outcome/", {"succeeded": True}).status_code == 200
        assert desk.post(f"actions/{second.pk}/consume/", {"digest": second.digest}, key="c2").status_code == 200

    def test_the_plane_waits_for_the_agent_and_follows(self, system) -> None:
        desk = make_desk(system.url, exclusive=KEY, execution="both")
        own = self.asked(desk, 1000)
        consume_action(desk.agent.user, action=own, digest=own.digest)
        desk.ask(2000, execution="plane")
        work()
        assert system.asked == []
        report_outcome(desk.agent.user, action=own, succeeded=True)
        work()
        assert len(system.asked) == 1


def test_of_eight_agents_at_once_one_begins(real_db) -> None:
    desk = make_desk(exclusive=KEY, execution="both")
    desks = [desk, *(another(desk, execution="both") for _ in range(7))]
    asked = [(one, one.ask(1000, execution="agent").json()) for one in desks]
    answers = at_once(
        *(
            lambda one=one, action=action: one.post(f"actions/{action['id']}/consume/", {"digest": action["digest"]})
            for one, action in asked
        )
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 7}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"key_held"}
    assert Counter(Action.objects.values_list("state", flat=True)) == {"executing": 1, "approved": 7}


def test_a_killed_process_holds_nothing(real_db: str, system) -> None:
    """It claimed and died before its commit, so nothing was claimed; after its commit, its lease runs out."""
    desk = make_desk(system.url, exclusive=KEY)
    desk.ask(1000)
    desk.ask(2000)
    first, second = Action.objects.order_by("id")
    code = f"""
        import time, django
        django.setup()
        from apps.core.services import system_user
        from apps.workflows.services.actions.carrying_out import _claim
        _claim(system_user("plane"), __import__("uuid").UUID({str(first.pk)!r}))
        print("claimed", flush=True)
        time.sleep(60)
    """
    environment = {**os.environ, "DATABASE_URL": real_db, "DJANGO_SETTINGS_MODULE": "controlplane.settings"}
    environment |= {"REDIS_URL": settings.REDIS_URL}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "claimed"
        work()
        assert system.asked == []
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert Effect.objects.get(action=first).state == "claimed"
    Effect.objects.filter(action=first).update(lease_until=ClockTimestamp())
    Effect.objects.filter(action=second).update(retry_at=None)
    finish()
    assert set(Action.objects.values_list("state", flat=True)) == {"succeeded"}
    assert len(system.asked) == 2
    connection.close()


@pytest.mark.django_db
class TestSaying:
    @pytest.mark.parametrize(
        ("source", "status"),
        [(KEY, 200), ("", 200), ("request.iban +", 422), ("nothing.iban", 422), ("'a'" * 300, 422)],
    )
    def test_it_is_an_expression_over_what_is_asked(self, source: str, status: int) -> None:
        operation, api = make_operation(), browser(make_admin())
        answer = api.patch(
            f"/api/v1/operations/{operation.slug}/", {"exclusive": source}, content_type="application/json"
        )
        assert answer.status_code == status
        operation.refresh_from_db()
        assert operation.exclusive == (source if status == 200 else "")

    def test_what_has_no_key_is_refused_when_it_is_asked_for(self) -> None:
        desk = make_desk(exclusive="request.note")
        refused = desk.ask(1000)
        assert (refused.status_code, "may not run beside" in str(refused.json()["errors"])) == (422, True)
        assert not Action.objects.exists()
        assert desk.ask(1000, parameters={"note": ""}).status_code == 202  # an empty text needs no key
        assert Action.objects.get().exclusive == ""

    def test_another_system_shares_the_key_when_it_says_the_same(self) -> None:
        desk = make_desk(exclusive=KEY)
        other = another(desk)
        Operation.objects.filter(pk=other.operation.pk).update(connector=make_connector())
        desk.ask(1000)
        other.ask(1000)
        assert len(set(Action.objects.values_list("exclusive", flat=True))) == 1
