"""Erasing a trail takes the words of the spans about it, also of those that come later; counts stay."""

import pytest

from apps.agents.models import Action, Agent
from apps.telemetry.models import DiscoveredAgent, Span, UsageRecord
from tests.factories.access import make_admin
from tests.factories.agents import make_agent
from tests.factories.telemetry import CHAT, body_of, rejected, send, span
from tests.factories.workflows import deliver_all, erase
from tests.oversight.edge_cases.test_rows_21_to_26 import places_of
from tests.workflows.actions import make_desk, the_action, work

pytestmark = pytest.mark.django_db
CANARY = "Bond, 7 Cliff Road"


def erased(agent: Agent) -> Action:
    """An action of the agent whose trail was erased."""
    action = the_action()
    erase(make_admin(), action.pk, "The data subject asked us to.")
    deliver_all()
    return action


def test_the_words_of_spans_go_and_what_was_counted_stays() -> None:
    desk = make_desk()
    desk.ask(100, reference="inv-1")
    work()
    action, other = the_action(), make_agent()
    said = {**CHAT, "note": CANARY, "acp.action.id": str(action.pk), "gen_ai.conversation.id": CANARY}
    send(desk.agent, body_of(span(1, said, name=CANARY)))
    send(other, body_of(span(2, {"note": CANARY}, name=CANARY, trace=action.pk.hex), service_name="of-nobody"))
    assert "telemetry_span" in places_of(CANARY)
    erased(desk.agent)
    assert places_of(CANARY) == set()
    assert (Span.objects.count(), UsageRecord.objects.count()) == (2, 1)
    assert Span.objects.get(agent=desk.agent).tokens["input"] == 100
    assert {span.service for span in Span.objects.all()} == {""}
    found = DiscoveredAgent.objects.get()
    assert (found.service, found.sender) == ("of-nobody", other), "a finding about its sender is of no trail"


def test_what_comes_after_the_erasure_is_kept_without_its_words() -> None:
    desk = make_desk()
    desk.ask(100, reference="inv-1")
    work()
    action = erased(desk.agent)
    named = span(1, {"note": CANARY, "acp.action.id": str(action.pk)}, name=CANARY)
    inside = span(2, {"note": CANARY}, name=CANARY, trace=action.pk.hex)
    assert rejected(send(desk.agent, body_of(named, inside, span(3, {"note": "other"}, trace="7" * 32)))) == 0
    assert places_of(CANARY) == set()
    assert Span.objects.get(span_id__endswith="3").attributes == {"note": "other"}
