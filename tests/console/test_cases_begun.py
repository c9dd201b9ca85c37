"""What people decided becomes a test of the policy: with their answer, without what not everybody may read."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest

from apps.agents.models import Action
from apps.oversight.models import Escalation
from apps.policies.models import PolicyVersion
from tests.classification.test_hidden import classed_desk
from tests.console.rule_desk import PUBLISH, VIEW, signed_in
from tests.factories.access import grant, make_admin, make_holder, make_role
from tests.factories.policies import make_policy, make_rule
from tests.oversight.edge_cases.doors import Person
from tests.workflows.actions import Desk, make_desk, the_item

pytestmark = pytest.mark.django_db
URL = "http://127.0.0.1:1029"


def writer(desk: Desk) -> Any:
    """Somebody who writes policies in the desk's unit and sees its actions and items."""
    rights = (PUBLISH, VIEW, "agents.view_agent", "oversight.view_escalation")
    return make_holder(*rights, unit=desk.agent.unit, name="Ada")


def decided(desk: Desk, verdict: str) -> Action:
    desk.ask(200_000, reference="r-1")
    item, person = the_item(), Person(desk.approver)
    seen = person.get(f"/escalations/{item.pk}/").json()["view_hash"]
    said = person.decide(item, verdict=verdict, view_hash=seen, key="one", reason="Looked at it.", restated="2000.00")
    assert said.status_code == 200, said.content
    return Action.objects.get()


def begun(desk: Desk, user: Any, action: Any) -> tuple[int, str, dict[str, Any]]:
    answer = signed_in(user).get(f"/policies/{desk.policy.slug}/edit/?from={action}")
    page = answer.content.decode()
    return answer.status_code, page, answer.context["desk"].tests[-1] if answer.status_code == 200 else {}


@pytest.mark.parametrize(("verdict", "expect"), [("approve", "allow"), ("reject", "deny")])
def test_a_decided_item_becomes_a_test_with_the_persons_answer_in_one_click(verdict: str, expect: str) -> None:
    desk = make_desk(URL)
    action = decided(desk, verdict)
    user = writer(desk)
    item = Escalation.objects.get()
    link = f"/policies/{desk.policy.slug}/edit/?from={action.pk}"
    for page in (f"/inbox/{item.pk}/", f"/actions/{action.pk}/"):
        assert link in signed_in(user).get(page).content.decode()
        assert link not in signed_in(desk.approver).get(page).content.decode()
    versions = PolicyVersion.objects.count()
    status, page, case = begun(desk, user, action.pk)
    assert (status, PolicyVersion.objects.count()) == (200, versions)
    assert case["expect"] == expect
    assert case["action"]["parameters"] == {"amount_minor": 200_000, "currency": "EUR", "iban": "DE0017"}
    assert (case["action"]["amount_minor"], case["action"]["reference"]) == (200_000, "r-1")
    assert case["agent"]["slug"] == desk.agent.slug
    assert "asked of people by large" in page
    assert desk.agent.owner.username not in json.dumps(case)
    assert "agent.owner" in page


def test_an_action_that_no_person_saw_expects_what_policy_said() -> None:
    desk = make_desk(URL)
    denied = desk.ask(10_000_001).json()["id"]
    user = writer(desk)
    assert f"?from={denied}" in signed_in(user).get(f"/actions/{denied}/").content.decode()
    _status, page, case = begun(desk, user, denied)
    assert case["expect"] == "deny"
    assert "denied by huge" in page


def test_it_is_carried_kept_or_left_like_every_other_test() -> None:
    desk = make_desk(URL)
    action = decided(desk, "approve")
    client = signed_in(writer(desk))
    url = f"/policies/{desk.policy.slug}/edit/"
    shown = client.get(f"{url}?from={action.pk}").context["desk"]
    sent = {"rules": json.dumps(shown.rules), "cases": shown.tests_json, "open-case": "0", "fresh": "1"}
    assert client.post(url, {**sent, "do": "case-drop"}).context["desk"].tests == []
    form = shown.case_form
    fields = {bound.html_name: "" if bound.value() is None else bound.value() for bound in form}
    kept = client.post(url, {**sent, **fields, "do": "case-done"}).context["desk"]
    assert kept.tests == shown.tests
    assert kept.open_case is None


def test_what_people_have_not_decided_is_no_test_yet() -> None:
    desk = make_desk(URL)
    waiting = desk.ask(200_000).json()["id"]
    user = writer(desk)
    assert "?from=" not in signed_in(user).get(f"/actions/{waiting}/").content.decode()
    assert "?from=" not in signed_in(user).get(f"/inbox/{the_item().pk}/").content.decode()
    assert begun(desk, user, waiting)[0] == 409


def test_what_was_erased_is_no_test() -> None:
    desk = make_desk(URL)
    action = decided(desk, "reject")
    Action.objects.filter(pk=action.pk).update(erased_at=action.created_at)
    assert begun(desk, writer(desk), action.pk)[0] == 409


def test_not_from_what_one_may_not_see_nor_into_what_one_may_not_write() -> None:
    desk = make_desk(URL)
    action = decided(desk, "reject")
    blind = make_holder(PUBLISH, VIEW, unit=desk.agent.unit)
    reader = make_holder(VIEW, "agents.view_agent", unit=desk.agent.unit)
    for user, asked in ((blind, action.pk), (reader, action.pk), (writer(desk), uuid4()), (writer(desk), "nonsense")):
        assert begun(desk, user, asked)[0] == 404


def test_what_carries_a_class_never_becomes_part_of_a_test() -> None:
    desk, treasurer, _stranger = classed_desk(URL)
    desk.ask(200_000)
    item = the_item()
    seen = treasurer.get(f"/escalations/{item.pk}/").json()["view_hash"]
    treasurer.decide(item, verdict="reject", view_hash=seen, key="one", reason="No.", restated="2000.00")
    user = treasurer.user
    grant(user, make_role(PUBLISH, VIEW, "agents.view_agent"), desk.agent.unit)
    action = Action.objects.get()
    assert action.classed
    assert action.target
    status, page, case = begun(desk, user, action.pk)
    assert (status, case["expect"]) == (200, "deny")
    assert "DE0017" not in page.replace(" ", "")
    assert "iban" not in case["action"]["parameters"]
    assert "target" not in case["action"]
    assert case["action"]["data_classes"]
    assert "Left out" in page


def test_the_policies_whose_rules_had_their_say_are_offered_first() -> None:
    desk = make_desk(URL)
    make_policy(make_rule(slug="never", when="action.amount_minor > 99999999", effect="deny"), slug="aaa", name="Aaa")
    action = decided(desk, "approve")
    page = signed_in(make_admin()).get(f"/actions/{action.pk}/").content.decode()
    offered = re.findall(r"/policies/([\w-]+)/edit/\?from=", page)
    assert offered == [desk.policy.slug, "aaa"]
    assert desk.policy.slug > "aaa"
