"""What carries a class leaves only for systems that are cleared for it, and rules may name the classes."""

import pytest

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.connectors.models import Connector, Effect
from tests.connectors.conftest import system
from tests.factories.classification import classify, make_data_class
from tests.oversight.edge_cases.doors import Person
from tests.workflows.actions import make_desk, rules_of, the_action, the_item, work

__all__ = ["system"]
pytestmark = pytest.mark.django_db


def make_classed_desk(url="http://127.0.0.1:1029", *, cleared=True):
    desk = make_desk(url)
    make_data_class(slug="bank")
    make_data_class(slug="personal")
    desk.operation = classify(desk.operation, cleared=cleared, iban="bank", note="personal")
    return desk


def clear(desk, *slugs):
    Connector.objects.filter(pk=desk.operation.connector_id).update(cleared=list(slugs))


def test_what_a_system_is_not_cleared_for_is_refused_before_anything_is_claimed():
    desk = make_classed_desk(cleared=False)
    answer = desk.ask(50_000)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_cleared")
    assert answer.json()["data_classes"] == ["bank"]
    assert list(answer.json()["errors"]) == ["parameters.iban"]
    assert "bank" in answer.json()["detail"]
    assert desk.post("actions/check/", desk.body(50_000)).json()["code"] == "not_cleared"
    assert not Action.objects.exists()
    assert not Effect.objects.exists()
    assert Entry.objects.filter(name="request.refused").count() == 2


def test_only_what_is_carried_counts():
    desk = make_classed_desk()
    clear(desk, "bank")
    assert desk.ask(50_000).json()["state"] == "approved"
    assert desk.ask(50_000, parameters={"note": "for Ada"}).json()["code"] == "not_cleared"


@pytest.mark.parametrize("amount", [50_000, 250_000])
def test_a_clearance_that_is_gone_at_the_claim_stops_it(system, amount):
    desk = make_classed_desk(system.url)
    desk.ask(amount)
    clear(desk, "personal")
    if amount == 250_000:
        said = Person(desk.approver).decide(the_item(), key="one")
        assert (said.status_code, said.json()["code"], said.json()["why"]) == (409, "invalidated", "not_cleared")
    work()
    assert system.asked == []
    if amount == 50_000:
        action = the_action()
        assert (action.state, action.error["code"]) == ("failed", "not_cleared")
        assert "bank" in action.error["message"]


def test_a_clearance_that_is_wider_invalidates_nothing():
    desk = make_classed_desk()
    clear(desk, "bank")
    desk.ask(250_000)
    clear(desk, "bank", "other")
    before = the_action().definition_digest
    assert type(desk.operation).objects.get(pk=desk.operation.pk).definition_digest == before


def test_rules_name_the_classes_that_an_action_carries():
    desk = make_classed_desk()
    rules_of(
        desk,
        {"slug": "all", "when": "true"},
        {"slug": "people", "effect": "deny", "when": "'personal' in action.data_classes"},
    )
    assert desk.ask(50_000).json()["state"] == "approved"
    denied = desk.ask(50_000, parameters={"note": "for Ada"}).json()
    assert (denied["state"], denied["verdict"]["rules"][0]["rule"]) == ("denied", "people")
