"""An agent's autonomy level for one operation: shown by the rules in force, changed by a rule, seldom by one person."""

from typing import Any

import pytest
from django.test import Client

from apps.audit.models import Entry
from apps.core.errors import InvalidError
from apps.core.models import User
from apps.policies.models import Proposal
from apps.policies.rules.levels import LevelWish, level_slug, rules_at
from apps.policies.services import propose_level, publish_policy
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.policies import make_policy
from tests.oversight.test_api import caller, post
from tests.workflows.actions import Desk, make_desk

WRITES = ("agents.view_agent", "policies.view_policy", "policies.publish_policy", "connectors.manage_connector")


def test_the_rule_takes_the_place_of_the_one_before_and_touches_no_other() -> None:
    other = {"slug": "other", "when": "true", "effect": "allow"}
    pair = {"agent": "a", "operation": "bank.pay"}
    denied = rules_at([other], wish=LevelWish.PEOPLE, **pair)
    own = denied[1]
    assert (own["effect"], own["when"]) == ("deny", "true")
    assert own["scope"] == {"agents": ["a"], "operations": ["bank.pay"]}
    asked = rules_at(denied, wish=LevelWish.ASKS, queue="finance", **pair)
    assert (asked[0], asked[1]["effect"], asked[1]["queue"], len(asked)) == (other, "require_approval", "finance", 2)
    assert rules_at(asked, wish=LevelWish.RULES, **pair) == [other]
    assert level_slug("a", "b c") != level_slug("a b", "c.d")


def writer(desk: Desk) -> User:
    return make_holder(*WRITES, unit=desk.agent.unit)


def level_of(person: User, desk: Desk) -> int:
    told = caller(person).get(f"/api/v1/agents/{desk.agent.slug}/levels/").json()["results"]
    return int(next(row["level"] for row in told if row["operation"] == desk.operation.slug))


def said(desk: Desk, wish: str, **more: Any) -> dict[str, Any]:
    body = {"operation": desk.operation.slug, "level": wish, "policy": desk.policy.slug, "reason": "It errs."}
    return {**body, **({"queue": desk.queue.slug} if wish == "asks" else {}), **more}


@pytest.mark.django_db
class TestOverHttp:
    def test_denying_all_of_it_takes_one_person_and_giving_it_back_two(self) -> None:
        desk = make_desk()
        first, second = writer(desk), make_admin()
        assert level_of(first, desk) == 4
        made = post(caller(first), f"/api/v1/agents/{desk.agent.slug}/levels/", said(desk, "people"))
        assert (made.status_code, made.json()["state"]) == (200, "released")
        assert level_of(first, desk) == 0
        assert desk.ask(5_000).json()["state"] == "denied"
        back = post(caller(first), f"/api/v1/agents/{desk.agent.slug}/levels/", said(desk, "rules"))
        assert (back.status_code, back.json()["state"]) == (202, "open")
        assert level_of(first, desk) == 0
        desk.policy.refresh_from_db()
        publish_policy(second, policy=desk.policy, version=back.json()["version"])
        assert level_of(first, desk) == 4
        assert desk.ask(5_000).json()["state"] != "denied"

    def test_asking_each_time_waits_for_somebody_else(self) -> None:
        desk = make_desk()
        first = writer(desk)
        made = post(caller(first), f"/api/v1/agents/{desk.agent.slug}/levels/", said(desk, "asks"))
        assert (made.status_code, level_of(first, desk)) == (202, 4)
        publish_policy(make_admin(), policy=desk.policy, version=made.json()["version"])
        assert level_of(first, desk) == 2
        assert desk.ask(5_000).json()["state"] == "pending_approval"

    @pytest.mark.parametrize(
        ("more", "status"),
        [({"level": "4"}, 422), ({"queue": ""}, 422), ({"reason": ""}, 422), ({"operation": "no.such"}, 404)],
    )
    def test_what_does_not_fit_is_refused_and_nothing_is_proposed(self, more: dict[str, str], status: int) -> None:
        desk = make_desk()
        answer = post(caller(writer(desk)), f"/api/v1/agents/{desk.agent.slug}/levels/", said(desk, "asks", **more))
        assert answer.status_code == status
        assert not Proposal.objects.exists()

    @pytest.mark.parametrize("perms", [(), ("agents.view_agent",), ("agents.view_agent", "policies.view_policy")])
    def test_who_writes_no_policy_there_proposes_nothing(self, perms: tuple[str, ...]) -> None:
        desk = make_desk()
        person = make_holder(*(perms or ("kpis.view_kpi",)), unit=desk.agent.unit)
        before = Entry.objects.count()
        answer = post(caller(person), f"/api/v1/agents/{desk.agent.slug}/levels/", said(desk, "people"))
        assert answer.status_code in {403, 404}
        assert not Proposal.objects.exists()
        assert Entry.objects.filter(name__startswith="proposal").count() == 0
        assert before <= Entry.objects.count()

    def test_a_policy_of_another_unit_does_not_reach_it(self) -> None:
        desk = make_desk()
        elsewhere = make_policy(unit=make_unit())
        elsewhere.refresh_from_db()
        with pytest.raises(InvalidError) as refused:
            propose_level(
                make_admin(), agent=desk.agent, operation=desk.operation.slug, policy=elsewhere,
                wish=LevelWish.PEOPLE, queue="", reason="It errs.", instead_of=1,
            )  # fmt: skip
        assert "policy" in refused.value.errors
        assert not Proposal.objects.exists()


@pytest.mark.django_db
class TestOnThePage:
    def test_the_rule_is_shown_in_words_before_it_is_proposed(self, client: Client) -> None:
        desk = make_desk()
        client.force_login(writer(desk))
        page = client.get(f"/agents/{desk.agent.slug}/").content.decode()
        address = f"/agents/{desk.agent.slug}/levels/{desk.operation.slug}/"
        assert f'href="{address}"' in page
        assert "Level 4 of 4" in client.get(address).content.decode()
        body = said(desk, "people")
        shown = client.post(address, body)
        text = " ".join(shown.content.decode().split())
        assert shown.status_code == 200
        rule = level_slug(desk.agent.slug, desk.operation.slug)
        (change,) = shown.context["changes"]
        assert (change.difference.slug, change.before, change.after.effect) == (rule, None, "deny")
        assert change.after.sentence in text
        assert dict(change.after.scope) == {"agents": [desk.agent.slug], "operations": [desk.operation.slug]}
        assert not Proposal.objects.exists()
        seen = shown.context["seen"]
        other = client.post(address, {**body, "level": "asks", "queue": desk.queue.slug, "seen": seen})
        assert (other.status_code, Proposal.objects.count()) == (200, 0)
        done = client.post(address, {**body, "seen": seen})
        assert done["Location"] == f"/agents/{desk.agent.slug}/"
        after = client.get(f"/agents/{desk.agent.slug}/").content.decode()
        assert "May never: a rule denies it" in after
        assert "Level 0 of 4" in after

    def test_of_several_policies_none_is_chosen_for_anybody(self, client: Client) -> None:
        desk = make_desk()
        address = f"/agents/{desk.agent.slug}/levels/{desk.operation.slug}/"
        client.force_login(writer(desk))
        alone = client.get(address).context["form"].fields["policy"].choices
        assert alone == [(desk.policy.slug, desk.policy.slug)]
        other = make_policy(unit=desk.agent.unit)
        first, *named = client.get(address).context["form"].fields["policy"].choices
        assert (first, {slug for slug, _label in named}) == (("", "Choose one"), {desk.policy.slug, other.slug})
        unsaid = client.post(address, {**said(desk, "people"), "policy": ""})
        assert (unsaid.status_code, list(unsaid.context["form"].errors)) == (422, ["policy"])

    def test_who_may_not_write_policies_finds_no_way_there(self, client: Client) -> None:
        desk = make_desk()
        client.force_login(make_holder("agents.view_agent", unit=desk.agent.unit))
        address = f"/agents/{desk.agent.slug}/levels/{desk.operation.slug}/"
        assert address not in client.get(f"/agents/{desk.agent.slug}/").content.decode()
        assert client.get(address).status_code == 403
        assert client.post(address, said(desk, "people")).status_code == 403
        assert not Proposal.objects.exists()
