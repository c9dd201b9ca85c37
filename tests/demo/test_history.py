"""A history at scale: the same by its seed, in parts, and going on where it was interrupted."""

from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction
from django.db.models import Count, Sum

from apps.access.models import BusinessUnit
from apps.core.errors import ConflictError
from apps.core.services import system_user
from apps.demo.services import load_history
from apps.kpis.models import ApprovalFact, CostItem, HistoryImport, RollupDay, RunFact, StepFact
from apps.kpis.services import reconcile_rollups
from controlplane.stack import demo
from tests.factories.access import make_unit

pytestmark = pytest.mark.django_db
UNTIL = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def units(monkeypatch: pytest.MonkeyPatch) -> dict[str, BusinessUnit]:
    monkeypatch.setattr("apps.demo.services.database_now", lambda: UNTIL)
    monkeypatch.setattr("apps.kpis.rules.history.PART", 200)
    return {slug: make_unit(slug=slug) for slug in ("procurement", "finance", "compliance", "operations")}


def figures() -> list[dict[str, Any]]:
    """What the rollups say day by day, and the facts behind them."""
    measures = ("succeeded", "failed", "no_touch", "escalated", "reworked", "sla_met", "cost_micro", "decided")
    days = RollupDay.objects.values("day", "workflow", "version").annotate(**{f"n_{one}": Sum(one) for one in measures})
    took = RunFact.objects.values("run_id", "unit", "cycle_ms", "paused_ms", "cost_micro", "agents", "state")
    return [*days.order_by("day", "workflow", "version"), *took.order_by("run_id")]


def loaded(seed: int) -> list[dict[str, Any]]:
    """The figures of a history that is then taken back."""
    with transaction.atomic():
        load_history(system_user("console"), scale="1k", seed=seed)
        found = figures()
        transaction.set_rollback(True)
    return found


def test_the_same_seed_gives_the_same_figures_and_another_gives_others() -> None:
    first = loaded(3)
    assert len(first) > 1_000
    assert loaded(3) == first
    assert loaded(4) != first
    assert RunFact.objects.count() == 0


def test_a_year_is_marked_as_simulated_and_its_rollups_are_those_of_its_facts() -> None:
    came = load_history(system_user("console"), scale="1k")
    assert came == RunFact.objects.count()
    assert 850 < came < 1_150
    for model in (RunFact, StepFact, ApprovalFact, CostItem, RollupDay):
        assert model.objects.filter(simulated=True).exists()
        assert not model.objects.filter(simulated=False).exists()
    first, last = RunFact.objects.order_by("started_at").first(), RunFact.objects.order_by("-started_at").first()
    assert first is not None
    assert last is not None
    assert UNTIL - timedelta(days=367) < first.started_at < UNTIL - timedelta(days=355)
    assert UNTIL - timedelta(days=10) < last.started_at < UNTIL
    assert reconcile_rollups(now=UNTIL, days=400) == 0


def test_an_interrupted_history_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = loaded(7)
    told: list[int] = []

    def stop_after_two(done: int, about: int) -> None:
        told.append(done)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_history(system_user("console"), scale="1k", tell=stop_after_two)
    assert list(HistoryImport.objects.order_by("part").values_list("part", "is_last")) == [(1, False), (2, False)]
    assert RunFact.objects.count() == told[-1]
    monkeypatch.setattr("apps.demo.services.database_now", lambda: UNTIL + timedelta(days=3))
    assert load_history(system_user("console"), scale="1k") == RunFact.objects.count() - told[-1]
    assert figures() == whole
    parts = HistoryImport.objects.order_by("part").values_list("part", "is_last")
    assert [part for part, _ in parts] == list(range(1, len(parts) + 1))
    assert [part for part, is_last in parts if is_last] == [len(parts)]
    assert load_history(system_user("console"), scale="1k") == 0


def test_progress_is_told_part_by_part() -> None:
    told: list[tuple[int, int]] = []
    came = load_history(system_user("console"), scale="1k", tell=lambda done, about: told.append((done, about)))
    assert len(told) == HistoryImport.objects.count() > 3
    assert told[-1] == (came, 1_000)
    sizes = HistoryImport.objects.aggregate(n=Count("id"), runs=Sum("runs"))
    assert sizes["runs"] == came


def test_another_history_beside_this_one_is_refused() -> None:
    load_history(system_user("console"), scale="1k")
    before = RunFact.objects.count()
    with pytest.raises(ConflictError, match="reset"):
        load_history(system_user("console"), scale="30k")
    with pytest.raises(ConflictError, match="reset"):
        load_history(system_user("console"), scale="1k", seed=8)
    assert RunFact.objects.count() == before


def test_a_scale_that_is_none_is_refused() -> None:
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("load_sample", "--scale", "2k")


def test_the_demo_hands_its_scale_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["demo", "--scale", "30k"])
    options = demo._options()
    started = demo.Demo(options, Event())
    assert started._sample() == ["--scale", "30k"]
