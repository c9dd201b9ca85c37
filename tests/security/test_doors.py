"""Every address that changes something, asked by whoever has no business there: refused, and nothing of others moves.

The addresses and bodies come from the API's own description, so that a new endpoint is asked too; the ids are real.
"""

import re
from typing import Any

import pytest
import schemathesis
from django.conf import settings as settings_of_django
from django.core.wsgi import get_wsgi_application
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings

from apps.access.rules import PERMISSIONS
from apps.access.services import create_token
from apps.audit.models import Entry
from apps.policies.models import Policy
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit
from tests.factories.agents import make_agent, make_key_for
from tests.factories.oversight import Payment, make_payment
from tests.oversight.edge_cases.census import census, differences

EXAMPLES = 2
TOKEN = "t" * 32
"""As a browser sends it back: the same in the cookie and in the form."""
RUBBISH = ["", "{", "[]", '"x"', '{"unknown": 1}', '{"wait": 30}', '{"lease": "1"}', "\x00"]
"""Bodies that no door takes, besides those that its description lets through."""
WRITES = {"POST", "PUT", "PATCH", "DELETE"}
REFUSED = {401, 403, 404}
FOR_AGENTS = {
    "/actions/": "they ask for what they want to do",
    "/actions/check/": "they ask what would be said",
    "/actions/{action_id}/cancel/": "they take their own back",
    "/actions/{action_id}/comments/": "they answer what they were asked",
    "/actions/{action_id}/compensate/": "they undo their own",
    "/actions/{action_id}/consume/": "they carry out what was granted",
    "/actions/{action_id}/outcome/": "they say what came of it",
    "/interrupts/": "they wait for a person's word",
    "/interrupts/{interrupt_id}/resume/": "they go on with it",
    "/me/access-requests/": "they ask for what they may not do",
    "/runs/": "they start what their permissions name",
    "/runs/{run_id}/cancel/": "they end what they started",
    "/runs/{run_id}/pause/": "they let rest what they started",
    "/runs/{run_id}/resume/": "and go on with it",
    "/tasks/claim/": "they take work",
    "/tasks/{task_id}/ask/": "and everything else of a task that they hold",
    "/tasks/{task_id}/complete/": "of their task",
    "/tasks/{task_id}/fail/": "of their task",
    "/tasks/{task_id}/heartbeat/": "of their task",
    "/tasks/{task_id}/release/": "of their task",
    "/usage/": "they report what their models used",
}
"""The doors where agents have business, each with what for. Everywhere else a key is refused and changes nothing."""
ALSO_FOR_PEOPLE = {path for path in FOR_AGENTS if path.startswith("/runs/") or "compensate" in path}
"""Where people have business too."""


def described() -> list[Any]:
    """The operations of the description that change something."""
    schema = schemathesis.openapi.from_wsgi("/api/v1/schema/?format=json", get_wsgi_application())
    return [one.ok() for one in schema.get_all_operations() if one.ok().method.upper() in WRITES]


def names_of(payment: Payment) -> dict[str, str]:
    """What addresses call the things of ``payment``."""
    return {
        "action_id": str(payment.action.pk),
        "trail_id": str(payment.action.pk),
        "escalation_id": str(payment.item.pk),
        "operation": payment.operation.slug,
        "queue": payment.queue.slug,
        "username": payment.ada.username,
        "agents": payment.agent.slug,
        "operations": payment.operation.slug,
        "connectors": payment.operation.connector.slug,
        "policies": Policy.objects.get(unit=payment.unit).slug,
    }


def ask(operation: Any, payment: Payment, headers: dict[str, str], cookies: dict[str, str] | None = None) -> list[int]:
    """The statuses that generated bodies get at the address of a thing of ``payment``."""
    names, statuses = names_of(payment), []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def knock(case: Any) -> None:
        kind = operation.path.split("/")[3]
        for name in case.path_parameters or {}:
            found = names.get(kind) if name == "slug" else names.get(name)
            if found:
                case.path_parameters[name] = found
        case.headers = {}
        statuses.append(case.call(headers=headers, cookies=cookies).status_code)

    knock()
    return statuses


def rows_of(payment: Payment) -> list[dict[str, Any]]:
    """The victim's things, column by column, as the database has them now."""
    things = [
        payment.unit, payment.queue, payment.agent, payment.operation, payment.operation.connector, payment.action,
        payment.item, payment.ada, payment.ben, Policy.objects.get(unit=payment.unit),
    ]  # fmt: skip
    return [type(one).objects.filter(pk=one.pk).values().get() for one in things]


@pytest.fixture
def payment(real_db: str) -> Payment:
    return make_payment()


def test_anonymous_callers_change_nothing_anywhere(payment):
    operations, before, found = described(), census(), {}
    for one in operations:
        if statuses := [status for status in ask(one, payment, {}) if status != 401]:
            found[one.label] = statuses
    assert len(operations) >= 100
    assert found == {}
    assert differences(before, census()) == []


def test_whoever_may_everything_in_another_unit_changes_nothing_of_this_one(payment):
    """Other people's objects by id: to them they are not there."""
    stranger = make_holder(*PERMISSIONS, unit=make_unit())
    headers = {"Authorization": f"Bearer {create_token(stranger, user=stranger)}", "Idempotency-Key": "k"}
    before, found = rows_of(payment), {}
    for one in described():
        mine = re.search(r"/(actions|escalations|trails)/\{|/agents/\{|/(operations|connectors|policies)/\{", one.path)
        statuses = ask(one, payment, headers)
        if rows_of(payment) != before or (mine and [status for status in statuses if status < 400]):
            found[one.label] = statuses
    assert found == {}
    refused = Entry.objects.filter(name="request.refused", actor=stranger)
    assert refused.count() >= 60


def place_of(operation: Any) -> str:
    """The address below the API's own."""
    return str(operation.path.removeprefix("/api/v1"))


def opened(
    payment: Payment,
    doors: list[Any],
    headers: dict[str, str],
    *,
    cookies: dict[str, str] | None = None,
    refused: set[int] = REFUSED,
) -> dict[str, Any]:
    """The doors that did not refuse outright, or moved something: what they answered, and what moved."""
    before, found = rows_of(payment), {}
    for one in doors:
        counted = census()
        statuses = ask(one, payment, headers, cookies)
        moved = [line for line in differences(counted, census()) if not line.endswith("entry request.refused")]
        if moved or rows_of(payment) != before or set(statuses) - refused:
            found[one.label] = (statuses, moved)
    return found


def test_an_agents_key_opens_no_door_of_people(payment):
    """Also where somebody gave an agent every right there is. Right before form: what it sends is not even read."""
    agent = make_agent(unit=payment.unit)
    key = make_key_for(agent)
    grant(agent.user, make_role(*PERMISSIONS), payment.unit)
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "k"}
    operations = described()
    doors = [one for one in operations if place_of(one) not in FOR_AGENTS]
    assert len(operations) - len(doors) == len(FOR_AGENTS), "no exemption of what is not there"
    assert opened(payment, doors, headers) == {}
    assert Entry.objects.filter(name="request.refused", actor=agent.user).count() >= 100


@pytest.mark.parametrize("by", ["session", "token"])
def test_no_administrator_opens_a_door_of_agents(payment, by):
    """Not in a browser, and not by a token that carries everything they may. Right before form here too."""
    person = make_admin()
    grant(person, make_role(*PERMISSIONS), payment.unit)
    client = Client(enforce_csrf_checks=True)
    if by == "session":
        client.force_login(person)
        client.cookies[settings_of_django.CSRF_COOKIE_NAME] = TOKEN
        headers = {"X-CSRFToken": TOKEN}
    else:
        headers = {"Authorization": f"Bearer {create_token(person, user=person)}"}
    headers["Idempotency-Key"] = "k"
    cookies = {name: one.value for name, one in client.cookies.items()}
    assert client.get("/api/v1/me/", headers=headers).json()["username"] == person.username
    doors = [one for one in described() if place_of(one) in FOR_AGENTS.keys() - ALSO_FOR_PEOPLE]
    assert len(doors) == len(FOR_AGENTS) - len(ALSO_FOR_PEOPLE)
    assert opened(payment, doors, headers, cookies=cookies, refused={403}) == {}
    before, found = census(), {}
    for place in [*(one.path for one in doors), "/v1/traces", "/v1/logs"]:
        path = re.sub(r"\{\w+\}", str(payment.action.pk), place)
        for body in RUBBISH:
            answer = client.post(path, body, content_type="application/json", headers=headers)
            if (answer.status_code, answer.json()["code"]) != (403, "not_allowed"):
                found[path, body] = answer.json()
    assert found == {}
    moved = differences(before, census())
    assert [line for line in moved if not line.endswith("entry request.refused")] == []
