"""The endpoints of policies."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.core.models import User
from apps.policies.models import Policy, PolicyVersion, Release
from apps.policies.rules import Effect
from apps.policies.services import evaluate_action
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.agents import make_agent, make_key_for
from tests.factories.policies import make_facts, make_policy, make_rule

pytestmark = pytest.mark.django_db
BASE = "/api/v1/policies/"
PUBLISH, VIEW = "policies.publish_policy", "policies.view_policy"
RULES = [{"slug": "small", "when": "action.amount_minor <= 100000", "effect": "allow"}]

type Call = Callable[..., Any]


@pytest.fixture
def call() -> Call:
    """Ask as somebody: ``call(user, "post", path, body)``; a text instead of a user is an agent's key."""

    def ask(who: User | str, method: str, path: str = "", body: object = None) -> Any:
        client = Client()
        headers = {}
        if isinstance(who, str):
            headers["Authorization"] = f"Bearer {who}"
        else:
            client.force_login(who, backend="allauth.account.auth_backends.AuthenticationBackend")
        data = json.dumps(body) if body is not None else None
        extra = {"data": data, "content_type": "application/json"} if data is not None else {}
        return getattr(client, method)(BASE + path, headers=headers, **extra)

    return ask


class TestReading:
    def test_lists_what_one_may_see(self, call: Call) -> None:
        here, there = make_unit(), make_unit()
        make_policy(unit=here, slug="here")
        make_policy(unit=there, slug="there")
        found = call(make_holder(VIEW, unit=here), "get").json()
        assert [policy["slug"] for policy in found["results"]] == ["here"]
        assert found["results"][0]["unit"] == here.slug
        assert call(make_user(), "get").json() == {"results": [], "next": None}

    def test_filters_and_refuses_filters_it_does_not_know(self, call: Call) -> None:
        admin = make_admin()
        make_policy(slug="live")
        make_policy(slug="draft", in_force=False)
        assert [one["slug"] for one in call(admin, "get", "?state=draft").json()["results"]] == ["draft"]
        for query in ("?stat=draft", "?q=%00", "?limit=0", "?cursor=x"):
            assert call(admin, "get", query).status_code == 422

    def test_shows_rules_and_their_sentences(self, call: Call) -> None:
        make_policy(RULES[0], slug="payments")
        found = call(make_admin(), "get", "payments/").json()
        assert found["rules"] == RULES
        assert found["sentences"][0]["sentence"] == "Allowed when the amount is at most 1,000.00."
        assert (found["in_force"], found["latest"], found["state"]) == (1, 1, "in_force")

    def test_hides_what_is_not_ones_own(self, call: Call) -> None:
        make_policy(unit=make_unit(), slug="payments")
        stranger = make_holder(VIEW, PUBLISH, unit=make_unit())
        paths = {"post": ("publish/", "roll-back/"), "get": ("", "versions/"), "put": ("",), "delete": ("",)}
        for method, path in ((method, path) for method, found in paths.items() for path in found):
            answer = call(stranger, method, f"payments/{path}", {"rules": RULES} if method in {"post", "put"} else None)
            assert answer.status_code == 404, (method, path)
        assert Policy.objects.get().state == "in_force"
        assert PolicyVersion.objects.count() == Release.objects.count() == 1

    def test_lists_versions_newest_first(self, call: Call) -> None:
        admin = make_admin()
        make_policy(RULES[0], slug="payments")
        call(admin, "put", "payments/", {"rules": [make_rule()]})
        found = call(admin, "get", "payments/versions/").json()["results"]
        assert [version["number"] for version in found] == [2, 1]
        assert found[0]["author"] == admin.username


class TestWriting:
    def test_makes_a_policy_that_is_published_by_hand(self, call: Call) -> None:
        unit = make_unit()
        author = make_holder(PUBLISH, VIEW, unit=unit)
        body = {"slug": "payments", "name": "Payments", "unit": unit.slug, "rules": RULES}
        made = call(author, "post", "", body)
        assert (made.status_code, made.json()["state"]) == (201, "draft")
        own = call(author, "post", "payments/publish/", {})
        assert (own.status_code, own.json()["code"], own.json()["why"]) == (403, "not_eligible", "policy_author")
        reviewer = make_holder(PUBLISH, VIEW, unit=unit)
        published = call(reviewer, "post", "payments/publish/", {})
        assert (published.status_code, published.json()) == (200, {"slug": "payments", "version": 1, "release": 1})
        assert evaluate_action(author, facts=make_facts(unit_id=unit.pk)).effect is Effect.ALLOW

    def test_writes_the_next_version_and_publishes_the_one_named(self, call: Call) -> None:
        admin = make_admin()
        make_policy(RULES[0], slug="payments")
        denied = [{**RULES[0], "effect": "deny"}]
        changed = call(admin, "put", "payments/", {"name": "Payments", "rules": denied})
        assert (changed.json()["latest"], changed.json()["in_force"]) == (2, 1)
        assert evaluate_action(admin, facts=make_facts()).effect is Effect.ALLOW
        other = make_admin()
        assert call(other, "post", "payments/publish/", {"version": 2}).json()["release"] == 2
        assert evaluate_action(admin, facts=make_facts()).effect is Effect.DENY
        assert call(admin, "post", "payments/publish/", {"version": 2}).json()["code"] == "invalid_state"
        assert call(admin, "post", "payments/publish/", {"version": 9}).status_code == 404

    def test_retires(self, call: Call) -> None:
        make_policy(RULES[0], slug="payments")
        assert call(make_admin(), "delete", "payments/?reason=Over").status_code == 204
        assert Policy.objects.get().state == "retired"

    def test_does_not_replace_by_creating(self, call: Call) -> None:
        make_policy(RULES[0], slug="payments")
        answer = call(make_admin(), "post", "", {"slug": "payments", "rules": [make_rule()]})
        assert answer.status_code == 409
        assert PolicyVersion.objects.count() == 1

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"slug": "p", "rules": [{**RULES[0], "when": "action.amount_minr > 1"}]}, "rules.0.when"),
            ({"slug": "p", "rules": [{**RULES[0], "queue": "x", "effect": "require_approval"}]}, "rules.0.queue"),
            ({"slug": "p", "rules": "text"}, "rules"),
            ({"slug": "p", "rules": None}, "rules"),
            ({"slug": "p"}, "rules"),
            ({"slug": "p", "rules": RULES, "state": "in_force"}, "state"),
            ({"slug": "a b", "rules": RULES}, "slug"),
            ({"slug": 1, "rules": [], "unit": 5}, "unit"),
            ({"slug": "p", "rules": RULES, "unit": "nowhere"}, "unit"),
        ],
    )
    def test_says_which_field_does_not_fit(self, call: Call, body: object, field: str) -> None:
        answer = call(make_admin(), "post", "", body)
        assert answer.status_code == 422
        assert field in answer.json()["errors"], answer.json()
        assert not Policy.objects.exists()
        assert not Release.objects.exists()

    def test_checks_without_changing(self, call: Call) -> None:
        make_policy(RULES[0], slug="payments")
        viewer = make_holder(VIEW)
        assert call(viewer, "post", "payments/check/", {}).json() == {"ok": True, "findings": [], "tests": []}
        broken = [{**RULES[0], "when": "true &&\n  foo"}]
        found = call(viewer, "post", "payments/check/", {"rules": broken}).json()
        assert found["ok"] is False
        assert found["findings"] == [
            {
                "field": "rules.0.when",
                "rule": "small",
                "severity": "error",
                "message": "There is no “foo”.",
                "line": 2,
                "column": 3,
            }
        ]
        assert PolicyVersion.objects.count() == Release.objects.count() == 1


class TestAgents:
    def test_change_nothing_whatever_they_were_granted(self, call: Call) -> None:
        make_policy(RULES[0], slug="payments")
        agent = make_agent()
        grant(agent.user, make_role(PUBLISH, VIEW))
        key = make_key_for(agent)
        for method, path, body in (
            ("post", "", {"slug": "mine", "rules": [make_rule()]}),
            ("put", "payments/", {"rules": [make_rule()]}),
            ("post", "payments/publish/", {"version": 1}),
            ("delete", "payments/", None),
            ("post", "payments/roll-back/", {"version": 1, "reason": "x"}),
        ):
            answer = call(key, method, path, body)
            assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), (method, path)
        assert Policy.objects.get().state == "in_force"
        assert PolicyVersion.objects.count() == Release.objects.count() == 1


def test_anonymous_visitors_are_turned_away(client: Client) -> None:
    make_policy(slug="payments")
    for method, path in (("get", ""), ("post", ""), ("get", "payments/"), ("post", "payments/publish/")):
        assert getattr(client, method)(BASE + path).status_code == 401


def test_the_address_of_evaluation_is_not_taken_by_a_policy() -> None:
    from django.urls import Resolver404, resolve

    try:
        found = resolve("/api/v1/policies/evaluate/")
    except Resolver404:
        return
    assert "slug" not in found.kwargs
