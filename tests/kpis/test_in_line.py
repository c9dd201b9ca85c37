"""Runs that stand in line for an exclusive key: nothing of them has started, whatever is done to them meanwhile."""

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.db import connection

from apps.kpis.models import RollupDay, RunFact
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.filters import filter_of
from apps.kpis.selectors.live import live_for
from apps.kpis.services import write_facts
from apps.workflows.models import Run
from apps.workflows.services import cancel_run, pause_run, resume_run
from apps.workflows.services.runs import begin_promoted
from tests.factories.access import make_admin
from tests.factories.kpis import make_run as make_run_seen
from tests.factories.workflows import make_run, make_workflow
from tests.kpis.test_folding import DOCUMENT, fold

pytestmark = pytest.mark.django_db

PEOPLE_FIRST: dict[str, Any] = {"approve": {"approval": {"subject": "input"}, "queue": "heads", "due": {"after": "1d"}}}
"""A run that waits before it starts and waits when it has."""


def line_of(steps: dict[str, Any], runs: int) -> list[Run]:
    """Runs that exclude each other, since three days; the first has started."""
    flow = make_workflow({"slug": "line", "sla": {"after": "1d"}, "exclusive": "input.a", "steps": steps})
    found = [make_run(flow, {"a": "one"}) for _ in range(runs)]
    for run in found[1:]:
        Run.objects.filter(pk=run.pk).update(created_at=run.created_at - timedelta(days=3))
    fold()
    return found


def rest(run: Run) -> None:
    """Pause it for a day."""
    pause_run(make_admin(), run_id=run.pk, reason="Not today.")
    Run.objects.filter(pk=run.pk).update(paused_at=database_now() - timedelta(days=1))


def start_of(run: Run) -> tuple[Any, Any]:
    """By its fact and by itself; the ledger keeps milliseconds."""
    run.refresh_from_db()
    real = run.started_at and run.started_at.replace(microsecond=run.started_at.microsecond // 1000 * 1000)
    return RunFact.objects.values_list("started_at", flat=True).get(run_id=run.pk), real


@pytest.mark.parametrize("steps", [DOCUMENT["steps"], PEOPLE_FIRST])
def test_they_arrive_when_their_first_step_starts(steps: dict[str, Any]) -> None:
    first, second, third = line_of(steps, 3)
    assert [fact.run_id for fact in RunFact.objects.all()] == [first.pk], "the others have not started"
    admin = make_admin()
    live = live_for(admin, filter_of({}, now=database_now(), zone=reporting_zone())).figures
    assert (live["wip"].value, live["breached_open"].value) == (1, 0)
    rest(second)
    resume_run(admin, run_id=second.pk)
    cancel_run(admin, run_id=first.pk, reason="Enough.")
    begin_promoted()
    fold()
    told, real = start_of(second)
    assert told == real > first.created_at
    fact = RunFact.objects.get(run_id=second.pk)
    assert (fact.paused_ms, fact.paused_since) == (0, None), "no time of it had begun that a pause could stop"
    assert not RunFact.objects.filter(run_id=third.pk).exists()
    assert sum(RollupDay.objects.values_list("arrivals", flat=True)) == 2


def test_one_that_gets_its_key_while_it_is_paused_starts_when_it_goes_on() -> None:
    first, second = line_of(DOCUMENT["steps"], 2)
    rest(second)
    cancel_run(make_admin(), run_id=first.pk, reason="Enough.")
    assert begin_promoted() == 0
    resume_run(make_admin(), run_id=second.pk)
    fold()
    told, real = start_of(second)
    assert told == real is not None
    assert RunFact.objects.get(run_id=second.pk).paused_ms == 0


def test_one_that_is_cancelled_in_line_arrives_and_ends_at_once() -> None:
    _first, second = line_of(DOCUMENT["steps"], 2)
    cancel_run(make_admin(), run_id=second.pk, reason="Not needed.")
    fold()
    fact = RunFact.objects.get(run_id=second.pk)
    assert (fact.state, fact.cycle_ms, fact.started_at) == ("cancelled", 0, fact.finished_at)
    assert fact.lead_ms is not None
    assert fact.lead_ms >= 3 * 86_400_000


def test_those_that_were_counted_as_started_are_forgotten() -> None:
    first, second = line_of(DOCUMENT["steps"], 2)
    old = make_run_seen(run_id=second.pk, workflow="line", state="waiting", finished_at=None, unit_id=first.unit_id)
    write_facts(facts=Facts([old]))
    assert (RunFact.objects.count(), sum(RollupDay.objects.values_list("arrivals", flat=True))) == (2, 2)
    import_module("apps.kpis.migrations.0047_forget_what_stands_in_line").forget(None, connection.schema_editor())
    assert RunFact.objects.get().run_id == first.pk
    assert sum(RollupDay.objects.values_list("arrivals", flat=True)) == 1


def test_a_pause_of_one_that_has_started_counts() -> None:
    (run,) = line_of(DOCUMENT["steps"], 1)
    rest(run)
    resume_run(make_admin(), run_id=run.pk)
    fold()
    assert RunFact.objects.get().paused_ms >= 86_400_000
