"""A LangGraph graph that interrupts for people, with its own checkpointer."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt.interrupt import ActionRequest, HumanInterrupt, HumanInterruptConfig, HumanResponse
from langgraph.types import Command, interrupt

from apps.agents.models import Action
from apps.core.models import ClockTimestamp
from apps.oversight.models import Escalation
from apps.oversight.services import expire_escalations
from tests.frameworks.conftest import Office
from tests.serving import wait_for

LARGE = 250_000
EVERYTHING = HumanInterruptConfig(allow_ignore=True, allow_respond=True, allow_edit=True, allow_accept=True)


def payment(amount_minor: int = LARGE, **more: Any) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": "EUR", "iban": "DE0017", **more}


def paying(office: Office, config: HumanInterruptConfig = EVERYTHING) -> Any:
    """A node that asks for every payment of its state with LangGraph's own types, and does what it may."""

    def node(state: dict[str, Any]) -> dict[str, Any]:
        wanted = state["args"] if isinstance(state["args"], list) else [state["args"]]
        answers: list[HumanResponse] = interrupt(
            [
                HumanInterrupt(
                    action_request=ActionRequest(action="pay", args=args), config=config, description="Pay ACME."
                )
                for args in wanted
            ]
        )
        told = []
        for args, answer in zip(wanted, answers, strict=True):
            if answer["type"] in {"accept", "edit"}:
                office.done.append(answer["args"]["args"] if answer["type"] == "edit" else args)
            told.append(answer)
        return {"result": told}

    return node


class Graph:
    """A compiled graph on a checkpointer that outlives it, as after a crash of the process."""

    def __init__(self, office: Office, node: Any = None) -> None:
        from langgraph_agent import build

        self.office, self.saver, self.thread = office, InMemorySaver(), str(uuid4())
        self.build = lambda: build(self.saver, node or paying(office))

    @property
    def config(self) -> dict[str, Any]:
        return {"configurable": {"thread_id": self.thread}}

    def start(self, *args: dict[str, Any]) -> Any:
        """Run until it interrupts; the interrupts."""
        return self.build().invoke({"args": list(args)}, self.config)["__interrupt__"]

    def resume(self, answers: dict[str, Any]) -> list[HumanResponse]:
        found = {key: answer["resume"] for key, answer in answers.items()}
        return self.build().invoke(Command(resume=found), self.config)["result"]


def test_a_person_approves_while_the_graph_waits_and_the_tool_runs_once(office: Office) -> None:
    from langgraph_agent import build, run

    graph = build(InMemorySaver(), paying(office))
    running = office.meanwhile(lambda: run(graph, office.plane, {"args": payment()}, "t"))
    (item,) = office.items(1)
    assert office.done == []
    office.say(item)
    assert running.result(30)["result"] == [{"type": "accept", "args": None}]
    assert office.done == [payment()]
    assert office.states() == ["succeeded"]


def test_the_answers_fit_their_calls_when_the_second_is_decided_first(office: Office) -> None:
    graph = Graph(office)
    waiting = graph.start(payment(), payment(LARGE + 1))
    deciding = office.meanwhile(lambda: office.plane.answers(waiting))
    first, second = office.items(2)
    office.say(second, "reject", reason="wrong supplier")
    assert not deciding.done()
    office.say(first)
    told = graph.resume(deciding.result(30))
    assert told == [
        {"type": "accept", "args": None},
        {"type": "response", "args": "Rejected by a person: wrong supplier"},
    ]
    assert office.done == [payment()]
    assert office.states() == ["executing", "rejected"]


NOTES = {
    "int": 1, "float": 1.5, "whole": 2.0, "big": 2**53 - 1, "negative": -3, "null": None, "yes": True,
    "text": "1", "unicode": "Zürich \U0001f4b6 e\u0301", "empty": {}, "list": [1, "1", None, [False, 0]],
    "nested": {"a": {"b": [{"c": 0.1}]}},
}  # fmt: skip


def same_types(left: Any, right: Any) -> bool:
    """Equal, and of the same types all the way down: 1 is neither 1.0 nor True."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same_types(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same_types, left, right))
    return bool(left == right)


def test_an_edit_reaches_the_tool_with_every_type_as_it_was(office: Office) -> None:
    schema = dict(office.desk.operation.parameters)
    schema["properties"] = {**schema["properties"], "note": {}}
    office.desk.operation.parameters = schema
    office.desk.operation.save()
    graph = Graph(office)
    asked = payment(note=NOTES)
    deciding = office.meanwhile(lambda: office.plane.answers(graph.start(asked)))
    (item,) = office.items(1)
    office.say(item, parameters=payment(LARGE - 1, note=NOTES))
    graph.resume(deciding.result(30))
    (done,) = office.done
    assert same_types(done, payment(LARGE - 1, note=NOTES)), done


def test_what_rules_allow_runs_without_anybody_and_what_they_deny_says_why(office: Office) -> None:
    graph = Graph(office)
    answers = office.plane.answers(graph.start(payment(50_000), payment(20_000_000)))
    assert graph.resume(answers) == [
        {"type": "accept", "args": None},
        {"type": "response", "args": "Denied by policy: Never."},
    ]
    assert office.done == [payment(50_000)]
    assert not Escalation.objects.filter(agent=office.desk.agent).exists()


@pytest.mark.parametrize(
    ("respond", "told"),
    [
        (True, {"type": "response", "args": "Not carried out: nobody decided in time. Nobody rejected it."}),
        (False, {"type": "ignore", "args": None}),
    ],
)
def test_what_nobody_decides_is_never_told_as_a_rejection(office: Office, respond: bool, told: Any) -> None:
    config = HumanInterruptConfig(allow_ignore=True, allow_respond=respond, allow_edit=True, allow_accept=True)
    graph = Graph(office, paying(office, config))
    deciding = office.meanwhile(lambda: office.plane.answers(graph.start(payment())))
    (item,) = office.items(1)
    Escalation.objects.filter(pk=item.pk).update(expires_at=ClockTimestamp() - timedelta(seconds=1))
    expire_escalations()
    answers = deciding.result(30)
    (call,) = next(iter(answers.values()))["calls"]
    assert (call["state"], call["why"], call["decided_by"]) == ("expired", "expired", None)
    assert graph.resume(answers) == [told]
    assert office.done == []


def test_a_process_that_dies_while_it_waits_finds_what_it_asked_for(office: Office) -> None:
    graph = Graph(office)
    before = office.plane._ask(graph.start(payment())[0])
    after = graph.build().get_state(graph.config).interrupts  # a new process, the same checkpoint
    deciding = office.meanwhile(lambda: office.plane.answers(after))
    (item,) = office.items(1)
    office.say(item)
    answers = deciding.result(30)
    assert next(iter(answers.values()))["id"] == before["id"]
    graph.resume(answers)
    assert office.done == [payment()]
    assert Action.objects.filter(agent=office.desk.agent).count() == 1


def test_a_process_that_dies_after_it_was_handed_an_approval_never_runs_it_twice(office: Office) -> None:
    graph = Graph(office)
    office.plane.answers(graph.start(payment(50_000)))  # handed over, and the process dies with it
    after = graph.build().get_state(graph.config).interrupts
    with pytest.raises(RuntimeError, match="already_consumed"):
        office.plane.answers(after)
    assert office.done == []
    assert office.states() == ["executing"]  # nobody knows; people find out


def test_looking_wakes_as_soon_as_the_last_call_is_decided(office: Office) -> None:
    graph = Graph(office)
    asked = office.plane._ask(graph.start(payment(), payment(LARGE + 1))[0])
    look = f"/interrupts/{asked['id']}/"
    held = office.meanwhile(lambda: office.plane.http.get(look, params={"wait": 25, "state": "waiting"}).json())
    first, second = office.items(2)
    office.say(first)
    office.say(second)
    wait_for(held.done, seconds=15)
    assert held.result()["state"] == "ready"
