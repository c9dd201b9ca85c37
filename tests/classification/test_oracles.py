"""Whoever may not see a value asks about it, where an answer of yes or no would tell it bit by bit."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.connectors.models import Connector, Operation
from apps.policies import tasks
from apps.policies.models import Simulation
from tests.classification.test_hidden import CANARY, IBAN, classed_desk, words
from tests.connectors.conftest import system
from tests.factories.access import grant, make_holder, make_role, make_unit
from tests.oversight.edge_cases.doors import Person
from tests.workflows.actions import Desk, the_action, the_item

__all__ = ["system"]
pytestmark = pytest.mark.django_db
PARTS = (IBAN, IBAN[:4].lower(), IBAN[-6:])


def treasurer_who_reads_rules(person: Person) -> Person:
    """The same with the right to try rules."""
    grant(person.user, make_role("policies.view_policy", "policies.publish_policy"))
    return person


def tried(desk: Desk, person: Person, when: str) -> dict[str, Any]:
    """What is told to somebody who tries a rule on the past."""
    since = (timezone.now() - timedelta(days=2)).isoformat()
    rule = {"slug": "guess", "when": when, "effect": "deny"}
    said = person.post(f"/policies/{desk.policy.slug}/simulate/", {"rules": [rule], "since": since}, key=when)
    assert said.status_code == 202, said.content
    while tasks.judge_past():
        pass
    found: dict[str, Any] = person.api.get(f"/api/v1/policies/simulations/{said.json()['id']}/").json()
    return found


@pytest.mark.parametrize(
    "when",
    [
        f"action.parameters.iban == '{IBAN}'",
        "action.parameters.iban.startsWith('NL91')",
        "action.parameters['iban'].contains('0417')",
        "action.parameters.exists(name, name == 'iban' && action.parameters[name].startsWith('NL'))",
        f"action.target == '{IBAN}'",
        "action.reference.startsWith('pay NL91')",
    ],
)
def test_a_rule_that_is_tried_on_the_past_says_nothing_of_what_one_may_not_see(when):
    desk, treasurer, stranger = classed_desk("http://127.0.0.1:1029")
    desk.ask(250_000, parameters={"iban": IBAN}, reference=f"pay {IBAN}")
    told = tried(desk, stranger, when)
    assert (told["state"], told["done"]) == ("done", 1)
    yes = [each for each in told["result"]["transitions"] if each["after"] == "deny" and each["n"]]
    assert yes == []
    assert told["not_replayable"] == {"hidden": 1}
    seen = tried(desk, treasurer_who_reads_rules(treasurer), when)
    assert (seen["not_replayable"], seen["result"]["changed"]) == ({}, 1)


def test_a_rule_that_reads_something_else_is_tried_for_everybody():
    desk, _treasurer, stranger = classed_desk("http://127.0.0.1:1029")
    desk.ask(250_000, parameters={"iban": IBAN, "note": "for March"})
    told = tried(desk, stranger, "action.parameters.note == 'for March'")
    assert (told["not_replayable"], told["result"]["changed"]) == ({}, 1)


@pytest.mark.parametrize("part", PARTS)
def test_a_search_finds_nothing_by_what_the_searcher_may_not_see(part):
    desk, treasurer, stranger = classed_desk("http://127.0.0.1:1029")
    desk.ask(250_000, parameters={"iban": IBAN}, reference="inv-1")

    def found(person: Person, text: str) -> int:
        answer = person.api.get("/api/v1/escalations/", {"q": text})
        assert answer.status_code == 200, answer.content
        return len(answer.json()["results"])

    assert the_action().target == IBAN
    assert [found(stranger, text) for text in (part, "inv-1")] == [0, 1]
    assert [found(treasurer, text) for text in (part, "inv-1")] == [1, 1]
    assert f"/inbox/{the_item().pk}/" not in stranger.page(f"/inbox/?q={part}&view=team")


def test_a_reference_that_quotes_a_classed_value_is_marked():
    desk, treasurer, stranger = classed_desk("http://127.0.0.1:1029")
    desk.ask(250_000, parameters={"iban": IBAN}, reference=f"pay {IBAN}")
    item = the_item()
    for address in (
        f"/api/v1/escalations/{item.pk}/", f"/inbox/{item.pk}/", "/inbox/?view=team", "/actions/",
        f"/api/v1/actions/{item.action_id}/", f"/actions/{item.action_id}/",
        f"/agents/{desk.agent.slug}/feedback/", f"/audit/?trail={item.trail}",
    ):  # fmt: skip
        answer = (stranger.api if address.startswith("/api/") else stranger.pages).get(address)
        assert not CANARY.search(answer.content.decode()), address
        assert answer.status_code == 200, address
    assert f"/actions/{item.action_id}/" not in stranger.page(f"/search/?q=pay+{IBAN}")
    assert "pay [bank/iban hidden]" in stranger.page(f"/inbox/{item.pk}/")
    assert f"pay {IBAN}" in treasurer.page(f"/inbox/{item.pk}/")


def test_whoever_may_not_see_a_value_is_not_told_that_they_guessed_it():
    desk, _treasurer, stranger = classed_desk("http://127.0.0.1:1029")
    desk.ask(250_000, parameters={"iban": IBAN}, **words())
    item = the_item()
    answers = []
    for guess in (IBAN, "DE00"):
        parameters = {**the_action().parameters, "iban": guess}
        said = stranger.decide(item, parameters=parameters, key=guess)
        answers.append((said.status_code, json.dumps(said.json().get("errors"))))
    assert answers[0] == answers[1]
    assert answers[0][0] == 422
    assert not Simulation.objects.exists()


@pytest.mark.parametrize(
    "narrower",
    [
        {"anyOf": [{"properties": {"note": {"maxLength": 3}}}, {"required": ["nothing"]}]},
        {"if": {"properties": {"note": {"minLength": 4}}}, "then": {"maxProperties": 2}},
        {"not": {"properties": {"note": {"minLength": 4}}}},
    ],
)
def test_what_is_wrong_with_an_edit_quotes_nothing_that_the_editor_may_not_see(narrower):
    desk, _treasurer, stranger = classed_desk("http://127.0.0.1:1029")
    Operation.objects.filter(pk=desk.operation.pk).update(parameters={**desk.operation.parameters, **narrower})
    asked = desk.ask(250_000, parameters={"iban": IBAN, "note": "Mar"})
    item = the_item() if asked.status_code == 202 else None
    assert item, asked.content
    edited = {**the_action().parameters, "iban": "[bank/iban hidden]", "note": "for April"}
    said = stranger.decide(item, parameters=edited, key="one")
    assert said.status_code == 422
    assert "parameters" in said.json()["errors"]
    assert not CANARY.search(said.content.decode()), said.content
    page = stranger.pages.post(f"/inbox/{item.pk}/decide/", {"verdict": "edit", "p.note": "for April"})
    assert not CANARY.search(page.content.decode())


@pytest.mark.parametrize("right", ["audit.view_entry", "access.manage_access"])
def test_the_report_on_classes_names_no_system_of_another_unit(right):
    desk, _treasurer, _stranger = classed_desk("http://127.0.0.1:1029")
    system, elsewhere = desk.operation.connector, make_unit()
    Connector.objects.filter(pk=system.pk).update(unit=desk.agent.unit)
    near, far = (Person(make_holder(right, unit=unit)) for unit in (desk.agent.unit, elsewhere))
    paths = ["/data-classes/", "/data-classes/bank/", "/api/v1/data-classes/", "/api/v1/data-classes/bank/"]
    if right == "audit.view_entry":
        paths.append("/data-classes/report.csv")
    for path in paths:
        seen = [(each.api if path.startswith("/api/") else each.pages).get(path) for each in (near, far)]
        assert [answer.status_code for answer in seen] == [200, 200], path
        assert system.slug not in seen[1].content.decode(), path
        assert desk.operation.slug not in seen[1].content.decode(), path
    assert desk.operation.slug in near.page("/data-classes/bank/")
