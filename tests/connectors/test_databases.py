"""Operations that ask a database, against a real one: fixed statements, bound parameters, nothing but reading."""

import json
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from apps.agents.models import Action
from apps.configuration.selectors import export_for
from apps.configuration.services import apply_texts
from apps.connectors.adapters.postgres import Question, ask
from apps.connectors.models import Connector, ConnectorCall, Effect, Operation
from apps.connectors.rules import CallEnd, OperationSpec, origin_of
from apps.connectors.rules.queries import query_problem, values_of
from apps.connectors.services import save_connector, save_operation
from apps.core.errors import InvalidError
from apps.core.rules import ValueProblem
from apps.core.services import system_user
from tests.connectors.hostile_database import hostile_database, message
from tests.connectors.test_views import browser
from tests.connectors.warehouse import Warehouse, make_warehouse_connector, open_warehouse
from tests.factories.access import make_admin
from tests.factories.agents import make_agent, make_key_for
from tests.factories.connectors import make_connector, make_operation, permit
from tests.factories.policies import make_policy, make_rule
from tests.workflows.actions import Desk, make_desk, work

pytestmark = pytest.mark.django_db

ONE = "SELECT number, amount_minor FROM invoice WHERE number = %(number)s"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"number": {"type": "string"}},
    "required": ["number"],
    "additionalProperties": False,
}
NONE: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
READ = {
    "method": "SELECT", "path": "/", "effect": "read", "idempotency": "none", "amount": None, "target": "",
    "consequence": "Reads invoice {number}.",
}  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(django_db_setup: None) -> Iterator[Warehouse]:
    with open_warehouse() as found:
        yield found


def question(warehouse: Warehouse, query: str = ONE, **fields: Any) -> Question:
    return Question(
        **{
            "origin": origin_of(f"postgresql://127.0.0.1:{warehouse.port}/{warehouse.database}", ("postgresql",)),
            "query": query,
            "values": {},
            "timeout_s": 10,
            "logins": [(warehouse.user, warehouse.password)],
            "allow_internal": True,
            **fields,
        }
    )


def asked(connector: Connector, query: str = ONE, parameters: Any = None, schema: Any = None) -> tuple[Action, Desk]:
    """What an agent gets that asks by such an operation."""
    agent = make_agent()
    fields = READ | {"query": query, "parameters": schema or SCHEMA}
    if schema:
        fields["consequence"] = ""
    operation = make_operation(connector=connector, **fields)
    permit(agent.user, operation)
    policy = make_policy(make_rule(slug="all", scope={"operations": [operation.slug]}), unit=agent.unit)
    desk = Desk(agent, make_key_for(agent), operation, None, policy, None)  # type: ignore[arg-type] # nobody decides
    body = {"operation": operation.slug, "parameters": {"number": "R-7"} if parameters is None else parameters}
    answer = desk.post("actions/", body, key="k1")
    assert answer.status_code == 202, answer.content
    work()
    return Action.objects.get(pk=answer.json()["id"]), desk


def test_an_agent_asks_and_gets_rows(warehouse: Warehouse) -> None:
    connector = make_warehouse_connector(warehouse)
    action, desk = asked(connector)
    assert action.state == "succeeded", action.error
    assert action.result == {"rows": [{"number": "R-7", "amount_minor": 700}], "more": False}
    assert desk.get(f"actions/{action.pk}/").json()["result"]["rows"][0]["number"] == "R-7"
    call = ConnectorCall.objects.get(connector=connector)
    assert (call.end, call.status, call.in_trouble) == ("answered", 200, False)
    assert warehouse.password not in json.dumps(Effect.objects.get().response)


HOSTILE = [
    "R-7' OR '1'='1", "'; DROP TABLE invoice; --", "R-7'; SELECT word FROM secret; --",
    "' UNION SELECT word, 1 FROM secret --",
    "%(number)s", "%s", "%%", "$1", "{number}", "\\'; --", "R-7/*", "\u02bc OR 1=1", "R-7\n;\nDELETE FROM invoice",
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
def test_a_parameter_is_never_part_of_the_statement(warehouse: Warehouse, value: str) -> None:
    result = ask(question(warehouse, values={"number": value}))
    assert (result.status, result.result) == (200, {"rows": [], "more": False})
    assert warehouse.rows("SELECT count(*) FROM invoice") == [(700,)]


@pytest.mark.parametrize(
    "query",
    [
        "WITH gone AS (DELETE FROM invoice RETURNING *) SELECT * FROM gone",
        "SELECT nextval('counter')",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT set_config('default_transaction_read_only', 'off', false), nextval('counter')",
        "SELECT * INTO copied FROM invoice",
        "SELECT number FROM invoice FOR UPDATE",
        "SELECT 1) AS a, (SELECT nextval('counter')",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT query_to_xml('DELETE FROM invoice', true, true, '')",
        "SELECT 1 AS a ) AS asked LIMIT 1) AS lines --",
        "VALUES (1), (nextval('counter'))",
    ],
)
def test_a_statement_that_would_do_something_does_nothing(warehouse: Warehouse, query: str) -> None:
    """Asked as the owner of everything: what stops it is the transaction, not a privilege."""
    ask(question(warehouse, query))
    assert warehouse.rows("SELECT count(*) FROM invoice") == [(700,)]
    assert warehouse.rows("SELECT is_called FROM counter") == [(False,)]
    assert warehouse.rows("SELECT count(*) FROM pg_class WHERE relname = 'copied'") == [(0,)]
    assert warehouse.rows("SELECT count(*) FROM pg_largeobject_metadata") == [(0,)]


def test_what_fails_says_so_by_its_kind(warehouse: Warehouse) -> None:
    for query, status in (("SELECT 1/0 AS n", 400), ("SELECT * FROM nowhere", 400), ("SELECT nextval('counter')", 403)):
        assert ask(question(warehouse, query)).status == status
    wrong = ask(question(warehouse, logins=[(warehouse.user, "wrong")], values={"number": "R-7"}))
    assert (wrong.end, wrong.status) == (CallEnd.ANSWERED, 401)
    old = [(warehouse.user, "too new"), (warehouse.user, warehouse.password)]
    stood_in = ask(question(warehouse, logins=old, values={"number": "R-7"}))
    assert (stood_in.status, stood_in.stood_in) == (200, True)


def test_rows_bytes_and_time_have_an_end(warehouse: Warehouse) -> None:
    many = ask(question(warehouse, "SELECT number FROM invoice ORDER BY amount_minor"))
    assert (len(many.result["rows"]), many.result["more"], many.result["rows"][0]) == (500, True, {"number": "R-1"})
    for query in ("SELECT repeat('x', 100000) AS x", "SELECT repeat('x', 500) AS x FROM generate_series(1, 100)"):
        large = ask(question(warehouse, query, most_bytes=20_000))
        assert (large.end, "larger than 20000 bytes" in large.error) == (CallEnd.BROKEN, True)
    slow = ask(question(warehouse, "SELECT pg_sleep(60)", timeout_s=1))
    assert slow.end == CallEnd.SILENT


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        place = origin_of(f"postgresql://127.0.0.1:{port}/sales", ("postgresql",))
        result = ask(Question(place, ONE, {}, 1, [("u", "canary-sql")], allow_internal=True))
    assert (result.end, "canary-sql" in result.error) == (CallEnd.UNREACHABLE, False)


def test_an_inside_address_is_refused_unless_it_is_allowed(warehouse: Warehouse) -> None:
    result = ask(question(warehouse, allow_internal=False))
    assert (result.end, "an internal address" in result.error) == (CallEnd.REFUSED, True)
    connector = make_warehouse_connector(warehouse, allow_internal=False)
    action, _desk = asked(connector)
    assert (action.state, action.error["code"]) == ("failed", "egress_refused")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (ONE, ""),
        ("select 1 where %(number)s like '5%%'", ""),
        ("DELETE FROM invoice", "begins with"),
        ("SELECT 1; SELECT %(number)s", "semicolon"),
        ("SELECT %(number)s || '%'", "doubled"),
        ("SELECT %s", "doubled"),
        ("SELECT %(number)b", "doubled"),
        ("SELECT %(other)s", "no such parameter"),
        ("SELECT 1", "does not use"),
        ("", "from 1 to"),
        ("SELECT %(number)s\x00", "control"),
        ("EXPLAIN ANALYZE SELECT %(number)s", "begins with"),
        ("COPY invoice TO PROGRAM 'id'", "begins with"),
    ],
)
def test_a_statement_is_one_that_reads(query: str, said: str) -> None:
    problem = query_problem(query, SCHEMA)
    assert (said in problem) if said else (problem == "")


@pytest.mark.parametrize("value", [{"a": 1}, [[1]], "a\x00b", ["x"] * 1001])
def test_what_no_column_holds_is_not_bound(value: Any) -> None:
    with pytest.raises(ValueProblem):
        values_of(ONE, {"number": value})


def test_lists_and_what_was_not_given_are_bound_too(warehouse: Warehouse) -> None:
    query = (
        "SELECT count(*) AS n FROM invoice WHERE number = ANY(%(numbers)s::text[])"
        " AND (%(vendor)s::text IS NULL OR vendor = %(vendor)s)"
    )
    given = values_of(query, {"numbers": ["R-1", "R-2", "R-9999"]})
    assert ask(question(warehouse, query, values=given)).result["rows"] == [{"n": 2}]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"effect": "write"}, "effect"),
        ({"method": "GET"}, "method"),
        ({"path": "/x"}, "path"),
        ({"execution": "both"}, "execution"),
        ({"idempotency": "header"}, "idempotency"),
        ({"query": ""}, "query"),
        ({"query": "DROP TABLE invoice"}, "query"),
        ({"dry_run": {"method": "POST", "path": "/x"}}, "dry_run"),
    ],
)
def test_an_operation_of_a_database_only_asks(said: dict[str, Any], field: str) -> None:
    connector = make_connector(
        adapter="sql", base_url="postgresql://db.example/sales", auth={"type": "basic", "username": "u"}
    )
    spec = {"name": "Look", "parameters": SCHEMA, "query": ONE, "method": "SELECT", "path": "/", "effect": "read"}
    with pytest.raises(InvalidError) as caught:
        save_operation(system_user("console"), slug="db.look", connector=connector, spec=OperationSpec(**(spec | said)))
    assert field in caught.value.errors
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("base_url", "auth", "field"),
    [
        ("postgresql://db.example", "basic", "base_url"),
        ("postgresql://db.example/a/b", "basic", "base_url"),
        ("postgresql://u:p@db.example/sales", "basic", "base_url"),
        ("postgresql://db.example/sales?sslmode=disable", "basic", "base_url"),
        ("postgresql://db.example:22/sales", "basic", "base_url"),
        ("https://db.example/sales", "basic", "base_url"),
        ("postgresql://db.example/sales", "none", "auth.type"),
        ("postgresql://db.example/sales", "bearer", "auth.type"),
    ],
)
def test_a_database_has_an_address_of_its_own(base_url: str, auth: str, field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        save_connector(
            system_user("console"), slug="db", name="DB", adapter="sql", base_url=base_url, auth={"type": auth}
        )
    assert field in caught.value.errors
    assert not Connector.objects.exists()


def test_only_a_database_is_asked_and_a_changed_statement_is_another(warehouse: Warehouse) -> None:
    other = make_desk()
    answer = browser(make_admin()).patch(
        f"/api/v1/operations/{other.operation.slug}/", {"query": ONE}, content_type="application/json"
    )
    assert (answer.status_code, "query" in answer.json()["errors"]) == (422, True)
    connector = make_warehouse_connector(warehouse)
    operation = make_operation(connector=connector, **(READ | {"query": ONE, "parameters": SCHEMA}))
    before = operation.definition_digest
    operation.query = ONE.replace("number,", "vendor,")
    assert operation.definition_digest != before


def test_it_is_a_document_and_a_page() -> None:
    connector = make_connector(
        slug="db", adapter="sql", base_url="postgresql://db.example/sales", auth={"type": "basic", "username": "u"},
        allow_internal=False,
    )  # fmt: skip
    operation = make_operation(connector=connector, slug="db.look", **(READ | {"query": ONE, "parameters": SCHEMA}))
    console = system_user("console")
    texts = {"out.yaml": "".join(export_for(console))}
    assert "%(number)s" in texts["out.yaml"]
    assert {applied.outcome for applied in apply_texts(console, texts=texts)} == {"unchanged"}
    page = browser(make_admin())
    path = "/connectors/db/operations/db.look/call/"
    assert "FROM invoice WHERE number = %(number)s" in page.get(path).content.decode()
    said = {
        "version": "1", "name": "Look", "method": "SELECT", "path": "/", "parameters": json.dumps(SCHEMA),
        "effect": "read", "idempotency": "none", "target": "", "consequence": "", "query": "DROP TABLE invoice",
    }  # fmt: skip
    refused = page.post(path, said)
    assert (refused.status_code, "begins with SELECT" in refused.content.decode()) == (422, True)
    assert page.post(path, {**said, "query": ONE + " LIMIT 1"}).status_code == 302
    operation.refresh_from_db()
    assert (operation.query, operation.version) == (ONE + " LIMIT 1", 2)


def test_what_a_statement_says_beside_reading_ends_with_its_connection(warehouse: Warehouse) -> None:
    """Locks, settings and calls of one question are nobody's afterwards."""
    with psycopg.connect(warehouse.url, autocommit=True) as other:
        other.execute("LISTEN heard")
        for query in (
            "SELECT pg_advisory_lock(4711)::text AS n",
            "SELECT pg_notify('heard', 'x')::text AS n",
            "SELECT set_config('statement_timeout', '0', false) AS n",
            "SELECT set_config('role', 'none', false) AS n",
            "SELECT pg_advisory_xact_lock(4712)::text AS n",
        ):
            assert ask(question(warehouse, query)).end == CallEnd.ANSWERED, query
        other.execute("SET lock_timeout = '20s'")  # the server ends a session a moment after its client has gone
        other.execute("SELECT pg_advisory_lock(4711), pg_advisory_lock(4712)")
        assert list(other.notifies(timeout=0.5)) == []


@pytest.mark.parametrize(
    "query",
    [
        "SELECT pg_read_file('/etc/passwd') AS n",
        "SELECT pg_ls_dir('/')::text AS n",
        "SELECT lo_import('/etc/passwd')::text AS n",
        "SELECT lo_export(1, '/tmp/acp-attack')::text AS n",
        "SELECT pg_reload_conf()::text AS n",
        "SELECT pg_switch_wal()::text AS n",
        "SELECT pg_create_restore_point('x')::text AS n",
        "SELECT pg_promote()::text AS n",
        "SELECT rolpassword AS n FROM pg_authid",
        "TABLE pg_authid",
    ],
)
def test_the_machine_of_a_database_is_not_read_or_moved_by_an_ordinary_role(warehouse: Warehouse, query: str) -> None:
    result = ask(question(warehouse, query))
    assert result.end == CallEnd.ANSWERED
    assert result.status in {400, 403, 500}, (result.status, result.result)


def _one_row_without_end(wire: socket.socket) -> None:
    wire.sendall(b"D" + struct.pack("!ihi", 0x0B000000, 1, 0x0AFFFF00))
    for _ in range(40):
        wire.sendall(b"x" * 1_000_000)


def _notices_without_end(wire: socket.socket) -> None:
    for _ in range(40):
        wire.sendall(message(b"N", b"SNOTICE\x00C00000\x00M" + b"x" * 20_000 + b"\x00\x00") * 50)


@pytest.mark.parametrize("flood", [_one_row_without_end, _notices_without_end])
def test_a_server_that_sends_without_end_is_hung_up_on(flood: Callable[[socket.socket], None]) -> None:
    """A message is whole in memory before anybody sees it, so what comes is counted as it comes."""

    def answer(wire: socket.socket) -> None:
        row = struct.pack("!h", 1) + b"line\x00" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0)
        wire.sendall(message(b"1") + message(b"2") + message(b"T", row))
        flood(wire)
        wire.recv(1)  # until the other side is gone

    with hostile_database("pw", answer) as port:
        place = origin_of(f"postgresql://127.0.0.1:{port}/sales", ("postgresql",))
        asked_of = Question(place, "SELECT 1", {}, 8, [("u", "pw")], allow_internal=True, most_bytes=1_000_000)
        result = ask(asked_of)
    assert (result.end, result.error) == (CallEnd.BROKEN, "The answer is larger than 1000000 bytes.")
