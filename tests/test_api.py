"""The API says what it does, and does no other thing: the schema is valid, and hostile input finds no 5xx."""

import io
import json
from contextlib import redirect_stderr
from uuid import UUID

import pytest
import schemathesis
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import validate

from apps.access.services import create_token
from tests.factories.access import make_admin
from tests.workflows.actions import make_desk

EXAMPLES = 6


@pytest.fixture(scope="module")
def document():
    said, written = io.StringIO(), io.StringIO()
    with redirect_stderr(said):
        call_command("spectacular", "--format", "openapi-json", stdout=written)
    assert said.getvalue() == "", "the schema is made without a warning"
    return json.loads(written.getvalue())


def test_the_schema_is_valid_openapi_3_1(document):
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_every_operation_names_its_refusals_and_what_it_does(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation.get("description"), where
            assert {"401", "422"} <= set(operation["responses"]), where
            assert "application/problem+json" in operation["responses"]["401"]["content"], where


def test_the_documents_are_open_to_anyone(client, db):
    assert client.get("/api/v1/schema/").status_code == 200
    assert client.get("/api/docs/").status_code == 200


@pytest.fixture
def principals(real_db):
    """An agent's key and an administrator's token."""
    admin = make_admin()
    return {"agent": make_desk().key, "admin": create_token(admin, user=admin)}


@pytest.mark.parametrize("who", ["agent", "admin"])
def test_no_input_makes_a_server_error_or_an_undocumented_status(who, principals):
    schema = schemathesis.openapi.from_wsgi("/api/v1/schema/?format=json", get_wsgi_application())
    headers = {"Authorization": f"Bearer {principals[who]}", "Idempotency-Key": "k"}
    problems = [
        problem for found in schema.get_all_operations() for problem in problems_of(found.ok(), headers, EXAMPLES)
    ]
    assert not problems, "\n".join(problems)


def problems_of(operation, headers, examples):
    """What is wrong with the answers to generated requests."""
    problems = []

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case):
        answer = case.call(headers=headers)
        documented = {str(status) for status in operation.definition.raw["responses"]}
        if answer.status_code >= 500 and answer.status_code != 503:
            problems.append(f"{operation.label}: {answer.status_code} to {case.body!r}")
        elif str(answer.status_code) not in documented | {"405", "406"}:
            problems.append(f"{operation.label}: {answer.status_code} is not documented, to {case.body!r}")

    ask()
    return problems


def lists_of(document):
    """The addresses that answer pages: ``{results, next}``."""
    for path, methods in document["paths"].items():
        content = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        name = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
        if {"results", "next"} <= set(document["components"]["schemas"].get(name, {}).get("properties", ())):
            yield path


def test_no_list_takes_a_parameter_that_it_does_not_know(document, client, db):
    """A misspelt filter that is ignored shows everything where somebody asked for little."""
    client.force_login(make_admin(username="one"))
    paths = list(lists_of(document))
    assert len(paths) > 30
    taking = {}
    for path in paths:
        known = {
            found["name"]: str(UUID(int=0)) if found["schema"].get("format") == "uuid" else "one"
            for found in document["paths"][path]["get"].get("parameters", ())
            if found["in"] == "path"
        }
        answer = client.get(path.format(**known), {"no_such_filter": "x"})
        if (answer.status_code, list(answer.json().get("errors", ()))) != (422, ["no_such_filter"]):
            taking[path] = answer.status_code
    assert taking == {}
