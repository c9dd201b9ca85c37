"""A LangGraph graph whose refunds wait for the plane. It asks with a HumanInterrupt, as such graphs do anywhere.

ACP_KEY=acp_agt_... python examples/langgraph_agent.py [amount in cents]     (needs httpx and langgraph)
"""

import sys
import uuid
from typing import Any, TypedDict

from interrupts import Plane
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt


class State(TypedDict, total=False):
    args: dict[str, Any]
    result: Any
    why_not: Any


def refund(state: State) -> State:
    request = {
        "action_request": {"action": "refund", "args": state["args"]},
        "config": {"allow_ignore": True, "allow_respond": True, "allow_edit": True, "allow_accept": True},
        "description": "Make it good with the customer.",
    }
    answer = interrupt([request])[0]
    if answer["type"] in ("response", "ignore"):
        return {"why_not": answer["args"]}
    args = answer["args"]["args"] if answer["type"] == "edit" else state["args"]
    return {"result": f"refunded {args['amount_minor']}"}  # here the tool does it


def build(checkpointer=None, node=refund):
    graph = StateGraph(State).add_node("refund", node).add_edge(START, "refund").add_edge("refund", END)
    return graph.compile(checkpointer=checkpointer or InMemorySaver())


def run(graph, plane, given, thread):
    config = {"configurable": {"thread_id": thread}}
    state = graph.invoke(given, config)
    while waiting := state.get("__interrupt__"):
        answers = plane.answers(waiting)
        state = graph.invoke(Command(resume={key: found["resume"] for key, found in answers.items()}), config)
        for found in answers.values():
            plane.report(found["calls"][0], state.get("result"))
    return state


if __name__ == "__main__":
    reference = str(uuid.uuid4())
    amount_minor = int(sys.argv[1]) if len(sys.argv) > 1 else 18_000
    money = {"amount_minor": amount_minor, "currency": "EUR"}
    args = {"customer": "hallam-sons", **money, "reason": "Broken on arrival", "reference": reference}
    print(run(build(), Plane({"refund": "erp.refund"}), {"args": args}, reference))
