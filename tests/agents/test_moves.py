"""Agents, workflows and units that move to another unit: what that leaves takes two people, and no halt is left."""

from typing import Any

import pytest

from apps.access.models import BusinessUnit
from apps.access.services import save_unit
from apps.agents.models import Agent, ChangeRequest
from apps.agents.selectors import who_could_agree
from apps.agents.services import agree_to_change, ask_change, drop_change, save_agent
from apps.audit.models import Entry
from apps.configuration.services import ConfigurationError, apply_texts
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.models import User
from apps.core.services import system_user
from apps.halts.services import engage_halt
from apps.workflows.models import Workflow, WorkflowVersion
from apps.workflows.services import publish_version, rollback_workflow, save_draft
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.agents import make_agent
from tests.factories.budgets import make_budget
from tests.factories.connectors import make_operation
from tests.factories.policies import make_policy, make_rule
from tests.factories.workflows import make_workflow
from tests.notifications.test_in_app import signed_in
from tests.oversight.test_api import caller, post

pytestmark = pytest.mark.django_db
MANAGE, LOWER, VIEW = "agents.manage_agent", "policies.lower_enforcement", "agents.view_agent"
PUBLISH, ACCESS = "workflows.publish_workflow", "access.manage_access"
API = "/api/v1/agents/"
DENY = {"slug": "no", "effect": "deny", "when": "action.amount_minor > 5"}


class World:
    """A company with the units Here, which denies and has a budget, and There. Ann and Bea may all in both."""

    def __init__(self) -> None:
        self.top = make_unit(slug="top")
        self.here = make_unit(slug="here", parent=self.top)
        self.there = make_unit(slug="there", parent=self.top)
        self.agent = make_agent(unit=self.here, slug="payer")
        grant(self.agent.owner, make_role(VIEW), self.top)
        make_policy(make_rule(slug="all"), slug="base")
        rights = (MANAGE, LOWER, VIEW, PUBLISH, ACCESS, "connectors.grant_operation")
        self.ann, self.bea = (make_holder(*rights, name=name) for name in ("Ann", "Bea"))

    def deny(self, unit: BusinessUnit | None = None, **rule: Any) -> None:
        make_policy(make_rule(**{**DENY, **rule}), unit=unit or self.here, slug=f"of-{(unit or self.here).slug}")

    def cap(self) -> None:
        make_budget(self.agent, cap=100, scope="unit", target="here", slug="cap")

    def ask(self, by: User | None = None, to: str = "there") -> ChangeRequest | None:
        return ask_change(by or self.ann, agent=self.agent, kind="unit", to=to, reason="It belongs there.")

    def asked(self, to: str = "there") -> ChangeRequest:
        change = self.ask(to=to)
        assert change is not None
        return change

    def unit(self) -> str:
        return Agent.objects.get(pk=self.agent.pk).unit.slug

    def save(self, unit: BusinessUnit, by: User | None = None, **more: Any) -> None:
        save_agent(by or self.ann, slug="payer", name="Payer", unit=unit, owner=self.agent.owner, **more)


@pytest.fixture
def world() -> World:
    return World()


def test_what_leaves_nothing_is_moved_by_one_person(world: World) -> None:
    assert world.ask() is None
    assert world.unit() == "there"


def test_going_where_more_is_denied_takes_one_person_and_back_takes_two(world: World) -> None:
    world.deny(world.there)
    assert world.ask() is None
    world.agent.refresh_from_db()
    back = world.asked("here")
    assert back.leaves == {"rules": ["of-there/no"]}
    assert world.unit() == "there"


def test_rules_and_budgets_are_left_by_two_people(world: World) -> None:
    world.deny()
    world.cap()
    change = world.asked()
    assert change.leaves == {"rules": ["of-here/no"], "budgets": ["cap"]}
    assert world.unit() == "here"
    assert who_could_agree(world.ann, change) == [world.bea]
    entry = Entry.objects.get(name="agent.change_requested")
    assert entry.payload["leaves"] == change.leaves
    agree_to_change(world.bea, change=change)
    assert world.unit() == "there"
    made = Entry.objects.get(name="agent.changed")
    assert (made.actor, made.payload["asked_by"]) == (world.bea, world.ann.username)
    assert made.payload["leaves"] == change.leaves
    with pytest.raises(ConflictError):
        agree_to_change(world.bea, change=change)


@pytest.mark.parametrize("who", ["asker", "no_lower", "only_here", "only_there", "stranger"])
def test_who_may_not_agrees_with_nothing(world: World, who: str) -> None:
    world.deny()
    change = world.asked()
    people = {
        "asker": world.ann,
        "no_lower": make_holder(MANAGE, VIEW),
        "only_here": make_holder(MANAGE, LOWER, unit=world.here),
        "only_there": make_holder(MANAGE, LOWER, unit=world.there),
        "stranger": make_user(),
    }
    entries = Entry.objects.count()
    with pytest.raises((NotAllowedError, InvalidError)):
        agree_to_change(people[who], change=change)
    assert (world.unit(), Entry.objects.count()) == ("here", entries)


def test_who_asked_has_to_manage_both_still(world: World) -> None:
    world.deny()
    change = world.asked()
    ChangeRequest.objects.update(asked_by=make_holder(MANAGE, unit=world.here))
    change.refresh_from_db()
    with pytest.raises(ConflictError, match="both units"):
        agree_to_change(world.bea, change=change)
    assert world.unit() == "here"


def test_what_came_since_it_was_asked_for_is_left_by_nobody(world: World) -> None:
    world.deny()
    change = world.asked()
    world.cap()
    with pytest.raises(ConflictError) as caught:
        agree_to_change(world.bea, change=change)
    assert caught.value.code == "stale"
    assert world.unit() == "here"
    drop_change(world.ann, change=change)
    agree_to_change(world.bea, change=world.asked())
    assert world.unit() == "there"


@pytest.mark.parametrize("target", ["here", "top"])
def test_nobody_moves_out_of_a_halt(world: World, target: str) -> None:
    world.deny()
    away = make_unit(slug="away")
    grant(world.agent.owner, make_role(VIEW), away)
    change = world.asked("away")
    engage_halt(make_admin(), scope="unit", target=target, unit=world.top, reason="Odd.")
    for move in (
        lambda: agree_to_change(world.bea, change=change),
        lambda: world.ask(world.bea, "away"),
        lambda: world.save(away),
        lambda: world.save(away, is_reviewed=True),
    ):
        with pytest.raises(ConflictError, match="halted"):
            move()
    assert world.unit() == "here"


def test_within_the_halted_unit_and_into_it_one_may_move(world: World) -> None:
    engage_halt(make_admin(), scope="unit", target="top", unit=world.top, reason="Odd.")
    assert world.ask() is None
    assert world.unit() == "there"


def test_other_doors_ask_for_two_people_too(world: World) -> None:
    world.deny()
    for door in (lambda: world.save(world.there), lambda: world.save(world.top)):
        with pytest.raises(ConflictError) as caught:
            door()
        assert caught.value.code == "second_person_required"
    response = caller(world.ann).patch(f"{API}payer/", {"unit": "there"}, content_type="application/json")
    assert response.status_code == 409
    assert world.unit() == "here"


def test_it_is_asked_for_and_agreed_with_by_api(world: World) -> None:
    world.deny(confidential=True)
    asked = post(
        caller(world.ann), f"{API}payer/changes/", {"kind": "unit", "to": "there", "reason": "It belongs there."}
    )
    assert asked.status_code == 202
    assert asked.json()["leaves"] == {"rules": ["of-here/confidential"]}
    at = f"{API}payer/changes/{asked.json()['id']}/agree/"
    assert post(caller(world.ann), at, {}).status_code == 403
    assert post(caller(world.bea), at, {}).status_code == 200
    assert world.unit() == "there"


@pytest.mark.parametrize(
    ("rule", "leaves"),
    [
        ({"effect": "allow"}, {}),
        ({"effect": "allow", "risk": "high"}, {"rules": ["of-here/no"]}),
        ({"mode": "shadow"}, {}),
        ({"scope": {"agents": ["other"]}}, {}),
        ({"scope": {"agents": ["payer"]}}, {"rules": ["of-here/no"]}),
    ],
)
def test_only_what_concerns_it_and_does_more_than_allow_is_left(
    world: World, rule: dict[str, Any], leaves: dict[str, Any]
) -> None:
    make_agent(slug="other")
    world.deny(**rule)
    change = world.ask()
    assert (change.leaves if change else {}) == leaves


@pytest.mark.parametrize(
    ("rule", "leaves"),
    [
        ({"scope": {"units": ["here"]}}, {"rules": ["of-top/no"]}),
        ({"scope": {"units": ["there"]}}, {}),
        ({"scope": {"units": ["there"]}, "effect": "allow"}, {"gained": ["of-top/no"]}),
        ({"when": 'agent.unit == "here"'}, {"unsure": ["of-top/no"]}),
        ({"when": 'history.count("bank.pay", "1h", "unit") > 5'}, {"unsure": ["of-top/no"]}),
    ],
)
def test_rules_from_above_that_name_units_count_too(world: World, rule: dict[str, Any], leaves: dict[str, Any]) -> None:
    make_operation(slug="bank.pay")
    world.deny(world.top, **rule)
    change = world.ask()
    assert (change.leaves if change else {}) == leaves


def unit_text(parent: str) -> str:
    return f"kind: BusinessUnit\nslug: here\nname: Here\nparent: {parent}\n"


def test_a_unit_is_moved_by_one_where_nothing_is_left_and_by_two_elsewhere(world: World) -> None:
    deep = make_unit(slug="deep", parent=world.here)
    save_unit(world.ann, slug="deep", name="Deep", parent=world.there)
    world.deny(world.there)
    with pytest.raises(ConflictError) as caught:
        save_unit(world.ann, slug="deep", name="Deep", parent=world.here)
    assert caught.value.code == "second_person_required"
    assert caught.value.members["leaves"] == {"rules": ["of-there/no"]}
    deep.refresh_from_db()
    assert deep.parent == world.there


def test_a_unit_leaves_no_halt_above_it_and_takes_its_own_along(world: World) -> None:
    engage_halt(make_admin(), scope="unit", target="here", unit=world.here, reason="Odd.")
    deep = make_unit(slug="deep", parent=world.here)
    with pytest.raises(ConflictError, match="halted"):
        save_unit(world.ann, slug="deep", name="Deep", parent=world.there, is_reviewed=True)
    save_unit(world.ann, slug="here", name="Here", parent=world.there)
    deep.refresh_from_db()
    assert deep.parent == world.here


def test_documents_name_two_in_production(world: World, settings: Any) -> None:
    world.deny()
    settings.IN_PRODUCTION = True
    owner = world.agent.owner.username
    agent = f"kind: Agent\nslug: payer\nname: Payer\nunit: there\nowner: {owner}\nrisk: {world.agent.risk}\n"
    for second in (None, world.ann, make_holder(MANAGE)):
        with pytest.raises(ConfigurationError):
            apply_texts(world.ann, texts={"a.yaml": agent}, approved_by=second)
    with pytest.raises(ConfigurationError):
        apply_texts(system_user("console"), texts={"a.yaml": agent}, dry_run=True)
    assert world.unit() == "here"
    apply_texts(world.ann, texts={"a.yaml": agent}, approved_by=world.bea)
    assert world.unit() == "there"
    world.deny(world.top)
    make_unit(slug="else")
    for second in (None, world.ann):
        with pytest.raises(ConfigurationError):
            apply_texts(world.ann, texts={"a.yaml": unit_text("else")}, approved_by=second)
    apply_texts(world.ann, texts={"a.yaml": unit_text("else")}, approved_by=world.bea)
    assert BusinessUnit.objects.filter(slug="here", parent__slug="else").exists()


def drafted(by: User, flow: Workflow, unit: str) -> WorkflowVersion:
    text = flow.versions.latest("number").source.replace(f"unit: {flow.unit.slug}", f"unit: {unit}")
    return save_draft(by, source=text)


def test_a_workflow_is_moved_by_a_version_that_another_person_publishes(world: World) -> None:
    world.deny()
    flow = make_workflow({"unit": "here", "steps": {"check": {"agent": "order.check"}}})
    version = drafted(world.ann, flow, "there")
    entries = Entry.objects.count()
    with pytest.raises(ConflictError) as caught:
        publish_version(world.ann, version=version)
    assert caught.value.code == "second_person_required"
    assert caught.value.members["leaves"] == {"rules": ["of-here/no"]}
    for other in (make_holder(PUBLISH), make_holder(PUBLISH, LOWER, unit=world.here)):
        with pytest.raises(NotAllowedError):
            publish_version(other, version=version)
    assert Entry.objects.count() == entries
    publish_version(world.bea, version=version)
    flow.refresh_from_db()
    assert flow.unit == world.there
    told = Entry.objects.get(name="workflow.changed").payload
    assert (told["asked_by"], told["leaves"]) == (world.ann.username, {"rules": ["of-here/no"]})


def test_an_earlier_version_takes_a_workflow_back_by_a_new_draft_alone(world: World) -> None:
    flow = make_workflow({"unit": "here", "steps": {"check": {"agent": "order.check"}}})
    publish_version(world.ann, version=drafted(world.ann, flow, "there"))
    world.deny(world.there)
    flow.refresh_from_db()
    with pytest.raises(ConflictError) as caught:
        rollback_workflow(world.bea, workflow=flow, number=1, reason="Back.")
    assert caught.value.code == "second_person_required"
    publish_version(world.bea, version=drafted(world.ann, flow, "here"))
    flow.refresh_from_db()
    assert flow.unit == world.here


def test_a_workflow_leaves_no_halt(world: World) -> None:
    flow = make_workflow({"unit": "here", "steps": {"check": {"agent": "order.check"}}})
    version = drafted(world.ann, flow, "there")
    engage_halt(make_admin(), scope="unit", target="here", unit=world.here, reason="Odd.")
    with pytest.raises(ConflictError, match="halted"):
        publish_version(world.bea, version=version)
    flow.refresh_from_db()
    assert flow.unit == world.here


def test_a_workflow_moves_by_a_document_of_two_in_production(world: World, settings: Any) -> None:
    world.deny()
    flow = make_workflow({"unit": "here", "steps": {"check": {"agent": "order.check"}}})
    text = flow.versions.get().source.replace("unit: here", "unit: there")
    settings.IN_PRODUCTION = True
    for second in (None, world.ann, make_holder(PUBLISH)):
        with pytest.raises(ConfigurationError):
            apply_texts(world.ann, texts={"a.yaml": text}, approved_by=second)
    flow.refresh_from_db()
    assert flow.unit == world.here
    apply_texts(world.ann, texts={"a.yaml": text}, approved_by=world.bea)
    flow.refresh_from_db()
    assert flow.unit == world.there


def test_the_page_says_what_is_left_before_it_asks(world: World) -> None:
    world.deny()
    page = signed_in(world.ann)
    asked = {"to": "there", "reason": "It belongs there."}
    looked = page.post("/agents/payer/unit/", {"to": "there", "look": "1"}).content.decode()
    assert "of-here/no" in looked
    assert not ChangeRequest.objects.exists()
    assert page.post("/agents/payer/unit/", {"to": "nowhere", "reason": ""}).status_code == 422
    page.post("/agents/payer/unit/", asked)
    change = ChangeRequest.objects.get()
    assert "of-here/no" in page.get("/agents/payer/").content.decode()
    agree = f"/agents/payer/changes/{change.pk}/agree/"
    assert page.post(agree).status_code == 403
    assert signed_in(make_holder(MANAGE, VIEW)).post(agree).status_code == 403
    assert world.unit() == "here"
    signed_in(world.bea).post(agree)
    assert world.unit() == "there"


def test_the_page_is_for_those_who_manage_the_agent_and_leaves_no_halt(world: World) -> None:
    assert signed_in(make_holder(VIEW)).get("/agents/payer/unit/").status_code == 404
    engage_halt(make_admin(), scope="unit", target="here", unit=world.here, reason="Odd.")
    response = signed_in(world.ann).post("/agents/payer/unit/", {"to": "there", "reason": "It belongs there."})
    assert response.status_code == 409
    assert "halted" in response.content.decode()
    assert world.unit() == "here"


def test_nobody_moves_it_to_where_they_may_do_more_with_it(world: World) -> None:
    agent = make_agent(unit=world.there, owner=world.agent.owner)
    mover = make_user()
    for unit in (world.here, world.there):
        grant(mover, make_role(MANAGE), unit)
    assert ask_change(mover, agent=agent, kind="unit", to="here") is None
    other = make_agent(unit=world.there, owner=world.agent.owner)
    grant(mover, make_role("oversight.decide_escalation", slug="deciders"), world.here)
    asked = ask_change(mover, agent=other, kind="unit", to="here", reason="Mine.")
    assert asked is not None
    assert asked.leaves == {"roles": ["deciders"]}
    agree_to_change(world.bea, change=asked)
    other.refresh_from_db()
    assert other.unit == world.here
