"""Rules for a share of the agents: a say on those drawn by their slugs, in shadow for the rest; less is lowering."""

from itertools import pairwise
from typing import Any

import pytest

from apps.core.errors import NotAllowedError
from apps.policies.models import Policy
from apps.policies.rules import (
    AgentFacts,
    DocumentError,
    Effect,
    Facts,
    compile_rule,
    differences_between,
    judge,
    lint_rules,
    only_tightens,
    read_cases,
    read_rule,
    read_rules,
    run_cases,
)
from apps.policies.rules.proposals import lowers
from apps.policies.selectors import drawn_for, lowered_for, rules_about_for, shadows_for
from apps.policies.services import evaluate_action, publish_policy
from tests.factories.access import make_admin
from tests.factories.agents import make_agent
from tests.factories.policies import make_facts, make_rule
from tests.policies.test_shadow import ALL, DENIES, IN_SHADOW, World, signed_in

AGENTS = [f"agent-{n}" for n in range(1_000)]


def for_share(share: str, **rule: Any) -> dict[str, Any]:
    return {**DENIES, "share": share, **rule}


def asked_by(agent: str, **facts: Any) -> Facts:
    return make_facts(agent=AgentFacts(slug=agent, state="active"), **facts)


def reached(*documents: dict[str, Any]) -> set[str]:
    """The agents that the rules deny."""
    rules, findings = read_rules([ALL, *documents])
    assert not findings
    compiled = [compile_rule(rule, policy="payments") for rule in rules]
    verdicts = {slug: judge(compiled, asked_by(slug)) for slug in AGENTS}
    return {slug for slug, verdict in verdicts.items() if verdict.effect is Effect.DENY}


class TestWhoIsIn:
    def test_about_as_many_as_it_says(self) -> None:
        assert 150 <= len(reached(for_share("20%"))) <= 250

    def test_who_is_in_stays_in_while_it_grows(self) -> None:
        shares = [reached(for_share(share)) for share in ("1%", "10%", "50%", "99%")]
        assert all(small < large for small, large in pairwise(shares))

    def test_another_rule_begins_with_others(self) -> None:
        assert reached(for_share("20%")) != reached(for_share("20%", slug="other"))

    def test_for_the_rest_it_is_in_shadow_and_so_is_what_no_agent_asks(self) -> None:
        rules = [compile_rule(read_rule(rule), policy="payments") for rule in (ALL, for_share("99%"))]
        found = judge(rules, asked_by(""))
        assert found.effect is Effect.ALLOW
        assert [line.get("mode") for line in found.as_json()["trace"]] == [None, "shadow"]

    def test_one_that_allows_is_a_way_out_only_for_those(self) -> None:
        allows = compile_rule(read_rule(make_rule(when="action.amount_minor < 10", share="50%")), policy="payments")
        ways = {slug: judge([allows], asked_by(slug)).allowed_when for slug in AGENTS[:50]}
        assert {bool(way) for way in ways.values()} == {True, False}
        assert all(bool(way) is not allows.is_shadow_for(slug) for slug, way in ways.items())


@pytest.mark.parametrize("wrong", ["0%", "100%", "20", 20, "1.5%", "-3%", None, "20 %", "20%\n", ["20%"]])
def test_says_what_a_share_may_be(wrong: Any) -> None:
    with pytest.raises(DocumentError) as caught:
        read_rule({**ALL, "share": wrong})
    assert caught.value.field == "share"


def test_a_rule_in_shadow_has_no_share() -> None:
    with pytest.raises(DocumentError) as caught:
        read_rule({**ALL, "share": "20%", "mode": "shadow"})
    assert caught.value.field == "share"


@pytest.mark.parametrize(
    ("before", "after", "is_lowered"),
    [
        (DENIES, for_share("99%"), True),
        (for_share("50%"), for_share("49%"), True),
        (for_share("50%"), IN_SHADOW, True),
        (for_share("50%"), for_share("50%", effect="flag"), True),
        (for_share("50%"), for_share("51%"), False),
        (for_share("50%"), DENIES, False),
        (IN_SHADOW, for_share("1%"), False),
        ({**ALL, "share": "50%"}, {**ALL, "share": "20%"}, False),
    ],
)
def test_fewer_agents_are_less_enforcement(before: dict[str, Any], after: dict[str, Any], is_lowered: bool) -> None:
    assert lowers(differences_between([before], [after])) is is_lowered


def test_one_person_may_begin_with_a_denial_for_some_but_not_let_some_do_more() -> None:
    assert only_tightens(differences_between([ALL], [ALL, for_share("10%")]))
    assert not only_tightens(differences_between([], [{**ALL, "share": "10%"}]))
    assert not only_tightens(differences_between([DENIES], [for_share("10%")]))
    assert only_tightens(differences_between([for_share("10%")], [DENIES]))
    assert not only_tightens(differences_between([for_share("10%")], [for_share("20%", when="false")]))


def test_it_outranks_nothing_as_long_as_it_is_not_for_all() -> None:
    rules, _ = read_rules([ALL, for_share("99%")])
    assert not lint_rules(rules)


def test_tests_try_it_as_for_all() -> None:
    rules = [compile_rule(read_rule(rule), policy="payments") for rule in (ALL, for_share("1%"))]
    raw = {
        "name": "Denied",
        "action": {"operation": "bank.pay", "effect": "irreversible"},
        "expect": "deny",
    }
    cases, misfits = read_cases([raw], rules=["all", "no"], units={})
    assert not misfits
    (found,) = run_cases(cases, rules, units={}, unit="")
    assert found.effect is Effect.DENY


@pytest.fixture
def world(db: None) -> World:
    return World()


class TestRolledOut:
    def begin(self, world: World, share: str) -> Policy:
        publish_policy(world.ben, policy=world.write(ALL, for_share(share)))
        return Policy.objects.select_related("in_force").get(slug="payments")

    def about(self, world: World, agent: str) -> list[str]:
        cards = rules_about_for(world.ada, operation="bank.pay", agent=agent, unit_id=world.unit.pk)
        return [card.slug for card in cards]

    def test_the_release_has_its_say_on_some_agents(self, world: World) -> None:
        self.begin(world, "50%")
        slugs = AGENTS[:40]
        found = {slug: evaluate_action(world.ada, facts=asked_by(slug, unit_id=world.unit.pk)) for slug in slugs}
        assert {verdict.effect for verdict in found.values()} == {Effect.ALLOW, Effect.DENY}

    def test_nobody_lowers_to_a_share_alone(self, world: World) -> None:
        with pytest.raises(NotAllowedError):
            publish_policy(world.ada, policy=world.write(ALL, for_share("50%")))
        assert evaluate_action(world.ada, facts=make_facts(unit_id=world.unit.pk)).effect is Effect.DENY

    def test_a_denial_for_fewer_is_said_as_long_as_it_stands(self, world: World) -> None:
        policy = self.begin(world, "50%")
        (found,) = lowered_for(world.ada)
        assert (found.share, found.release, found.author, found.released_by) == (50, 2, "Ada", "Ben")
        words = "no has its say on 50 % of agents since release 2"
        assert words in signed_in(world.ada).get("/policies/").content.decode()
        world.write(ALL, DENIES)
        publish_policy(world.ada, policy=policy)
        assert lowered_for(world.ada) == []

    def test_what_comes_out_of_shadow_is_not_lowered(self, world: World) -> None:
        fresh = {**DENIES, "slug": "fresh"}
        publish_policy(world.ben, policy=world.write(ALL, DENIES, {**fresh, "mode": "shadow"}))
        publish_policy(world.ben, policy=world.write(ALL, DENIES, {**fresh, "share": "5%"}))
        policy = Policy.objects.select_related("in_force").get(slug="payments")
        assert [(one.rule, one.share, one.is_lowered) for one in shadows_for(world.ada, policy)] == [
            ("fresh", 5, False)
        ]
        assert lowered_for(world.ada) == []

    def test_the_page_names_who_is_in_and_what_the_rest_would_have_met(self, world: World) -> None:
        agents = [make_agent(unit=world.unit).slug for _ in range(12)]
        make_agent()
        policy = self.begin(world, "50%")
        assert drawn_for(world.ada, policy.in_force)["no"].of == 0, "of agents that one may see"
        drawn = drawn_for(make_admin(), policy.in_force)["no"]
        assert drawn.of == 12
        about = {
            slug: rules_about_for(world.ada, operation="bank.pay", agent=slug, unit_id=world.unit.pk) for slug in agents
        }
        assert drawn.slugs == sorted(slug for slug, cards in about.items() if "no" in {card.slug for card in cards})
        page = signed_in(make_admin()).get("/policies/payments/").content.decode()
        assert "50 % of agents" in page
        assert (f"{len(drawn.slugs)} of 12 agents so far" if drawn.slugs else "None of 12 agents so far") in page
        assert "It has its say on 50 of a hundred agents" in page

    def test_the_api_tells_the_same(self, world: World) -> None:
        self.begin(world, "50%")
        told = signed_in(world.ada).get("/api/v1/policies/payments/").json()
        assert [card.get("share") for card in told["sentences"]] == [None, "50%"]
        assert [(one["rule"], one["share"], one["lowered"]) for one in told["shadows"]] == [("no", "50%", True)]
