"""A value of a class is planted, and everything that somebody who may not see it can open is looked through for it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver

from apps.access.models import RoleGrant
from apps.access.services import create_token
from apps.agents.models import Agent
from apps.audit.models import Entry
from apps.classification.models import DataClass
from apps.oversight.models import Escalation, Grant, Vote
from tests.connectors.conftest import system
from tests.factories.access import grant, make_admin, make_role
from tests.factories.classification import classify, make_data_class
from tests.notifications.conftest import mail, tell
from tests.oversight.edge_cases.doors import Person, make_reachable
from tests.oversight.edge_cases.test_rows_21_to_26 import places_of
from tests.workflows.actions import Desk, make_desk, the_action, the_item, work

__all__ = ["mail", "system"]
pytestmark = pytest.mark.django_db

IBAN = "NL91ABNA0417164300"
CANARY = re.compile(r"0417[\s\u00a0-]*1643", re.IGNORECASE)
ALIKE = re.compile(r"docs/|help/|calendars|rotas|accounts|kpis|dashboards|styleguide")
"""Nothing of any action stands there."""
LEAVES = {"accounts", "static", "live", "mcp"}
MAY_HOLD = {
    "agents_action", "connectors_effect", "oversight_escalation", "oversight_viewsnapshot", "core_idempotencykey",
}  # fmt: skip
"""Where the value itself is kept: what runs, what an edit changed, what was seen, and what the agent was answered."""


def classed_desk(url: str) -> tuple[Desk, Person, Person]:
    """A desk whose IBANs are of a class that treasurers alone may see: one, and somebody with all else."""
    desk = make_desk(url)
    make_data_class(slug="bank", name="Bank details", visible_to=["treasurer"])
    desk.operation = classify(desk.operation, iban="bank")
    grant(desk.approver, make_role(slug="treasurer"), desk.agent.unit)
    stranger = make_admin()
    grant(stranger, make_role("oversight.decide_escalation", "oversight.view_escalation"))
    RoleGrant.objects.create(user=stranger, role=desk.queue.role, granted_by=stranger)
    return desk, Person(desk.approver), Person(stranger)


def words() -> dict[str, Any]:
    """What an agent writes about it, as people write an IBAN."""
    return {
        "goal": f"Pay to {IBAN}.",
        "reasoning": "The account NL91 ABNA 0417 1643 00 is on the invoice.",
        "alternatives": [f"Wait for {IBAN.lower()}"],
        "sources": [{"title": f"Invoice for {IBAN}", "url": f"https://erp.example/{IBAN}"}],
        "evidence": [{"title": "Invoice", "text": f"IBAN: {IBAN}"}],
    }


def routes(resolver: Any = None, prefix: str = "") -> Iterator[str]:
    for pattern in (resolver or get_resolver()).url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, route)
        elif isinstance(pattern, URLPattern):
            yield route


def addresses(*slugs: str) -> Iterator[str]:
    """Every address that there is, with what there is in its place."""
    action = the_action()
    uuids = [action.pk, *filter(None, [action.run_id])]
    uuids += [*Escalation.everything.order_by("id").values_list("pk", flat=True)[:1]]
    uuids += [row.pk for model in (Vote, Grant) if (row := model.objects.first())]
    numbers = [1, *Entry.objects.filter(trail_id=action.trail).values_list("pk", flat=True)]
    known = {"uuid": uuids, "slug": slugs, "str": slugs, "int": numbers, "path": slugs}
    for route in sorted(set(routes())):
        if "(?P" in route or route.split("/")[0] in LEAVES or ALIKE.search(route):
            continue
        found = [re.sub(r"[\^$]|\\Z", "", route)]
        while any("<" in each for each in found):
            found = [
                each.replace(match[0], str(value), 1)
                for each in found
                if (match := re.search(r"<(?:(\w+):)?\w+>", each))
                for value in known[match[1] or "str"]
            ]
        yield from (f"/{each}" for each in found[:16])


def shows(person: Person, address: str, canary: re.Pattern[str] = CANARY) -> int:
    """1 where the value is in what the address answers; -1 where it answers nothing."""
    answer = (person.api if address.startswith("/api/") else person.pages).get(address)
    body = b"".join(answer) if answer.streaming else answer.content
    if canary.search(body.decode(errors="replace")):
        return 1
    return 0 if answer.status_code == 200 else -1


def near(item: Escalation) -> list[str]:
    """Where the item and its action are the subject."""
    return [
        *(f"/inbox/{item.pk}/{query}" for query in ("", "?decide=edit", "?decide=approve", "?decide=more")),
        f"/api/v1/escalations/{item.pk}/", "/api/v1/escalations/", "/inbox/", "/", "/inbox/focus/",
        f"/actions/{item.action_id}/", f"/api/v1/actions/{item.action_id}/", "/actions/", "/api/v1/actions/",
        f"/api/v1/audit/entries/?trail={item.trail}", f"/audit/?trail={item.trail}",
    ]  # fmt: skip


def test_nothing_that_an_unentitled_person_opens_shows_a_classed_value(system):
    desk, treasurer, stranger = classed_desk(system.url)
    desk.ask(250_000, reference="inv-1", parameters={"iban": IBAN, "note": "for March"}, **words())
    work()
    item = the_item()
    assert [each for each in near(item) if shows(stranger, each) == 1] == []
    assert [each for each in near(item)[:5] if shows(treasurer, each) != 1] == []
    page = stranger.page(f"/inbox/{item.pk}/")
    assert "[bank/iban hidden]" in page
    assert "You may not see" in page
    assert "You may not see" not in treasurer.page(f"/inbox/{item.pk}/")

    assert stranger.post(f"/escalations/{item.pk}/comment/", {"text": "Whose account is it?"}).status_code == 201
    edited = {**the_action().parameters, "iban": "[bank/iban hidden]", "note": "for April"}
    said = stranger.decide(item, parameters=edited, key="one")
    assert said.status_code == 200, said.content
    assert not CANARY.search(said.content.decode())
    assert the_action().parameters == {**edited, "iban": IBAN}
    system.will(body=json.dumps({"paid": True, "to": IBAN}).encode())
    work()
    assert the_action().state == "succeeded", the_action().error
    assert IBAN in str(system.asked[0])
    named = [desk.agent.slug, desk.operation.slug, desk.operation.connector.slug, desk.policy.slug]
    seen = {address: shows(stranger, address) for address in addresses(*named)}
    assert [address for address, shown in seen.items() if shown == 1] == []
    assert sum(shown == 0 for shown in seen.values()) > 100
    assert places_of(IBAN) <= MAY_HOLD


def test_what_is_decided_by_who_may_not_see_it_is_what_was_asked():
    desk, _treasurer, stranger = classed_desk("http://127.0.0.1:1029")
    desk.ask(250_000, parameters={"iban": IBAN})
    item, digest = the_item(), the_action().digest
    for wrong in ({"iban": "DE00"}, {"iban": ""}):
        refused = stranger.decide(item, parameters={**the_action().parameters, **wrong}, key=str(wrong))
        assert (refused.status_code, list(refused.json()["errors"])) == (422, ["parameters.iban"])
    assert stranger.decide(item, key="one").json()["state"] == "approved"
    assert (the_action().digest, the_action().parameters["iban"]) == (digest, IBAN)


def test_no_message_that_leaves_the_house_carries_a_classed_value(system, mail):
    desk, treasurer, _stranger = classed_desk("http://127.0.0.1:1029")
    make_reachable(treasurer.user, desk.queue, system.url)
    Agent.objects.filter(pk=desk.agent.pk).update(risk="high")  # told at once
    system.will(body=b"{}")
    desk.ask(250_000, parameters={"iban": IBAN}, **words())
    tell()
    assert len(mail.letters) == len(system.asked) == 1
    parts = [part.get_content() for part in mail.letters[0].walk() if part.get_content_maintype() == "text"]
    told = [mail.letters[0]["Subject"], *parts, str(system.asked[0])]
    assert [each for each in told if CANARY.search(each)] == []
    assert "hidden" in "".join(told)
    assert places_of(IBAN) <= MAY_HOLD


def test_a_class_is_shown_where_it_is_hidden_nowhere_and_to_who_holds_the_permission_there():
    desk, _treasurer, stranger = classed_desk("http://127.0.0.1:1029")
    desk.ask(250_000, parameters={"iban": IBAN})
    path = f"/api/v1/escalations/{the_item().pk}/"
    found = DataClass.objects.get()

    def told() -> Any:
        answer = stranger.api.get(path).json()
        return answer["parameters"]["iban"], answer["hidden"], answer["consequence"]

    marked = ("[bank/iban hidden]", [{"data_class": "bank", "paths": ["iban"]}])
    assert told() == (*marked, "Will pay 2,500.00 EUR to [bank/iban hidden].")
    shown = (IBAN, [], f"Will pay 2,500.00 EUR to {IBAN}.")
    DataClass.objects.update(redact_in=["export"])
    assert told() == shown
    DataClass.objects.update(redact_in=["inbox"], visible_to=["agents.manage_agent"])
    assert told() == shown
    DataClass.objects.update(visible_to=["policies.simulate"])
    assert told()[:2] == marked
    found.delete()
    assert told()[:2] == marked


def test_a_token_that_carries_some_rights_does_not_carry_a_role():
    desk, treasurer, _stranger = classed_desk("http://127.0.0.1:1029")
    desk.ask(250_000, parameters={"iban": IBAN})
    some = create_token(treasurer.user, user=treasurer.user, permissions=["oversight.view_escalation"])
    api = Client(headers={"Authorization": f"Bearer {some}"})
    told = api.get(f"/api/v1/escalations/{the_item().pk}/").json()
    assert told["parameters"]["iban"] == "[bank/iban hidden]"


def test_classes_cost_the_inbox_no_query_per_item():
    desk, _treasurer, stranger = classed_desk("http://127.0.0.1:1029")
    counted = []
    for amount in (250_000, 260_000, 270_000, 280_000):
        desk.ask(amount, parameters={"iban": IBAN})
        if amount == 270_000:
            continue
        with CaptureQueriesContext(connection) as queries:
            assert stranger.api.get("/api/v1/escalations/").status_code == 200
        counted.append(len(queries))
    assert counted[1] == counted[2], counted


def test_an_agent_sees_what_it_asked():
    desk, _treasurer, _stranger = classed_desk("http://127.0.0.1:1029")
    said = desk.ask(250_000, parameters={"iban": IBAN}).json()
    assert said["parameters"]["iban"] == IBAN
