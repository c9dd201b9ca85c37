"""What was asked before, as facts: amounts that are split are seen whole."""

from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from apps.agents.models import Agent
from apps.agents.services import erase_actions
from apps.policies.rules import AgentFacts, Effect, Facts
from apps.policies.services import evaluate_action
from tests.factories.access import make_unit, make_user
from tests.factories.agents import make_action, make_agent
from tests.factories.policies import make_facts, make_policy, make_rule

pytestmark = pytest.mark.django_db


def asked_by(agent: Agent, **fields: Any) -> Facts:
    return make_facts(
        **{
            "agent": AgentFacts(slug=agent.slug),
            "unit_id": agent.unit_id,
            "target": "DE01",
            "currency": "EUR",
            **fields,
        }
    )


def made_by(agent: Agent, **fields: Any) -> Any:
    return make_action(
        **{"agent": agent, "state": "succeeded", "amount_minor": 50_000, "currency": "EUR", "target": "DE01", **fields}
    )


def effect_of(facts: Facts) -> Effect:
    return evaluate_action(make_user(), facts=facts).effect


def forbid(condition: str) -> None:
    make_policy(make_rule(), make_rule(effect="deny", when=condition))


def test_split_amounts_are_seen_whole() -> None:
    forbid("action.amount_minor + history.sum_minor('bank.pay', '1d', 'target') > 1000000")
    agents = [make_agent(), make_agent()]
    for n in range(19):
        assert effect_of(asked_by(agents[n % 2], amount_minor=50_000)) is Effect.ALLOW
        made_by(agents[n % 2])
    made_by(agents[0])
    assert effect_of(asked_by(agents[1], amount_minor=50_000)) is Effect.DENY
    assert effect_of(asked_by(agents[1], amount_minor=50_000, target="DE02")) is Effect.ALLOW


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        ("pending_approval", True),
        ("approved", True),
        ("executing", True),
        ("succeeded", True),
        ("unknown", True),
        ("proposed", False),
        ("denied", False),
        ("rejected", False),
        ("expired", False),
        ("cancelled", False),
        ("failed", False),
        ("compensated", False),
    ],
)
def test_what_happened_or_still_may_counts(state: str, counts: bool) -> None:
    forbid("history.count('bank.pay', '1d', 'agent') > 0")
    agent = make_agent()
    made_by(agent, state=state)
    assert effect_of(asked_by(agent)) is (Effect.DENY if counts else Effect.ALLOW)


@pytest.mark.parametrize(("scope", "count"), [("agent", 0), ("unit", 1), ("target", 1), ("everywhere", 2)])
def test_scopes_say_whose_history(scope: str, count: int) -> None:
    unit = make_unit()
    one, colleague, stranger = make_agent(unit=unit), make_agent(unit=unit), make_agent()
    made_by(colleague, target="DE09")
    made_by(stranger)
    make_policy(make_rule(when=f"history.count('bank.pay', '1d', '{scope}') == {count}"))
    assert effect_of(asked_by(one)) is Effect.ALLOW


def test_other_operations_windows_and_currencies_do_not_count() -> None:
    agent = make_agent()
    make_policy(
        make_rule(when="history.count('bank.pay', '1h', 'agent') == 0"),
        make_rule(effect="deny", when="history.sum_minor('bank.pay', '7d', 'agent') != 50000"),
    )
    old = made_by(agent)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE agents_action SET created_at = created_at - interval '2 hours' WHERE id = %s", [old.pk])
    made_by(agent, operation="bank.read")
    older = made_by(agent, currency="USD")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE agents_action SET created_at = created_at - interval '3 hours' WHERE id = %s", [older.pk]
        )
    assert effect_of(asked_by(agent)) is Effect.ALLOW


def test_an_action_is_no_part_of_its_own_history() -> None:
    forbid("history.count('bank.pay', '1d', 'agent') > 0")
    agent = make_agent()
    action = made_by(agent, state="pending_approval")
    assert effect_of(asked_by(agent)) is Effect.DENY
    assert effect_of(replace(asked_by(agent), action_id=action.pk)) is Effect.ALLOW


def test_a_workflows_own_history_is_told_from_agents() -> None:
    forbid("history.count('bank.pay', '1d', 'agent') > 0")
    made_by(make_agent())
    facts = make_facts(agent=AgentFacts())
    assert effect_of(facts) is Effect.ALLOW


def test_nothing_is_looked_up_where_no_rule_in_scope_asks(django_assert_num_queries: Any) -> None:
    agent = make_agent()
    make_policy(make_rule(), make_rule(effect="deny", when="history.count('bank.pay', '1d', 'agent') > 0", scope={"operations": ["bank.read"]}))  # fmt: skip # noqa: E501
    actor = make_user()
    facts = asked_by(agent)
    evaluate_action(actor, facts=facts)
    with django_assert_num_queries(1):
        assert evaluate_action(actor, facts=facts).effect is Effect.ALLOW


def erase(action: Any) -> None:
    assert erase_actions(make_user(), ids=[action.pk]) == 1
    action.refresh_from_db()
    assert (action.target, "DE01" in action.erased_target) == ("", False)


def test_erasing_an_action_resets_no_limit_of_its_target() -> None:
    forbid("action.amount_minor + history.sum_minor('bank.pay', '1d', 'target') > 100000")
    agent = make_agent()
    for _ in range(2):
        erase(made_by(agent))
    assert effect_of(asked_by(agent, amount_minor=1)) is Effect.DENY
    assert effect_of(asked_by(agent, amount_minor=1, target="DE02")) is Effect.ALLOW


def test_an_operation_without_a_target_counts_none_of_those_that_were_erased() -> None:
    forbid("history.count('bank.pay', '1d', 'target') > 0")
    agent = make_agent()
    erase(made_by(agent))
    assert effect_of(asked_by(agent, target="")) is Effect.ALLOW
    erased = made_by(agent, target="")
    erase_actions(make_user(), ids=[erased.pk])
    assert effect_of(asked_by(agent, target="")) is Effect.DENY


def test_what_was_erased_still_counts_under_the_secret_key_before(settings: Any) -> None:
    forbid("history.count('bank.pay', '1d', 'target') > 0")
    agent = make_agent()
    erase(made_by(agent))
    before = settings.SECRET_KEY
    settings.SECRET_KEY = "another" * 8
    assert effect_of(asked_by(agent)) is Effect.ALLOW
    settings.SECRET_KEY_FALLBACKS = [before]
    assert effect_of(asked_by(agent)) is Effect.DENY
