"""What one agent's key can take of the plane: answers, entries and seats stay small whatever it sends."""

import json

import pytest

from apps.audit.models import Entry
from tests.workflows.actions import make_desk

pytestmark = pytest.mark.django_db
MANY = 90_000


def test_a_body_of_names_that_nobody_knows_is_not_answered_name_by_name():
    desk = make_desk()
    body = desk.body(parameters={f"x{number}": 1 for number in range(MANY)})
    answer = desk.post("actions/", json.dumps(body, separators=(",", ":")), key="k")
    assert answer.status_code == 422, answer.content[:300]
    assert len(answer.content) < 20_000, len(answer.content)
    assert answer.json()["errors_left_out"] == MANY - 100
    assert len(str(Entry.objects.get(name="request.refused").payload)) < 1_000


def test_nor_is_a_name_of_half_a_megabyte():
    desk = make_desk()
    for body in (desk.body(parameters={"x" * 500_000: 1}), desk.body() | {"x" * 500_000: 1}):
        answer = desk.post("actions/", json.dumps(body), key="k")
        assert answer.status_code == 422
        assert len(answer.content) < 20_000, len(answer.content)


def test_nor_are_unknown_fields_of_the_request_itself():
    desk = make_desk()
    body = desk.body() | {f"x{number}": 1 for number in range(MANY)}
    answer = desk.post("actions/", json.dumps(body, separators=(",", ":")), key="k")
    assert answer.status_code == 422, answer.content[:300]
    assert len(answer.content) < 20_000, len(answer.content)
