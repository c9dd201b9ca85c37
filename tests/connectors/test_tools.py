"""Operations that call tools of an MCP server: what is said, which answers are believed, what is not known."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apps.agents.models import Action
from apps.connectors.adapters.http import Call
from apps.connectors.adapters.mcp import ToolCall, call_tool
from apps.connectors.models import ConnectorCall, Effect
from apps.connectors.rules import CallEnd, CallResult, origin_of
from apps.connectors.rules.jsonrpc import events_of
from tests.connectors.toolroom import REFUND, SECRET, ToolRoom, make_toolroom_connector, open_toolroom
from tests.factories.agents import make_agent, make_key_for
from tests.factories.connectors import make_operation, permit
from tests.factories.policies import make_policy, make_rule
from tests.workflows.actions import Desk, work

pytestmark = pytest.mark.django_db

NO = ("failed", "refused_by_system")
OUTPUT = REFUND["outputSchema"]
ORDER: dict[str, Any] = {
    "type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"], "additionalProperties": False,
}  # fmt: skip


@pytest.fixture
def room() -> Iterator[ToolRoom]:
    with open_toolroom() as found:
        yield found


def said_to(room: ToolRoom, *, answer: Any = None, **fields: Any) -> CallResult:
    origin = origin_of(room.url)
    given = {"timeout_s": 5, "allow_internal": True, "auth": [("Authorization", f"Bearer {SECRET}")], "masks": [SECRET]}
    call = Call("POST", origin, origin.path, **{**given, **fields})  # type: ignore[arg-type] # as a test likes
    return call_tool(ToolCall(call, "refund_order", {"order": "R-7"}, answer))


def stream(*messages: Any) -> bytes:
    events = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in messages)
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + events


@pytest.mark.parametrize("as_stream", [False, True])
def test_a_tool_is_called_in_a_session_of_its_own(room: ToolRoom, as_stream: bool) -> None:
    room.as_stream = as_stream
    result = said_to(room, answer=OUTPUT)
    assert (result.end, result.status, result.result) == (CallEnd.ANSWERED, 200, {"refund": "R-1"}), result
    assert room.methods() == ["initialize", "notifications/initialized", "tools/call", "DELETE"]
    first, *others = [headers for _method, _message, headers in room.heard]
    assert "Mcp-Session-Id" not in first
    assert {headers["Mcp-Session-Id"] for headers in others} == {"s-1234"}
    assert {headers["MCP-Protocol-Version"] for headers in others} == {"2025-11-25"}
    assert {headers["Authorization"] for headers in (first, *others)} == {f"Bearer {SECRET}"}
    hello, call = room.heard[0][1]["params"], room.heard[2][1]["params"]
    assert (hello["capabilities"], call) == ({}, {"name": "refund_order", "arguments": {"order": "R-7"}})


def test_a_server_without_sessions_is_left_without_a_goodbye(room: ToolRoom) -> None:
    room.session, room.version = "", "2025-03-26"
    assert said_to(room).status == 200
    assert room.methods() == ["initialize", "notifications/initialized", "tools/call"]
    assert room.heard[2][2]["MCP-Protocol-Version"] == "2025-03-26"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ([{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}], {"text": "One.\n\nTwo."}),
        ([{"type": "image", "data": "x"}, {"type": "text", "text": "A."}], {"text": "A.", "left_out": ["image"]}),
        ([], {"text": ""}),
    ],
)
def test_without_structure_an_answer_is_its_texts(room: ToolRoom, content: Any, found: Any) -> None:
    room.said["tools/call"] = {"result": {"content": content}}
    assert said_to(room).result == found


@pytest.mark.parametrize(
    ("said", "end", "status"),
    [
        ({"result": {"isError": True, "content": [{"type": "text", "text": "No such order."}]}}, "answered", 422),
        ({"result": {"isError": 1, "structuredContent": {"refund": "R-1"}}}, "broken", 200),
        ({"result": {"isError": None, "structuredContent": {"refund": "R-1"}}}, "broken", 200),
        ({"error": {"code": -32601, "message": "No such method"}}, "answered", 400),
        ({"error": {"code": -32602, "message": "Output validation error"}}, "answered", 500),
        ({"error": {"code": -32603, "message": "Internal error"}}, "answered", 500),
        ({"error": {"code": -32000, "message": "Connection closed"}}, "answered", 500),
        ({"error": {"code": 0, "message": "timed out"}}, "answered", 500),
        ({"error": "no"}, "broken", None),
        ({"result": ["x"]}, "broken", None),
        ({"result": {"content": "x"}}, "broken", None),
        ({"result": {"structuredContent": [1]}}, "broken", None),
        ({"result": {"structuredContent": {"refund": 7}}}, "broken", 200),
        ({"result": {"content": [{"type": "text", "text": "Done."}]}}, "broken", 200),
        ({"id": 7, "result": {}}, "broken", None),
        ({"id": True, "result": {}}, "broken", None),
        ({"id": "3", "result": {}}, "broken", None),
        (401, "answered", 401),
        (404, "answered", 404),
        (500, "answered", 500),
        (307, "broken", 307),
        (204, "broken", None),
    ],
)
def test_what_an_answer_says(room: ToolRoom, said: Any, end: str, status: int | None) -> None:
    room.said["tools/call"] = said
    result = said_to(room, answer=OUTPUT)
    assert (result.end, result.status, result.result) == (end, status, None), result
    assert room.methods()[-1] == "DELETE"


@pytest.mark.parametrize("method", ["initialize", "notifications/initialized"])
@pytest.mark.parametrize(
    ("said", "end", "status"),
    [
        (500, "unreachable", 500),
        (307, "unreachable", 307),
        (401, "answered", 401),
        (lambda door, _message: door.raw(b""), "unreachable", None),
        (lambda door, _message: door.raw(b"220 I am a mail server\r\n"), "unreachable", None),
    ],
)
def test_before_the_tool_is_called_nothing_is_begun(
    room: ToolRoom, method: str, said: Any, end: str, status: int | None
) -> None:
    room.said[method] = said
    result = said_to(room)
    assert (result.end, result.status) == (end, status), result
    assert "tools/call" not in room.methods()


@pytest.mark.parametrize(
    "said",
    [
        {"result": {"protocolVersion": "1999-01-01"}},
        {"result": {"protocolVersion": SECRET}},
        {"result": {}},
    ],
)
def test_another_protocol_is_not_spoken(room: ToolRoom, said: Any) -> None:
    room.said["initialize"] = said
    result = said_to(room)
    assert (result.end, SECRET in result.error) == (CallEnd.UNPREPARED, False)
    assert room.methods() == ["initialize", "DELETE"]


@pytest.mark.parametrize("session", ["a b", "x" * 513])
def test_a_session_with_an_odd_name_is_none(room: ToolRoom, session: str) -> None:
    room.session = session
    assert said_to(room).end == CallEnd.UNREACHABLE
    assert room.methods() == ["initialize"]


def test_what_a_server_asks_for_is_refused(room: ToolRoom) -> None:
    asked = [
        {"jsonrpc": "2.0", "id": "x", "method": "sampling/createMessage", "params": {"messages": []}},
        {"jsonrpc": "2.0", "id": 9, "method": "elicitation/create", "params": {"message": "Your password?"}},
        {"jsonrpc": "2.0", "id": 10, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "hello"}},
    ]
    room.as_stream, room.before = True, asked
    assert said_to(room).result == {"refund": "R-1"}
    answers = [message for method, message, _headers in room.heard if method == "answer"]
    assert [(answer["id"], answer.get("error", {}).get("code")) for answer in answers] == [
        ("x", -32601), (9, -32601), (10, None),
    ]  # fmt: skip


def test_a_server_that_only_asks_is_left(room: ToolRoom) -> None:
    room.as_stream = True
    room.before = [{"jsonrpc": "2.0", "id": n, "method": "roots/list"} for n in range(50)]
    result = said_to(room)
    assert (result.end, room.methods().count("answer")) == (CallEnd.BROKEN, 5)


def test_a_stream_that_ends_or_says_too_much_answers_nothing(room: ToolRoom) -> None:
    room.said["tools/call"] = lambda door, _message: door.raw(stream({"jsonrpc": "2.0", "method": "x"}))
    assert said_to(room).end == CallEnd.SILENT
    for text in (b"data: " + b"x" * 30_000, b"data: \n\n" * 5_000, b": keep alive\n" * 3_000):
        room.said["tools/call"] = lambda door, _message, text=text: door.raw(stream() + text)
        result = said_to(room, most_bytes=20_000)
        assert (result.end, "larger than 20000 bytes" in result.error) == (CallEnd.BROKEN, True)


def test_an_answer_that_is_too_large_to_be_checked_is_not(room: ToolRoom) -> None:
    schema = {"type": "object", "properties": {str(n): {"type": "string"} for n in range(500)}}
    room.said["tools/call"] = {"result": {"structuredContent": {"a": [1] * 10_000}}}
    result = said_to(room, answer=schema)
    assert (result.end, "too large to be checked" in result.error) == (CallEnd.BROKEN, True)


def test_a_stream_that_never_ends_is_left_at_the_deadline(room: ToolRoom) -> None:
    def drip(door: Any, _message: Any) -> None:
        door.raw(stream())
        door.rfile.read(1)  # until the client hangs up

    room.said["tools/call"] = drip
    assert said_to(room, timeout_s=1).end == CallEnd.SILENT


def test_a_stream_that_stays_open_is_not_waited_for(room: ToolRoom) -> None:
    def stay(door: Any, message: Any) -> None:
        door.raw(stream({"jsonrpc": "2.0", "id": message["id"], "result": {"content": []}}))
        door.rfile.read(1)

    room.said["tools/call"] = stay
    assert said_to(room, timeout_s=60).result == {"text": ""}


@pytest.mark.parametrize(
    ("chunks", "found"),
    [
        ([b"data: a\n", b"\n"], [b"a"]),
        ([b"data: a\r\n\r\ndata:b\r\rdata: c\n\n"], [b"a", b"b", b"c"]),
        ([b"da", b"ta: a", b"\r", b"\n", b"\r", b"\n"], [b"a"]),
        ([b"data: a\ndata: b\nid: 7\nretry: 1\n\n"], [b"a\nb"]),
        ([b"data:\n\n", b": x\n\n", b"data: a"], []),
    ],
)
def test_events_are_read_however_they_are_cut(chunks: list[bytes], found: list[bytes]) -> None:
    assert list(events_of(chunks)) == found
    assert list(events_of([bytes([each]) for each in b"".join(chunks)])) == found


def test_no_secret_comes_back(room: ToolRoom) -> None:
    for said in (
        {"result": {"structuredContent": {SECRET: f"Bearer {SECRET}"}}},
        {"result": {"content": [{"type": "text", "text": SECRET}]}},
        {"result": {"isError": True, "content": [{"type": "text", "text": f"bad token {SECRET}"}]}},
        {"error": {"code": -32603, "message": SECRET}},
        {"result": {"structuredContent": {"refund": [SECRET]}}},
    ):
        room.said["tools/call"] = said
        assert SECRET not in repr(said_to(room)), said
        assert SECRET not in repr(said_to(room, answer=OUTPUT)), said


def test_the_secret_before_stands_in(room: ToolRoom) -> None:
    def door(door: Any, message: Any) -> None:
        if "old" in door.headers["Authorization"]:
            door._reply(message, {"result": door._own(message)})
        else:
            door._answer(401, b"")

    room.said["initialize"] = door
    result = said_to(room, older=[("Authorization", "Bearer old")])
    assert (result.status, result.stood_in) == (200, True)


def test_an_inside_address_is_refused_unless_it_is_allowed(room: ToolRoom) -> None:
    assert (said_to(room, allow_internal=False).end, room.heard) == (CallEnd.REFUSED, [])


def asked(room: ToolRoom, *, effect: str = "write", **fields: Any) -> tuple[Action, Desk]:
    """What an agent gets that calls the tool."""
    connector = make_toolroom_connector(room)
    agent = make_agent()
    given = {"slug": "shop.refund_order", "method": "CALL", "path": "/refund_order", "parameters": ORDER,
             "effect": effect, "idempotency": "none", "amount": None, "target": "", "consequence": "Refunds {order}.",
             "tool": {"output": OUTPUT}}  # fmt: skip
    operation = make_operation(connector=connector, **{**given, **fields})
    permit(agent.user, operation)
    policy = make_policy(make_rule(slug="all", scope={"operations": [operation.slug]}), unit=agent.unit)
    desk = Desk(agent, make_key_for(agent), operation, None, policy, None)  # type: ignore[arg-type] # nobody decides
    answer = desk.post("actions/", {"operation": operation.slug, "parameters": {"order": "R-7"}}, key="k1")
    assert answer.status_code == 202, answer.content
    work()
    return Action.objects.get(pk=answer.json()["id"]), desk


def test_an_agent_calls_a_tool_and_sees_its_answer(room: ToolRoom) -> None:
    action, desk = asked(room)
    assert (action.state, action.result) == ("succeeded", {"refund": "R-1"}), action.error
    assert desk.get(f"actions/{action.pk}/").json()["result"] == {"refund": "R-1"}
    call = ConnectorCall.objects.get()
    assert (call.purpose, call.end, call.status, call.in_trouble) == ("effect", "answered", 200, False)
    assert SECRET not in json.dumps(Effect.objects.get().response)


@pytest.mark.parametrize(
    ("said", "write", "read"),
    [
        (
            {"result": {"isError": True, "content": []}},
            NO,
            NO,
        ),
        ({"error": {"code": -32601, "message": "x"}}, NO, NO),
        ({"error": {"code": -32602, "message": "x"}}, ("unknown", "system_error"), ("failed", "system_error")),
        ({"error": {"code": -32603, "message": "x"}}, ("unknown", "system_error"), ("failed", "system_error")),
        ({"result": {"structuredContent": {}}}, ("unknown", "broken_answer"), ("failed", "broken_answer")),
        (lambda door, _message: door.raw(b""), ("unknown", "broken_answer"), ("failed", "broken_answer")),
        (lambda door, _message: door.raw(stream()), ("unknown", "no_answer"), ("failed", "no_answer")),
    ],
)
@pytest.mark.parametrize("effect", ["write", "read"])
def test_an_answer_that_nobody_knows_is_unknown(
    room: ToolRoom, effect: str, said: Any, write: tuple[str, str], read: tuple[str, str]
) -> None:
    room.said["tools/call"] = said
    asked(room, effect=effect)
    found = Effect.objects.get()
    assert (found.state, found.error["code"]) == (write if effect == "write" else read)


def test_a_server_that_is_busy_is_asked_later(room: ToolRoom) -> None:
    def later(door: Any, _message: Any) -> None:
        door.raw(b"HTTP/1.1 429 Too Many\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n")

    room.said["initialize"] = later
    action, _desk = asked(room)
    effect = Effect.objects.get()
    assert (effect.state, effect.error["code"], effect.retry_at is not None) == ("prepared", "busy", True)
    assert action.state in {"approved", "executing"}
