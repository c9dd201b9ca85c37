"""Figures of one's own after a change: every run once more, page by page, and nobody waits for it meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.audit.models import Entry
from apps.core.services import system_user
from apps.kpis.models import Kpi, KpiValue
from apps.kpis.models.business import MARKED
from apps.kpis.services import delete_kpi, fill_values, fold_entries, values
from apps.kpis.services.locks import PROJECTION_LOCK
from apps.workflows.models import Run
from tests.kpis.test_business import STARS, Care

TRY = "SELECT pg_try_advisory_xact_lock(hashtext(%s))"


@pytest.fixture
def care(db: None) -> Care:
    return Care()


@contextmanager
def another_worker(database: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of somebody else, whose transaction is over afterwards."""
    with psycopg.connect(database) as other:
        yield other
        other.rollback()


def test_a_definition_is_made_tried_and_changed_while_another_writes_facts(real_db: str) -> None:
    care = Care()
    care.gave(stars=4)
    with another_worker(real_db) as writing:
        writing.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [PROJECTION_LOCK])
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        with transaction.atomic():
            care.kpi()
            transaction.set_rollback(True)
        assert not Kpi.objects.exists()
        care.kpi()
        care.kpi(value=f"{STARS} + 1")
        assert not KpiValue.objects.exists(), "No run is looked at while somebody waits for the answer."


def test_facts_are_written_while_runs_are_gone_through(real_db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    care = Care()
    care.gave(stars=4)
    care.kpi()
    outcome_of, free = values.outcome_of, []

    def asked(*given: Any, **named: Any) -> Any:
        with another_worker(real_db) as writing:
            free.extend(writing.execute(TRY, [PROJECTION_LOCK]).fetchone() or ())
        return outcome_of(*given, **named)

    monkeypatch.setattr(values, "outcome_of", asked)
    assert fill_values() == 1
    assert free == [True]
    assert care.told()["value"] == 4.0


def test_each_run_is_read_once_and_afterwards_none(care: Care, monkeypatch: pytest.MonkeyPatch) -> None:
    for stars in (1, 2, 3, 4, 5):
        care.gave(stars=stars)
    care.kpi()
    monkeypatch.setattr(values, "AT_ONCE", 2)
    given, read = values._given, []

    def seen(kpis: Any, runs: Any) -> Any:
        read.append(len(runs))
        return given(kpis, runs)

    monkeypatch.setattr(values, "_given", seen)
    assert [fill_values() for _ in range(4)] == [2, 2, 1, 0]
    assert read == [2, 2, 1]
    with CaptureQueriesContext(connection) as asked:
        fill_values()
    assert len(asked) == 2, "That nothing is marked and no KPI is gone through is one question each."
    assert not any("workflows_run" in one["sql"] for one in asked)
    care.kpi(name="Other words")
    assert fill_values() == 0, "Another name asks no run again."


def test_a_worker_that_dies_repeats_one_page_and_loses_nothing(care: Care, monkeypatch: pytest.MonkeyPatch) -> None:
    for stars in (1, 2, 3):
        care.gave(stars=stars)
    care.kpi()
    monkeypatch.setattr(values, "AT_ONCE", 2)
    assert fill_values() == 2
    written = values._write

    def dies(rows: Any) -> int:
        written(rows)
        raise KeyboardInterrupt

    with monkeypatch.context() as ending:
        ending.setattr(values, "_write", dies)
        with pytest.raises(KeyboardInterrupt):
            fill_values()
    assert KpiValue.objects.count() == 2, "A page's values stand with the place reached, or not at all."
    assert fill_values() == 1
    assert (care.told()["value"], care.told()["missing"]) == (2.0, 0)


def change(care: Care) -> None:
    care.kpi(value=f"{STARS} * 10")


def remove(care: Care) -> None:
    delete_kpi(system_user("console"), kpi=Kpi.objects.get())


@pytest.mark.parametrize("meanwhile", [change, remove, lambda _care: fill_values()])
def test_what_was_overtaken_writes_nothing(care: Care, monkeypatch: pytest.MonkeyPatch, meanwhile: Any) -> None:
    care.gave(stars=4)
    care.kpi()
    keep = values._keep

    def late(*given: Any) -> bool:
        monkeypatch.setattr(values, "_keep", keep)
        meanwhile(care)
        before = list(KpiValue.objects.values())
        assert not keep(*given)
        assert list(KpiValue.objects.values()) == before
        return False

    monkeypatch.setattr(values, "_keep", late)
    assert fill_values() == 0


def test_a_run_that_is_erased_while_it_is_read_gives_no_value(care: Care, monkeypatch: pytest.MonkeyPatch) -> None:
    run = care.gave(stars=4)
    care.kpi()
    keep = values._keep

    def late(*given: Any) -> bool:
        Run.objects.filter(pk=run.pk).update(erased_at="2026-01-01T00:00:00Z", erased_by="x", output=None)
        return keep(*given)

    monkeypatch.setattr(values, "_keep", late)
    assert fill_values() == 1
    assert not KpiValue.objects.exists()


def test_a_run_that_ends_behind_the_place_reached_is_counted_as_it_ends(care: Care) -> None:
    care.kpi()
    assert fill_values() == 0
    assert Kpi.objects.get().filled_at is not None
    care.gave(stars=5)
    assert (care.told()["value"], care.told()["missing"]) == (5.0, 0)


def test_a_definition_held_by_a_change_is_not_waited_for(real_db: str) -> None:
    care = Care()
    care.gave(stars=4)
    care.kpi()
    with another_worker(real_db) as changing:
        changing.execute("SELECT id FROM kpis_kpi FOR UPDATE")
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        assert fill_values() == 0
        assert not KpiValue.objects.exists()
    assert fill_values() == 1


def test_no_expression_runs_while_facts_are_written(real_db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    care, free, outcome_of = Care(), [], values.outcome_of
    care.kpi()
    fill_values()

    def asked(*given: Any, **named: Any) -> Any:
        with another_worker(real_db) as writing:
            free.extend(writing.execute(TRY, [PROJECTION_LOCK]).fetchone() or ())
        return outcome_of(*given, **named)

    monkeypatch.setattr(values, "outcome_of", asked)
    care.ended(stars=4)
    assert free == []
    assert (care.told()["value"], care.told()["missing"]) == (None, 1), "It is not said to be nothing."
    assert fill_values() == 1
    assert free == [True]
    assert (care.told()["value"], care.told()["missing"]) == (4.0, 0)
    assert fill_values() == 0


def test_folded_twice_a_run_keeps_its_value(care: Care) -> None:
    care.kpi()
    run = care.gave(stars=4)
    fold_entries(entries=list(Entry.objects.filter(trail_id=run.pk).order_by("id")))
    assert care.told()["value"] == 4.0
    assert fill_values() == 1, "The page of the definition that was just made."
    assert care.told()["value"] == 4.0


def test_a_kpi_is_removed_while_another_writes_facts(real_db: str) -> None:
    care = Care()
    care.kpi()
    care.gave(stars=4)
    care.ended(stars=5)
    with another_worker(real_db) as writing:
        writing.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [PROJECTION_LOCK])
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        remove(care)
    assert not KpiValue.objects.exists()


@pytest.mark.parametrize(
    ("meanwhile", "told"),
    [
        (change, (50.0, 0)),
        (lambda care: Run.objects.update(erased_at="2026-01-01T00:00:00Z", erased_by="x", output=None), (None, 1)),
    ],
)
def test_what_changes_while_marked_runs_are_read_counts(
    care: Care, monkeypatch: pytest.MonkeyPatch, meanwhile: Any, told: tuple[float | None, int]
) -> None:
    care.kpi()
    fill_values()
    care.ended(stars=5)
    settle = values._settle

    def late(*given: Any) -> int:
        monkeypatch.setattr(values, "_settle", settle)
        meanwhile(care)
        return settle(*given)

    monkeypatch.setattr(values, "_settle", late)
    fill_values()
    fill_values()
    assert (care.told()["value"], care.told()["missing"]) == told
    assert not KpiValue.objects.filter(digest=MARKED).exists()


def test_marks_of_a_kpi_that_is_gone_are_forgotten(care: Care) -> None:
    care.kpi()
    care.ended(stars=5)
    Kpi.objects.all().delete()
    assert fill_values() == 1
    assert not KpiValue.objects.exists()
