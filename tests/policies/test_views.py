"""The pages of policies."""

import pytest
from django.test import Client
from django.utils import timezone

from apps.core.models import User
from apps.policies.models import Policy, Release, RuleDay
from apps.policies.services import save_policy
from tests.factories.access import make_admin, make_holder, make_queue, make_unit, make_user
from tests.factories.policies import make_policy, make_rule

pytestmark = pytest.mark.django_db
VIEW, PUBLISH = "policies.view_policy", "policies.publish_policy"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def make_payments(**fields: object) -> Policy:
    queue = make_queue(slug="finance-approvals", name="Finance approvals")
    return make_policy(
        make_rule(slug="small", when="action.amount_minor <= 100000"),
        make_rule(
            slug="large",
            when="action.amount_minor > 100000",
            effect="require_approval",
            queue=queue.slug,
            message="Payments above 1,000.00 need a person.",
            obligations={"exclude": ["agent_owner"], "expires_in": "4h"},
            scope={"operations": ["bank.pay"]},
            risk="high",
        ),
        make_rule(slug="odd", when="action.parameters.lines.all(l, l.qty > 0) && '<b>' != ''", effect="flag"),
        slug="payments",
        name="Payments",
        **fields,
    )


class TestList:
    def test_shows_policies_with_what_they_did(self) -> None:
        make_payments()
        RuleDay.objects.create(policy="payments", rule="", day=timezone.now().date(), allowed=4321)
        page = signed_in(make_holder(VIEW)).get("/policies/").content.decode()
        assert "Payments" in page
        assert "4,321" in page
        assert "Release 1 is in force" in page

    def test_says_that_nothing_is_in_force(self) -> None:
        page = signed_in(make_holder(VIEW)).get("/policies/").content.decode()
        assert "every action is denied" in page

    def test_is_not_for_strangers(self) -> None:
        make_payments()
        answer = signed_in(make_user()).get("/policies/")
        assert answer.status_code == 403
        assert "Payments" not in answer.content.decode()


class TestPolicy:
    def test_says_each_rule_in_words_with_its_expression_behind(self) -> None:
        make_payments()
        page = signed_in(make_holder(VIEW)).get("/policies/payments/").content.decode()
        for words in (
            "Allowed when the amount is at most 1,000.00.",
            "One person of Finance approvals must approve when the amount is over 1,000.00.",
            "Payments above 1,000.00 need a person.",
            "not the agent&#x27;s owner; expires after 4 h",
            "High risk",
            "action.amount_minor &gt; 100000",
            "action.parameters.lines.all(l, l.qty &gt; 0) &amp;&amp; &#x27;&lt;b&gt;&#x27; != &#x27;&#x27;",
        ):
            assert words in page, words
        assert "<b>" not in page
        assert "Retire" not in page

    def test_counts_what_each_rule_did(self) -> None:
        make_payments()
        RuleDay.objects.create(
            policy="payments", rule="large", day=timezone.now().date(), asked=4, approved=2, rejected=1
        )
        page = signed_in(make_holder(VIEW)).get("/policies/payments/").content.decode()
        for words in ("matched 4 times", "4 asked", "2 approved", "1 rejected", "never matched"):
            assert words in page, words

    def test_is_404_for_strangers_and_for_versions_that_do_not_exist(self) -> None:
        make_payments(unit=make_unit())
        assert signed_in(make_holder(VIEW, unit=make_unit())).get("/policies/payments/").status_code == 404
        viewer = signed_in(make_holder(VIEW))
        assert viewer.get("/policies/payments/?version=1").status_code == 200
        for text in ("2", "x", "-1"):
            assert viewer.get(f"/policies/payments/?version={text}").status_code == 404

    def test_a_waiting_version_is_told_looked_at_and_published(self) -> None:
        policy = make_payments()
        admin = make_admin()
        save_policy(admin, slug="payments", name="Payments", unit=None, rules=[make_rule()])
        client = signed_in(admin)
        assert "is written and not in force" in client.get("/policies/payments/").content.decode()
        page = client.get("/policies/payments/?version=2").content.decode()
        assert "You wrote it, so somebody else releases it" in page
        assert "Release version 2" not in page
        refused = client.post("/policies/payments/publish/", {"version": "2"}, follow=True).content.decode()
        assert "You wrote it, so somebody else releases it" in refused
        client = signed_in(make_admin())
        page = client.get("/policies/payments/?version=2").content.decode()
        for words in ("Release version 2", "removed", "added", "What it changes"):
            assert words in page, words
        answer = client.post("/policies/payments/publish/", {"version": "2"}, follow=True)
        assert "In force as release 2" in answer.content.decode()
        policy.refresh_from_db()
        assert policy.in_force.number == 2

    def test_retiring_needs_a_reason(self) -> None:
        policy = make_policy(slug="payments")
        client = signed_in(make_admin())
        assert client.post("/policies/payments/retire/", {"reason": ""}).status_code == 422
        policy.refresh_from_db()
        assert policy.state == "in_force"
        assert client.post("/policies/payments/retire/", {"reason": "replaced"}).status_code == 302
        policy.refresh_from_db()
        assert policy.state == "retired"

    @pytest.mark.parametrize("path", ["publish", "retire", "roll-back"])
    def test_changes_are_not_for_who_may_only_look(self, path: str) -> None:
        policy = make_payments()
        answer = signed_in(make_holder(VIEW)).post(f"/policies/payments/{path}/", {"version": "1", "reason": "x"})
        assert answer.status_code == 404
        policy.refresh_from_db()
        assert policy.state == "in_force"
        assert Release.objects.count() == 1

    def test_a_broken_form_is_refused(self) -> None:
        make_payments()
        client = signed_in(make_admin())
        assert client.post("/policies/payments/publish/", {"version": "x"}).status_code == 422
        assert client.get("/policies/payments/publish/").status_code == 405
