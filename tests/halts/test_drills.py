"""A drill measures how long stopping takes, on work of its own; and it fails where a halt would."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from apps.audit.models import Entry
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.models import ClockTimestamp, database_now
from apps.halts.models import DrillClaim, Halt, HaltDrill
from apps.halts.rules import DRILL_CLAIMERS, DRILL_LEASE_S, DRILL_TRIES, Flaw, HaltScope, Stop, flaw_of
from apps.halts.selectors import is_drill_due_for, require_running, take_fence
from apps.halts.services import drills, perform_drill, start_drill
from apps.halts.tasks import perform_drills
from tests.conftest import ROOT
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.agents import make_agent

ENGAGE, LIFT = "halts.engage_halt", "halts.lift_halt"


def held(scope: str = "everything") -> HaltDrill:
    """A drill that was asked for and held."""
    drill = start_drill(make_admin(), scope=scope, reason="It is spring.")
    assert perform_drills() == 1
    drill.refresh_from_db()
    return drill


def at_work_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims that last, and no rest between them: in step with each other all would rest as the halt comes."""
    monkeypatch.setattr(drills, "WORK_S", 0.1)
    monkeypatch.setattr(drills, "REST_S", 0)


def names_of(drill: HaltDrill) -> list[str]:
    return list(Entry.objects.filter(subject_id=drill.pk).order_by("id").values_list("name", flat=True))


@pytest.mark.usefixtures("real_db")
class TestHeld:
    @pytest.mark.parametrize("scope", [scope.value for scope in HaltScope])
    def test_everything_tried_behind_its_halt_is_refused_and_the_time_is_measured(self, scope):
        make_unit(parent=make_unit(slug="top"))
        before = database_now()
        drill = held(scope)
        assert (drill.state, drill.flaw, drill.escaped) == ("passed", "", 0)
        assert drill.claims >= DRILL_CLAIMERS * DRILL_TRIES
        assert drill.refused >= DRILL_CLAIMERS * DRILL_TRIES
        moments = [before, drill.begun_at, drill.last_claim_at, drill.engaged_at, drill.stopped_at, drill.ended_at]
        assert moments == sorted(moments)
        assert drill.asked_at < drill.engaged_at
        took = drill.stopped_at - drill.asked_at
        assert timedelta(milliseconds=drill.time_to_stop_ms - 1) < took <= timedelta(milliseconds=drill.time_to_stop_ms)

    def test_it_leaves_evidence_and_nothing_else(self):
        drill = held()
        assert names_of(drill) == [f"haltdrill.{each}" for each in ("waiting", "running", "engaged", "passed")]
        told = Entry.objects.get(name="haltdrill.passed")
        assert {name: told.payload[name] for name in ("claims", "refused", "escaped", "time_to_stop_ms", "code")} == {
            "claims": drill.claims, "refused": drill.refused, "escaped": 0,
            "time_to_stop_ms": drill.time_to_stop_ms, "code": "",
        }  # fmt: skip
        assert told.on_behalf_of == drill.started_by
        assert not DrillClaim.objects.exists()
        for change in (lambda: HaltDrill.objects.update(time_to_stop_ms=1), lambda: HaltDrill.objects.all().delete()):
            with pytest.raises(DatabaseError, match="not changed"):
                change()

    def test_nothing_real_is_stopped_or_held_up_by_it(self, monkeypatch):
        """While its halt stands a real claim shares the real fence at once, and is let through."""
        real = []
        engage = drills._engage

        def look(drill: HaltDrill) -> Stop:
            stop = engage(drill)
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '1ms'")
                take_fence()
                require_running(agent="payer", connector="bank")
                real.append(Halt.objects.count())
            return stop

        monkeypatch.setattr(drills, "_engage", look)
        assert held().state == "passed"
        assert real == [0]

    def test_it_outlasts_real_claims_that_had_begun_as_a_halt_would(self):
        """The time to stop is that of a plane at work: what holds the real fence now is waited for, undisturbed."""
        with real_claim_under_way(0.4):
            drill = held()
        assert drill.state == "passed"
        assert drill.time_to_stop_ms > 100

    def test_a_claim_that_outlasts_the_limit_fails_it(self, monkeypatch):
        monkeypatch.setattr(drills, "DRILL_LIMIT_S", 0.2)
        monkeypatch.setattr("apps.halts.rules.DRILL_LIMIT_S", 0.2)
        with real_claim_under_way(2):
            drill = held()
        assert (drill.state, drill.flaw) == ("failed", "slow")


@contextmanager
def real_claim_under_way(seconds: float) -> Iterator[None]:
    """Somebody holds the real fence for so long from the moment that a drill asks for its halt."""
    begun, asked = drills.database_now, []
    holding: list[Any] = []

    def hold() -> None:
        with transaction.atomic():
            take_fence()
            asked.append(True)
            time.sleep(seconds)
        connection.close()

    def now() -> Any:
        if not holding:
            holding.append(pool.submit(hold))
            while not asked:
                time.sleep(0.001)
        return begun()

    with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(drills, "database_now", now)
        yield
        holding[0].result()


@pytest.mark.usefixtures("real_db")
class TestBroken:
    """Where a halt is broken, so is its drill."""

    def test_claims_that_do_not_ask_get_through_and_fail_it(self, monkeypatch):
        monkeypatch.setattr(drills, "require_drill_running", lambda **_scopes: None)
        drill = held()
        assert (drill.state, drill.flaw) == ("failed", "escaped")
        assert drill.escaped >= DRILL_CLAIMERS * DRILL_TRIES
        assert names_of(drill)[-1] == "haltdrill.failed"
        assert not DrillClaim.objects.exists()

    def test_claims_that_do_not_share_the_fence_commit_behind_it_and_fail_it(self, monkeypatch):
        monkeypatch.setattr(drills, "take_fence", lambda _fence: None)
        at_work_all_the_time(monkeypatch)
        drill = held()
        assert (drill.state, drill.flaw) == ("failed", "escaped")

    def test_a_halt_that_does_not_close_the_fence_fails_it(self, monkeypatch):
        monkeypatch.setattr(drills, "close_fence", lambda _fence: None)
        at_work_all_the_time(monkeypatch)
        assert held().flaw == "escaped"

    def test_a_query_that_does_not_know_the_scope_fails_it(self, monkeypatch):
        ask = drills.require_drill_running
        monkeypatch.setattr(drills, "require_drill_running", lambda **scopes: ask(**{**scopes, "version": ""}))
        assert held("version").flaw == "escaped"


@pytest.mark.usefixtures("real_db")
class TestKilled:
    def test_a_worker_that_dies_leaves_nothing_and_the_drill_says_so(self, real_db):
        """SIGKILL in the middle of the claims: no lock stays, no claim, and the next drill may be held."""
        drill = start_drill(make_admin(), scope="everything", reason="It is spring.")
        worker = subprocess.Popen(
            [sys.executable, "-c", KILLED],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": real_db},
            stderr=subprocess.PIPE,
        )
        try:
            wait_until(lambda: DrillClaim.objects.count() > 3)
        finally:
            worker.kill()
            worker.communicate()
        assert perform_drills() == 0
        drill.refresh_from_db()
        assert drill.state == "running", "its lease has not ended"
        HaltDrill.objects.update(begun_at=ClockTimestamp() - timedelta(seconds=DRILL_LEASE_S + 1))
        assert perform_drills() == 0
        drill.refresh_from_db()
        assert (drill.state, drill.time_to_stop_ms) == ("abandoned", None)
        assert names_of(drill)[-1] == "haltdrill.abandoned"
        assert not DrillClaim.objects.exists()

    def test_whoever_comes_back_too_late_changes_nothing(self, monkeypatch):
        engage = drills._engage

        def late(drill: HaltDrill) -> Stop:
            HaltDrill.objects.update(begun_at=ClockTimestamp() - timedelta(seconds=DRILL_LEASE_S + 1))
            perform_drill()
            return engage(drill)

        monkeypatch.setattr(drills, "_engage", late)
        assert held().state == "abandoned"
        perform_drill()
        assert not DrillClaim.objects.exists()


KILLED = """
import os; os.environ["DJANGO_SETTINGS_MODULE"] = "controlplane.settings"
import django; django.setup()
from apps.halts.services import drills
drills.DRILL_TRIES = 10_000
drills.perform_drill()
"""


def wait_until(done: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not done():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.django_db
class TestAsked:
    @pytest.mark.parametrize("who", ["agent", "stranger", "lifter only"])
    def test_only_people_who_may_stop_something_ask_for_one(self, who):
        agent = make_agent().user
        grant(agent, make_role(ENGAGE))
        actor = {"agent": agent, "stranger": make_user(), "lifter only": make_holder(LIFT)}[who]
        with pytest.raises(NotAllowedError):
            start_drill(actor, scope="everything", reason="x")
        assert not HaltDrill.objects.exists()

    def test_who_may_stop_one_unit_may(self):
        assert start_drill(make_holder(ENGAGE, unit=make_unit()), scope="agent", reason="x").state == "waiting"

    @pytest.mark.parametrize(("scope", "reason", "field"), [
        ("moon", "x", "scope"), ("everything", "  ", "reason"), ("unit", "x", "scope"),
    ])  # fmt: skip
    def test_what_does_not_fit_is_refused_by_field(self, scope, reason, field):
        with pytest.raises(InvalidError) as refused:
            start_drill(make_admin(), scope=scope, reason=reason)
        assert list(refused.value.errors) == [field]

    def test_one_at_a_time_and_one_a_minute(self):
        first = start_drill(make_admin(), scope="everything", reason="x")
        with pytest.raises(ConflictError):
            start_drill(make_admin(), scope="agent", reason="y")
        HaltDrill.objects.update(created_at=ClockTimestamp() - timedelta(minutes=2))
        with pytest.raises(ConflictError):
            start_drill(make_admin(), scope="agent", reason="still waiting")
        HaltDrill.objects.filter(pk=first.pk).update(state="abandoned", ended_at=ClockTimestamp())
        assert start_drill(make_admin(), scope="agent", reason="z").state == "waiting"

    def test_it_is_due_until_one_has_passed_within_ninety_days(self):
        admin = make_admin()
        assert is_drill_due_for(admin)
        assert not is_drill_due_for(make_user())
        drill = start_drill(admin, scope="everything", reason="x")
        said = {"state": "passed", "claims": 1, "refused": 1, "escaped": 0, "time_to_stop_ms": 1}
        HaltDrill.objects.filter(pk=drill.pk).update(**said, ended_at=ClockTimestamp() - timedelta(days=89))
        assert not is_drill_due_for(admin)

    def test_no_row_says_passed_where_something_got_through(self):
        start_drill(make_admin(), scope="everything", reason="x")
        with pytest.raises(DatabaseError, match="halt_drill_passes"), transaction.atomic():
            HaltDrill.objects.update(state="passed", claims=9, refused=9, escaped=1, time_to_stop_ms=4)


@pytest.mark.parametrize(
    ("stopped_ms", "then", "claims", "refused", "flaw"),
    [
        (4, 80, 80, 80, None),
        (4, 80, 81, 80, Flaw.ESCAPED),
        (4, 0, 0, 80, Flaw.UNTESTED),
        (4, 80, 80, 0, Flaw.UNTESTED),
        (10_000, 80, 80, 80, None),
        (10_000.1, 80, 80, 80, Flaw.SLOW),
    ],
)
def test_what_is_wrong_with_a_halt(stopped_ms, then, claims, refused, flaw):
    asked = datetime(2026, 3, 1, tzinfo=UTC)
    stop = Stop(asked, asked, asked + timedelta(milliseconds=stopped_ms), then)
    assert flaw_of(stop, claims=claims, refused=refused) == flaw
