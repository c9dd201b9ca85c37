"""LangChain's own human-in-the-loop middleware, with a model that says what a test tells it to."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from langchain.messages import AIMessage, ToolMessage
from langchain.tools import tool
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel

from apps.core.models import ClockTimestamp
from apps.oversight.models import Escalation
from apps.oversight.services import expire_escalations
from tests.frameworks.conftest import Office

LARGE = 250_000
MODES = ["batched", "per_call"]


class Model(FakeMessagesListChatModel):
    """Says its lines in turn, whatever tools it is given."""

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> "Model":
        return self


def payment(amount_minor: int = LARGE) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": "EUR", "iban": "DE0017"}


def agent_of(office: Office, *calls: dict[str, Any], mode: str = "batched", **settings: Any) -> Any:
    """An agent whose model calls ``pay`` so, all in one turn, and then says that it is done."""
    from langchain_agent import build

    @tool
    def pay(amount_minor: int, currency: str, iban: str) -> str:
        """Pay an invoice."""
        office.done.append({"amount_minor": amount_minor, "currency": currency, "iban": iban})
        return f"paid {amount_minor}"

    asks = [{"name": "pay", "args": args, "id": f"call{at}", "type": "tool_call"} for at, args in enumerate(calls)]
    model = Model(responses=[AIMessage(content="", tool_calls=asks), AIMessage(content="Done.")])
    return build(model, (pay,), mode, **settings)


def run_of(office: Office, agent: Any) -> Any:
    from langchain_agent import run

    given = {"messages": [{"role": "user", "content": "Pay the invoices."}]}
    return office.meanwhile(lambda: run(agent, office.plane, given, str(uuid4())))


def said_to_the_model(state: Any) -> dict[str, tuple[str, str]]:
    """What the model was told of each of its calls."""
    return {one.tool_call_id: (one.status, one.content) for one in state["messages"] if isinstance(one, ToolMessage)}


@pytest.mark.parametrize("mode", MODES)
def test_people_decide_in_any_order_and_each_call_gets_its_own_answer(office: Office, mode: str) -> None:
    calls = [payment(LARGE + each) for each in range(3)]
    running = run_of(office, agent_of(office, *calls, mode=mode))
    items = sorted(office.items(3), key=lambda item: item.action.amount_minor)
    office.say(items[2], "reject", reason="wrong supplier")
    office.say(items[1], parameters=payment(1_234_00))
    office.say(items[0])
    state = running.result(60)
    said = said_to_the_model(state)
    assert sorted(one["amount_minor"] for one in office.done) == [123_400, LARGE]
    assert said["call0"] == ("success", f"paid {LARGE}")
    assert said["call1"][1].endswith("paid 123400")
    assert said["call2"][0] == "error"
    assert said["call2"][1].endswith("with reason: Rejected by a person: wrong supplier")
    assert sorted(office.states()) == ["rejected", "succeeded", "succeeded"]
    assert state["messages"][-1].content == "Done."


@pytest.mark.parametrize("mode", MODES)
def test_what_rules_say_needs_nobody(office: Office, mode: str) -> None:
    state = run_of(office, agent_of(office, payment(50_000), payment(20_000_000), mode=mode)).result(60)
    said = said_to_the_model(state)
    assert said["call0"] == ("success", "paid 50000")
    assert said["call1"][0] == "error"
    assert said["call1"][1].endswith("Denied by policy: Never.")
    assert office.done == [payment(50_000)]
    assert not Escalation.objects.filter(agent=office.desk.agent).exists()


@pytest.mark.parametrize("mode", MODES)
def test_nobody_gives_an_answer_that_the_tool_does_not_take(office: Office, mode: str) -> None:
    from apps.core.errors import InvalidError

    settings = {"pay": {"allowed_decisions": ["approve", "reject"]}}
    running = run_of(office, agent_of(office, payment(), mode=mode, **settings))
    (item,) = office.items(1)
    assert item.sayable()["approve"]["edit"] is False
    with pytest.raises(InvalidError) as refused:
        office.say(item, parameters=payment(1))
    assert list(refused.value.errors) == ["parameters"]
    office.say(item)
    running.result(60)
    assert office.done == [payment()]


def test_what_nobody_decided_is_said_to_be_nobody_s_no(office: Office) -> None:
    running = run_of(office, agent_of(office, payment()))
    (item,) = office.items(1)
    Escalation.objects.filter(pk=item.pk).update(expires_at=ClockTimestamp() - timedelta(seconds=1))
    expire_escalations()
    said = said_to_the_model(running.result(60))
    assert "nobody decided in time. Nobody rejected it." in said["call0"][1]
    assert (office.done, office.states()) == ([], ["expired"])


def test_a_model_that_asks_again_for_what_was_rejected_is_told_so_and_nobody_is_asked(office: Office) -> None:
    running = run_of(office, agent_of(office, payment()))
    (item,) = office.items(1)
    office.say(item, "reject", reason="wrong supplier")
    running.result(60)
    said = said_to_the_model(run_of(office, agent_of(office, payment())).result(60))
    assert said["call0"][1].endswith("Rejected by a person: wrong supplier")
    assert Escalation.objects.filter(agent=office.desk.agent).count() == 1
