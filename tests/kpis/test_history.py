"""Invented history comes in through the fact writer, once, marked, and never in place of what was."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from apps.audit.models import Entry
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.services import system_user
from apps.kpis.models import ApprovalFact, CostItem, HistoryImport, RollupDay, RunFact
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.history import history_of
from apps.kpis.rules.traits import sample_traits
from apps.kpis.services import import_history, reconcile_rollups, write_facts
from tests.factories.access import make_admin, make_holder
from tests.factories.agents import make_agent
from tests.factories.kpis import make_cost, make_run

pytestmark = pytest.mark.django_db


def week() -> Facts:
    traits = replace(sample_traits(None, None)[1], weekly=60.0)
    return history_of(traits, seed=5, until=database_now() - timedelta(hours=1), days=7, zone=reporting_zone())


def test_a_history_is_imported_once_with_one_entry() -> None:
    console, facts = system_user("console"), week()
    assert import_history(console, facts=facts) == len(facts.runs) == RunFact.objects.count()
    assert import_history(console, facts=facts) == 0
    entry = Entry.objects.get(name="history.imported")
    assert entry.payload["runs"] == len(facts.runs)
    assert entry.payload["workflows"] == ["expense-declaration"]
    assert HistoryImport.objects.count() == 1
    for model in (RunFact, ApprovalFact, CostItem, RollupDay):
        assert not model.objects.filter(simulated=False).exists()
    assert reconcile_rollups() == 0


def test_a_history_of_the_future_or_with_strays_is_refused_whole() -> None:
    console, run = system_user("console"), make_run(finished_at=database_now() + timedelta(days=1))
    for facts in (
        Facts(runs=[run]),
        Facts(runs=[make_run()], costs=[make_cost(make_run())]),
        Facts(runs=[make_run(finished_at=None)]),
    ):
        with pytest.raises(InvalidError):
            import_history(console, facts=facts)
    assert RunFact.objects.count() == 0
    assert not Entry.objects.filter(name="history.imported").exists()


def test_a_real_run_is_never_overwritten() -> None:
    run = make_run()
    write_facts(facts=Facts(runs=[run]))
    with pytest.raises(ConflictError):
        import_history(system_user("console"), facts=Facts(runs=[replace(run, state="failed")]))
    assert RunFact.objects.get().state == "succeeded"


def test_only_who_sets_goals_everywhere_imports_a_history() -> None:
    facts = Facts(runs=[make_run()])
    for actor in (make_holder("kpis.view_kpi"), make_agent().user):
        with pytest.raises(NotAllowedError):
            import_history(actor, facts=facts)
    assert RunFact.objects.count() == 0
    assert import_history(make_admin(), facts=facts) == 1


def test_a_history_may_be_longer_than_a_statement_has_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL takes 65,535 of them; writing that many facts is what the benchmark does."""
    monkeypatch.setattr("apps.kpis.services.history.write_facts", lambda **_: None)
    run = week().runs[0]
    facts = Facts(runs=[replace(run, run_id=UUID(int=number)) for number in range(1, 66_001)])
    assert import_history(system_user("console"), facts=facts) == 66_000
