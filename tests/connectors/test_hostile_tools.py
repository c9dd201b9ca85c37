"""Lists of tools that try to do harm: without end, huge, of colliding names, with what nobody sees, with secrets."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apps.audit.models import Payload
from apps.connectors.models import Connector, Operation
from apps.connectors.rules.pins import Plan
from apps.connectors.services import import_tools
from apps.core.errors import InvalidError, UnavailableError
from apps.core.models import User
from tests.connectors.toolroom import REFUND, SECRET, ToolRoom, make_toolroom_connector, open_toolroom, tool
from tests.factories.access import make_admin
from tests.factories.connectors import make_operation

pytestmark = pytest.mark.django_db


@pytest.fixture
def room() -> Iterator[ToolRoom]:
    with open_toolroom() as found:
        yield found


@pytest.fixture
def shop(room: ToolRoom) -> Connector:
    return make_toolroom_connector(room)


@pytest.fixture
def admin() -> User:
    return make_admin()


def unfit(plan: Plan) -> list[tuple[str, str]]:
    return [(one.where, one.reason) for one in plan.unfit]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"result": {"tools": [], "nextCursor": "again"}}, "leads back to itself"),
        ({"result": {"tools": [], "nextCursor": 7}}, "leads back to itself"),
        ({"result": {"tools": [], "nextCursor": "x" * 3000}}, "leads back to itself"),
        ({"result": {"tools": [{}] * 201}}, "More than 200 tools"),
        ({"result": {"tools": {}}}, "list of tools is none"),
        ({"result": {"tools": [{"name": "x" * 800_000}]}}, "larger than"),
        ({"error": {"code": -32601, "message": SECRET}}, "-32601"),
        (307, "redirects are not followed"),
        (500, "no"),
    ],
)
def test_a_list_without_end_or_sense_changes_nothing(
    room: ToolRoom, shop: Connector, admin: User, said: Any, problem: str
) -> None:
    room.said["tools/list"] = said
    with pytest.raises(UnavailableError) as caught:
        import_tools(admin, connector=shop)
    assert problem in str(caught.value.message)
    assert SECRET not in str(caught.value.message)
    assert not Operation.objects.exists()
    assert len(room.heard) <= 8


def test_pages_without_end_have_an_end(room: ToolRoom, shop: Connector, admin: User) -> None:
    def page(door: Any, message: Any) -> None:
        following = int(message["params"].get("cursor", "0")) + 1
        door._reply(message, {"result": {"tools": [], "nextCursor": str(following)}})

    room.said["tools/list"] = page
    with pytest.raises(UnavailableError, match="more than 50 pages"):
        import_tools(admin, connector=shop)
    assert room.methods().count("tools/list") == 50


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("text", "An object is expected"),
        (tool(""), "A name has letters"),
        (tool("../admin"), "A name has letters"),
        (tool("pay\u202e"), "A name has letters"),
        (tool("x" * 129), "A name has letters"),
        (tool(7), "A name has letters"),
        (tool(inputSchema={"type": "string"}), "type object"),
        (tool(inputSchema={"type": "object", "properties": {"a": {"type": "nonsense"}}}), "nonsense"),
        (tool(inputSchema={"type": "object", "properties": {"a": {"$ref": "http://evil.example/x"}}}), "fetched"),
        (tool(inputSchema={"type": "object", "properties": {"a": {"$ref": "#"}}}), "leads out"),
        (
            tool(inputSchema={"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}),
            "leads back to itself",
        ),
        (tool(inputSchema={"type": "object", "properties": {"a": {"pattern": "(?!a)b"}}}), "cannot be matched"),
        (tool(inputSchema={"type": "object", "properties": {"a": {"pattern": "a{2000}"}}}), "be matched"),
        (tool(outputSchema={"type": "array"}), "type object"),
        (tool(description="x" * 10_001), "at most 10000"),
        (tool(description=7), "A description is a text"),
    ],
)
def test_a_tool_that_cannot_be_used_is_left_out_and_says_why(
    room: ToolRoom, shop: Connector, admin: User, broken: Any, why: str
) -> None:
    room.tools = [broken, REFUND]
    plan = import_tools(admin, connector=shop).plan
    assert [found.slug for found in plan.new] == ["shop.refund_order"]
    [(_where, reason)] = unfit(plan)
    assert why in reason


def test_names_that_collide_are_left_out(room: ToolRoom, shop: Connector, admin: User) -> None:
    make_operation(connector=shop, slug="shop.by_hand", method="CALL", path="/look_by_hand", idempotency="none")
    make_operation(slug="shop.taken")
    room.tools = [
        tool("find_order"), tool("findOrder"), tool("twice"), tool("twice"), tool("look_by_hand"), tool("taken"),
    ]  # fmt: skip
    plan = import_tools(admin, connector=shop).plan
    assert [found.slug for found in plan.new] == ["shop.find_order"]
    assert unfit(plan) == [
        ("CALL /findOrder", "Its slug would be shop.find_order, as that of CALL /find_order."),
        ("CALL /twice", "The list names it twice: nobody knows which one would be called."),
        ("CALL /twice", "The list names it twice: nobody knows which one would be called."),
        ("CALL /look_by_hand", "It is described by hand already, as shop.by_hand."),
        ("CALL /taken", "There is an operation shop.taken already."),
    ]


def test_what_nobody_sees_is_written_out(room: ToolRoom, shop: Connector, admin: User) -> None:
    hidden = "".join(chr(base + ord(char)) for base in (0xE0000, 0xE0100) for char in "obey") + "\u3164\ufe00"
    inside = {"type": "object", "properties": {"of": {"type": "string", "description": f"Who.{hidden}"}}}
    room.tools = [tool(description=f"Finds.{hidden}\nOrders.", inputSchema=inside, title=f"Find{hidden}")]
    import_tools(admin, connector=shop)
    operation = Operation.objects.get()
    kept = json.dumps([operation.parameters, operation.name, operation.consequence], ensure_ascii=False)
    assert not set(hidden) & set(kept)
    assert operation.parameters["description"].startswith("Finds.‹U+E006F›")
    assert operation.parameters["description"].endswith("\nOrders.")


def test_a_secret_in_it_refuses_all_of_it(room: ToolRoom, shop: Connector, admin: User) -> None:
    key = "sk_live_" + "a1" * 12
    for where in (tool(description=key), tool(inputSchema={"type": "object", "x": key}), tool(more=[key])):
        room.tools = [REFUND, where]
        with pytest.raises(InvalidError, match="fit") as caught:
            import_tools(admin, connector=shop)
        assert "This looks like a secret" in str(caught.value.errors)
    assert not Operation.objects.exists()
    assert key not in json.dumps(list(Payload.objects.values_list("content", flat=True)))


def test_its_own_secret_is_masked(room: ToolRoom, shop: Connector, admin: User) -> None:
    room.tools = [tool(description=f"You sent {SECRET}.")]
    room.said["initialize"] = {"result": {"protocolVersion": "2025-11-25", "serverInfo": {"name": SECRET}}}
    listing = import_tools(admin, connector=shop)
    assert SECRET not in repr(listing)
    assert Operation.objects.get().parameters["description"] == "You sent •••."
