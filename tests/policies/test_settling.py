"""What a condition comes to where only some facts are known: as it comes to with any others."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.expressions import EvaluationError
from apps.policies.rules import AgentFacts
from apps.policies.rules.settling import FIXED, settled
from tests.factories.policies import make_facts, make_rule
from tests.policies.test_replay import rules_of
from tests.policies.test_rules import rule, verdict

KNOWN = {
    "action.operation": "bank.pay", "action.effect": "irreversible", "agent.slug": "payer", "agent.risk": "medium",
    "agent.version": 2, "agent.capabilities": ["pay"],
}  # fmt: skip


def compiled(when: str) -> Any:
    (found,) = rules_of(make_rule(when=when))
    return found.program


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("true", True),
        ("false", False),
        ("agent.slug == 'payer'", True),
        ("agent.slug == ''", False),
        ("'payer' != agent.slug", False),
        ("agent.version >= 2 && agent.version < 3", True),
        ("agent.risk in ['low', 'high']", False),
        ("agent.risk in ['low', 'medium']", True),
        ("'pay' in agent.capabilities", True),
        ("'read' in agent.capabilities", False),
        ("!(action.effect == 'read')", True),
        ("action.amount_minor > 5", None),
        ("action.amount_minor > 5 && action.effect == 'read'", False),
        ("action.amount_minor > 5 || action.effect == 'read'", None),
        ("action.amount_minor > 5 || action.effect != 'read'", True),
        ("action.effect == 'irreversible' && action.amount_minor > 5", None),
        ("agent.owner == 'ada'", None),
        ("agent.slug.startsWith('p')", None),
        ("agent.slug in [action.target]", None),
        ("action.parameters.x.all(l, l == 'y') && agent.slug == ''", False),
    ],
)
def test_what_is_settled(when: str, expected: bool | None) -> None:
    assert settled(compiled(when).tree, KNOWN) is expected


PARTS = st.sampled_from([
    "true", "false", "agent.slug == 'payer'", "agent.slug != 'payer'", "action.effect in ['read', 'write']",
    "agent.version > 1", "action.amount_minor > 5", "action.target == 'x'", "action.parameters.x == 1",
    "'pay' in agent.capabilities",
])  # fmt: skip
CONDITIONS = st.recursive(
    PARTS,
    lambda part: st.one_of(
        st.tuples(part, st.sampled_from(["&&", "||"]), part).map(lambda both: f"({both[0]} {both[1]} {both[2]})"),
        part.map(lambda one: f"!({one})"),
    ),
    max_leaves=6,
)


@given(when=CONDITIONS, amount=st.sampled_from([None, 1, 9]), target=st.sampled_from(["x", "y"]), x=st.integers(0, 1))
def test_no_other_fact_changes_what_is_settled(when: str, amount: int | None, target: str, x: int) -> None:
    program = compiled(when)
    asks = AgentFacts(slug="payer", risk="medium", version=2, capabilities=("pay",))
    parameters = {"x": x} if x else {}
    facts = make_facts(effect="irreversible", amount_minor=amount, target=target, parameters=parameters, agent=asks)
    found = program.test(facts.activation())
    said = settled(program.tree, {name: value for name, value in facts.values().items() if name in FIXED})
    if said is not None:
        assert not isinstance(found, EvaluationError)
        assert bool(found) is said


def test_an_agent_is_not_told_what_can_never_hold() -> None:
    """That it would be allowed if it were another, or if the operation did something else."""
    found = verdict(
        rule(when="agent.slug == 'somebody-else' && action.amount_minor < 5"),
        rule(when="action.effect == 'read'"),
        rule(when="action.amount_minor < 5"),
    )
    assert [line["rule"] for line in found.allowed_when] == ["r2"]
