"""Rules that have no say, and what has none any more, from the agent's request to the page: over HTTP throughout."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.core.models import ClockTimestamp, User
from apps.oversight.models import Escalation
from apps.policies.models import Waiver
from apps.policies.services import count_entries, publish_policy, save_policy
from apps.policies.services.waivers import expire_waivers
from tests.factories.access import make_admin, make_holder
from tests.factories.policies import make_rule
from tests.factories.waivers import make_waiver
from tests.workflows.actions import Desk, make_desk, rules_of, the_action, the_item, work

pytestmark = pytest.mark.django_db
PUBLISH, LOWER, VIEW = "policies.publish_policy", "policies.lower_enforcement", "policies.view_policy"
HUGE = 20_000_000
ALL = {"slug": "all"}
DENIES = {"slug": "no", "effect": "deny", "risk": "critical"}


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def asks(desk: Desk) -> dict[str, Any]:
    return {"slug": "asks", "effect": "require_approval", "queue": desk.queue.slug}


def into_shadow(desk: Desk) -> User:
    """Two rules that denied and asked are in shadow since Ben released what Ada wrote; somebody who sees the policy."""
    unit, scope = desk.agent.unit, {"operations": [desk.operation.slug]}
    rules_of(desk, ALL, DENIES, asks(desk))
    ada, ben = (make_holder(PUBLISH, LOWER, VIEW, unit=unit, name=name) for name in ("Ada", "Ben"))
    rules = [
        make_rule(scope=scope, **rule) for rule in (ALL, *({**one, "mode": "shadow"} for one in (DENIES, asks(desk))))
    ]
    save_policy(ada, slug=desk.policy.slug, name="P", unit=unit, rules=rules)
    publish_policy(ben, policy=desk.policy)
    return ada


def test_what_shadow_would_have_denied_and_asked_runs_and_asks_nobody(system) -> None:
    desk = make_desk(system.url)
    ada = into_shadow(desk)
    system.will(body=b"{}")
    made = desk.ask(50_000).json()
    work()
    action = the_action()
    assert (made["state"], action.state) == ("approved", "succeeded")
    assert len(system.asked) == 1
    assert not Escalation.objects.exists()
    assert "no" not in [rule["rule"] for rule in made["verdict"]["rules"]]
    assert "trace" not in made["verdict"]
    person = signed_in(make_admin())
    told = action.verdict
    assert (told["effect"], told["risk"], told["groups"]) == ("allow", None, [])
    said = {line["rule"]: (line.get("mode"), line["effect"], line["outcome"]) for line in told["trace"]}
    assert said == {
        "all": (None, "allow", "true"),
        "no": ("shadow", "deny", "true"),
        "asks": ("shadow", "require_approval", "true"),
    }
    page = person.get(f"/actions/{action.pk}/").content.decode()
    assert "would have denied it" in page
    assert "would have asked a person" in page
    count_entries(entries=Entry.objects.order_by("id"))
    found = {one["rule"]: one for one in signed_in(ada).get(f"/api/v1/policies/{desk.policy.slug}/").json()["shadows"]}
    assert {slug: (one["judged"], one["would_have"]) for slug, one in found.items()} == {"no": (1, 1), "asks": (1, 1)}
    assert (found["no"]["author"], found["no"]["released_by"]) == ("Ada", "Ben")
    page = signed_in(ada).get(f"/policies/{desk.policy.slug}/").content.decode()
    assert "it would have denied 1 of 1" in page
    assert f"In shadow since release {found['no']['release']}, written by Ada, released by Ben" in page
    assert page.count("Before that it was enforced.") == 2


def test_enforced_they_deny_and_ask(system) -> None:
    """The same rules, so that the test above says something."""
    desk = make_desk(system.url)
    rules_of(desk, ALL, asks(desk))
    assert desk.ask(50_000).json()["state"] == "pending_approval"
    assert the_item().risk == "medium"
    rules_of(desk, ALL, DENIES, asks(desk))
    assert desk.ask(60_000).json()["state"] == "denied"


@pytest.mark.parametrize("is_told", [True, False])
def test_what_is_asked_under_an_expired_waiver_is_judged_as_without_it(is_told: bool) -> None:
    desk = make_desk()
    waiver = make_waiver(desk.policy, "huge", scope="agent", target=desk.agent.slug, times=9)
    person = signed_in(make_admin())
    under = desk.ask(HUGE).json()
    assert (under["state"], len(under["verdict"]["waivers"])) == ("pending_approval", 1)
    Waiver.objects.filter(pk=waiver.pk).update(until=ClockTimestamp() - timedelta(seconds=1))
    if is_told:  # by the clock, which may be late
        assert expire_waivers() == 1
    later = desk.ask(HUGE + 1).json()
    assert (later["state"], later["verdict"].get("waivers")) == ("denied", None)
    assert [rule["rule"] for rule in later["verdict"]["rules"]] == ["huge", "large"]
    told = Action.objects.get(pk=later["id"]).verdict
    assert {line["rule"]: line.get("waiver") for line in told["trace"]}["huge"] is None
    assert "waivers" not in told
    assert Waiver.objects.get().used == 1
    page = person.get(f"/actions/{later['id']}/").content.decode()
    assert "Never." in page
    page = person.get(f"/waivers/{waiver.pk}/").content.decode()
    if is_told:
        assert person.get(f"/api/v1/waivers/{waiver.pk}/").json()["state"] == "expired"
        assert "Expired" in page
    assert str(under["id"]) in page
    assert str(later["id"]) not in page
