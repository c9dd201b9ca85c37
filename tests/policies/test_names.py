"""Scopes that name what does not exist: refused at every door alike, with where, what and what was meant."""

import json
from html import unescape
from typing import Any

import pytest
import yaml
from django.db.models import Model
from django.test import Client

from apps.agents.models import Agent
from apps.audit.models import Entry
from apps.configuration.services import ConfigurationError, apply_texts
from apps.connectors.models import Connector
from apps.core.models import User
from apps.core.services import system_user
from apps.policies.models import Policy, PolicyVersion, Proposal, Release, Simulation
from apps.policies.services import check_policy, publish_policy, save_policy
from tests.console.rule_desk import Desk, signed_in
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.agents import make_agent
from tests.factories.connectors import make_connector, make_operation
from tests.factories.policies import make_policy, make_rule
from tests.factories.workflows import make_workflow

PUBLISH, VIEW, SIMULATE = "policies.publish_policy", "policies.view_policy", "policies.simulate"
FLOW = {"slug": "pay-invoice", "steps": {"check": {"agent": "lab.do"}, "pay": {"agent": "lab.do", "needs": ["check"]}}}


@pytest.fixture(autouse=True)
def names_are_known(settings: Any, operations_are_not_known: None) -> None:
    settings.POLICY_OPERATIONS = "apps.connectors.selectors.named.systems_named_for"
    settings.POLICY_STEPS = "apps.workflows.selectors.named.steps_named_for"


@pytest.fixture
def desk(db: None) -> Desk:
    desk = Desk()
    make_workflow({**FLOW, "unit": desk.unit.slug})
    make_agent(slug="payer", unit=desk.unit)
    return desk


MISSPELT = [
    ("operations", "bank.pya", "There is no operation 'bank.pya'. Did you mean bank.pay?"),
    ("connectors", "bnak", "There is no connector 'bnak'. Did you mean bank?"),
    ("agents", "payre", "There is no agent 'payre'. Did you mean payer?"),
    ("versions", "payer@7", "There is no version 'payer@7'. Did you mean payer@1?"),
    ("workflows", "pay-invoise", "There is no workflow 'pay-invoise'. Did you mean pay-invoice?"),
    ("steps", "chek", "There is no step 'chek'. Did you mean check?"),
    ("units", "nowhere-like-this", "There is no unit 'nowhere-like-this'."),
    ("environments", "lvie", "There is no environment 'lvie'. Did you mean live?"),
]


def named(part: str, name: str) -> dict[str, Any]:
    return make_rule(slug="wrong", effect="deny", scope={part: [name]})


def what_there_is() -> list[int]:
    kinds: tuple[type[Model], ...] = (Policy, PolicyVersion, Proposal, Release, Simulation)
    return [kind._default_manager.count() for kind in kinds]


def post(client: Client, path: str, body: object) -> Any:
    return client.post(f"/api/v1/policies/{path}", json.dumps(body), content_type="application/json")


@pytest.fixture
def known(desk: Desk) -> Desk:
    """With a system and a version that may be meant."""
    Connector.objects.update(slug="bank")
    return desk


@pytest.mark.parametrize(("part", "name", "said"), MISSPELT)
def test_every_door_refuses_it_with_the_same_words_and_nothing_happens(
    known: Desk, part: str, name: str, said: str
) -> None:
    admin = make_admin()
    rules, at = [make_rule(), named(part, name)], f"rules.1.scope.{part}"
    there, client = what_there_is(), signed_in(admin)
    for path, body in (
        ("", {"slug": "other", "rules": rules}),
        ("payments/simulate/", {"rules": rules, "days": 10}),
    ):
        answer = post(client, path, body)
        assert (answer.status_code, answer.json()["errors"]) == (422, {at: [said]}), path
        last = Entry.objects.order_by("-id").first()
        assert (last.name, last.actor, last.payload["code"]) == ("request.refused", admin, "invalid")
        assert name not in json.dumps(last.payload)
    told = post(client, "payments/check/", {"rules": rules}).json()
    assert (told["ok"], [(each["field"], each["message"]) for each in told["findings"]]) == (False, [(at, said)])
    document = {"kind": "Policy", "slug": "other", "rules": rules}
    with pytest.raises(ConfigurationError) as refused:
        apply_texts(system_user("console"), texts={"a.yaml": yaml.safe_dump(document)})
    assert [each.message for each in refused.value.troubles] == [said]
    page = known.look()
    page = unescape(known.press("check", rules=json.dumps([known.rules()[0], named(part, name)])))
    assert known.status == 422
    assert said in page
    assert what_there_is() == there


def test_what_is_proposed_on_a_page_and_does_not_fit_is_noted_without_its_text(desk: Desk) -> None:
    entries, there = Entry.objects.count(), what_there_is()
    desk.look()
    desk.press("check", rules=json.dumps([named("steps", "chek")]))
    assert Entry.objects.count() == entries  # it was only looked at
    for wrong in (named("steps", "chek"), make_rule(when="action.amount >")):
        desk.press("propose", rules=json.dumps([wrong]), reason="So it is.")
        assert desk.status == 422
        last = Entry.objects.order_by("-id").first()
        assert (last.name, last.actor, last.payload["path"]) == (
            "request.refused",
            desk.ada,
            "/policies/payments/edit/",
        )
        assert "chek" not in json.dumps(last.payload)
    assert Entry.objects.count() == entries + 2
    assert what_there_is() == there


def test_what_somebody_may_not_see_is_answered_as_what_does_not_exist(desk: Desk) -> None:
    hidden = [
        named("agents", "secret-agent"),
        named("versions", "secret-agent@1"),
        named("workflows", "secret-flow"),
        named("steps", "hidden_step"),
        named("operations", "secret.pay"),
        named("connectors", "secret-bank"),
        named("units", "elsewhere"),
    ]

    def told(who: User) -> list[tuple[str, str]]:
        return [(found.field, found.message) for rule in hidden for found in check_policy(who, rules=[rule])]

    before = told(desk.ada)
    assert len(before) == len(hidden)
    elsewhere = make_unit(slug="elsewhere")
    make_agent(slug="secret-agent", unit=elsewhere)
    make_workflow({"slug": "secret-flow", "unit": elsewhere.slug, "steps": {"hidden_step": {"agent": "lab.do"}}})
    make_operation(slug="secret.pay", connector=make_connector(slug="secret-bank", unit=elsewhere))
    assert told(make_admin()) == []
    assert told(desk.ada) == before
    near = [named(part, f"{rule['scope'][part][0]}x") for rule in hidden for part in rule["scope"]]
    hints = [found.message for rule in near for found in check_policy(desk.ada, rules=[rule])]
    assert len(hints) == len(hidden)
    assert not [said for said in hints if "secret" in said.split("Did you mean")[-1] and "Did you mean" in said]
    assert "secret" not in desk.look("?rule=small")


def test_what_names_together_leave_nothing_is_refused(desk: Desk) -> None:
    make_agent(slug="reader", unit=desk.unit)
    make_operation(slug="erp.read", connector=make_connector(slug="erp"))
    for scope, field in (
        ({"agents": ["payer"], "versions": ["reader@1"]}, "versions"),
        ({"operations": ["bank.pay"], "connectors": ["erp"]}, "operations"),
    ):
        (found,) = check_policy(make_admin(), rules=[make_rule(effect="deny", scope=scope)])
        assert (found.field, "it matches nothing" in found.message) == (f"rules.0.scope.{field}", True)
    scope = {"operations": ["bank.pay", "erp.read"], "connectors": ["erp"]}
    assert not check_policy(make_admin(), rules=[make_rule(effect="deny", scope=scope)])


def test_steps_are_those_of_the_workflows_that_the_scope_names(desk: Desk) -> None:
    make_workflow({"slug": "other", "unit": desk.unit.slug, "steps": {"look": {"agent": "lab.do"}}})
    scope = {"workflows": ["other"], "steps": ["check"]}
    (found,) = check_policy(make_admin(), rules=[make_rule(effect="deny", scope=scope)])
    assert found.field == "rules.0.scope.steps"
    scope["workflows"].append("pay-invoice")
    assert not check_policy(make_admin(), rules=[make_rule(effect="deny", scope=scope)])


def test_documents_may_bring_what_their_rules_name(desk: Desk) -> None:
    flow = {
        "kind": "Workflow",
        "name": "Refund",
        "slug": "refund",
        "unit": desk.unit.slug,
        "steps": {"look": {"agent": "lab.do"}},
    }
    rule = make_rule(effect="deny", scope={"workflows": ["refund"], "steps": ["look"]})
    policy = {"kind": "Policy", "slug": "refunds", "rules": [rule]}
    text = yaml.safe_dump_all([policy, flow])
    apply_texts(system_user("console"), texts={"a.yaml": text})
    assert Policy.objects.get(slug="refunds").state == "in_force"
    flow["steps"] = {"nothing": {"agent": "lab.do", "needs": ["nobody"]}}
    with pytest.raises(ConfigurationError) as refused:
        apply_texts(system_user("console"), texts={"a.yaml": yaml.safe_dump_all([{**policy, "slug": "more"}, flow])})
    assert "Policy" not in " ".join(each.message for each in refused.value.troubles)
    assert not Policy.objects.filter(slug="more").exists()


def test_rules_in_force_outlive_what_they_name(desk: Desk) -> None:
    old = named("agents", "payer")
    policy = make_policy(make_rule(slug="all"), old, unit=desk.unit, slug="old")
    Agent.objects.filter(slug="payer").update(state="retired")
    page = unescape(desk.client.get("/policies/old/").content.decode())
    assert "The agent 'payer' is retired, so nothing of it would match." in page
    text = yaml.safe_dump({"kind": "Policy", "slug": "old", "unit": desk.unit.slug, "name": policy.name,
                           "rules": [make_rule(slug="all"), old]})  # fmt: skip
    before = Release.objects.count()
    apply_texts(system_user("console"), texts={"a.yaml": text})
    assert Release.objects.count() == before
    more = [make_rule(slug="all"), old, make_rule(slug="more", effect="flag")]
    changed, _outcome = save_policy(desk.ada, slug="old", name="Old", unit=desk.unit, rules=more)
    publish_policy(desk.ben, policy=changed)
    assert Release.objects.count() == before + 1
    (found,) = check_policy(desk.ada, rules=[{**old, "slug": "new"}], policy=changed)
    assert not found.is_warning


def test_who_edits_beside_a_rule_that_names_what_they_may_not_see_may(desk: Desk) -> None:
    hidden = make_agent(slug="secret-agent", unit=make_unit())
    old = named("agents", hidden.slug)
    policy = make_policy(make_rule(slug="all"), old, unit=desk.unit, slug="old")
    more = [make_rule(slug="all"), old, make_rule(slug="more", effect="flag")]
    changed, _outcome = save_policy(desk.ada, slug="old", name="Old", unit=desk.unit, rules=more)
    publish_policy(desk.ben, policy=changed)
    policy.refresh_from_db()
    assert policy.in_force.number == 2


def test_who_sees_no_policies_there_names_what_they_see_otherwise(desk: Desk) -> None:
    there = make_unit()
    seen, unseen = make_agent(unit=there), make_agent(unit=make_unit())
    ada = make_holder("agents.view_agent", unit=there)
    assert not check_policy(ada, rules=[named("agents", seen.slug)])
    assert check_policy(ada, rules=[named("agents", unseen.slug)])
