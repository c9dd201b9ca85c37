"""Carrying out beside others that hold what is due, with real connections and commits."""

from threading import Event, Thread

import pytest
from django.db import connection, connections, transaction

from apps.agents.models import Action
from apps.connectors.models import Effect
from apps.workflows.services.actions import perform_due
from tests.workflows.actions import make_desk, work

pytestmark = pytest.mark.usefixtures("real_db")


def test_whoever_carries_out_stands_behind_nobody(system):
    desk = make_desk(system.url)
    first, second = desk.ask(1_000).data["id"], desk.ask(2_000).data["id"]
    held, over = Event(), Event()

    def hold() -> None:
        with transaction.atomic():
            Action.objects.select_for_update().get(pk=first)
            held.set()
            over.wait(60)
        connections.close_all()

    holder = Thread(target=hold)
    holder.start()
    assert held.wait(60)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
        assert [perform_due(), perform_due()] == [1, 0]
        done = Effect.objects.values_list("action_id", "state")
        assert {str(action): state for action, state in done} == {first: "prepared", second: "succeeded"}
    finally:
        over.set()
        holder.join()
    work()
    assert set(Effect.objects.values_list("state", flat=True)) == {"succeeded"}
