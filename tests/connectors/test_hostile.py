"""Odd input at the REST door: refused with a problem document, never a fault, and nothing changed."""

import pytest

from apps.connectors.models import Connector, Operation, OperationPermission
from tests.connectors.test_api import OPERATION, person
from tests.factories.access import make_admin
from tests.factories.agents import make_agent
from tests.factories.connectors import make_connector, make_operation

pytestmark = pytest.mark.django_db

ODD = ["\x00", "a\x00b", "\ud800", "x" * 100_000, "‮", "'; --", -1, 1e308, 2**70, True, None, [], {}, [[]], {"a": {}}]


@pytest.mark.parametrize(
    "path",
    ["/operations/%00/", "/operations/a%00b/", "/operations/?q=%00", "/connectors/?q=%00", "/connectors/?state=%00"],
)
def test_nul_in_an_address(path):
    assert person(make_admin())("GET", path).status_code in {200, 400, 404, 422}


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:20])
def test_odd_values_in_every_field(value):
    api = person(make_admin())
    make_connector(slug="bank")
    make_operation(slug="bank.get")
    make_agent(slug="payer")
    whole = {
        "/connectors/": {
            "slug": "erp", "name": "ERP", "base_url": "https://erp.example.com", "adapter": "http",
            "allow_internal": False, "auth": {"type": "none"}, "unit": None,
        },
        "/operations/": {
            **OPERATION, "connector": "bank", "execution": "plane", "amount": None, "target": "", "consequence": "",
            "idempotency": "none", "timeout_s": 5, "compensation": None, "dry_run": None, "fee_minor": 0,
        },
        "/agents/payer/operations/": {"operation": "bank.get", "fields": None, "until": None, "reason": "x"},
    }  # fmt: skip
    for path, body in whole.items():
        for field in body:
            answer = api("POST", path, {**body, field: value})
            assert answer.status_code < 500, (path, field, value)
            Connector.objects.filter(slug="erp").delete()
            Operation.objects.filter(slug="bank.pay").delete()
            OperationPermission.objects.all().delete()


@pytest.mark.parametrize(
    "until", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2027-02-30T00:00:00Z", "1e9", "now"]
)
def test_odd_times(until):
    make_operation(slug="bank.get")
    make_agent(slug="payer")
    body = {"operation": "bank.get", "until": until, "reason": "x"}
    assert person(make_admin())("POST", "/agents/payer/operations/", body).status_code in {201, 422}


@pytest.mark.parametrize(
    "part",
    [
        {"parameters": {"type": "object", "properties": {"a": {"pattern": "("}}}},
        {"parameters": {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}}},
        {"parameters": {"type": "object", "$ref": "#"}},
        {"parameters": {"type": "object", "properties": [1]}},
        {"parameters": {"type": "object", "required": "iban"}},
        {"amount": {"path": 5, "currency": "EUR"}},
        {"amount": {"path": ["a"], "currency_path": {}}},
        {"compensation": {"operation": 5}},
        {"compensation": {"operation": "a.b", "parameters": {"x": "[1,2].map(i, [1,2].map(j, [3].map(k, k)))"}}},
        {"dry_run": {"method": [], "path": {}}},
        {"consequence": "{" * 400},
        {"path": "/" + "{iban}" * 60},
    ],
)
def test_odd_descriptions(part):
    make_connector(slug="bank")
    answer = person(make_admin())("POST", "/operations/", {**OPERATION, "connector": "bank", **part})
    assert answer.status_code in {201, 422}, answer.body
