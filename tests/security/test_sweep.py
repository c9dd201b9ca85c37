"""Every address that names a thing, asked for a thing of another unit by whoever has no rights there.

The addresses come from the URL configuration, so that a new one is asked too; one whose parameter nobody has told what
it names fails the test. The answer is the one that a thing which does not exist gets, says nothing, changes nothing.
"""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import resolve

from apps.access.models import Absence, Session
from apps.access.rules import PERMISSIONS
from apps.access.services import create_token, save_rota
from apps.access.services.directory import save_mapping
from apps.access.services.tokens import token_behind
from apps.agents.services.access_tokens import issue_token
from apps.audit.models import Entry
from apps.connectors.services import request_access
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.halts.rules import BreakerTerms
from apps.halts.services import engage_halt, save_breaker
from apps.notifications.services import save_chat_target
from apps.policies.models import Policy
from tests.factories.access import grant, make_holder, make_role, make_unit, make_user
from tests.factories.agents import make_agent, make_key_for
from tests.factories.budgets import make_budget
from tests.factories.connectors import make_operation
from tests.factories.oversight import make_payment
from tests.factories.workflows import make_run, make_workflow
from tests.oversight.edge_cases.census import census, differences
from tests.test_house import ROOT, every_address

CANARY = "Zanzibar"
"""Stands in the name of everything that the other unit has."""
NOTHING = {"uuid": "01890000-0000-7000-8000-000000000000", "int": "999999999"}
METHODS = ("get", "post", "put", "patch", "delete")
SAME_FOR_ALL = {404, 405}
"""What is answered without saying whether there is such a thing."""
PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")
POLICY = re.compile(r"\^policies/\(\?P<slug>.*?\]\+\)(.*)\$")

IDS = {
    "absence_id": "absence", "access_token_id": "access_token", "action_id": "action",
    "credential_id": "key", "entry_id": "entry",
    "escalation_id": "item", "grant_id": "grant", "halt_id": "halt", "ref": "session", "request_id": "request",
    "run_id": "run", "token_id": "token", "trail_id": "action", "username": "person", "operation": "operation",
    "number": "version", "queue": "queue",
}  # fmt: skip
"""What a parameter names, wherever it stands."""
SLUGS = {
    "agents": "agent", "breakers": "breaker", "budgets": "budget", "calendars": "calendar", "connectors": "connector",
    "groups": "mapping", "operations": "operation", "policies": "policy", "rotas": "rota", "chats": "chat",
    "chat-targets": "chat", "workflows": "workflow",
}  # fmt: skip
"""What ``slug`` names, by the first word of the address that says."""
ELSEWHERE = {
    "approval_id": "tests/workflows/test_approved_in_advance.py",
    "browser_id": "tests/notifications/test_browsers.py",
    "case_id": "tests/agents/test_cases_api.py",
    "change_id": "tests/agents/test_changes.py",
    "delivery_id": "tests/notifications/test_in_app.py",
    "drill_id": "tests/halts/test_drills.py",
    "discovered_id": "tests/telemetry/test_discovered.py",
    "finding_id": "tests/telemetry/test_tools.py",
    "flag_id": "tests/agents/test_flags.py",
    "interrupt_id": "tests/workflows/test_interrupts.py",
    "job_id": "tests/oversight/test_bulk.py",
    "line_id": "tests/oversight/test_access_review_doors.py",
    "group_id": "tests/access/test_scim.py",
    "log_id": "tests/kpis/test_event_log_doors.py",
    "person_id": "tests/access/test_scim.py",
    "proposal_id": "tests/policies/test_proposals.py",
    "review_id": "tests/oversight/test_access_review_doors.py",
    "simulation_id": "tests/console/test_simulations.py",
    "sizing_id": "tests/console/test_sizing.py",
    "span_id": "tests/telemetry/test_looking.py",
    "task_id": "tests/workflows/test_api.py",
    "view_id": "tests/oversight/test_lists.py",
    "waiver_id": "tests/workflows/test_waivers.py",
    "vote_id": "tests/oversight/test_seen.py",
}
"""What the scene does not hold, and where others' are asked for; here the address is asked for what is not there."""
NAMES_NO_THING = re.compile(
    r"accounts/|admin/|api/v1/<path:rest>|dashboards/|reports/|api/v1/(baselines|targets|kpis)/|access/reviews/.*together"
    r"|(api/v1/)?data-classes/|scim/v2/(<path:rest>|ResourceTypes|Schemas)"
)
"""Allauth's links carry a secret of their own; the back office is for staff; figures, goals, classes have no unit."""
PEOPLE = ("a person with every right elsewhere", "a person without any right")
TOKENS = ("a token with every right elsewhere", "a token of somebody without any right")
AGENT = "an agent of elsewhere"
HALTS = "a plane that stands is nobody's secret: everyone is told that it does, and nobody of elsewhere may lift it"
OPEN: dict[str, tuple[tuple[str, ...], str]] = {
    "halts/<uuid:halt_id>/": (PEOPLE, HALTS),
    "halts/<uuid:halt_id>/lift/": (PEOPLE, HALTS),
    "api/v1/halts/<uuid:halt_id>/in-flight/": ((AGENT, *TOKENS), HALTS),
    "api/v1/halts/<uuid:halt_id>/counted/": ((AGENT, *TOKENS), HALTS),
    "api/v1/halts/<uuid:halt_id>/taken-back/": ((AGENT, *TOKENS), HALTS),
    "inbox/<uuid:escalation_id>/skip/": (PEOPLE, "leads on to the next item of one's own, whatever it is asked for"),
}
"""Address -> who of another unit gets an answer there, and why."""


def routes() -> list[str]:
    """The addresses that name something, each once."""
    found = (POLICY.sub(r"policies/<slug:slug>\1", route) for route in every_address())
    return sorted({route for route in found if PARAMETER.search(route) and not NAMES_NO_THING.match(route)})


def methods_of(route: str) -> list[str]:
    """What may be asked there: an endpoint's own methods; of a page, reading and sending its form."""
    view = resolve(filled(route, {})).func
    endpoint = getattr(view, "cls", None)
    return [method for method in METHODS if hasattr(endpoint, method)] if endpoint else ["get", "post"]


def thing_of(route: str, name: str) -> str:
    """What the parameter ``name`` of ``route`` names; KeyError where nobody has said."""
    if name in ELSEWHERE:
        return ""
    if name in IDS:
        return IDS[name]
    words = route.removeprefix("api/v1/").partition("<")[0].strip("/").split("/")
    return next(SLUGS[word] for word in reversed(words) if word in SLUGS)


@pytest.fixture
def scene(db: Any) -> dict[str, tuple[Model, str]]:
    """Things of one unit, by what they are: the row, and how addresses call it."""
    console = system_user("console")
    unit = make_unit(name=f"{CANARY} unit")
    payment = make_payment(unit=unit)
    agent, connector, queue = payment.agent, payment.operation.connector, payment.queue
    type(agent).objects.filter(pk=agent.pk).update(name=f"{CANARY} agent", purpose=f"{CANARY} purpose")
    type(connector).objects.filter(pk=connector.pk).update(name=f"{CANARY} system", unit=unit)
    type(queue).objects.filter(pk=queue.pk).update(name=f"{CANARY} queue")
    type(payment.action).objects.filter(pk=payment.action.pk).update(goal=f"{CANARY} goal", target=f"{CANARY} target")
    type(payment.item).objects.filter(pk=payment.item.pk).update(title=f"{CANARY} title")
    person = make_user(name=f"{CANARY} person", email="zanzibar@example.com")
    held = grant(person, make_role("kpis.view_kpi", name=f"{CANARY} role"), unit)
    make_key_for(agent)
    held_by, _ = save_mapping(console, slug="a-group", group=f"{CANARY} group", role=held.role, unit=unit)
    away = Absence.objects.create(
        user=person, planned_by=person, starts_at=ClockTimestamp(), ends_at=ClockTimestamp() + timedelta(days=1)
    )
    request_access(agent.user, operation=make_operation(connector=connector).slug, reason=f"{CANARY} reason")
    halt = engage_halt(console, scope="agent", target=agent.slug, unit=unit, reason="The bank answers twice.")
    terms = BreakerTerms("denied", "agent", 5, 300)
    breaker, _ = save_breaker(
        console, slug="a-breaker", terms=terms, target=agent.slug, unit=unit, name=f"{CANARY} breaker"
    )
    rota, _ = save_rota(
        console, slug="a-rota", unit=unit, timezone="UTC", starts=date(2026, 1, 1), people=[person.username],
        name=f"{CANARY} rota",
    )  # fmt: skip
    chat, _ = save_chat_target(console, slug="a-chat", queue=queue, url="https://chat.example.com/zanzibar")
    browser = Client()
    browser.force_login(person)
    flow = make_workflow({"unit": unit.slug, "name": f"{CANARY} flow", "steps": {"a": {"agent": "lab.do"}}})
    given = issue_token(agent.credentials.select_related("agent__user").get(), resource="here").token
    return {
        "absence": (away, str(away.pk)),
        "access_token": (given, str(given.pk)),
        "action": (payment.action, str(payment.action.pk)),
        "agent": (agent, agent.slug),
        "breaker": (breaker, breaker.slug),
        "budget": (budget := make_budget(agent, cap=1000), budget.slug),
        "chat": (chat, chat.slug),
        "connector": (connector, connector.slug),
        "entry": (entry := Entry.objects.filter(unit=unit.pk).earliest("id"), str(entry.pk)),
        "grant": (held, str(held.pk)),
        "halt": (halt, str(halt.pk)),
        "item": (payment.item, str(payment.item.pk)),
        "key": (key := agent.credentials.get(), str(key.pk)),
        "mapping": (held_by, held_by.slug),
        "operation": (payment.operation, payment.operation.slug),
        "person": (person, person.username),
        "policy": (policy := Policy.objects.get(unit=unit), policy.slug),
        "queue": (queue, queue.slug),
        "request": (asked := agent.access_requests.get(), str(asked.pk)),
        "rota": (rota, rota.slug),
        "run": (run := make_run(flow), str(run.pk)),
        "session": (session := Session.objects.get(user=person), str(session.ref)),
        "token": (token := token_behind(create_token(person, user=person)), str(token.pk)),
        "version": (agent.version, "1"),
        "workflow": (flow, flow.slug),
    }


def calls_of() -> dict[str, tuple[str, Callable[..., Any]]]:
    """Who asks, at which doors (``api`` or ``page``): each without any right in the other unit."""
    unit = make_unit(name="Elsewhere")
    stranger, nobody = make_holder(*PERMISSIONS, unit=unit), make_user()
    signed_in, powerless = Client(), Client()
    signed_in.force_login(stranger)
    powerless.force_login(nobody)

    def bearer(text: str) -> Callable[..., Any]:
        return lambda method, path: getattr(Client(), method)(
            path, data="{}", content_type="application/json",
            headers={"Authorization": f"Bearer {text}", "Idempotency-Key": "k"},
        ) if method != "get" else Client().get(path, headers={"Authorization": f"Bearer {text}"})  # fmt: skip

    def page(client: Client) -> Callable[..., Any]:
        return lambda method, path: getattr(client, method)(path, {"reason": "x"} if method == "post" else {})

    return {
        "a person with every right elsewhere": ("page", page(signed_in)),
        "a person without any right": ("page", page(powerless)),
        AGENT: ("api", bearer(make_key_for(make_agent(unit=unit)))),
        "a token with every right elsewhere": ("api", bearer(create_token(stranger, user=stranger))),
        "a token of somebody without any right": ("api", bearer(create_token(nobody, user=nobody))),
    }


def rows_of(scene: dict[str, tuple[Model, str]]) -> list[dict[str, Any]]:
    """The other unit's things, column by column."""
    return [type(row)._base_manager.filter(pk=row.pk).values().get() for row, _name in scene.values()]


def filled(route: str, names: dict[str, str]) -> str:
    """The address with ``names`` by thing; what is not there for the rest."""

    def name(match: re.Match[str]) -> str:
        thing = thing_of(route, match[2])
        return names.get(thing) or NOTHING.get(match[1] or "", "no-such-thing")

    return "/" + PARAMETER.sub(name, route)


def test_nothing_of_another_unit_is_told_or_changed_by_its_id(scene):
    names = {thing: name for thing, (_row, name) in scene.items()}
    callers = calls_of()
    before, counted, found, asked = rows_of(scene), census(), {}, 0
    for who, (door, call) in callers.items():
        for route in routes():
            if (door == "api") != route.startswith("api/") or (route in OPEN and who in OPEN[route][0]):
                continue
            for method in methods_of(route):
                answer = call(method, filled(route, names))
                nothing = answer if answer.status_code in SAME_FOR_ALL else call(method, filled(route, {}))
                asked += 1
                seen = (answer.status_code, nothing.status_code, CANARY.lower() in answer.content.decode().lower())
                if seen != (nothing.status_code, nothing.status_code, False) or answer.status_code < 400:
                    found[who, method, route] = seen
        assert rows_of(scene) == before, who
    assert not found, "\n".join(f"{where}: {seen}" for where, seen in found.items())
    assert asked >= 600
    moved = [line for line in differences(counted, census()) if not ALLOWED_TO_MOVE.search(line)]
    assert moved == []


ALLOWED_TO_MOVE = re.compile(r"^\+\d+ (entry request\.refused|cache)$")
"""That they were refused, and what counts how often they asked."""


def test_every_exception_names_an_address_that_there_is_and_a_test_that_there_is():
    assert set(OPEN) <= set(routes())
    assert [path for path in ELSEWHERE.values() if not (ROOT / path).is_file()] == []
    named = {match[2] for route in routes() for match in PARAMETER.finditer(route)}
    assert set(ELSEWHERE) | set(IDS) <= named
