"""What people wait for goes before what follows of it, for a few seconds, and nothing is forgotten."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from apps.audit.models import Delivery
from apps.audit.tasks import deliver_reactions
from apps.core import clockwork, queue, turns
from apps.core.queue import say_first
from apps.core.tasks import drain
from tests.factories.oversight import make_payment, say


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(turns, "ring", found.append)
    return found


def test_what_follows_gives_way_and_is_rung_for_when_the_last_is_done(rung: list[str]) -> None:
    with turns.going_first("jobs"):
        with turns.going_first("jobs"):
            assert turns.gives_way("reactions")
            assert turns.gives_way("messages")
        assert rung == []
        assert turns.gives_way("reactions")
    assert rung == ["messages", "reactions"]
    assert not turns.gives_way("reactions")
    with turns.going_first("jobs"):
        pass
    assert rung == ["messages", "reactions"]


def test_what_was_approved_is_carried_out_meanwhile(rung: list[str]) -> None:
    with turns.going_first("jobs"):
        assert not turns.gives_way("effects")
        assert not turns.gives_way("jobs")
    with turns.going_first("reactions"):
        assert not turns.gives_way("messages")
    assert rung == []


def test_nobody_goes_first_for_ever(rung: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(turns.time, "monotonic", lambda: now)
    with turns.going_first("jobs"):
        now += turns.FIRST_S - 0.1
        with turns.going_first("jobs"):  # who comes later makes it no longer
            assert turns.gives_way("reactions")
            now += 0.1
            assert not turns.gives_way("reactions")


def test_a_lane_that_fails_holds_nobody_up(rung: list[str]) -> None:
    def fail() -> None:
        with turns.going_first("jobs"):
            assert turns.gives_way("reactions")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert rung == ["reactions"]
    assert not turns.gives_way("messages")


@pytest.mark.django_db
def test_the_scheduler_leaves_what_gives_way_to_the_next_round(
    rung: list[str], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    ran: list[str] = []

    def function_at(path: str) -> Callable[[], int]:
        def run() -> int:
            ran.append(path)
            return 1

        return run

    monkeypatch.setattr(clockwork, "function_at", function_at)
    monkeypatch.setattr(clockwork, "connection", SimpleNamespace(close=lambda: None))
    with turns.going_first("jobs"):
        assert clockwork.run_job("reactions") == 0
        assert clockwork.run_job("effects") == 1
    assert clockwork.run_job("reactions") == 1
    assert ran == [settings.JOBS["effects"][1], settings.JOBS["reactions"][1]]
    say_first(0.05)  # whoever said so may have died
    time.sleep(0.1)
    assert clockwork.run_job("reactions") == 1


def test_without_a_broker_nobody_is_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent() -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(queue, "_client", silent)
    with turns.going_first("jobs"):
        assert not queue.is_first_said()


@pytest.mark.django_db
def test_reactions_stop_between_two_and_go_on(rung: list[str]) -> None:
    payment = make_payment()
    say(payment.ada, payment.item)
    waiting = Delivery.objects.filter(done_at=None).count()
    assert waiting
    with turns.going_first("jobs"):
        assert deliver_reactions() == 0
        assert drain("reactions") == 0
    assert rung == ["reactions"]
    assert drain("reactions") >= waiting
