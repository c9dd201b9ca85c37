"""The REST door: who may, what is refused, and that a secret is only ever written."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.access.services import create_token
from apps.audit.models import Entry
from apps.connectors.models import Connector, ConnectorSecret, Operation, OperationPermission
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.agents import make_agent, make_key_for
from tests.factories.connectors import PAYMENT, make_connector, make_operation, permit

pytestmark = pytest.mark.django_db
CANARY = "canary-77aa/9+b"
OPERATION = {
    "slug": "bank.pay",
    "name": "Pay",
    "method": "POST",
    "path": "/payments",
    "effect": "irreversible",
    "parameters": PAYMENT,
}


class Api:
    """A caller with a bearer key."""

    def __init__(self, key):
        self.client, self.headers = Client(raise_request_exception=True), {"Authorization": f"Bearer {key}"}

    def __call__(self, method, path, body=None):
        answer = self.client.generic(
            method,
            f"/api/v1{path}",
            data=b"" if body is None else json.dumps(body),
            content_type="application/json",
            headers=self.headers,
        )
        answer.body = json.loads(answer.content) if answer.content else None
        return answer


def person(user):
    return Api(create_token(user, user=user, days=1))


def agent_api(agent):
    return Api(make_key_for(agent))


class TestConnectors:
    def test_an_admin_makes_reads_changes_and_retires_one(self):
        api = person(make_admin())
        made = api("POST", "/connectors/", {"slug": "bank", "name": "Bank", "base_url": "https://bank.example.com"})
        assert made.status_code == 201
        assert made.body["health"] == {
            "condition": "unused", "last_call_at": None, "calls": 0, "troubled": 0, "error_share": None,
            "errors_per_1000": 10, "interval": None, "codes": {}, "p50_ms": None, "p95_ms": None, "waiting": 0,
        }  # fmt: skip
        assert [row["slug"] for row in api("GET", "/connectors/").body["results"]] == ["bank"]
        capped = api("PATCH", "/connectors/bank/", {"limits": {"concurrent": 4}})
        assert capped.body["limits"] == {"concurrent": 4}
        changed = api("PATCH", "/connectors/bank/", {"auth": {"type": "bearer"}})
        assert changed.body["limits"] == {"concurrent": 4}
        assert changed.body["auth"] == {"type": "bearer"}
        assert changed.body["name"] == "Bank"
        assert api("DELETE", "/connectors/bank/").status_code == 422
        assert api("DELETE", "/connectors/bank/?reason=Gone").status_code == 204
        assert Connector.objects.get().state == "retired"

    def test_the_same_slug_again_is_a_conflict(self):
        make_connector(slug="bank")
        body = {"slug": "bank", "name": "Bank", "base_url": "https://bank.example.com"}
        assert person(make_admin())("POST", "/connectors/", body).status_code == 409

    @pytest.mark.parametrize(
        ("body", "at"),
        [
            ({"state": "active"}, "state"),
            ({"base_url": "file:///etc/passwd"}, "base_url"),
            ({"base_url": 5}, "base_url"),
            ({"auth": "bearer"}, "auth"),
            ({"auth": {"type": "bearer", "secret": "x"}}, "auth.secret"),
            ({"unit": "nowhere"}, "unit"),
        ],
    )
    def test_what_does_not_fit_is_named_and_nothing_is_made(self, body, at):
        whole = {"slug": "bank", "name": "Bank", "base_url": "https://bank.example.com", **body}
        answer = person(make_admin())("POST", "/connectors/", whole)
        assert (answer.status_code, answer.body["code"]) == (422, "invalid")
        assert at in answer.body["errors"]
        assert not Connector.objects.exists()

    def test_a_secret_is_written_and_never_read(self):
        api = person(make_admin())
        make_connector(slug="bank", auth={"type": "bearer"})
        answer = api("PUT", "/connectors/bank/secret/", {"secret": CANARY})
        assert answer.status_code == 200
        known = {"environment", "fingerprint", "version", "state", "set_at", "set_by", "replaced_at", "stands_in_until"}
        assert set(answer.body) == known
        for path in ("/connectors/", "/connectors/bank/", "/operations/", "/audit/entries/"):
            assert CANARY not in api("GET", path).content.decode()
        refused = api("PUT", "/connectors/bank/secret/", {"secret": f"{CANARY}\n"})
        assert refused.status_code == 422
        assert CANARY not in refused.content.decode()
        assert api("DELETE", "/connectors/bank/secret/").status_code == 204
        assert bytes(ConnectorSecret.objects.get().sealed) == b""

    def test_moving_it_drops_the_secret(self):
        api = person(make_admin())
        make_connector(slug="bank", auth={"type": "bearer"})
        api("PUT", "/connectors/bank/secret/", {"secret": CANARY})
        assert api("PATCH", "/connectors/bank/", {"name": "B"}).body["secret"] is not None
        assert api("PATCH", "/connectors/bank/", {"base_url": "https://evil.example.com"}).body["secret"] is None

    def test_strangers_find_nothing_and_agents_change_nothing(self):
        make_connector(slug="bank", unit=make_unit())
        for api, refused in ((person(make_user()), 404), (agent_api(make_agent()), 403)):
            assert api("GET", "/connectors/bank/").status_code == 404
            assert api("PUT", "/connectors/bank/secret/", {"secret": CANARY}).status_code == refused
            body = {"slug": "x", "name": "X", "base_url": "https://x.example.com"}
            assert api("POST", "/connectors/", body).status_code == 403
        assert Connector.objects.count() == 1
        assert not ConnectorSecret.objects.exists()
        assert Entry.objects.filter(name="request.refused").count() >= 2


class TestOperations:
    def test_an_admin_makes_changes_disables_and_retires_one(self):
        api = person(make_admin())
        make_connector(slug="bank")
        assert api("POST", "/operations/", {**OPERATION, "connector": "bank"}).status_code == 201
        changed = api("PATCH", "/operations/bank.pay/", {"timeout_s": 30})
        assert (changed.body["timeout_s"], changed.body["version"]) == (30, 2)
        assert api("POST", "/operations/bank.pay/state/", {"state": "disabled", "reason": "x"}).status_code == 200
        assert api("DELETE", "/operations/bank.pay/?reason=Gone").status_code == 204
        assert Operation.objects.get().state == "retired"

    def test_an_unknown_connector_is_named(self):
        answer = person(make_admin())("POST", "/operations/", {**OPERATION, "connector": "nowhere"})
        assert (answer.status_code, list(answer.body["errors"])) == (422, ["connector"])
        assert not Operation.objects.exists()

    def test_an_agent_sees_what_it_may_use_narrowed(self):
        agent = make_agent()
        api = agent_api(agent)
        operation, other = make_operation(), make_operation()
        assert api("GET", "/me/operations/").body == {"results": [], "next": None}
        permit(agent.user, operation, ["iban"], until=timezone.now() + timedelta(days=1))
        permit(agent.user, other, until=timezone.now() - timedelta(days=1))
        (mine,) = api("GET", "/me/operations/").body["results"]
        assert mine["operation"] == operation.slug
        assert set(mine["parameters"]["properties"]) == {"iban"}
        assert mine["fields"] == ["iban"]


class TestPermissions:
    def setup_method(self):
        self.agent, self.operation = make_agent(slug="payer"), make_operation(slug="bank.pay")
        self.admin = make_holder(
            "agents.view_agent", "agents.manage_agent", "connectors.use_operation", unit=self.agent.unit
        )
        self.api, self.mine = person(self.admin), agent_api(self.agent)

    def used(self):
        return [row["fields"] for row in self.mine("GET", "/me/operations/").body["results"]]

    def test_granted_narrowed_and_revoked_it_acts_on_the_next_request(self):
        granted = self.api("POST", "/agents/payer/operations/", {"operation": "bank.pay", "reason": "Needed"})
        assert granted.status_code == 201
        assert granted.body["granted_by"] == self.admin.username
        assert self.used() == [None]
        body = {"fields": ["iban", "currency"], "reason": "Less"}
        narrowed = self.api("PATCH", "/agents/payer/operations/bank.pay/", body)
        assert narrowed.body["missing"] == ["amount_minor"]
        assert self.used() == [["currency", "iban"]]
        wider = self.api("PATCH", "/agents/payer/operations/bank.pay/", {"fields": None, "reason": "More"})
        assert (wider.status_code, list(wider.body["errors"])) == (422, ["fields"])
        assert self.api("DELETE", "/agents/payer/operations/bank.pay/").status_code == 422
        assert self.used() == [["currency", "iban"]]
        assert self.api("DELETE", "/agents/payer/operations/bank.pay/?reason=Over").status_code == 204
        assert self.used() == []
        names = Entry.objects.filter(subject_id=self.agent.pk).order_by("id").values_list("name", flat=True)
        assert [name for name in names if name.startswith("permission.")] == [
            "permission.granted",
            "permission.narrowed",
            "permission.revoked",
        ]

    def test_an_agent_reads_its_own_and_changes_none(self):
        permit(self.agent.user, self.operation, ["iban"])
        assert self.mine("GET", "/agents/payer/operations/").status_code == 200
        body = {"operation": "bank.pay", "reason": "I need it"}
        for method, path, sent in (
            ("POST", "/agents/payer/operations/", body),
            ("PATCH", "/agents/payer/operations/bank.pay/", {"reason": "x"}),
            ("DELETE", "/agents/payer/operations/bank.pay/?reason=x", None),
        ):
            assert self.mine(method, path, sent).status_code in {403, 404, 422}
        assert OperationPermission.objects.get().fields == ["iban"]

    def test_strangers_find_no_agent(self):
        permit(self.agent.user, self.operation)
        stranger = person(make_holder("agents.manage_agent", "connectors.manage_connector", unit=make_unit()))
        assert stranger("GET", "/agents/payer/operations/").status_code == 404
        assert stranger("DELETE", "/agents/payer/operations/bank.pay/?reason=x").status_code == 404
        assert OperationPermission.objects.exists()

    @pytest.mark.parametrize(
        ("body", "at"),
        [
            ({"operation": "no.such"}, "operation"),
            ({"fields": ["fax"]}, "fields.fax"),
            ({"until": "yesterday"}, "until"),
            ({"until": "2020-01-01T00:00:00Z"}, "until"),
            ({"holder": "admin"}, "holder"),
            ({"reason": ""}, "reason"),
        ],
    )
    def test_what_does_not_fit_is_named(self, body, at):
        whole = {"operation": "bank.pay", "reason": "x", **body}
        answer = self.api("POST", "/agents/payer/operations/", whole)
        assert answer.status_code == 422
        assert at in answer.body["errors"]
        assert not OperationPermission.objects.exists()
