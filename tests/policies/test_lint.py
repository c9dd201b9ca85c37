"""What is odd about rules: said with what to do, on the page and by the API, and in the way of nothing."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.policies.models import Policy, PolicyVersion, RuleDay
from apps.policies.rules import Known, check_rules, lint_rules, read_rules
from apps.policies.selectors import idle_rules_for
from apps.policies.services import check_policy
from tests.factories.access import make_admin, make_holder, make_user
from tests.factories.connectors import make_operation
from tests.factories.policies import make_policy, make_rule

PAY = {"scope": {"operations": ["bank.pay"]}}


def said(*documents: dict[str, Any]) -> list[tuple[str, str]]:
    rules, findings = read_rules(list(documents))
    assert not findings
    found = lint_rules(rules, irreversible={"bank.pay"})
    assert all(finding.is_warning for finding in found)
    return [(finding.rule, finding.message) for finding in found]


def rule(slug: str, **fields: Any) -> dict[str, Any]:
    return make_rule(slug=slug, **fields)


@pytest.mark.parametrize(
    ("when", "word"),
    [("1 < 2", "always"), ("'a' == 'b'", "never"), ("[1, 2].all(x, x > 0)", "always"), ("!false", "always")],
)
def test_a_condition_that_depends_on_nothing(when: str, word: str) -> None:
    ((slug, message),) = said(rule("odd", when=when))
    assert slug == "odd"
    assert message.startswith(f"This is {word} true")


@pytest.mark.parametrize("when", ["true", "action.target == ''", 'history.count("a", "1d", "agent") > 1', "now > now"])
def test_is_no_other_one(when: str) -> None:
    assert said(rule("fine", when=when)) == []


@pytest.mark.parametrize(
    ("fields", "warns"),
    [
        (PAY, True),
        ({**PAY, "when": "action.target == 'x'"}, True),
        ({**PAY, "when": "action.amount_minor < 5"}, False),
        ({**PAY, "obligations": {"limit": {"amount_minor": 5}}}, False),
        ({**PAY, "effect": "deny"}, False),
        ({"scope": {"operations": ["bank.look"]}}, False),
    ],
)
def test_what_cannot_be_undone_is_allowed_with_a_limit(fields: dict[str, Any], warns: bool) -> None:
    assert any("cannot be undone" in message for _, message in said(rule("pay", **fields))) is warns


@pytest.mark.parametrize(
    ("wide", "narrow", "is_hidden"),
    [
        ({"effect": "deny"}, {"when": "action.target == 'x'"}, True),
        ({"effect": "deny", **PAY}, {}, False),
        ({"effect": "deny", "when": "action.target == 'x'"}, {"when": "action.target == 'x'"}, True),
        ({"effect": "deny", "when": "action.target == 'x'"}, {"when": "action.target == 'y'"}, False),
        ({"effect": "require_approval", "queue": "q"}, {}, True),
        ({"effect": "require_approval", "queue": "q"}, {"obligations": {"hold": "1h"}}, False),
        ({"effect": "deny"}, {"effect": "require_approval", "queue": "q"}, True),
        ({"effect": "deny"}, {"effect": "flag"}, False),
        ({"effect": "allow"}, {}, False),
    ],
)
def test_a_rule_that_a_stricter_one_outranks_everywhere(wide: Any, narrow: Any, is_hidden: bool) -> None:
    found = said(rule("wide", **wide), rule("narrow", **narrow))
    assert any(slug == "narrow" and "wide outranks it" in message for slug, message in found) is is_hidden


def aged(policy: Policy, days: int) -> Policy:
    """The policy with a version in force that was written so long ago."""
    old = policy.in_force
    made = PolicyVersion.objects.create(
        policy=policy,
        number=old.number + 1,
        rules=old.rules,
        digest=old.digest,
        author=make_user(),
        created_at=timezone.now() - timedelta(days=days),
    )
    Policy.objects.filter(pk=policy.pk).update(in_force=made, latest=made)
    policy.refresh_from_db()
    return policy


@pytest.mark.django_db
def test_a_rule_that_matched_nothing_in_90_days() -> None:
    policy = make_policy(rule("used"), rule("idle"), slug="p")
    today = timezone.now().date()
    RuleDay.objects.create(policy="p", rule="used", day=today - timedelta(days=80), allowed=1)
    RuleDay.objects.create(policy="p", rule="idle", day=today - timedelta(days=99), allowed=1)
    assert idle_rules_for(make_admin(), policy) == []
    assert idle_rules_for(make_admin(), aged(policy, 89)) == []
    (found,) = idle_rules_for(make_admin(), aged(policy, 91))
    assert (found.rule, found.is_warning) == ("idle", True)


@pytest.mark.django_db
def test_the_page_and_the_api_say_so_and_nothing_is_refused() -> None:
    make_operation(slug="bank.pay", effect="irreversible")
    policy = aged(make_policy(rule("pay", **PAY), rule("no", when="1 > 2"), slug="p"), 91)
    viewer = make_holder("policies.view_policy")
    client = Client()
    client.force_login(viewer, backend="allauth.account.auth_backends.AuthenticationBackend")
    page = client.get("/policies/p/").content.decode()
    assert "4 things to look at" in page
    assert "bank.pay, which cannot be undone" in page
    assert "matched nothing in 90 days" in page
    found = client.post("/api/v1/policies/p/check/", "{}", content_type="application/json").json()
    assert found["ok"] is True
    assert [each["severity"] for each in found["findings"]] == ["warning"] * 4
    assert len(check_policy(viewer, rules=policy.in_force.rules)) == 2


def test_a_data_class_that_does_not_exist_is_refused_with_its_position_and_what_was_meant():
    rules, _findings = read_rules([make_rule(when="true && 'bnak' in action.data_classes")])
    (found,) = check_rules(rules, Known(classes={"bank"}))
    assert (found.field, found.is_warning, found.line, found.column) == ("rules.0.when", False, 1, 16)
    assert found.message.endswith("Did you mean bank?")
    (kept,) = check_rules(rules, Known(classes={"bank"}, kept={rules[0].slug: rules[0]}))
    assert kept.is_warning
    assert not check_rules(rules, Known())
    rules, _findings = read_rules([make_rule(when="'bank' in action.data_classes")])
    assert not check_rules(rules, Known(classes={"bank"}))
