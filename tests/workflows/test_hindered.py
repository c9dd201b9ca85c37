"""What waits for people and could not run as things stand says so above its buttons; votes are taken as ever."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.agents.models import Action, Agent
from apps.connectors.models import Connector, Operation, OperationPermission
from apps.oversight.selectors import escalation_for
from apps.oversight.selectors.hindrances import hindrance_for
from apps.oversight.services import cast_vote
from tests.workflows.actions import Desk, make_desk, the_action, the_item, work

pytestmark = pytest.mark.django_db
LINE = "As it stands it would not run"
LARGE = 200_000
IBAN = {"path": "iban", "currency": "EUR"}


def page_of(desk: Desk) -> str:
    client = Client()
    client.force_login(desk.approver)
    headers = {"HX-Request": "true", "HX-Target": "detail"}
    return " ".join(client.get(f"/inbox/{the_item().pk}/", headers=headers).content.decode().split())


def permission_is(**columns: Any) -> None:
    OperationPermission.objects.update(**columns)


@pytest.mark.parametrize(
    ("come_between", "why", "code"),
    [
        (lambda: permission_is(limit_minor=80_000, limit_currency="EUR"), "no longer covers this amount", "limit"),
        (lambda: permission_is(fields=["amount_minor", "currency"]), "no longer covers these parameters", "fields"),
        (lambda: permission_is(until=timezone.now() - timedelta(hours=1)), "this operation is gone", "permission"),
        (lambda: OperationPermission.objects.all().delete(), "this operation is gone", "permission"),
        (lambda: Operation.objects.update(state="disabled"), "operation is not in use", "permission"),
        (lambda: Connector.objects.update(state="disabled"), "system is not in use", "permission"),
        (lambda: Operation.objects.update(state="quarantined"), "changed", "operation_quarantined"),
        (lambda: Agent.objects.update(state="suspended"), "This agent is suspended", "agent_inactive"),
    ],
)  # fmt: skip
def test_what_came_between_is_said_above_the_buttons_and_the_vote_is_taken(
    system: Any, come_between: Any, why: str, code: str
) -> None:
    desk = make_desk(system.url)
    assert desk.ask(LARGE).status_code == 202
    assert LINE not in page_of(desk)
    come_between()

    page = page_of(desk)
    said = page[page.index(LINE) : page.index('class="acts"')]
    assert why in said
    assert page.count(LINE) == 1
    item = the_item()
    cast_vote(desk.approver, escalation_id=item.pk, verdict="approve", version=item.version)
    work()
    action = the_action()
    assert (action.state, action.error["code"], system.asked) == ("failed", code, [])


@pytest.mark.parametrize("changed", [{"path": "/other"}, {"amount": IBAN}])
def test_what_is_called_was_changed_meanwhile(system: Any, changed: dict[str, Any]) -> None:
    desk = make_desk(system.url)
    desk.ask(LARGE)
    cast_vote(desk.approver, escalation_id=the_item().pk, verdict="approve", version=1)
    desk.ask(LARGE + 100)
    Operation.objects.update(**changed)
    assert f"{LINE}: The operation is not the one that was judged any more." in page_of(desk)
    work()
    approved = Action.objects.get(parameters__amount_minor=LARGE)
    assert (approved.state, approved.error["code"], system.asked) == ("failed", "operation_changed", [])


def test_what_is_decided_says_it_no_more() -> None:
    desk = make_desk()
    desk.ask(LARGE)
    permission_is(limit_minor=80_000, limit_currency="EUR")
    item = the_item()
    client = Client()
    client.force_login(desk.approver)
    assert LINE in client.get(f"/inbox/{item.pk}/").content.decode()
    cast_vote(desk.approver, escalation_id=item.pk, verdict="reject", reason="No.", version=item.version)
    assert LINE not in client.get(f"/inbox/{item.pk}/").content.decode()


def test_it_costs_the_page_one_query_where_nothing_is_in_the_way(django_assert_num_queries: Any) -> None:
    desk = make_desk()
    desk.ask(LARGE)
    item = escalation_for(desk.approver, the_item().pk)
    operation = Operation.objects.select_related("connector").get()
    with django_assert_num_queries(1):
        assert hindrance_for(desk.approver, item, operation) == ""
