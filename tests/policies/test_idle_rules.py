"""A rule that denies or asks and can match nothing any more is enforced less: seen where it is certain."""

from typing import Any

import pytest
from django.db.models import Model

from apps.core.errors import NotAllowedError
from apps.policies.rules import Effect, differences_between, lowers
from apps.policies.rules.documents import Scope
from apps.policies.rules.reach import There, is_idle, matches_nothing
from apps.policies.services import publish_policy
from tests.factories.access import grant, make_role, make_unit
from tests.factories.agents import make_agent
from tests.factories.connectors import make_connector, make_operation
from tests.factories.policies import make_rule
from tests.policies.test_lowering import ALL, NO, World, world

__all__ = ["world"]
NEVER = (
    "false",
    "1 > 2",
    "action.amount_minor > 100 && false",
    "false && action.target == 'x'",
    "!(true || action.target == 'x')",
    "(false || 'a' == 'b') && has(action.parameters.iban)",
    "true ? false : action.amount_minor > 1",
    "action.amount_minor > 1 ? false : 2 < 1",
)
SOMETIMES = (
    "true",
    "action.amount_minor > 100 || false",
    "action.amount_minor > 5 && action.amount_minor < 3",
    "!(action.amount_minor > 100)",
    "action.target == 'false'",
    "action.amount_minor > 1 ? false : true",
    "history.count('bank.pay', '1d', 'agent') > 3",
)


@pytest.mark.parametrize("when", [*NEVER, *SOMETIMES])
@pytest.mark.parametrize("effect", [{"effect": "deny"}, {"effect": "require_approval", "queue": "finance"}])
def test_a_condition_that_never_holds_lowers_what_is_enforced(when: str, effect: dict[str, str]) -> None:
    before, after = make_rule(slug="no", when="action.amount_minor > 100", **effect), {}
    after = {**before, "when": when}
    assert lowers(differences_between([before], [after])) is (when in NEVER)
    assert not lowers(differences_between([after], [{**after, "message": "Else."}])), "It was idle before."


def test_what_cannot_be_read_is_not_said_to_be_idle() -> None:
    assert not is_idle({"slug": "x", "when": "((", "effect": "deny"})
    assert not is_idle({"slug": "x"})


THERE = There(
    operations={"bank.pay": "bank", "erp.book": "erp"},
    agents={"robot"},
    versions={"robot@1"},
    workflows={"order"},
    units={"finance"},
)


@pytest.mark.parametrize(
    ("scope", "nothing"),
    [
        ({}, False),
        ({"operations": ["bank.pay", "gone.pay"]}, False),
        ({"operations": ["gone.pay"]}, True),
        ({"operations": ["bank.pay"], "connectors": ["bank"]}, False),
        ({"operations": ["bank.pay"], "connectors": ["erp"]}, True),
        ({"connectors": ["gone"]}, True),
        ({"connectors": ["erp", "gone"]}, False),
        ({"agents": ["gone"]}, True),
        ({"agents": ["robot"], "versions": ["robot@1"]}, False),
        ({"agents": ["robot"], "versions": ["other@1"]}, True),
        ({"versions": ["robot@2"]}, True),
        ({"workflows": ["gone"]}, True),
        ({"units": ["sales"]}, True),
        ({"units": ["sales", "finance"]}, False),
        ({"steps": ["anything"]}, False),
        ({"environments": ["test"]}, False),
    ],
)
def test_a_scope_matches_nothing_where_nothing_it_names_is_there(scope: dict[str, list[str]], nothing: bool) -> None:
    assert matches_nothing(Scope(**{name: frozenset(each) for name, each in scope.items()}), THERE) is nothing


def retired(row: Model) -> None:
    type(row)._default_manager.filter(pk=row.pk).update(state="retired")


class TestReleasing:
    def refused(self, world: World, rule: dict[str, Any], ended: Model | None = None) -> bool:
        """Whether who may only publish is refused, and who may lower as well is not; ``ended`` once it is written."""
        written = world.write(ALL, rule)
        if ended is not None:
            retired(ended)
        try:
            publish_policy(world.ben, policy=written)
        except NotAllowedError as error:
            why, before = error.members["why"], world.effect()
            publish_policy(world.cleo, policy=written)
            return (why, before, world.effect()) == ("lowers_enforcement", Effect.DENY, Effect.ALLOW)
        return False

    def test_a_condition_that_never_holds_takes_who_may_lower(self, world: World) -> None:
        assert self.refused(world, {**NO, "when": "false && action.amount_minor > 100"})

    @pytest.mark.parametrize("retire", [True, False])
    def test_so_does_a_scope_of_less_and_of_what_is_retired(self, world: World, retire: bool) -> None:
        operation = make_operation(connector=make_connector())
        ended = operation if retire else None
        assert self.refused(world, {**NO, "scope": {"operations": [operation.slug]}}, ended)

    def test_so_does_an_agent_that_is_retired_and_a_unit_elsewhere(self, world: World) -> None:
        agent, elsewhere = make_agent(unit=world.unit), make_unit()
        grant(world.ada, make_role("policies.view_policy"), elsewhere)
        assert self.refused(world, {**NO, "scope": {"units": [elsewhere.slug]}})
        publish_policy(world.cleo, policy=world.write(ALL, {**NO, "when": "true"}))
        assert self.refused(world, {**NO, "scope": {"agents": [agent.slug]}}, agent)
