"""Tests that are stored with rules: read strictly, run on the rules, and in the way of a release that fails them."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.configuration.selectors import export_for
from apps.configuration.services import apply_texts
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.models import User
from apps.core.services import system_user
from apps.policies.models import Policy, Release
from apps.policies.rules import Effect, Wish, compile_rule, read_cases, read_rules, run_cases
from apps.policies.rules.cases import MAX_CASE_BYTES, MAX_CASES
from apps.policies.services import (
    apply_policy,
    check_policy,
    propose_change,
    publish_policy,
    retire_policy,
    roll_back_policy,
    save_policy,
)
from tests.factories.access import make_admin, make_holder
from tests.factories.policies import make_policy, make_rule

PUBLISH, VIEW = "policies.publish_policy", "policies.view_policy"
UNITS = {"group": ("", "EUR"), "finance": ("group", "EUR"), "london": ("finance", "GBP"), "sales": ("group", "EUR")}
SMALL = make_rule(slug="small", when="action.amount_minor <= 1000")
NEVER = make_rule(slug="never", when="action.amount_minor > 100000", effect="deny")


def case(**fields: Any) -> dict[str, Any]:
    action = {"operation": "bank.pay", "amount_minor": 500, "currency": "EUR", **fields.pop("action", {})}
    return {"name": "small is allowed", "action": action, "expect": "allow", **fields}


def tried(cases: list[dict[str, Any]], *rules: dict[str, Any], unit: str = "finance") -> list[Any]:
    read, findings = read_rules(list(rules))
    assert not findings
    found, misfits = read_cases(cases, rules=[rule.slug for rule in read], units=UNITS)
    assert not misfits
    return run_cases(found, [compile_rule(rule, unit=unit) for rule in read], units=UNITS, unit=unit)


def misfit(raw: object) -> str:
    found, misfits = read_cases([raw], rules=["small"], units=UNITS)
    assert not found
    return f"{misfits[0].field}: {misfits[0].message}"


class TestRunning:
    def test_passes_where_the_effect_and_the_rule_are_those_expected(self) -> None:
        (found,) = tried([case(rule="small")], SMALL, NEVER)
        assert found.has_passed
        assert (found.effect, found.rules) == (Effect.ALLOW, ("small",))

    @pytest.mark.parametrize(
        ("fields", "effect", "rules"),
        [
            ({"expect": "deny"}, Effect.ALLOW, ("small",)),
            ({"rule": "never"}, Effect.ALLOW, ("small",)),
            ({"action": {"amount_minor": 5000}}, Effect.DENY, ()),
            ({"action": {"amount_minor": 500_000}}, Effect.DENY, ("never",)),
        ],
    )
    def test_fails_and_says_what_came(self, fields: dict[str, Any], effect: Effect, rules: tuple[str, ...]) -> None:
        (found,) = tried([case(**fields)], SMALL, NEVER)
        assert not found.has_passed
        assert (found.effect, found.rules) == (effect, rules)

    def test_what_is_left_out_is_absent_as_it_is_for_an_action_without_it(self) -> None:
        bare = {"name": "n", "action": {"operation": "bank.pay"}, "expect": "deny"}
        (found,) = tried([bare], SMALL, NEVER)
        assert (found.effect, found.rules) == (Effect.DENY, ("never",))

    def test_a_limit_decides_by_the_rule_that_demands_it(self) -> None:
        limited = make_rule(slug="limited", obligations={"limit": {"amount_minor": 100}})
        (found,) = tried([case(expect="deny", rule="limited")], limited, make_rule(slug="other"))
        assert found.has_passed
        assert found.reason == "limit_exceeded"

    def test_the_past_is_what_the_case_says_and_otherwise_nothing(self) -> None:
        split = make_rule(
            slug="split",
            when='action.amount_minor + history.sum_minor("bank.pay", "1d", "target") > 1000',
            effect="deny",
        )
        past = {'history.sum_minor("bank.pay", "1d", "target")': 600}
        found = tried([case(), case(name="split", history=past, expect="deny", rule="split")], SMALL, split)
        assert [each.has_passed for each in found] == [True, True]

    def test_happens_in_the_policys_unit_or_where_the_agent_is(self) -> None:
        scoped = make_rule(slug="scoped", scope={"units": ["london"]})
        there = case(name="there", agent={"unit": "london"}, action={"currency": "GBP"})
        elsewhere = case(name="elsewhere", agent={"unit": "sales"}, expect="deny")
        assert [each.effect for each in tried([case(expect="deny"), there, elsewhere], scoped)] == [
            Effect.DENY,
            Effect.ALLOW,
            Effect.DENY,
        ]

    def test_amounts_are_in_the_currency_of_the_policys_unit(self) -> None:
        dollars = case(name="dollars", action={"currency": "USD"}, expect="deny")
        assert [each.has_passed for each in tried([case(), dollars], SMALL, unit="finance")] == [True, True]
        assert [each.has_passed for each in tried([case(), dollars], SMALL, unit="")] == [True, True]

    def test_what_cannot_be_judged_fails_with_the_reason(self) -> None:
        deep: Any = 1
        for _ in range(70):
            deep = [deep]
        (found,) = tried([case(action={"parameters": {"x": deep}})], SMALL)
        assert not found.has_passed
        assert found.effect is None
        assert found.error


class TestReading:
    @pytest.mark.parametrize(
        ("raw", "words"),
        [
            ("x", "tests.0: An object"),
            (case(name=""), "tests.0.name"),
            (case(name="x" * 121), "tests.0.name"),
            (case(expect="flag"), "tests.0.expect"),
            (case(expect=["allow"]), "tests.0.expect"),
            (case(rule="gone"), "tests.0.rule: There is no rule 'gone'"),
            (case(typo=1), "tests.0.typo: Unknown key"),
            (case(action={"amount": 1}), "tests.0.action.amount: Unknown key"),
            (case(action={"amount_minor": 1.5}), "tests.0.action.amount_minor: A whole number"),
            (case(action={"amount_minor": True}), "tests.0.action.amount_minor"),
            (case(action={"amount_minor": -1}), "tests.0.action.amount_minor"),
            (case(action={"confidence": 2}), "tests.0.action.confidence"),
            (case(action={"confidence": 10**400}), "tests.0"),
            (case(action={"operation": ""}), "tests.0.action.operation"),
            (case(agent=[]), "tests.0.agent"),
            (case(agent={"unit": "mars"}), "tests.0.agent.unit: There is no unit 'mars'"),
            (case(agent={"capabilities": [1]}), "tests.0.agent.capabilities"),
            (case(now="2027-01-31"), "tests.0.now: A time with its zone"),
            (case(now="soon"), "tests.0.now"),
            (case(history={"1 + 1": 3}), "tests.0.history: A question"),
            (case(history={"import os": 3}), "tests.0.history: A question"),
            (case(history={'history.count("a", "1d", "mine")': 3}), "tests.0.history: A question"),
            (case(history={'history.count("a", "1d", "agent")': "3"}), "tests.0.history: A whole"),
            (case(action={"target": "x" * MAX_CASE_BYTES}), "tests.0: At most"),
            (case(action={"target": "\x00"}), "tests.0: A text with the character 0"),
            (case(action={"parameters": {"x": 2**60}}), "tests.0: Only texts"),
            (case(action={"parameters": {"x": float("nan")}}), "tests.0: Only texts"),
        ],
    )
    def test_what_does_not_fit_is_named(self, raw: object, words: str) -> None:
        assert misfit(raw).startswith(words)

    def test_is_bounded_and_names_no_two_alike(self) -> None:
        many = [case(name=str(n)) for n in range(MAX_CASES + 1)]
        assert read_cases(many[1:], rules=[], units=UNITS)[1] == ()
        assert read_cases(many, rules=[], units=UNITS)[1][0].message == "More than 50 tests."
        assert read_cases({}, rules=[], units=UNITS)[1][0].field == "tests"
        assert read_cases([case(), case()], rules=[], units=UNITS)[1][0].field == "tests.1.name"


@pytest.mark.django_db
class TestReleasing:
    def test_a_failing_test_refuses_the_release_and_says_what_came(self) -> None:
        policy, _ = save_policy(
            make_holder(PUBLISH), slug="p", name="P", rules=[SMALL], tests=[case(), case(name="no", expect="deny")]
        )
        with pytest.raises(InvalidError) as caught:
            publish_policy(make_holder(PUBLISH), policy=policy)
        assert caught.value.code == "tests_failed"
        assert caught.value.errors == {"tests.1": ["no: expected denied; came allowed by small."]}
        assert not Release.objects.exists()
        assert Policy.objects.get(slug="p").in_force is None

    def test_one_that_passes_is_released_and_stays_with_the_version(self) -> None:
        policy, _ = save_policy(make_holder(PUBLISH), slug="p", name="P", rules=[SMALL], tests=[case()])
        publish_policy(make_holder(PUBLISH), policy=policy)
        policy.refresh_from_db()
        assert policy.in_force.tests == [case()]

    def test_documents_are_held_to_their_tests(self) -> None:
        with pytest.raises(InvalidError, match="1 of 1 tests fail"):
            apply_policy(make_admin(), slug="p", name="P", rules=[SMALL], tests=[case(expect="deny")])
        assert not Policy.objects.exists()

    def test_a_test_that_does_not_fit_is_not_even_saved(self) -> None:
        with pytest.raises(InvalidError) as caught:
            save_policy(make_holder(PUBLISH), slug="p", name="P", rules=[SMALL], tests=[{"name": "x"}])
        assert set(caught.value.errors) == {"tests.0.expect"}
        assert not Policy.objects.exists()

    def test_other_tests_are_another_version_and_the_same_are_not(self) -> None:
        author = make_admin()
        policy = make_policy(SMALL)
        before = policy.latest.digest
        for tests, outcome in (([], "unchanged"), ([case()], "changed"), ([case()], "unchanged")):
            found = save_policy(author, slug=policy.slug, name=policy.name, rules=[SMALL], tests=tests)
            assert found[1] == outcome
        assert found[0].latest.digest != before

    def test_tests_go_only_with_a_second_person(self) -> None:
        author = make_admin()
        policy = make_policy(SMALL, tests=[case()])
        save_policy(author, slug=policy.slug, name=policy.name, rules=[SMALL, NEVER], tests=[])
        with pytest.raises(NotAllowedError, match="somebody else releases it"):
            publish_policy(author, policy=policy)
        save_policy(author, slug=policy.slug, name=policy.name, rules=[SMALL, NEVER], tests=[case(), case(name="b")])
        publish_policy(author, policy=policy)

    def test_what_is_retired_needs_no_tests(self) -> None:
        policy = make_policy(SMALL, tests=[case()])
        assert retire_policy(make_admin(), policy=policy, reason="Over.").state == "released"


@pytest.mark.django_db
class TestProposing:
    def test_a_rule_that_fails_the_policys_tests_is_not_proposed(self) -> None:
        policy = make_policy(SMALL, tests=[case()])
        deny = Wish(slug="item-1", effect=Effect.DENY, operation="bank.pay", amount_minor=100, currency="EUR")
        said: dict[str, Any] = {"policy": policy.slug, "asking": (), "item": uuid4(), "reason": "Why not."}
        with pytest.raises(InvalidError) as caught:
            propose_change(make_admin(), wish=deny, **said)
        assert caught.value.errors == {"tests.0": ["small is allowed: expected allowed; came denied by item-1."]}
        assert not policy.proposals.exists()
        above = Wish(slug="item-1", effect=Effect.DENY, operation="bank.pay", amount_minor=900, currency="EUR")
        assert propose_change(make_admin(), wish=above, **said).version.tests == [case()]

    def test_an_earlier_version_comes_back_with_its_tests(self) -> None:
        policy = make_policy(SMALL, tests=[case()])
        apply_policy(make_admin(), slug=policy.slug, name=policy.name, rules=[NEVER])
        policy.refresh_from_db()
        assert roll_back_policy(make_admin(), policy=policy, version=1, reason="Back.").version.tests == [case()]


@pytest.mark.django_db
def test_exported_and_applied_they_change_nothing() -> None:
    make_policy(SMALL, tests=[case(agent={"slug": "payer"}, history={'history.count("a", "1d", "agent")': 2})])
    console = system_user("console")
    text = export_for(console)
    assert "tests:" in text
    assert {str(each.outcome) for each in apply_texts(console, texts={"out.yaml": text})} == {"unchanged"}
    assert export_for(console) == text


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.mark.django_db
class TestShowing:
    def test_over_the_api_they_are_written_read_and_run(self) -> None:
        client = signed_in(make_holder(PUBLISH, VIEW))
        body = {"slug": "p", "rules": [SMALL], "tests": [case(), case(name="no", expect="deny")]}
        made = client.post("/api/v1/policies/", json.dumps(body), content_type="application/json")
        assert made.status_code == 201, made.content
        assert made.json()["tests"] == body["tests"]
        assert client.get("/api/v1/policies/p/versions/").json()["results"][0]["tests"] == body["tests"]
        found = client.post("/api/v1/policies/p/check/", "{}", content_type="application/json").json()
        assert found["ok"] is False
        assert [each["passed"] for each in found["tests"]] == [True, False]
        assert found["tests"][1]["came"] == {"effect": "allow", "rules": ["small"], "reason": "", "error": ""}
        refused = signed_in(make_holder(PUBLISH, VIEW)).post(
            "/api/v1/policies/p/publish/", "{}", content_type="application/json"
        )
        assert (refused.status_code, refused.json()["code"]) == (422, "tests_failed")

    def test_a_check_that_finds_a_misfit_runs_nothing(self) -> None:
        found = check_policy(make_admin(), rules=[SMALL], tests="x")
        assert [each.field for each in found] == ["tests"]

    def test_the_page_runs_them_and_refuses_the_release_in_words(self) -> None:
        save_policy(
            make_holder(PUBLISH), slug="p", name="P", rules=[SMALL], tests=[case(), case(name="<b>no", expect="deny")]
        )
        client = signed_in(make_holder(PUBLISH, VIEW))
        page = client.get("/policies/p/").content.decode()
        assert page.count("Passed") == 1
        assert "&lt;b&gt;no" in page
        assert "allowed by small" in page
        assert "small</code>: its condition holds" in page
        assert "0 before, 2 now" in page
        answer = client.post("/policies/p/publish/", {"version": 1}, follow=True).content.decode()
        assert "1 of 2 tests fail, so these rules are not released." in answer
        assert not Release.objects.exists()

    def test_without_tests_the_page_says_what_they_are_for(self) -> None:
        make_policy(SMALL, slug="p")
        assert "No tests" in signed_in(make_holder(VIEW)).get("/policies/p/").content.decode()
