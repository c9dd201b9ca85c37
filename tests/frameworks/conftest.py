"""The plane as a web process, an agent's desk on it, and people who decide while an agent waits."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connections

from apps.agents.models import Action
from apps.oversight.models import Escalation
from apps.oversight.services import cast_vote
from tests.conftest import copy_database, drop_database, use_database
from tests.serving import ROOT, serving, wait_for
from tests.workflows.actions import Desk, make_desk


@pytest.fixture(autouse=True)
def nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frameworks would send what they do to a service where the environment tells them to."""
    for name in ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2"):
        monkeypatch.setenv(name, "false")


@pytest.fixture(autouse=True)
def examples_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a person runs one of them."""
    monkeypatch.syspath_prepend(ROOT / "examples")


@pytest.fixture(scope="session")
def frameworks_database(template_database: str, django_db_setup: None) -> Iterator[str]:
    """One database for all; each test makes its own desk in it."""
    name = f"acp_frameworks_{os.getpid()}"
    copy_database(template_database, name)
    yield name
    drop_database(name)


@pytest.fixture(scope="session")
def address(frameworks_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the plane answers."""
    with serving(frameworks_database, tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.fixture
def db(frameworks_database: str, address: str, django_db_blocker: Any) -> Iterator[str]:
    """This process writes into the server's database, with real commits."""
    before = str(connections["default"].settings_dict["NAME"])
    with django_db_blocker.unblock():
        use_database(frameworks_database)
        yield frameworks_database
        use_database(before)


@dataclass
class Office:
    """A desk, its agent's door to the plane, what its tool did, and the people."""

    desk: Desk
    plane: Any
    done: list[dict[str, Any]] = field(default_factory=list)

    def meanwhile(self, run: Callable[[], Any]) -> "Future[Any]":
        """Let the agent run in a thread of its own, as it would in a process of its own."""
        pool = ThreadPoolExecutor(1)
        try:
            return pool.submit(run)
        finally:
            pool.shutdown(wait=False)

    def items(self, number: int) -> list[Escalation]:
        """What this desk's people are asked, in the order of the calls, once there are so many."""
        rows = Escalation.objects.filter(agent=self.desk.agent, state="pending").order_by("action__reference", "id")
        wait_for(lambda: rows.count() >= number)
        return list(rows)

    def say(self, item: Escalation, verdict: str = "approve", **words: Any) -> None:
        cast_vote(self.desk.approver, escalation_id=item.pk, verdict=verdict, version=item.version, **words)

    def states(self) -> list[str]:
        rows = Action.objects.filter(agent=self.desk.agent).order_by("reference", "id")
        return list(rows.values_list("state", flat=True))


@pytest.fixture
def office(db: str, address: str) -> Iterator[Office]:
    """Up to 1,000.00 the agent pays alone, above with a person, above 100,000.00 never."""
    from interrupts import Plane

    desk = make_desk(execution="agent")
    plane = Plane({"pay": desk.operation.slug}, url=address, key=desk.key)
    before = threading.active_count()  # servers of other tests are no agents
    yield Office(desk, plane)
    plane.http.close()
    assert threading.active_count() - before < 10, "no agent is left waiting"
