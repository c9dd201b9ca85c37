"""A LangChain agent whose refunds wait for the plane, by LangChain's own HumanInTheLoopMiddleware.

ACP_KEY=acp_agt_... python examples/langchain_agent.py MODEL "Refund ..."     (needs httpx, langchain, a model)
"""

import sys
import uuid

from interrupts import Plane
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain.messages import ToolMessage
from langchain.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command


@tool
def refund(customer: str, amount_minor: int, currency: str, reason: str, reference: str) -> str:
    """Refund a customer; the amount in cents."""
    return f"refunded {amount_minor}"  # here the tool does it


def build(model, tools=(refund,), mode="batched", **settings):
    gate = HumanInTheLoopMiddleware(interrupt_on={one.name: True for one in tools} | settings, interrupt_mode=mode)
    return create_agent(model, tools=list(tools), middleware=[gate], checkpointer=InMemorySaver())


def run(agent, plane, given, thread):
    config = {"configurable": {"thread_id": thread}}
    state = agent.invoke(given, config)
    while waiting := state.get("__interrupt__"):
        answers, asking = plane.answers(waiting), state["messages"][-1]
        state = agent.invoke(Command(resume={key: found["resume"] for key, found in answers.items()}), config)
        said = {one.tool_call_id: one for one in state["messages"] if isinstance(one, ToolMessage)}
        for one in waiting:
            for call, tool_call_id in zip(answers[one.id]["calls"], calls_of(one.value, asking), strict=True):
                plane.report(call, said[tool_call_id].content, said[tool_call_id].status == "success")
    return state


def calls_of(asked, message):
    """The model's own ids of the calls that an interrupt asks for, in its order."""
    if "tool_call_id" in asked:
        return [asked["tool_call_id"]]
    names = {request["name"] for request in asked["action_requests"]}
    return [call["id"] for call in message.tool_calls if call["name"] in names]


if __name__ == "__main__":
    from langchain.chat_models import init_chat_model

    messages = {"messages": [{"role": "user", "content": sys.argv[2]}]}
    agent = build(init_chat_model(sys.argv[1]))
    print(run(agent, Plane({"refund": "erp.refund"}), messages, str(uuid.uuid4()))["messages"][-1].content)
