"""Who sees which policy, rules in words, and what rules did."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.audit.services import advance, record
from apps.core.errors import NotFoundError
from apps.policies.models import RuleDay
from apps.policies.rules import read_rules
from apps.policies.rules.weighing import compile_rule
from apps.policies.selectors import (
    RuleNumbers,
    matched_rules_for,
    policies_for,
    policy_for,
    policy_numbers_for,
    release_number,
    rule_numbers_for,
    rules_about_for,
)
from apps.policies.selectors.sentences import sentence_of
from apps.policies.services import count_entries, evaluate_action
from tests.factories.access import make_holder, make_queue, make_unit, make_user
from tests.factories.agents import make_action, make_agent
from tests.factories.policies import make_facts, make_policy, make_retired, make_rule

VIEW = "policies.view_policy"


def sentence(**fields: Any) -> str:
    rules, findings = read_rules([{"slug": "one", "effect": "allow", **fields}])
    assert findings == ()
    return sentence_of(compile_rule(rules[0]))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"when": "action.amount_minor <= 100000"}, "Allowed when the amount is at most 1,000.00."),
        ({"when": "true"}, "Always allowed."),
        ({"when": "true", "effect": "deny"}, "Always denied."),
        ({"when": "action.amount_minor > 10000000", "effect": "deny"}, "Denied when the amount is over 100,000.00."),
        ({"when": "agent.risk == 'high'", "effect": "flag"}, "Flagged when the agent's risk is “high”."),
        (
            {"when": "action.amount_minor > 100000", "effect": "require_approval", "queue": "finance"},
            "One person of finance must approve when the amount is over 1,000.00.",
        ),
        (
            {"when": "true", "effect": "require_approval", "queue": "finance", "obligations": {"quorum": 2}},
            "2 people of finance must always approve.",
        ),
        (
            {"when": "action.amount_minor < 500 && (agent.risk == 'low' || on_behalf_of != '')"},
            "Allowed when the amount is under 5.00 and "
            "(the agent's risk is “low” or on whose behalf it is asked is not empty).",
        ),
        (
            {"when": "action.parameters.fee_minor >= 100 && action.parameters.vendor_id in ['a', 'b']"},
            "Allowed when fee is at least 1.00 and vendor id is “a” or “b”.",
        ),
        ({"when": "!has(action.parameters.iban)"}, "Allowed when iban is not given."),
        ({"when": "!(agent.version > 3)"}, "Allowed when it is not so that the agent's version is over 3."),
        ({"when": "size(action.target) > 3"}, "Allowed when size(action.target) > 3."),
    ],
)
def test_a_rule_reads_as_a_sentence(fields: dict[str, Any], words: str) -> None:
    assert sentence(**fields) == words


@pytest.mark.django_db
class TestWhoSees:
    def test_what_is_in_ones_units_and_nothing_else(self) -> None:
        company = make_unit()
        finance = make_unit(parent=company)
        make_policy(unit=finance, slug="finance")
        make_policy(unit=company, slug="company")
        make_policy(slug="all")
        seen = {
            name: [policy.slug for policy in policies_for(actor)]
            for name, actor in (
                ("finance", make_holder(VIEW, unit=finance)),
                ("company", make_holder(VIEW, unit=company)),
                ("everywhere", make_holder(VIEW)),
                ("stranger", make_user()),
                ("gone", make_holder(VIEW, is_active=False)),
            )
        }
        assert seen == {
            "finance": ["finance"],
            "company": ["company", "finance"],
            "everywhere": ["all", "company", "finance"],
            "stranger": [],
            "gone": [],
        }

    def test_one_that_is_not_ones_own_is_not_there(self) -> None:
        make_policy(unit=make_unit(), slug="finance")
        for slug in ("finance", "nothing"):
            with pytest.raises(NotFoundError):
                policy_for(make_holder(VIEW, unit=make_unit()), slug)


@pytest.mark.django_db
class TestRulesInWords:
    def test_of_a_stored_verdict_name_the_version_that_judged(self) -> None:
        queue = make_queue(name="Finance approvals")
        rule = make_rule(slug="large", when="action.amount_minor > 10000", effect="require_approval", queue=queue.slug)
        policy = make_policy(make_rule(slug="any"), rule, slug="payments")
        verdict = evaluate_action(make_user(), facts=make_facts()).as_json()
        make_policy(make_rule(slug="large", effect="deny"), slug="payments")
        make_retired(policy)
        cards = matched_rules_for(make_user(), verdict)
        assert [(card.slug, card.version) for card in cards] == [("large", 1), ("any", 1)]
        assert cards[0].sentence == "One person of Finance approvals must approve when the amount is over 100.00."
        assert cards[0].queue_slug == queue.slug
        assert matched_rules_for(make_user(), {}) == []
        assert matched_rules_for(make_user(), {"rules": [{"policy": "x", "version": 1, "rule": "y"}]}) == []

    def test_about_an_agents_use_of_an_operation_are_those_in_scope(self) -> None:
        unit = make_unit()
        make_policy(
            make_rule(slug="pay", scope={"operations": ["bank.pay"]}),
            make_rule(slug="all", effect="deny", when="agent.risk == 'high'"),
            make_rule(slug="other", scope={"operations": ["bank.read"]}),
            make_rule(slug="agent", scope={"agents": [make_agent().slug]}),
            unit=unit,
        )
        actor = make_user()
        cards = rules_about_for(actor, operation="bank.pay", agent="payer", unit_id=unit.pk)
        assert [card.slug for card in cards] == ["all", "pay"]
        assert rules_about_for(actor, operation="bank.pay", agent="payer", unit_id=make_unit().pk) == []

    def test_the_number_of_the_release_in_force(self) -> None:
        assert release_number() == 0
        make_policy()
        make_policy()
        assert release_number() == 2


def told() -> int:
    """Fold the whole ledger, as the projection does from its beginning."""
    return count_entries(entries=list(Entry.objects.order_by("id")))


@pytest.mark.django_db
class TestNumbers:
    def lived(self, *states: str, rules: Sequence[str] = ("large",), policy: str = "payments") -> Action:
        """An action that went through ``states``, judged by ``rules``."""
        verdict = {"effect": "", "rules": [{"policy": policy, "rule": rule} for rule in rules]}
        action = make_action(verdict=verdict)
        for state in states:
            with transaction.atomic():
                advance(action.principal, action, state)
        return action

    def test_are_counted_by_rule_and_by_what_became_of_the_action(self) -> None:
        policy = make_policy(slug="payments")
        self.lived("approved", "executing", "succeeded", rules=["small"])
        self.lived("approved", "executing", "failed", rules=["small", "flagged"])
        self.lived("denied", rules=["huge", "large"])
        self.lived("pending_approval", "approved", "executing", "succeeded")
        self.lived("pending_approval", "approved", "cancelled")
        for end in ("rejected", "changes_requested", "expired", "cancelled", "denied"):
            self.lived("pending_approval", end)
        self.lived("pending_approval")
        self.lived()
        self.lived("denied", rules=["small"], policy="other")
        told()
        numbers = rule_numbers_for(make_user(), policy)
        assert numbers["small"] == RuleNumbers(allowed=2)
        assert (numbers["flagged"], numbers["huge"]) == (RuleNumbers(allowed=1), RuleNumbers(denied=1))
        large = numbers["large"]
        assert large == RuleNumbers(denied=1, asked=8, approved=2, rejected=1, changes_requested=1, expired=1)
        assert (large.matched, large.approval_share) == (9, 0.5)
        assert numbers["huge"].approval_share is None

    def test_count_each_action_once_for_a_policy(self) -> None:
        self.lived("denied", rules=["a", "b"])
        self.lived("approved", rules=["a"])
        told()
        assert policy_numbers_for(make_user()) == {"payments": RuleNumbers(denied=1, allowed=1)}

    def test_add_up_over_batches_and_days(self) -> None:
        policy = make_policy(slug="payments")
        for _ in range(2):
            self.lived("denied")
            count_entries(entries=list(Entry.objects.filter(name="action.denied").order_by("-id")[:1]))
        RuleDay.objects.create(
            policy="payments", rule="large", day=timezone.now().date() - timedelta(days=5), denied=40
        )
        assert rule_numbers_for(make_user(), policy)["large"].denied == 42

    def test_leave_out_what_is_older(self) -> None:
        policy = make_policy(slug="payments")
        RuleDay.objects.create(
            policy="payments", rule="large", day=timezone.now().date() - timedelta(days=31), denied=1
        )
        RuleDay.objects.create(policy="payments", rule="", day=timezone.now().date() - timedelta(days=31), denied=1)
        assert rule_numbers_for(make_user(), policy) == {}
        assert policy_numbers_for(make_user()) == {}

    def test_survive_entries_that_say_nothing(self) -> None:
        action = make_action()
        with transaction.atomic():
            record(action.principal, action, "denied", payload={"odd": True})
            advance(action.principal, action, "denied")
        assert told() == 0
        assert not RuleDay.objects.exists()
