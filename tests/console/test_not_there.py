"""What belongs to another unit is not there, whoever names it: halts, budgets, breakers, waivers."""

import json
from itertools import product
from typing import Any, NamedTuple

import pytest
from django.test import Client

from apps.access.models import BusinessUnit
from apps.agents.models import Agent
from apps.core.services import system_user
from apps.halts.models import Breaker, Halt
from apps.halts.rules import BreakerTerms
from apps.halts.services import save_breaker
from apps.policies.models import Budget, Waiver
from apps.workflows.models import Workflow
from tests.factories.access import grant, make_queue, make_role, make_unit, make_user
from tests.factories.agents import make_agent
from tests.factories.budgets import make_budget
from tests.factories.connectors import make_connector, make_operation
from tests.factories.policies import make_policy, make_rule
from tests.oversight.test_api import caller

pytestmark = pytest.mark.django_db
PERMS = (
    "halts.engage_halt", "halts.lift_halt", "policies.publish_policy", "policies.view_policy",
    "policies.lower_enforcement",
)  # fmt: skip
NONE = "none-of-this-name"


class House(NamedTuple):
    """A person who stops and caps in one unit, and what there is in another."""

    person: Any
    unit: BusinessUnit
    theirs: dict[str, str]
    policy: str
    own: str


@pytest.fixture
def house() -> House:
    here, there = make_unit(), make_unit()
    person = make_user()
    grant(person, make_role(*PERMS), here)
    agent = make_agent(unit=there)
    connector = make_connector(unit=there)
    theirs = {
        "unit": there.slug,
        "workflow": Workflow.objects.create(slug="their-flow", name="Flow", unit=there).slug,
        "agent": agent.slug,
        "version": f"{agent.slug}@{agent.version.number}",
        "connector": connector.slug,
        "operation": make_operation(connector=connector).slug,
        "queue": make_queue(unit=there).slug,
        "cause": f"{make_policy(make_rule(slug='no', effect='deny'), unit=there).slug}/no",
    }
    own = make_policy(make_rule(slug="asks", effect="require_approval", queue=make_queue(unit=here).slug), unit=here)
    return House(person, here, theirs, own.slug, make_agent(unit=here).slug)


HALT = {"reason": "Look first."}
BUDGET = {"measure": "calls", "cap": 3, "period": "day"}
BREAKER = {"kind": "denied", "threshold": 2, "window_s": 60}
WAIVER = {"rule": "asks", "reason": "A week.", "days": 1, "times": 1}
NAMED = [
    *product(["halts"], ["unit", "workflow", "agent", "version", "connector", "operation"]),
    *product(["budgets"], ["agent", "unit", "workflow", "connector"]),
    *product(["breakers"], ["agent", "version", "connector"]),
    *product(["waivers"], ["agent", "operation", "unit", "workflow"]),
]


def asked(house: House, door: str, scope: str, target: str) -> tuple[int, Any]:
    """What the API says, without what names the request."""
    body = {"scope": scope, "target": target}
    match door:
        case "halts":
            return said(house, "post", "halts/", body | HALT)
        case "budgets":
            return said(house, "put", "budgets/new/", body | BUDGET | {"owner": house.person.username})
        case "breakers":
            return said(house, "put", "breakers/new/", body | BREAKER)
    return said(house, "post", "waivers/", body | WAIVER | {"policy": house.policy})


def said(house: House, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    client = caller(house.person)
    answer = getattr(client, method)(f"/api/v1/{path}", json.dumps(body), "application/json")
    told = answer.json()
    return answer.status_code, {name: told[name] for name in told if name not in ("request_id", "instance")}


def nothing_was_made() -> bool:
    made = any(model.objects.exists() for model in (Halt, Budget, Waiver))
    return not made and not Breaker.objects.filter(slug="new").exists()


@pytest.mark.parametrize(("door", "scope"), NAMED)
def test_a_target_of_another_unit_answers_as_one_that_is_not_there(house: House, door: str, scope: str) -> None:
    none = f"{NONE}@1" if scope == "version" else NONE
    theirs, missing = asked(house, door, scope, house.theirs[scope]), asked(house, door, scope, none)
    assert theirs == missing
    assert (theirs[0], set(theirs[1]["errors"])) == (422, {"target"})
    assert nothing_was_made()


@pytest.mark.parametrize("named", ["queue", "cause", "policy"])
def test_so_do_the_queue_of_a_budget_the_rule_of_a_breaker_and_the_policy_of_a_waiver(house: House, named: str) -> None:
    def told(name: str) -> tuple[int, Any]:
        scope = {"scope": "agent", "target": house.own}
        if named == "queue":
            more = {"owner": house.person.username, "exhausted": "escalate", "queue": name}
            return said(house, "put", "budgets/new/", scope | BUDGET | more)
        if named == "cause":
            return said(house, "put", "breakers/new/", scope | BREAKER | {"cause": name})
        return said(house, "post", "waivers/", scope | WAIVER | {"policy": name})

    theirs = house.theirs["cause"].partition("/")[0] if named == "policy" else house.theirs[named]
    found, missing = told(theirs), told(f"{NONE}/no" if named == "cause" else NONE)
    assert found == missing
    assert (found[0], set(found[1]["errors"])) == (422, {named})
    assert nothing_was_made()


@pytest.mark.parametrize(("door", "scope"), NAMED)
def test_whoever_may_nothing_of_the_kind_is_told_that_whatever_they_name(house: House, door: str, scope: str) -> None:
    nobody = house._replace(person=make_user())
    found, missing = asked(nobody, door, scope, house.theirs[scope]), asked(nobody, door, scope, NONE)
    assert found == missing
    assert found[0] == (422 if door == "waivers" else 403)


def test_what_one_sees_and_may_not_stop_is_refused_as_not_allowed(house: House) -> None:
    there = BusinessUnit.objects.get(slug=house.theirs["unit"])
    grant(house.person, make_role("agents.view_agent"), there)
    for scope in ("unit", "agent", "version"):
        assert asked(house, "halts", scope, house.theirs[scope])[0] == 403
    assert asked(house, "halts", "workflow", house.theirs["workflow"])[0] == 422
    assert nothing_was_made()


def test_what_stands_above_and_below_may_be_named_where_it_may_be_asked(house: House) -> None:
    root = make_unit()
    house.unit.parent = root
    house.unit.save(update_fields=["parent"])
    over = make_queue(unit=root)
    policy = make_policy(make_rule(slug="never", effect="deny"), unit=root)
    scope = {"scope": "agent", "target": house.own}
    asking = {"owner": house.person.username, "exhausted": "escalate", "queue": over.slug}
    assert said(house, "put", "budgets/new/", scope | BUDGET | asking)[0] == 201
    assert said(house, "put", "breakers/new/", scope | BREAKER | {"cause": f"{policy.slug}/never"})[0] == 201


def test_pages_say_the_same(house: House) -> None:
    client = Client()
    client.force_login(house.person)
    for scope in ("unit", "workflow", "agent", "connector", "operation"):
        codes = [
            client.post("/halts/engage/", HALT | {"scope": scope, "target": target}).status_code
            for target in (house.theirs[scope], NONE)
        ]
        assert codes == [404, 404]
    page = client.get("/new-budget/").content.decode()
    assert house.theirs["queue"] not in page
    form = BUDGET | {"slug": "new", "name": "New", "amount": "3", "exhausted": "deny", "owner": house.person.username}
    texts = []
    for target in (house.theirs["agent"], NONE):
        answer = client.post("/new-budget/", form | {"scope": "agent", "target": target})
        assert answer.status_code == 422
        texts.append("There is none with this short name." in answer.content.decode())
    assert texts == [True, True]
    assert nothing_was_made()


@pytest.mark.parametrize("number", ["²", "-1", "１", "99999999999999999999", ""])
def test_a_version_that_is_no_number_is_not_there(house: House, number: str) -> None:
    status, told = asked(house, "halts", "version", f"{house.own}@{number}")
    assert (status, set(told["errors"])) == (422, {"target"})
    assert nothing_was_made()


def test_what_the_database_cannot_hold_is_refused_in_forms(house: House, client: Client) -> None:
    client.force_login(house.person)
    page = client.post("/halts/", {"scope": "agent", "target": house.own, "reason": "A\x00B"})
    assert page.status_code == 422
    assert "U+0000" in page.content.decode()
    assert nothing_was_made()


@pytest.mark.parametrize(("door", "body"), [("budgets", BUDGET), ("breakers", BREAKER)])
def test_one_of_another_unit_is_not_there_whatever_is_done_with_its_name(house: House, door: str, body: Any) -> None:
    there = BusinessUnit.objects.get(slug=house.theirs["unit"])
    own = body | {"scope": "agent", "target": house.own}
    make_budget(Agent.objects.get(slug=house.theirs["agent"]), cap=1, slug="theirs", measure="calls", currency="")
    terms = BreakerTerms(**BREAKER, scope="agent")
    save_breaker(system_user("console"), slug="theirs", target=house.theirs["agent"], unit=there, terms=terms)
    asked_for = said(house, "delete", f"{door}/theirs/?reason=Mine", {})
    more = {"owner": house.person.username} if door == "budgets" else {}
    assert said(house, "put", f"{door}/theirs/", own | more) == asked_for
    assert asked_for[0] == 404
    assert caller(house.person).get(f"/api/v1/{door}/theirs/").status_code == 404
    assert Budget.objects.get().cap == 1
    assert Breaker.objects.get(slug="theirs").target == house.theirs["agent"]
    grant(house.person, make_role("policies.view_policy", "halts.engage_halt"), there)
    assert said(house, "put", f"{door}/theirs/", own | more)[0] == 403
