"""Whatever a body says that its door does not take is refused by name, and nothing is changed: at every door.

The doors come from the API's own description: a new one is asked too, of a thing that there is.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from rest_framework import serializers

from apps.access.models import PersonalToken, Session
from apps.agents.models import AgentCase, ChangeRequest, Repetition
from apps.core.api import StrictSerializer
from apps.halts.models import BreakerChange
from apps.kpis.models import Anomaly
from apps.notifications.models import Browser
from apps.oversight.models import AccessReviewLine, StandingApproval
from apps.policies.models import BudgetChange, Simulation, Waiver
from apps.telemetry.models import DiscoveredAgent, Span, ToolFinding
from apps.workflows.models import Run
from apps.workflows.services.tasks import claim_tasks
from tests.console import offers
from tests.console.offers import Scene
from tests.console.test_sizing import desk as make_sized
from tests.console.test_sizing import line_of, path
from tests.factories.agents import make_key_for
from tests.factories.classification import make_data_class
from tests.factories.kpis import make_approved, make_target
from tests.factories.workflows import make_run, make_worker, make_workflow
from tests.oversight.edge_cases.census import census, differences
from tests.policies.test_proposals import World
from tests.security import test_sweep
from tests.security.test_doors import FOR_AGENTS
from tests.workflows.actions import make_desk
from tests.workflows.test_interrupts import LARGE, Framework, hitl, payment
from tests.workflows.test_quarantine import Bank

pytestmark = pytest.mark.django_db
scene = test_sweep.scene
"""One thing of most kinds, by what it is."""
UNKNOWN = "no_such_field"
PROTECTED = (
    UNKNOWN, "state", "risk", "effect", "owner", "unit", "created_by", "is_staff", "is_superuser", "decided_by",
    "digest", "id", "version", "granted_by", "released_by", "spent_minor",
)  # fmt: skip
"""What only the house writes, or another door takes; each is sent wherever the door itself does not take it."""
OTHER_PROTOCOLS = re.compile(r"/api/v1/(schema|traces|logs)/")
type Found = tuple[Client, dict[str, str]]


def of(scene: Scene, model: Any, name: str, *, thing: str = "") -> Callable[[], Found]:
    """The newest row of ``model`` in a scene of the pages; ``thing``: its own part that the address names first."""

    def found() -> Found:
        client, _page = scene()
        row = model.objects.latest("pk")
        return client, {name: str(row.pk), **({"slug": getattr(row, thing).slug} if thing else {})}

    return found


def named(scene: Scene) -> Callable[[], Found]:
    """What the third part of a page's address names."""

    def found() -> Found:
        client, page = scene()
        return client, {"slug": page.strip("/").split("/")[-1]}

    return found


def goal(make: Callable[[], Any]) -> Callable[[], Found]:
    return lambda: (offers.signed_in(), {"slug": make().slug})


def a_line() -> Found:
    client, _page = offers.review()()
    line = AccessReviewLine.objects.latest("pk")
    return client, {"review_id": str(line.review_id), "line_id": str(line.pk)}


def a_task() -> Found:
    flow = make_workflow({"steps": {"a": {"agent": "lab.do"}}})
    worker = make_worker(flow, "lab.do")
    make_run(flow)
    (task,) = claim_tasks(worker.user)
    return bearing(make_key_for(worker)), {"task_id": str(task.pk)}


def an_interrupt() -> Found:
    framework = Framework()
    asked = framework.ask(hitl(payment(LARGE))).json()["id"]
    return bearing(framework.desk.key), {"interrupt_id": asked}


def a_narrowing() -> Found:
    desk, client = make_sized.__wrapped__(), offers.signed_in()
    body = {"lines": [line_of(desk)], "reason": "It needs no more."}
    made = client.post(path(desk), body, "application/json").json()
    return client, {"slug": desk.agent.slug, "sizing_id": made["id"]}


def a_proposal() -> Found:
    world = World()
    return offers.signed_in(), {"proposal_id": str(world.propose().pk)}


def an_operation_to_review() -> Found:
    bank = Bank(make_desk())
    return bank.admin, {"slug": bank.operation.slug}


def bearing(key: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {key}"})


MADE: dict[str, Callable[[], Found]] = {
    "access/reviews/": a_line,
    "agents/{slug}/changes/": of(offers.asked_change(), ChangeRequest, "change_id", thing="agent"),
    "agents/{slug}/right-sizing/{sizing_id}/": a_narrowing,
    "agents/{slug}/tests/{case_id}/": of(offers.agent_tests, AgentCase, "case_id", thing="agent"),
    "baselines/{slug}/": goal(make_approved),
    "breakers/{slug}/changes/": of(offers.breaker_change, BreakerChange, "change_id", thing="breaker"),
    "budgets/{slug}/changes/": of(offers.budget_change, BudgetChange, "change_id", thing="budget"),
    "calendars/{slug}/": lambda: (offers.calendar()[0], {"slug": "c"}),
    "connectors/{slug}/secret/": named(offers.connector),
    "data-classes/{slug}/": goal(make_data_class),
    "discovered-agents/": of(offers.discovered, DiscoveredAgent, "discovered_id"),
    "flags/": of(offers.flags, Repetition, "flag_id"),
    "interrupts/{interrupt_id}/": an_interrupt,
    "kpis/worth-a-look/": of(offers.anomalies, Anomaly, "anomaly_id"),
    "me/browsers/{browser_id}/": of(offers.browsers, Browser, "browser_id"),
    "me/sessions/": lambda: (offers.sessions()[0], {"ref": str(Session.objects.latest("ref").ref)}),
    "me/tokens/{token_id}/": of(offers.tokens, PersonalToken, "token_id"),
    "operations/{slug}/review/": an_operation_to_review,
    "policies/simulations/{simulation_id}/": of(offers.simulation, Simulation, "simulation_id"),
    "proposals/": a_proposal,
    "runs/{run_id}/": of(offers.run, Run, "run_id"),
    "spans/{span_id}/": of(offers.span, Span, "span_id"),
    "standing-approvals/": of(offers.standing, StandingApproval, "approval_id"),
    "targets/{slug}/": goal(make_target),
    "tasks/{task_id}/": a_task,
    "tool-findings/": of(offers.tool_findings, ToolFinding, "finding_id"),
    "waivers/{waiver_id}/end/": of(offers.waiver(approved=True), Waiver, "waiver_id"),
    "waivers/{waiver_id}/": of(offers.waiver(approved=False), Waiver, "waiver_id"),
}
"""How what the common scene does not hold is made, and who asks for it, by how the addresses begin."""


@cache
def doors() -> list[tuple[str, str, set[str]]]:
    """Every door that changes something: its address, its method, and the fields that it takes."""
    described: Any = SchemaGenerator().get_schema(request=None, public=True)
    parts, found = described["components"]["schemas"], []
    for address, methods in described["paths"].items():
        for method, told in methods.items():
            if method == "get" or OTHER_PROTOCOLS.match(address):
                continue
            wanted = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            part = parts.get(wanted.get("$ref", "").rpartition("/")[2], wanted)
            found.append((address.removeprefix("/api/v1/"), method, set(part.get("properties", {}))))
    return found


def begins(address: str) -> str:
    """Where ``MADE`` says how what the address names is made; nothing where the common scene has it."""
    return max((one for one in MADE if address.startswith(one)), key=len, default="")


def passed(client: Client, method: str, path: str, takes: set[str]) -> object:
    """What else than a refusal of every field that the door does not take, alone, came of sending them; or nothing."""
    sent, before = {name: "x" for name in PROTECTED if name not in takes}, census()
    answer = getattr(client, method)(path, json.dumps(sent), "application/json", headers={"Idempotency-Key": "k"})
    moved = [line for line in differences(before, census()) if line != "+1 entry request.refused"]
    named = set(answer.json()["errors"]) if answer.status_code == 422 else answer.status_code
    return (named, moved) if named != set(sent) or moved else None


def test_what_a_door_does_not_take_is_refused_by_its_name_and_changes_nothing(scene):
    names = {thing: name for thing, (_row, name) in scene.items()}
    person, key = offers.signed_in(), bearing(make_key_for(scene["agent"][0]))
    found, asked = {}, 0
    for address, method, takes in doors():
        if begins(address):
            continue
        route = "api/v1/" + address.replace("{", "<str:").replace("}", ">")
        client = key if f"/{address}" in FOR_AGENTS else person
        asked += 1
        if wrong := passed(client, method, test_sweep.filled(route, names), takes):
            found[method, address] = wrong
    assert found == {}
    assert asked >= 90


@pytest.mark.parametrize("prefix", sorted(MADE))
def test_so_it_is_where_the_thing_has_a_story_of_its_own(prefix):
    of_these = [door for door in doors() if begins(door[0]) == prefix]
    assert of_these
    client, names = MADE[prefix]()
    found = {
        (method, address): wrong
        for address, method, takes in of_these
        if (wrong := passed(client, method, f"/api/v1/{address.format(**names)}", takes))
    }
    assert found == {}


def nested(kind: type[Any], seen: set[type[Any]]) -> Iterator[type[Any]]:
    """The serializers within a serializer, however deep."""
    for field in kind._declared_fields.values():
        inner = getattr(field, "child", field)
        if isinstance(inner, serializers.BaseSerializer) and type(inner) not in seen:
            seen.add(type(inner))
            yield type(inner)
            yield from nested(type(inner), seen)


def bodies(kind: type[Any] = StrictSerializer) -> Iterator[type[Any]]:
    for one in kind.__subclasses__():
        yield one
        yield from bodies(one)


def test_what_stands_within_a_body_is_as_strict_as_the_body():
    assert doors()  # every door's module is read
    loose = {
        one.__name__: inner.__name__
        for one in bodies()
        for inner in nested(one, set())
        if not issubclass(inner, StrictSerializer)
    }
    assert len(list(bodies())) > 100
    assert loose == {}
