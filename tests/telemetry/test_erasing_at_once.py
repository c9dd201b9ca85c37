"""Spans and the erasure of what they are about at the same time, with real connections: no word stays."""

from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from apps.agents.models import Agent
from apps.core.errors import RateLimitedError
from apps.telemetry.models import Span
from apps.telemetry.rules import otlp
from apps.telemetry.services.erasing import blank_erased
from apps.telemetry.services.spans import Taken, take_spans
from tests.factories.access import make_admin
from tests.factories.telemetry import body_of, span
from tests.factories.workflows import deliver_all, erase
from tests.oversight.edge_cases.test_rows_21_to_26 import places_of
from tests.telemetry.test_erasing import CANARY
from tests.together import at_once
from tests.workflows.actions import make_desk, the_action, work

pytestmark = pytest.mark.usefixtures("real_db")


def take(agent: Agent, body: bytes) -> Taken:
    """As the endpoint does, without a request, so that the transaction is the caller's."""
    spans, unreadable = otlp.read_traces(body, otlp.JSON)
    return take_spans(agent.user, spans=spans, unreadable=unreadable)


def impatient(job: Any) -> Any:
    """Do it with a connection that waits for nobody."""

    def run() -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
        try:
            return job()
        except OperationalError as error:
            return error

    return run


def test_an_erasure_waits_for_spans_that_are_just_being_written_and_takes_them_too() -> None:
    desk = make_desk()
    desk.ask(100, reference="inv-1")
    work()
    action, admin = the_action(), make_admin()
    body = body_of(span(1, {"note": CANARY, "acp.action.id": str(action.pk)}, name=CANARY))
    with transaction.atomic():
        assert take(desk.agent, body).kept == 1
        (waits,) = at_once(impatient(lambda: erase(admin, action.pk, "Asked for.")))
        assert isinstance(waits, OperationalError)
    assert "telemetry_span" in places_of(CANARY)
    erase(admin, action.pk, "Asked for.")
    deliver_all()
    assert places_of(CANARY) == set()


def test_spans_wait_for_an_erasure_that_is_just_being_done() -> None:
    desk = make_desk()
    desk.ask(100, reference="inv-1")
    work()
    action, admin = the_action(), make_admin()
    body = body_of(span(1, {"note": CANARY, "acp.action.id": str(action.pk)}, name=CANARY))
    with transaction.atomic():
        erase(admin, action.pk, "Asked for.")
        (waits,) = at_once(impatient(lambda: blank_erased([action.pk.hex])))
        assert isinstance(waits, OperationalError), "Whether it is erased, nobody knows yet."
    deliver_all()
    assert take(desk.agent, body).kept == 1
    assert Span.objects.count() == 1
    assert places_of(CANARY) == set()


def test_spans_and_an_erasure_at_once_leave_no_word() -> None:
    desk = make_desk()
    desk.ask(100, reference="inv-1")
    work()
    action, admin = the_action(), make_admin()
    named = {"note": CANARY, "acp.action.id": str(action.pk)}
    bodies = [body_of(span(number, named, name=CANARY)) for number in range(1, 5)]
    found = at_once(
        lambda: erase(admin, action.pk, "Asked for."), *(lambda body=body: take(desk.agent, body) for body in bodies)
    )
    assert all(isinstance(one, Taken | RateLimitedError) for one in found[1:])
    deliver_all()
    assert places_of(CANARY) == set()
