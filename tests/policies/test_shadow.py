"""Rules in shadow: judged with the rest, without a say; seen by people; out of force only by two."""

from datetime import date
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.audit.models import Entry
from apps.core.errors import NotAllowedError
from apps.core.models import User
from apps.core.services import system_user
from apps.policies.models import Policy, RuleDay
from apps.policies.rules import (
    DocumentError,
    Effect,
    compile_rule,
    differences_between,
    judge,
    lint_rules,
    only_tightens,
    read_rule,
    read_rules,
    verdict_of,
)
from apps.policies.rules.numbers import Move, tally
from apps.policies.selectors import lowered_for, rules_about_for, shadow_examples_for, shadows_for, trace_for
from apps.policies.services import apply_policy, evaluate_action, publish_policy, save_policy
from tests.factories.access import make_admin, make_holder, make_queue, make_unit
from tests.factories.agents import make_action, make_agent
from tests.factories.policies import make_facts, make_policy, make_rule

PUBLISH, VIEW, SEE = "policies.publish_policy", "policies.view_policy", "agents.view_agent"
LOWER = "policies.lower_enforcement"
ALL = make_rule(slug="all")
DENIES = make_rule(slug="no", effect="deny", risk="critical", obligations={"limit": {"amount_minor": 1}})
IN_SHADOW = {**DENIES, "mode": "shadow"}
DAY = date(2026, 11, 2)


def judged(*documents: dict[str, Any], **facts: Any) -> Any:
    rules, findings = read_rules(list(documents))
    assert not findings
    return judge([compile_rule(rule, policy="payments") for rule in rules], make_facts(**facts))


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


class TestJudging:
    @pytest.mark.parametrize(
        "rule",
        [
            DENIES,
            make_rule(slug="asks", effect="require_approval", queue="finance", obligations={"expires_in": "1h"}),
            make_rule(slug="flags", effect="flag", obligations={"step_up": True}),
            make_rule(slug="errs", effect="deny", when="action.parameters.gone == 1"),
            make_rule(slug="allows", obligations={"hold": "5m", "sample": "5%"}, risk="high"),
        ],
    )
    def test_a_rule_in_shadow_changes_nothing_but_the_trace(self, rule: dict[str, Any]) -> None:
        without, shadowed = judged(ALL), judged(ALL, {**rule, "mode": "shadow"})
        assert shadowed.public_json() == without.public_json()
        assert (shadowed.groups, shadowed.risk, shadowed.authors) == (without.groups, without.risk, without.authors)
        assert [line.is_shadow for line in shadowed.trace] == [False, True]
        assert judged(ALL, rule).public_json() != without.public_json()

    def test_it_allows_nothing_and_is_no_way_out(self) -> None:
        found = judged(make_rule(when="action.amount_minor < 10", mode="shadow"))
        assert found.effect is Effect.DENY
        assert found.allowed_when == ()

    def test_the_stored_verdict_keeps_the_mark(self) -> None:
        stored = judged(ALL, IN_SHADOW).as_json()
        assert [line.get("mode") for line in stored["trace"]] == [None, "shadow"]
        assert verdict_of(stored).as_json() == stored

    def test_says_what_a_mode_may_be(self) -> None:
        for wrong in ("off", True, None, ["shadow"]):
            with pytest.raises(DocumentError) as caught:
                read_rule({**ALL, "mode": wrong})
            assert caught.value.field == "mode"
        assert not read_rule({**ALL, "mode": "enforced"}).is_shadow

    def test_it_outranks_nothing(self) -> None:
        rules, _ = read_rules([ALL, IN_SHADOW])
        assert not lint_rules(rules)
        rules, _ = read_rules([ALL, DENIES])
        assert lint_rules(rules)


@pytest.mark.parametrize(
    ("before", "after", "tightens"),
    [
        (DENIES, IN_SHADOW, False),
        (IN_SHADOW, DENIES, True),
        (ALL, {**ALL, "mode": "shadow"}, True),
        ({**ALL, "mode": "shadow"}, ALL, False),
    ],
)
def test_what_needs_a_second_person(before: dict[str, Any], after: dict[str, Any], tightens: bool) -> None:
    assert only_tightens(differences_between([before], [after])) is tightens


def test_counts_what_it_would_have_done() -> None:
    verdict = judged(ALL, IN_SHADOW, make_rule(slug="not", effect="deny", when="false", mode="shadow")).as_json()
    counts = tally([Move(DAY, "proposed", "approved", verdict), Move(DAY, "executing", "succeeded", verdict)])
    assert counts["payments", "no", DAY] == {"shadow_seen": 1, "shadow_matched": 1}
    assert counts["payments", "not", DAY] == {"shadow_seen": 1, "shadow_matched": 0}
    assert counts["payments", "", DAY] == {"allowed": 1}


class World:
    """A policy whose denial was enforced, and is in shadow since Ben released what Ada wrote."""

    def __init__(self) -> None:
        self.unit = make_unit()
        make_queue(slug="finance", unit=self.unit)
        self.ada, self.ben = (make_holder(PUBLISH, LOWER, VIEW, unit=self.unit, name=name) for name in ("Ada", "Ben"))
        self.policy = make_policy(ALL, DENIES, unit=self.unit, slug="payments", name="Payments")

    def write(self, *rules: dict[str, Any]) -> Policy:
        return save_policy(self.ada, slug="payments", name="Payments", unit=self.unit, rules=list(rules))[0]

    def lower(self) -> Policy:
        publish_policy(self.ben, policy=self.write(ALL, IN_SHADOW))
        return Policy.objects.select_related("in_force").get(slug="payments")

    def effect(self) -> Effect:
        return evaluate_action(self.ada, facts=make_facts(unit_id=self.unit.pk)).effect


@pytest.fixture
def world(db: None) -> World:
    return World()


class TestLowering:
    def test_nobody_lowers_alone(self, world: World) -> None:
        written = world.write(ALL, IN_SHADOW)
        entries = Entry.objects.count()
        with pytest.raises(NotAllowedError):
            publish_policy(world.ada, policy=written)
        assert Entry.objects.count() == entries
        assert world.effect() is Effect.DENY

    def test_two_people_lower_and_one_enforces_again(self, world: World) -> None:
        policy = world.lower()
        assert world.effect() is Effect.ALLOW
        world.write(ALL, DENIES)
        publish_policy(world.ada, policy=policy)
        assert world.effect() is Effect.DENY
        assert lowered_for(world.ada) == []

    def test_tells_since_when_and_who_agreed(self, world: World) -> None:
        lowered = world.lower()
        world.write(ALL, IN_SHADOW, make_rule(slug="more", effect="deny", when="false"))
        publish_policy(world.ben, policy=lowered)
        (found,) = lowered_for(world.ada)
        assert (found.rule, found.release, found.author, found.released_by) == ("no", 2, "Ada", "Ben")
        assert found.is_lowered

    def test_a_new_rule_in_shadow_lowers_nothing(self, world: World) -> None:
        fresh = make_rule(slug="fresh", effect="deny", mode="shadow")
        publish_policy(world.ben, policy=world.write(ALL, DENIES, fresh))
        policy = Policy.objects.select_related("in_force").get(slug="payments")
        assert [found.rule for found in shadows_for(world.ada, policy)] == ["fresh"]
        assert lowered_for(world.ada) == []

    def test_no_stranger_learns_of_it(self, world: World) -> None:
        world.lower()
        assert lowered_for(make_holder(VIEW, unit=make_unit())) == []

    def test_no_agent_page_counts_it_among_its_rules(self, world: World) -> None:
        world.lower()
        found = rules_about_for(world.ada, operation="bank.pay", unit_id=world.unit.pk)
        assert [card.slug for card in found] == ["all"]


class TestPages:
    def test_examples_are_what_the_reader_may_see(self, world: World) -> None:
        (shadow,) = shadows_for(world.ada, world.lower())
        agent = make_agent(unit=world.unit)
        line = {"policy": "payments", "rule": "no", "effect": "deny", "mode": "shadow"}
        hit = make_action(agent=agent, verdict={"trace": [{**line, "outcome": "true"}]})
        make_action(agent=agent, verdict={"trace": [{**line, "outcome": "false"}]})
        make_action(agent=agent, verdict={"trace": [{**line, "mode": "enforced", "outcome": "true"}]})
        assert shadow_examples_for(make_holder(SEE, unit=world.unit), shadow) == [hit]
        assert shadow_examples_for(make_holder(SEE, unit=make_unit()), shadow) == []

    def test_the_rule_says_what_it_would_have_done(self, world: World) -> None:
        world.lower()
        today = timezone.now().date()
        RuleDay.objects.create(policy="payments", rule="no", day=today, shadow_seen=1234, shadow_matched=7)
        page = signed_in(world.ada).get("/policies/payments/").content.decode()
        assert "it would have denied 7 of 1,234" in page
        assert "In shadow since release 2, written by Ada, released by Ben" in page
        assert "Before that it was enforced." in page

    def test_the_list_warns_as_long_as_it_stands(self, world: World) -> None:
        words = "Payments is not enforced in full: no is in shadow since release 2"
        assert words not in signed_in(world.ada).get("/policies/").content.decode()
        policy = world.lower()
        assert words in signed_in(world.ada).get("/policies/").content.decode()
        world.write(ALL, DENIES)
        publish_policy(world.ben, policy=policy)
        assert words not in signed_in(world.ada).get("/policies/").content.decode()

    def test_the_action_says_what_shadow_would_have_done(self, world: World) -> None:
        verdict = judged(ALL, IN_SHADOW).as_json()
        action = make_action(agent=make_agent(unit=world.unit), verdict=verdict)
        page = signed_in(make_admin()).get(f"/actions/{action.pk}/").content.decode()
        assert "would have denied it" in page
        assert "payments/no" in page

    def test_a_confidential_rule_in_shadow_is_named_to_those_only_who_may_see_its_policy(self, world: World) -> None:
        secret, plain = {**IN_SHADOW, "slug": "secret", "confidential": True}, {**IN_SHADOW, "slug": "plain"}
        publish_policy(world.ben, policy=world.write(ALL, secret, plain))
        verdict = evaluate_action(world.ada, facts=make_facts(unit_id=world.unit.pk)).as_json()
        stranger, insider = make_holder(SEE, unit=world.unit), make_holder(SEE, VIEW, unit=world.unit)
        assert [line["rule"] for line in trace_for(stranger, verdict)] == ["all", "plain"]
        assert [line["rule"] for line in trace_for(insider, verdict)] == ["all", "secret", "plain"]
        action = make_action(agent=make_agent(unit=world.unit), verdict=verdict)
        for reader, is_named in ((stranger, False), (insider, True)):
            page = signed_in(reader).get(f"/actions/{action.pk}/").content.decode()
            assert ("payments/secret" in page) is is_named
            assert "payments/plain" in page

    def test_the_api_tells_the_same(self, world: World) -> None:
        world.lower()
        told = signed_in(world.ada).get("/api/v1/policies/payments/").json()
        assert [card["mode"] for card in told["sentences"]] == ["enforced", "shadow"]
        (shadow,) = told["shadows"]
        assert (shadow["rule"], shadow["release"], shadow["author"], shadow["released_by"]) == ("no", 2, "Ada", "Ben")
        assert (shadow["lowered"], shadow["judged"], shadow["would_have"]) == (True, 0, 0)


def test_a_document_says_the_same_after_it_was_applied(world: World) -> None:
    console = system_user("console")
    same = {"slug": "payments", "name": "Payments", "unit": world.unit, "rules": [ALL, IN_SHADOW]}
    assert apply_policy(console, **same)[1] == "changed"
    assert apply_policy(console, **same)[1] == "unchanged"
    assert Policy.objects.get(slug="payments").in_force.rules[1]["mode"] == "shadow"
