"""Every refusal has a page that says what to do: one table for the source, the page and the guide."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from structlog.testing import capture_logs

from apps.access.models import BusinessUnit
from apps.core.api import domain_error_of
from apps.core.errors import DomainError
from apps.core.problems import ALL
from controlplane.bodies import REFUSED
from tests.factories.access import make_user
from tests.oversight.test_api import caller

ROOT = Path(__file__).resolve().parents[1]
KNOWN = {code: problem.status for problem in ALL for code in problem.codes}


def codes_in(tree: ast.Module) -> Iterator[str]:
    """The codes given to errors: ``SomeError(..., code=...)`` with a text, a choice, or a name that holds them."""
    for scope in ast.walk(tree):
        if not isinstance(scope, ast.FunctionDef):
            continue
        for call in ast.walk(scope):
            name = call.func if isinstance(call, ast.Call) else None
            called = getattr(name, "attr", getattr(name, "id", ""))
            if not called.endswith("Error"):
                continue
            for keyword in call.keywords:
                if keyword.arg == "code":
                    yield from texts_of(keyword.value, scope)


def texts_of(value: ast.expr, scope: ast.FunctionDef) -> set[str]:
    """Every text in ``value``, and in what the function assigns to the names in it."""
    names = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
    given = [n for n in ast.walk(scope) if isinstance(n, ast.Assign) and names & set(map(ast.unparse, n.targets))]
    parts = [value, *(node.value for node in given)]
    found = {
        n.value for part in parts for n in ast.walk(part) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    }
    assert found, f"a code that cannot be read: {ast.unparse(value)}"
    return {text for text in found if isinstance(text, str)}


def every_code() -> set[str]:
    files = [file for folder in ("apps", "controlplane") for file in (ROOT / folder).rglob("*.py")]
    in_calls = {code for file in files for code in codes_in(ast.parse(file.read_text()))}
    classes = [DomainError]
    for kind in classes:
        classes.extend(kind.__subclasses__())
    return in_calls | {kind.code for kind in classes} | set(REFUSED.values())


def test_every_code_in_the_source_is_in_the_table_and_no_other():
    found = every_code()
    assert {"malformed", "credential_expired", "previously_rejected", "request_timeout"} <= found
    assert found - KNOWN.keys() == set()
    assert KNOWN.keys() - found == set()


def test_a_code_stands_in_the_table_once_and_with_its_status():
    assert len(KNOWN) == sum(len(problem.codes) for problem in ALL)
    for kind in DomainError.__subclasses__():
        assert KNOWN[kind.code] == kind.status
    for status, code in REFUSED.items():
        assert KNOWN[code] == status


def test_the_guide_lists_the_table():
    text = (ROOT / "docs/agents.md").read_text()
    rows = re.findall(r"^\| (\d{3}) \| (.+) \| (.*) \| (.*) \|$", text, re.MULTILINE)
    assert rows == [
        (str(problem.status), ", ".join(f"`{code}`" for code in problem.codes), problem.meaning, problem.remedy)
        for problem in ALL
    ]


def test_the_type_of_a_refusal_is_an_address_that_anyone_can_read(client, db):
    refusal = client.get("/api/v1/me/").json()
    address, anchor = refusal["type"].split("#")
    page = client.get(address)
    assert page.status_code == 200
    assert f'id="{anchor}"' in page.content.decode()
    for code in KNOWN:
        assert f'id="{code}"' in page.content.decode()


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("INSERT INTO access_businessunit SELECT * FROM access_businessunit", "invalid_state"),
        ("UPDATE access_businessunit SET name = NULL", None),
    ],
)
def test_the_same_made_twice_at_once_is_no_error_of_ours_and_what_else_breaks_is(db, statement, code):
    BusinessUnit.objects.create(slug="one", name="One")
    with pytest.raises(IntegrityError) as broken, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert getattr(domain_error_of(broken.value), "code", None) == code


@pytest.mark.django_db
def test_it_stays_refused_where_the_ledger_cannot_be_asked(settings, client):
    settings.ON_REFUSAL = f"{__name__}.no_ledger"
    person = make_user()
    client.force_login(person)
    with capture_logs() as said:
        page = client.post("/new-agent/", {})
        answer = caller(person).post("/api/v1/agents/", "{}", content_type="application/json")
    assert (page.status_code, answer.status_code, answer.json()["code"]) == (403, 422, "invalid")
    assert [line["event"] for line in said if line["log_level"] == "error"] == ["refusal_not_recorded"] * 2


def no_ledger(actor, **refusal):
    """It does not answer."""
    raise OperationalError
