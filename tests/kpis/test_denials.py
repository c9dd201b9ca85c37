"""What denied an action, in the list behind the number of denied attempts."""

from typing import Any

import pytest
from django.test import Client

from apps.agents.models import Action
from apps.kpis.models import ActionFact
from tests.factories.access import make_holder
from tests.factories.agents import make_action
from tests.factories.kpis import NOON
from tests.factories.policies import make_policy

pytestmark = pytest.mark.django_db
PATH = "/dashboards/overview/denied/?from=2026-11-01&to=2026-12-01"
RULE = {"policy": "payments", "rule": "never-abroad", "effect": "deny", "version": 1, "message": "Not abroad."}


def denied(**verdict: Any) -> Action:
    action = make_action()
    Action.objects.filter(pk=action.pk).update(state="denied", verdict={"effect": "deny", **verdict})
    ActionFact.objects.create(
        action_id=action.pk, agent=action.agent.slug, operation="bank.pay", workflow="w", ended_at=NOON,
        unit=action.unit_id, state="denied",
    )  # fmt: skip
    return action


def listed(*rights: str) -> str:
    client = Client()
    client.force_login(make_holder("kpis.view_kpi", *rights))
    return client.get(PATH).content.decode()


def test_a_rule_is_named_with_its_message_and_leads_to_it() -> None:
    denied(rules=[RULE, {**RULE, "rule": "read", "effect": "allow", "message": ""}])
    html = listed("agents.view_agent")
    assert "Denied by" in html
    assert '<a href="/policies/payments/#rule-never-abroad">payments/never-abroad</a>' in html
    assert "Not abroad." in html
    assert "payments/read" not in html


@pytest.mark.parametrize(
    ("reason", "words"), [("no_matching_allow", "No rule allows it"), ("budget_exhausted", "Beyond the budget")]
)
def test_what_denies_without_a_rule_is_said_in_words(reason: str, words: str) -> None:
    denied(rules=[], reason=reason)
    assert words in listed("agents.view_agent")


def test_a_confidential_rule_is_named_to_nobody_who_may_not_see_its_policy() -> None:
    make_policy(slug="payments")
    denied(rules=[{**RULE, "confidential": True}])
    html = listed("agents.view_agent")
    assert "A confidential rule" in html
    assert "never-abroad" not in html
    assert "never-abroad" in listed("agents.view_agent", "policies.view_policy")


def test_who_may_not_see_the_action_is_not_told_what_denied_it() -> None:
    denied(rules=[RULE])
    html = listed()
    assert "Denied by" in html
    assert "never-abroad" not in html
