"""Writing, publishing and retiring policies, and judging by what is in force."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from apps.audit.models import Entry
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError, UnavailableError
from apps.core.models import User
from apps.core.services import system_user
from apps.policies.models import Policy, PolicyVersion, Release
from apps.policies.rules import Effect
from apps.policies.services import (
    apply_policy,
    check_policy,
    evaluate_action,
    publish_policy,
    retire_policy,
    save_policy,
)
from tests.factories.access import grant, make_admin, make_holder, make_queue, make_role, make_unit, make_user
from tests.factories.agents import make_agent
from tests.factories.policies import make_facts, make_policy, make_rule

pytestmark = pytest.mark.django_db
PUBLISH = "policies.publish_policy"


def allow(**fields: Any) -> dict[str, Any]:
    return {"slug": "small", "when": "action.amount_minor <= 100000", "effect": "allow", **fields}


def judged(actor: User, **facts: Any) -> Effect:
    return evaluate_action(actor, facts=make_facts(**facts)).effect


def nothing_happened() -> bool:
    return not (Policy.objects.exists() or PolicyVersion.objects.exists() or Release.objects.exists()) and not (
        Entry.objects.filter(subject_kind__in=["policy", "policyversion", "release"]).exists()
    )


class TestSaving:
    def test_writes_a_version_that_does_not_judge_yet(self) -> None:
        unit = make_unit()
        author = make_holder(PUBLISH, unit=unit)
        policy, outcome = save_policy(author, slug="payments", name="Payments", unit=unit, rules=[allow()])
        assert outcome == "created"
        assert (policy.state, policy.latest.number, policy.in_force) == ("draft", 1, None)
        assert judged(author, unit_id=unit.pk) is Effect.DENY
        assert Entry.objects.filter(name="policyversion.created", actor=author, unit=unit.pk).count() == 1

    def test_the_same_again_changes_nothing(self) -> None:
        author = make_holder(PUBLISH)
        save_policy(author, slug="payments", name="Payments", rules=[allow()])
        entries = Entry.objects.count()
        policy, outcome = save_policy(author, slug="payments", name="Payments", rules=[allow()])
        assert outcome == "unchanged"
        assert policy.versions.count() == 1
        assert Entry.objects.count() == entries

    def test_other_rules_are_the_next_version(self) -> None:
        author = make_holder(PUBLISH)
        save_policy(author, slug="payments", name="Payments", rules=[allow()])
        policy, outcome = save_policy(author, slug="payments", name="Payments", rules=[allow(effect="deny")])
        assert outcome == "changed"
        assert [version.number for version in policy.versions.order_by("number")] == [1, 2]

    def test_another_unit_is_the_next_version_and_needs_the_right_in_both(self) -> None:
        here, there = make_unit(), make_unit()
        author = make_holder(PUBLISH, unit=here)
        policy, _ = save_policy(author, slug="payments", name="Payments", unit=here, rules=[allow()])
        with pytest.raises(NotAllowedError):
            save_policy(author, slug="payments", name="Payments", unit=there, rules=[allow()])
        policy.refresh_from_db()
        assert (policy.unit, policy.latest.number) == (here, 1)
        grant(author, make_role(PUBLISH), there)
        policy, _ = save_policy(author, slug="payments", name="Payments", unit=there, rules=[allow()])
        assert (policy.latest.number, policy.latest.unit) == (2, there.slug)

    @pytest.mark.parametrize(
        ("rules", "field", "words"),
        [
            ([allow(when="action.amount_minor >")], "rules.0.when", "line 1, column 22"),
            ([allow(when="true &&\n  agent.rsk == 'x'")], "rules.0.when", "line 2, column 8"),
            ([allow(), allow(slug="b", effect="require_approval", queue="nobody")], "rules.1.queue", "nobody"),
            ([allow(scope={"operations": ["bank.pray"]})], "rules.0.scope.operations", "bank.pray"),
            ([allow(scope={"agents": ["nobody"]})], "rules.0.scope.agents", "nobody"),
            ([allow(scope={"units": ["nowhere"]})], "rules.0.scope.units", "nowhere"),
            ([allow(), allow()], "rules.1.slug", "twice"),
            ([allow(limit=5)], "rules.0.limit", "Unknown"),
            ([allow(when="input.l.map(a, a + a) == []")], "rules.0.when", "input"),
            ([allow(when="action.parameters.l.map(a, a + a) == []")], "rules.0.when", "Concatenation"),
            ("not a list", "rules", "list"),
        ],
    )
    def test_refuses_rules_that_do_not_fit_and_says_where(self, rules: Any, field: str, words: str) -> None:
        author = make_holder(PUBLISH)
        with pytest.raises(InvalidError) as refusal:
            save_policy(author, slug="payments", name="Payments", rules=rules, operations={"bank.pay": {}})
        assert field in refusal.value.errors
        assert words in " ".join(refusal.value.errors[field])
        assert nothing_happened()

    def test_operations_are_checked_only_where_they_are_known(self) -> None:
        rules = [allow(scope={"operations": ["bank.pray"]})]
        assert check_policy(make_user(), rules=rules) == ()
        assert [finding.field for finding in check_policy(make_user(), rules=rules, operations={})] == [
            "rules.0.scope.operations"
        ]

    def test_a_queue_that_exists_is_found(self) -> None:
        queue = make_queue()
        assert check_policy(make_user(), rules=[make_rule(effect="require_approval", queue=queue.slug)]) == ()


def save(actor: User, policy: Policy) -> object:
    return save_policy(actor, slug=policy.slug, name="Changed", unit=policy.unit, rules=[allow(effect="deny")])


def publish(actor: User, policy: Policy) -> object:
    return publish_policy(actor, policy=policy)


def retire(actor: User, policy: Policy) -> object:
    return retire_policy(actor, policy=policy, reason="Over.")


@pytest.mark.parametrize("command", [save, publish, retire])
class TestWhoMay:
    """Stranger, wrong role, right role elsewhere, an agent with every permission: refused. Right role: done."""

    def prepared(self) -> Policy:
        return make_policy(allow(), unit=make_unit(), in_force=False)

    def refused(self, actor: User, command: Callable[[User, Policy], object]) -> None:
        policy = self.prepared()
        entries, versions = Entry.objects.count(), PolicyVersion.objects.count()
        with pytest.raises(NotAllowedError):
            command(actor, policy)
        policy.refresh_from_db()
        assert (policy.state, policy.name != "Changed") == ("draft", True)
        assert Entry.objects.count() == entries
        assert PolicyVersion.objects.count() == versions
        assert not Release.objects.exists()

    def test_not_a_stranger(self, command: Callable[[User, Policy], object]) -> None:
        self.refused(make_user(), command)

    def test_not_who_may_only_look(self, command: Callable[[User, Policy], object]) -> None:
        self.refused(make_holder("policies.view_policy"), command)

    def test_not_who_may_in_another_unit(self, command: Callable[[User, Policy], object]) -> None:
        self.refused(make_holder(PUBLISH, unit=make_unit()), command)

    def test_not_an_agent_whatever_it_was_granted(self, command: Callable[[User, Policy], object]) -> None:
        agent = make_agent()
        grant(agent.user, make_role(PUBLISH))
        self.refused(agent.user, command)

    def test_not_who_has_left(self, command: Callable[[User, Policy], object]) -> None:
        self.refused(make_holder(PUBLISH, is_active=False), command)

    def test_who_may_in_the_unit(self, command: Callable[[User, Policy], object]) -> None:
        policy = self.prepared()
        command(make_holder(PUBLISH, unit=policy.unit), policy)

    def test_who_may_in_a_unit_above(self, command: Callable[[User, Policy], object]) -> None:
        above = make_unit()
        policy = make_policy(allow(), unit=make_unit(parent=above), in_force=False)
        command(make_holder(PUBLISH, unit=above), policy)


class TestPublishing:
    def test_makes_a_release_that_judges_the_next_request(self) -> None:
        admin = make_admin()
        policy = make_policy(allow(), in_force=False)
        assert judged(admin) is Effect.DENY
        release = publish_policy(admin, policy=policy)
        found = evaluate_action(admin, facts=make_facts())
        assert (found.effect, found.release) == (Effect.ALLOW, release.number)
        policy.refresh_from_db()
        assert (policy.state, policy.in_force) == ("in_force", policy.latest)
        assert Entry.objects.get(name="release.published").payload["policies"] == {policy.slug: 1}
        assert Entry.objects.get(name="policy.in_force").payload["number"] == 1

    def test_a_change_acts_at_once_and_the_older_release_stays(self) -> None:
        admin = make_admin()
        policy = make_policy(allow())
        assert judged(admin) is Effect.ALLOW
        apply_policy(admin, slug=policy.slug, name=policy.name, rules=[allow(effect="deny")])
        assert judged(admin) is Effect.DENY
        assert [release.policies[0]["version"] for release in Release.objects.order_by("number")] == [1, 2]

    def test_the_same_version_again_is_a_conflict(self) -> None:
        policy = make_policy(allow())
        with pytest.raises(ConflictError):
            publish_policy(make_admin(), policy=policy)
        assert Release.objects.count() == 1

    def test_a_version_that_does_not_exist_is_not_found(self) -> None:
        policy = make_policy(allow())
        with pytest.raises(NotFoundError):
            publish_policy(make_admin(), policy=policy, version=7)
        assert Release.objects.count() == 1

    def test_what_no_longer_fits_is_refused(self) -> None:
        queue = make_queue()
        policy = make_policy(make_rule(effect="require_approval", queue=queue.slug), in_force=False)
        queue.delete()
        with pytest.raises(InvalidError):
            publish_policy(make_admin(), policy=policy)
        policy.refresh_from_db()
        assert policy.state == "draft"
        assert not Release.objects.exists()

    def test_a_rule_that_would_hold_up_every_agent_is_refused(self) -> None:
        slow = (
            "action.parameters.l.all(a, action.parameters.l.all(b, "
            "!action.parameters.text.contains(action.parameters.word)))"
        )
        quick = make_rule(when="action.parameters.lines.all(l, l.qty > 0 && l.price < 100)")
        policy = make_policy(quick, make_rule(when=slow), quick | {"slug": "again"}, in_force=False)
        with pytest.raises(InvalidError) as refusal:
            publish_policy(make_admin(), policy=policy)
        assert list(refusal.value.errors) == ["rules.1.when"]
        assert not Release.objects.exists()
        publish_policy(make_admin(), policy=make_policy(quick, in_force=False))

    def test_a_draft_beside_it_does_not_enter_a_release(self) -> None:
        make_policy(allow(), in_force=False, slug="draft")
        make_policy(allow(), slug="live")
        assert [policy["policy"] for policy in Release.objects.get().policies] == ["live"]

    def test_retiring_takes_the_rules_out_of_force(self) -> None:
        admin = make_admin()
        policy = make_policy(allow())
        make_policy(make_rule(when="action.amount_minor > 10000000"), slug="other")
        retire_policy(admin, policy=policy, reason="replaced")
        assert judged(admin) is Effect.DENY
        policy.refresh_from_db()
        assert (policy.state, policy.in_force) == ("retired", None)
        assert [one["policy"] for one in Release.objects.order_by("-number")[0].policies] == ["other"]
        with pytest.raises(ConflictError):
            retire_policy(admin, policy=policy, reason="again")

    def test_a_retired_policy_can_be_applied_again(self) -> None:
        admin = make_admin()
        policy = make_policy(allow())
        retire_policy(admin, policy=policy, reason="replaced")
        again, outcome = apply_policy(admin, slug=policy.slug, name=policy.name, rules=[allow()])
        assert (again.state, outcome) == ("in_force", "changed")
        assert judged(admin) is Effect.ALLOW

    def test_applying_the_same_twice_publishes_once(self) -> None:
        admin = make_admin()
        for outcome in ("created", "unchanged"):
            assert apply_policy(admin, slug="payments", name="Payments", rules=[allow()])[1] == outcome
        assert Release.objects.count() == 1

    def test_the_console_may_apply(self) -> None:
        apply_policy(system_user("console"), slug="payments", name="Payments", rules=[allow()])
        assert judged(make_user()) is Effect.ALLOW


class TestImmutability:
    @pytest.mark.parametrize("model", [PolicyVersion, Release])
    @pytest.mark.parametrize("change", ["update", "delete", "truncate"])
    def test_postgresql_itself_refuses_to_change_what_judged(self, model: Any, change: str) -> None:
        make_policy(allow())
        table = model._meta.db_table
        statement = {
            "update": f"UPDATE {table} SET digest = 'x'",
            "delete": f"DELETE FROM {table}",
            "truncate": f"TRUNCATE {table} CASCADE",
        }[change]
        before = list(model.objects.values())
        refused = pytest.raises(DatabaseError, match=r"immutable|permission denied")
        with refused, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
        assert list(model.objects.values()) == before


class TestEvaluating:
    def test_costs_one_query_once_the_release_is_known(self, django_assert_num_queries: Any) -> None:
        actor = make_user()
        unit = make_unit(parent=make_unit())
        make_policy(allow(), unit=unit.parent)
        judged(actor, unit_id=unit.pk)
        with django_assert_num_queries(1):
            assert judged(actor, unit_id=unit.pk) is Effect.ALLOW

    def test_without_any_release_everything_is_denied(self) -> None:
        found = evaluate_action(make_user(), facts=make_facts())
        assert (found.effect, found.reason, found.release) == (Effect.DENY, "no_matching_allow", 0)

    def test_a_policy_covers_its_unit_and_below_and_nothing_else(self) -> None:
        company = make_unit()
        finance, sales = make_unit(parent=company), make_unit(parent=company)
        make_policy(allow(), unit=finance)
        actor = make_user()
        below = make_unit(parent=finance)
        effects = [judged(actor, unit_id=unit.pk) for unit in (finance, below, sales, company)]
        assert effects == [Effect.ALLOW, Effect.ALLOW, Effect.DENY, Effect.DENY]
        assert judged(actor) is Effect.DENY

    def test_a_denial_above_stands_over_an_allowance_below(self) -> None:
        company = make_unit()
        finance = make_unit(parent=company)
        make_policy(allow(), unit=finance)
        make_policy(make_rule(effect="deny", when="agent.risk == 'high'"), unit=company)
        actor = make_user()
        facts = make_facts(unit_id=finance.pk)
        assert evaluate_action(actor, facts=facts).effect is Effect.ALLOW
        risky = replace(facts, agent=replace(facts.agent, risk="high"))
        assert evaluate_action(actor, facts=risky).effect is Effect.DENY

    def test_now_is_the_databases(self) -> None:
        make_policy(make_rule(when="now > timestamp('2020-01-01T00:00:00Z')"))
        assert judged(make_user()) is Effect.ALLOW

    @pytest.mark.parametrize(
        ("parameters", "field"),
        [
            ({"note": "x" * 20_000}, "parameters.note"),
            ({"lines": [{"qty": [0] * 1_001}]}, "parameters.lines[0].qty"),
            ({f"p{n}": "x" * 9_000 for n in range(9)}, "parameters.p7"),
        ],
    )
    def test_parameters_too_large_to_judge_are_refused_by_name(self, parameters: Any, field: str) -> None:
        make_policy(allow())
        with pytest.raises(InvalidError) as refusal:
            judged(make_user(), parameters=parameters)
        assert field in refusal.value.errors

    @pytest.mark.parametrize(
        "policies",
        [
            [{"policy": "p", "version": 1, "unit": "", "author": "", "rules": [{"slug": "a", "when": "true"}]}],
            [{"policy": "p", "version": 1, "unit": "", "author": "", "rules": [allow(when="foo > 1")]}],
            [{"policy": "p", "rules": [allow()]}],
            {"policy": "p"},
            ["p"],
        ],
    )
    def test_a_release_that_cannot_be_read_says_no(self, policies: Any) -> None:
        author = make_user()
        Release.objects.create(number=1, policies=policies, digest="x", published_by=author)
        with pytest.raises(UnavailableError):
            judged(author)
