"""Carrying out beside others that hold what is due, with real connections and commits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest
from django.db import connection, connections, transaction
from django.db.models.functions import Now

from apps.agents.models import Action
from apps.connectors.models import Effect
from apps.halts.services import engage_halt, lift_halt
from apps.workflows.services.actions import carrying_out, perform_due
from apps.workflows.services.actions.carrying_out import LOOKED_AT
from apps.workflows.services.actions.ending import lock_action
from tests.factories.access import make_admin
from tests.workflows.actions import make_desk, work

pytestmark = pytest.mark.usefixtures("real_db")


@contextmanager
def meanwhile(do: Callable[[], object]) -> Iterator[None]:
    """Another transaction that did this and goes on."""
    done, over = Event(), Event()

    def hold() -> None:
        with transaction.atomic():
            do()
            done.set()
            over.wait(60)
        connections.close_all()

    holder = Thread(target=hold)
    holder.start()
    assert done.wait(60)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
        yield
    finally:
        over.set()
        holder.join()


def states() -> dict[str, str]:
    return {str(action): state for action, state in Effect.objects.values_list("action_id", "state")}


def test_whoever_carries_out_stands_behind_nobody(system):
    desk = make_desk(system.url)
    first, second = desk.ask(1_000).data["id"], desk.ask(2_000).data["id"]
    with meanwhile(lambda: Action.objects.select_for_update().get(pk=first)):
        assert [perform_due(), perform_due()] == [1, 0]
        assert states() == {first: "prepared", second: "succeeded"}
    work()
    assert set(states().values()) == {"succeeded"}


def test_however_many_are_held_the_next_is_found(system):
    desk = make_desk(system.url)
    held = [desk.ask(1_000 + n).data["id"] for n in range(LOOKED_AT[0] + 2)]
    free = desk.ask(2_000).data["id"]
    with meanwhile(lambda: list(Action.objects.select_for_update().filter(pk__in=held))):
        assert perform_due() == 1
        assert [action for action, state in states().items() if state != "prepared"] == [free]


def test_what_a_halt_stops_is_put_off_together_and_holds_up_nothing_else(system, monkeypatch):
    """Put off one by one, they would be the longest due again before the last of them was looked at."""
    monkeypatch.setattr(carrying_out, "LOOKED_AT", (2, 3))
    desk, other = make_desk(system.url), make_desk(system.url)
    stopped = {desk.ask(1_000 + n).data["id"] for n in range(6)}
    free = other.ask(2_000).data["id"]
    halt = engage_halt(make_admin(), scope="agent", target=desk.agent.slug, reason="Too many.")
    assert perform_due() == 1
    assert [action for action, state in states().items() if state != "prepared"] == [free]
    put_off = Effect.objects.filter(retry_at__gt=Now()).values_list("action_id", flat=True)
    assert {str(action) for action in put_off} == stopped
    lift_halt(make_admin(), halt_id=halt.pk, reason="Looked into.")
    Effect.objects.filter(state="prepared").update(retry_at=None)
    work()
    assert set(states().values()) == {"succeeded"}


def test_whoever_writes_what_points_at_it_is_in_nobodys_way(system):
    action = make_desk(system.url).ask(1_000).data["id"]
    share = "SELECT FROM agents_action WHERE id = %s FOR KEY SHARE"  # as a foreign key to it takes
    with meanwhile(lambda: connection.cursor().execute(share, [action])), transaction.atomic():
        assert str(lock_action(action, wait=False).pk) == action
