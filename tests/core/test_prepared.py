"""Reads that are compiled once: the same rows as the queryset gives, with new values, on every thread."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import Q
from django.db.models.fields.json import KT
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from apps.agents.models import Agent
from apps.core.models import User
from apps.core.prepared import Prepared, Slot
from apps.core.walking import along_an_index
from tests.factories.access import make_unit
from tests.factories.agents import make_agent


@pytest.fixture(autouse=True)
def _database(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("real_db" if "real_db" in request.fixturenames else "db")


def agents_called(built: list[int]) -> Prepared[Agent]:
    def build() -> Any:
        built.append(1)
        rows = Agent.objects.select_related("unit", "owner", "version").annotate(is_first=Q(slug=Slot("first")))
        return rows.filter(slug=Slot("slug"))

    return Prepared(build)


def test_it_reads_what_the_queryset_reads_with_its_relations_and_annotations() -> None:
    one, two = make_agent(), make_agent()
    built: list[int] = []
    read = agents_called(built)
    for wanted, is_first in ((one, True), (two, False)):
        with CaptureQueriesContext(connection) as queries:
            found = read.first(slug=wanted.slug, first=one.slug)
            assert found == wanted
            assert (found.unit, found.owner, found.version) == (wanted.unit, wanted.owner, wanted.version)
            assert found.is_first is is_first  # type: ignore[attr-defined]
        assert len(queries) == 1
    assert built == [1]


def test_it_reads_the_database_each_time_and_makes_fresh_rows() -> None:
    agent = make_agent()
    read = agents_called([])
    first = read.first(slug=agent.slug, first="")
    assert first is not None
    first.name = "never saved"
    Agent.objects.filter(pk=agent.pk).update(name="Renamed")
    again = read.first(slug=agent.slug, first="")
    assert again is not None
    assert again.name == "Renamed"
    assert read.first(slug="nobody", first="") is None


def test_a_value_is_a_value_whatever_it_holds() -> None:
    agent = make_agent()
    read = agents_called([])
    for hostile in ("' OR ''='", "%s", "{}", "a\\'; --", agent.slug + "\u200b"):
        assert read(slug=hostile, first="") == []


def test_a_missing_value_is_an_error_and_not_an_empty_answer() -> None:
    with pytest.raises(KeyError, match="first"):
        agents_called([])(slug="a")


def test_keys_in_json_subqueries_and_slices_take_slots() -> None:
    unit = make_unit()
    agents = [make_agent(unit=unit) for _ in range(3)]
    User.objects.filter(pk=agents[1].user_id).update(shortcuts={"theme": "dark"})
    dark = User.objects.alias(theme=KT("shortcuts__theme")).filter(theme=Slot("theme"))
    read = Prepared(lambda: Agent.objects.filter(unit=Slot("unit"), user__in=dark).order_by("slug")[:1])
    assert read(unit=unit.pk, theme="dark") == [agents[1]]
    assert read(unit=unit.pk, theme="light") == []


def test_threads_read_on_their_own_connections(real_db: str) -> None:
    agents = [make_agent() for _ in range(4)]
    read = agents_called([])
    read.first(slug=agents[0].slug, first="")

    def found(agent: Agent) -> Agent | None:
        try:
            return read.first(slug=agent.slug, first="")
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(found, agents * 5)) == agents * 5


def test_it_locks_no_row_outside_a_transaction_however_often_it_ran_in_one(real_db: str) -> None:
    agent = make_agent()
    read = Prepared(lambda: Agent.objects.filter(slug=Slot("slug")).select_for_update(of=("self",)))
    for _ in range(2):
        with transaction.atomic():
            assert read.first(slug=agent.slug) == agent
        with pytest.raises(TransactionManagementError, match="outside of a transaction"):
            read.first(slug=agent.slug)


def test_only_what_asks_for_it_is_planned_for_any_values() -> None:
    kept = Prepared(lambda: User.objects.filter(username=Slot("name")).only("pk"))
    for number in range(6):
        assert kept(name=f"nobody-{number}") == []
        assert not User.objects.filter(email=f"nobody-{number}").exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        planned = [row[0] for row in cursor.fetchall()]
    assert any('"username" = ' in text for text in planned)
    assert not any('"email" = ' in text for text in planned)


def test_a_list_is_planned_for_its_values() -> None:
    read = Prepared(lambda: User.objects.filter(pk__any_of=Slot("ids")).order_by("pk").only("pk"), is_list=True)
    known = [make_agent().user for _ in range(3)]
    for ids in ([], [known[0].pk], [one.pk for one in known]):
        assert [row.pk for row in read(ids=ids)] == sorted(ids)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%%ANY(%%'")
        assert cursor.fetchone() == (0,)


def test_a_list_walks_an_index_only_within() -> None:
    with along_an_index():
        assert _setting("enable_sort") == "off"
    assert _setting("enable_sort") == "on"
    with pytest.raises(DatabaseError), along_an_index(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")


def _setting(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        return str(cursor.fetchone()[0])
