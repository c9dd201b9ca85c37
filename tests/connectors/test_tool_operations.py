"""What an operation that calls a tool may be, and what is done with it beside being called."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from apps.agents.models import Action
from apps.connectors.models import Connector, ConnectorCall, Operation
from apps.connectors.rules import OperationSpec
from apps.connectors.services import save_connector, save_operation
from apps.connectors.services.calls import call_at
from apps.core.errors import InvalidError
from apps.core.services import system_user
from tests.connectors.test_views import browser
from tests.connectors.toolroom import ToolRoom, make_toolroom_connector, open_toolroom
from tests.factories.access import make_admin
from tests.factories.connectors import make_connector, make_operation
from tests.factories.oversight import make_payment

pytestmark = pytest.mark.django_db

ORDER: dict[str, Any] = {
    "type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"], "additionalProperties": False,
}  # fmt: skip
SPEC: dict[str, Any] = {
    "name": "Refund", "method": "CALL", "path": "/refund_order", "effect": "write", "parameters": ORDER,
    "tool": {"output": {"type": "object"}},
}  # fmt: skip


@pytest.fixture
def room() -> Iterator[ToolRoom]:
    with open_toolroom() as found:
        yield found


@pytest.fixture
def shop() -> Connector:
    return make_connector(slug="shop", adapter="mcp", base_url="https://tools.example/mcp")


def test_a_tool_is_an_operation(shop: Connector) -> None:
    operation, outcome = save_operation(
        system_user("console"), slug="shop.refund", connector=shop, spec=OperationSpec(**SPEC)
    )
    assert (outcome, operation.tool) == ("created", SPEC["tool"])
    before = operation.definition_digest
    operation.tool = {"output": {"type": "object", "required": ["refund"]}}
    assert operation.definition_digest != before


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"method": "POST"}, "method"),
        ({"path": "/"}, "path"),
        ({"path": "/a/b"}, "path"),
        ({"path": "/{order}"}, "path"),
        ({"path": "/.hidden"}, "path"),
        ({"path": "/.."}, "path"),
        ({"execution": "both"}, "execution"),
        ({"idempotency": "header"}, "idempotency"),
        ({"tool": {"more": 1}}, "tool"),
        ({"tool": {"hints": {"readOnlyHint": "yes"}}}, "tool"),
        ({"tool": {"hints": {"other": True}}}, "tool"),
        ({"tool": {"output": {"type": "array"}}}, "tool"),
        ({"tool": {"output": {"type": "object", "$ref": "https://evil.example"}}}, "tool"),
        ({"dry_run": {"method": "POST", "path": "/check"}}, "dry_run"),
        ({"dry_run": {"method": "CALL", "path": "/a/b"}}, "dry_run"),
        ({"dry_run": {"method": "CALL", "path": "/refund_order"}}, "dry_run"),
        ({"query": "SELECT 1"}, "query"),
        ({"mail": {}}, "mail"),
    ],
)
def test_what_does_not_fit_a_tool_is_refused(shop: Connector, said: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        save_operation(
            system_user("console"), slug="shop.refund", connector=shop, spec=OperationSpec(**{**SPEC, **said})
        )
    assert field in caught.value.errors
    assert not Operation.objects.exists()


def test_only_a_server_has_tools() -> None:
    with pytest.raises(InvalidError) as caught:
        save_operation(
            system_user("console"), slug="bank.pay", connector=make_connector(),
            spec=OperationSpec(**{**SPEC, "method": "POST"}),
        )  # fmt: skip
    assert set(caught.value.errors) == {"tool"}


@pytest.mark.parametrize("name", ["Mcp-Session-Id", "MCP-Protocol-Version"])
def test_the_headers_of_the_protocol_are_the_planes(name: str) -> None:
    with pytest.raises(InvalidError) as caught:
        save_connector(
            system_user("console"), slug="shop", name="Shop", adapter="mcp", base_url="https://tools.example/mcp",
            auth={"type": "header", "name": name},
        )  # fmt: skip
    assert set(caught.value.errors) == {"auth.name"}


def test_the_very_address_is_spoken_to(room: ToolRoom) -> None:
    """Many servers live at ``/mcp/`` and send whoever asks without the stroke elsewhere."""
    for end in ("", "/"):
        connector = make_connector(adapter="mcp", base_url=room.url + end)
        assert call_at(connector, "live", timeout_s=5).target == f"/mcp{end}"


@pytest.fixture
def item(room: ToolRoom) -> Any:
    """A refund that people decide, and a tool that says whether it would be taken."""
    payment = make_payment()
    connector = make_toolroom_connector(room)
    Operation.objects.filter(pk=payment.operation.pk).update(
        connector=connector, method="CALL", path="/pay", idempotency="none", tool={"output": {"type": "object"}},
        dry_run={"method": "CALL", "path": "/check_pay"},
    )  # fmt: skip
    judged = Operation.objects.get(pk=payment.operation.pk).definition_digest
    Action.objects.filter(pk=payment.item.action_id).update(definition_digest=judged)
    return payment


def tried(item: Any) -> str:
    client = Client()
    client.force_login(item.ada)
    headers = {"HX-Request": "true", "HX-Target": "dry-run"}
    return client.get(f"/inbox/{item.item.pk}/dry-run/", headers=headers).content.decode()


def test_another_tool_says_what_it_would_do(room: ToolRoom, item: Any) -> None:
    assert "the system would take it" in tried(item)
    called = next(message for method, message, _headers in room.heard if method == "tools/call")
    assert called["params"] == {"name": "check_pay", "arguments": item.item.action.parameters}
    assert ConnectorCall.objects.get().purpose == "dry_run"
    room.said["tools/call"] = {"result": {"isError": True, "content": [{"type": "text", "text": "Account closed."}]}}
    page = tried(item)
    assert ("the system would refuse it" in page, "Account closed." in page) == (True, True)
    room.said["initialize"] = 500
    assert "could not be tried" in tried(item)


def test_a_tool_that_does_something_is_no_dry_run(room: ToolRoom, item: Any) -> None:
    make_operation(connector=Connector.objects.get(slug="shop"), method="CALL", path="/check_pay", idempotency="none")
    assert "could not be tried" in tried(item)
    assert room.heard == []


def test_its_pages_say_what_a_tool_is(shop: Connector) -> None:
    operation = make_operation(
        connector=shop, slug="shop.refund", consequence="", amount=None, target="", idempotency="none",
        **{name: SPEC[name] for name in ("method", "path", "effect", "parameters", "tool")},
    )  # fmt: skip
    page = browser(make_admin())
    call = "/connectors/shop/operations/shop.refund/call/"
    assert "the name of the tool" in page.get(call).content.decode()
    said = {
        "version": "1", "name": "Refund", "method": "CALL", "path": "/refund", "parameters": json.dumps(ORDER),
        "effect": "write", "idempotency": "header", "target": "", "consequence": "",
    }  # fmt: skip
    refused = page.post(call, said)
    assert (refused.status_code, "A tool knows no key" in refused.content.decode()) == (422, True)
    assert page.post(call, {**said, "idempotency": "natural"}).status_code == 302
    edit = "/connectors/shop/operations/shop.refund/edit/"
    given = {"version": "2", "timeout_s": "7", "dry_run_method": "CALL", "dry_run_path": "/check"}
    assert '<option value="CALL"' in page.get(edit).content.decode()
    assert page.post(edit, given).status_code == 302
    operation.refresh_from_db()
    assert (operation.path, operation.idempotency, operation.tool, operation.dry_run) == (
        "/refund", "natural", SPEC["tool"], {"method": "CALL", "path": "/check"},
    )  # fmt: skip
