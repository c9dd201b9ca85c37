"""A confidential rule: neither agents nor who may not see its policy learn its name, condition or amounts."""

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.access.models import RoleGrant
from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions, fold_projections
from apps.core.errors import InvalidError
from apps.core.services import system_user
from apps.halts.models import Trip
from apps.halts.rules import BreakerTerms
from apps.halts.services import save_breaker
from apps.oversight.models import Vote
from apps.oversight.selectors import asking_beside
from apps.policies.models import PolicyVersion, Waiver
from apps.policies.rules.quiet import CONFIDENTIAL, quieted
from apps.policies.selectors import refuse_unknown_rule
from apps.policies.services import apply_policy, save_policy
from apps.policies.services.waivers import decline_waiver, end_waiver
from apps.workflows.selectors.stopped import counted_for
from apps.workflows.services.breakers import check_breakers
from tests.classification.test_hidden import addresses, shows
from tests.factories.access import grant, make_admin, make_role
from tests.factories.waivers import make_waiver
from tests.oversight.edge_cases.doors import Person
from tests.workflows.actions import Desk, make_desk, the_item, work

pytestmark = pytest.mark.django_db
CANARY = re.compile(r"s3cret|777777|7,777\.77|hidden_field|8,888\.88|888888|history\.count")
"""Its name, its amounts, in minor units and as people read them, the parameter and the past that it looks at."""
SAYS = "Ask the treasury."
ASKING = {
    "slug": "s3cret-asking",
    "effect": "require_approval",
    "when": "action.amount_minor > 777777 && history.count('{operation}', '1d', 'agent') < 99",
    "confidential": True,
    "message": SAYS,
}
DENYING = {
    "slug": "s3cret-denying",
    "effect": "deny",
    "when": "action.amount_minor > 888888 || has(action.parameters.hidden_field)",
    "confidential": True,
    "message": SAYS,
}
SHADOWED = {"slug": "s3cret-shadow", "effect": "deny", "when": "true", "confidential": True, "mode": "shadow"}
IDLE = {"slug": "s3cret-idle", "effect": "deny", "when": "action.amount_minor > 999999999", "confidential": True}


class House:
    """A desk whose rules are confidential; somebody who may see its policy, and somebody with nearly all else."""

    def __init__(self) -> None:
        self.desk: Desk = make_desk("http://127.0.0.1:1029")
        operation = self.desk.operation.slug
        scoped = [{**rule, "scope": {"operations": [operation]}} for rule in (ASKING, DENYING, SHADOWED, IDLE)]
        rules: list[dict[str, Any]] = [{"slug": "all", "when": "true", "effect": "allow"}, *scoped]
        rules[1] |= {"when": ASKING["when"].replace("{operation}", operation), "queue": self.desk.queue.slug}
        unit = self.desk.agent.unit
        apply_policy(system_user("console"), slug=self.desk.policy.slug, name="P", unit=unit, rules=rules)
        self.desk.policy.refresh_from_db()
        grant(self.desk.approver, make_role("policies.view_policy", "audit.view_entry", "agents.view_agent"), unit)
        self.knows, self.stranger = Person(self.desk.approver), Person(self.stranger_of(make_admin()))

    def stranger_of(self, admin: Any) -> Any:
        """Every right of an administrator but to see and publish policies, in all units, and the queue's."""
        held = {name for each in RoleGrant.objects.filter(user=admin) for name in each.role.permissions}
        RoleGrant.objects.filter(user=admin).delete()
        rights = {name for name in held if not name.startswith("policies.")}
        grant(admin, make_role(*sorted(rights | {"oversight.decide_escalation", "oversight.view_escalation"})))
        RoleGrant.objects.create(user=admin, role=self.desk.queue.role, granted_by=admin)
        return admin

    def leaks(self, *more: str) -> list[str]:
        named = [self.desk.agent.slug, self.desk.operation.slug, self.desk.operation.connector.slug]
        found = {each: shows(self.stranger, each, CANARY) for each in (*addresses(*named), *more)}
        assert sum(shown == 0 for shown in found.values()) > 100
        return [each for each, shown in found.items() if shown == 1]


@pytest.fixture
def house() -> House:
    return House()


def test_an_agent_is_told_what_became_of_it_and_nothing_of_the_rule(house: House) -> None:
    asked = house.desk.ask(800_000)
    denied = house.desk.ask(900_000, reference="b")
    checked = house.desk.post("actions/check/", house.desk.body(900_000))
    for answer in (asked, denied, checked):
        assert not CANARY.search(answer.content.decode()), answer.content
    verdict = denied.json()["verdict"]
    assert (verdict["effect"], verdict["rules"][0]["rule"], verdict["rules"][0]["message"]) == (
        "deny",
        "confidential",
        SAYS,
    )
    assert (verdict["allowed_when"], verdict["avoided_when"]) == ([], [])
    assert asked.json()["state"] == "pending_approval"
    assert "bulk" not in asked.json()["verdict"]["obligations"]
    assert not CANARY.search(house.desk.get(f"actions/{denied.json()['id']}/").content.decode())


def test_an_edit_that_a_confidential_rule_denies_does_not_name_it(house: House) -> None:
    silent = [{**rule, "message": ""} for rule in house.desk.policy.in_force.rules]
    policy = house.desk.policy
    apply_policy(system_user("console"), slug=policy.slug, name="P", unit=policy.unit, rules=silent)
    house.desk.ask(800_000)
    edited = {**house.desk.body()["parameters"], "amount_minor": 900_000}
    viewed = house.stranger.get(f"/escalations/{the_item().pk}/").json()["view_hash"]
    said = house.stranger.decide(the_item(), parameters=edited, key="one", view_hash=viewed, restated="9000.00")
    assert said.status_code == 422, said.content
    assert "confidential" in str(said.json()["errors"]["parameters"])
    assert not CANARY.search(said.content.decode()), said.content
    told = house.knows.decide(the_item(), parameters=edited, key="two", restated="9000.00")
    assert "s3cret-denying" in str(told.json()), told.content


@pytest.mark.parametrize("amount", [800_000, 900_000])
def test_no_page_that_a_stranger_opens_names_a_confidential_rule(house: House, amount: int) -> None:
    made = house.desk.ask(amount).json()
    near = [f"/actions/{made['id']}/", f"/api/v1/actions/{made['id']}/", f"/audit/?trail={made['id']}", "/oversight/"]
    if amount == 800_000:
        item = the_item()
        near += [f"/inbox/{item.pk}/", f"/inbox/{item.pk}/?decide=more", f"/api/v1/escalations/{item.pk}/"]
        near += [f"/inbox/{item.pk}/propose/", "/inbox/bulk/?all=1", "/search/?q=asking"]
        seen = house.knows.page(f"/inbox/{item.pk}/")
        assert "s3cret-asking" in seen
        assert "s3cret-asking" in str(house.knows.get(f"/escalations/{item.pk}/").json()["verdict"])
        assert SAYS in house.stranger.page(f"/inbox/{item.pk}/")
        viewed = house.stranger.get(f"/escalations/{item.pk}/").json()["view_hash"]
        said = house.stranger.decide(item, view_hash=viewed, key="one", restated="8000.00")
        assert said.status_code == 200, said.content
        assert not CANARY.search(said.content.decode())
        vote = Vote.objects.get()
        near.append(f"/inbox/{item.pk}/votes/{vote.pk}/")
        work()
    assert SAYS in house.stranger.page(f"/actions/{made['id']}/")
    while fold_projections():
        pass
    assert house.leaks(*near) == []
    entries = [
        entry.payload for entry in Entry.objects.exclude(subject_kind__in=["policy", "policyversion", "release"])
    ]
    assert not CANARY.search(json.dumps(entries, default=str)), (
        "The ledger names it to nobody but where policies change."
    )


def test_who_may_see_the_policy_is_told_everything(house: House) -> None:
    made = house.desk.ask(900_000).json()
    told = house.knows.get(f"/actions/{made['id']}/").json()["verdict"]
    assert told["rules"][0]["rule"] == "s3cret-denying"
    assert "s3cret-denying" not in house.stranger.page(f"/actions/{made['id']}/")


def test_a_list_asks_for_policies_as_often_however_long_it_is(house: House) -> None:
    def queries(address: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert shows(house.stranger, address, CANARY) == 0
        return sum('"policies_policy"' in query["sql"] for query in seen)

    listed = ("/inbox/", "/api/v1/escalations/", "/api/v1/actions/", "/actions/")
    house.desk.ask(800_000)
    for address in listed:
        queries(address)
    few = [queries(address) for address in listed]
    for number in range(3):
        house.desk.ask(800_000, reference=f"more-{number}")
    assert [queries(address) for address in listed] == few


def test_what_opened_a_breaker_and_what_goes_on_asking_have_no_names_either(house: House) -> None:
    denied = house.desk.ask(900_000).json()
    trip = Trip(actions=[denied["id"]])
    policy = house.desk.policy.slug
    assert [causes for _action, causes in counted_for(house.stranger.user, trip)] == [(f"{policy}/confidential",)]
    assert [causes for _action, causes in counted_for(house.knows.user, trip)] == [(f"{policy}/s3cret-denying",)]
    house.desk.ask(800_000, reference="b")
    assert asking_beside(house.stranger.user, the_item(), "another") == [f"{policy}/confidential"]
    assert asking_beside(house.knows.user, the_item(), "another") == [f"{policy}/s3cret-asking"]


def test_a_waiver_of_a_confidential_rule_is_not_named_either(house: House) -> None:
    make_waiver(house.desk.policy, "s3cret-asking", scope="agent", target=house.desk.agent.slug)
    answer = house.desk.ask(800_000)
    assert (answer.json()["state"], answer.json()["verdict"]["waivers"][0]["rule"]) == ("approved", "confidential")
    assert not CANARY.search(answer.content.decode())
    assert shows(house.stranger, f"/actions/{answer.json()['id']}/", CANARY) == 0


def test_no_entry_of_a_waivers_life_and_no_message_names_its_rule(house: House) -> None:
    policy, agent = house.desk.policy, house.desk.agent.slug
    waiver = make_waiver(policy, "s3cret-asking", scope="agent", target=agent, times=2)
    declined = make_waiver(policy, "s3cret-denying", scope="agent", target=agent, approved=False)
    decline_waiver(make_admin(), waiver=declined, reason="No.")
    house.desk.ask(800_000)
    end_waiver(make_admin(), waiver=waiver, reason="Enough.")
    again = make_waiver(policy, "s3cret-asking", scope="agent", target=agent)
    house.desk.ask(800_000, reference="b")
    Waiver.objects.filter(pk=again.pk).update(warned_at=None)
    assert str(again) == f"{policy.slug}/confidential"
    assert deliver_reactions()
    entries = Entry.objects.filter(name__startswith="waiver.")
    assert {entry.name for entry in entries} >= {
        "waiver.asked", "waiver.live", "waiver.declined", "waiver.ended", "waiver.used", "waiver.used_up",
    }  # fmt: skip
    told = [entry.written.content for entry in entries.select_related("written")]
    assert not CANARY.search(json.dumps(told, default=str))
    assert "s3cret-asking" in house.knows.page(f"/waivers/{again.pk}/")


def test_a_breaker_counts_confidential_rules_together_and_by_no_name(house: House) -> None:
    policy, knows, admin = house.desk.policy.slug, house.knows.user, make_admin()
    for actor, cause, said in (
        (knows, f"{policy}/s3cret-denying", f"{policy}/confidential"),
        (house.stranger.user, f"{policy}/s3cret-denying", "No policy in force has a rule of this name"),
        (house.stranger.user, f"{policy}/s3cret-none", "No policy in force has a rule of this name"),
        (admin, f"{policy}/all", "No policy in force has a rule of this name"),
    ):
        with pytest.raises(InvalidError) as refused:
            refuse_unknown_rule(actor, cause)
        assert said in refused.value.errors["cause"][0]
    refuse_unknown_rule(house.stranger.user, f"{policy}/confidential")
    terms = BreakerTerms("denied", "agent", 2, 60, "", f"{policy}/confidential")
    save_breaker(admin, slug="quiet", name="Quiet", target="", unit=None, terms=terms)
    house.desk.ask(900_000)
    assert check_breakers() == 0
    last = house.desk.ask(900_000, reference="b").json()
    assert check_breakers() == 1
    trip = Trip.objects.get()
    assert (trip.measured, trip.actions[0]) == (2, last["id"])
    assert not CANARY.search(json.dumps(Entry.objects.get(name="breaker.opened").payload))


@pytest.mark.parametrize("confidential", [True, False])
def test_no_new_version_has_a_rule_by_the_name_that_stands_for_all(house: House, confidential: bool) -> None:
    versions = PolicyVersion.objects.count()
    rule = {"slug": CONFIDENTIAL, "when": "true", "effect": "deny", "confidential": confidential}
    with pytest.raises(InvalidError) as refused:
        save_policy(make_admin(), slug="odd", name="Odd", rules=[rule])
    assert "stands for rules that are confidential" in refused.value.errors["rules.0.slug"][0]
    assert PolicyVersion.objects.count() == versions


def test_nothing_is_hidden_where_no_rule_is_confidential() -> None:
    line = {"policy": "p", "rule": "r", "effect": "deny"}
    verdict = {"rules": [line], "trace": [line], "obligations": {"limit_minor": 5}, "facts": {"history": {}}}
    assert quieted(verdict) == verdict
    quiet = quieted({**verdict, "rules": [{**line, CONFIDENTIAL: True}], "trace": [{**line, CONFIDENTIAL: True}]})
    assert (quiet["rules"][0]["rule"], quiet["trace"], quiet["obligations"], quiet["facts"]) == (
        CONFIDENTIAL,
        [],
        {},
        {},
    )
    shown = quieted({**verdict, "rules": [{**line, CONFIDENTIAL: True}]}, {"p"})
    assert shown["rules"][0]["rule"] == "r"
