"""What was in flight when a halt came: stopped before it began, finished since, or of unknown outcome."""

from datetime import timedelta

import pytest

from apps.agents.models import Action
from apps.audit.services import advance
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.halts.services import engage_halt
from apps.workflows.selectors.stopped import in_flight_of
from tests.factories.access import make_admin, make_user
from tests.workflows.actions import make_desk, work

pytestmark = pytest.mark.django_db


def begin(action_id: str) -> Action:
    return advance(system_user("plane"), Action.objects.get(pk=action_id), "executing")


def end(action: Action, state: str) -> None:
    advance(system_user("plane"), action, state, finished_at=ClockTimestamp())


@pytest.fixture
def halted():
    """Five actions around a halt: done before, not begun, begun and done since, begun and lost, asked of people."""
    desk = make_desk()
    asked = {name: desk.ask(1_000).json()["id"] for name in ("before", "waiting", "done", "lost")}
    asked["pending"] = desk.ask(250_000).json()["id"]
    end(begin(asked["before"]), "succeeded")
    done, lost = begin(asked["done"]), begin(asked["lost"])
    admin = make_admin()
    halt = engage_halt(admin, scope="agent", target=desk.agent.slug, unit=desk.agent.unit, reason="odd")
    end(done, "succeeded")
    advance(system_user("plane"), lost, "unknown")
    return desk, admin, halt, asked


def test_each_is_told_by_what_became_of_it(halted):
    _desk, admin, halt, asked = halted
    flight = in_flight_of(admin, halt)
    found = {name: [str(row.pk) for row in getattr(flight, name)] for name in ("stopped", "finished", "unknown")}
    assert found == {"stopped": [asked["waiting"]], "finished": [asked["done"]], "unknown": [asked["lost"]]}
    assert flight.settled_after_s is None, "nobody knows yet when the last of it ended"


def test_once_all_is_known_it_says_how_long_it_took_to_stop(halted):
    _desk, admin, halt, asked = halted
    end(Action.objects.get(pk=asked["lost"]), "failed")
    Action.objects.filter(pk=asked["lost"]).update(finished_at=halt.created_at + timedelta(seconds=4))
    flight = in_flight_of(admin, halt)
    assert flight.settled_after_s == pytest.approx(4)
    assert len(flight.finished) == 2


def test_the_page_and_the_api_say_it_to_whom_it_concerns(client, halted):
    _desk, admin, halt, asked = halted
    work()
    client.force_login(admin)
    page = client.get(f"/halts/{halt.pk}/").content.decode()
    for heading in ("Stopped before it began", "Had begun, and has ended", "Had begun, outcome not known"):
        assert heading in page
    body = client.get(f"/api/v1/halts/{halt.pk}/in-flight/").json()
    assert {name: [row["action"] for row in rows] for name, rows in body.items() if rows} == {
        "stopped": [asked["waiting"]],
        "finished": [asked["done"]],
        "unknown": [asked["lost"]],
    }
    client.force_login(make_user())
    body = client.get(f"/api/v1/halts/{halt.pk}/in-flight/").json()
    assert not any(body[name] for name in ("stopped", "finished", "unknown"))


def test_what_another_agent_does_is_not_in_it(halted):
    _desk, admin, _halt, _asked = halted
    other = make_desk()
    other.ask(1_000)
    halt = engage_halt(admin, scope="agent", target="nobody", unit=None, reason="odd")
    flight = in_flight_of(admin, halt)
    assert (flight.stopped, flight.finished, flight.unknown, flight.settled_after_s) == ([], [], [], 0.0)
