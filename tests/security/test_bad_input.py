"""Bad input of governance: refused with the reason, recorded, no effect."""

import json
import re
import time
from typing import Any

import pytest
from django.test import Client
from lxml import html

from apps.agents.models import AccessToken, Action, Agent
from apps.audit.models import Entry, Payload
from apps.connectors.models import Operation
from apps.connectors.rules.openapi import BYTES_MAX
from apps.core.models import ClockTimestamp
from apps.core.rules import misplaced_secrets
from apps.policies.models import Policy
from controlplane.logs import masked
from tests.agents.tokens import ISSUER, ask, ask_signed, make_signer, me
from tests.factories.access import make_admin
from tests.factories.connectors import make_connector
from tests.factories.openapi import BANK, document_with
from tests.security.test_attackers import as_person, post, signed_in
from tests.workflows.actions import Desk, make_desk

pytestmark = pytest.mark.django_db
PEM = "-----BEGIN PRIVATE KEY-----\nMIIcanary\n-----END PRIVATE KEY-----"
OTHERS = {
    "Stripe": "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "GitHub": "ghp_" + "a1B2" * 9,
    "GitHub, fine-grained": "github_pat_" + "a1B2c3" * 8,
    "GitLab": "glpat-" + "a1B2c3d4e5" * 2,
    "Slack": "xoxb-1234567890-abcdefghij",
    "AWS": "AKIA" + "ABCD" * 4,
    "Google": "AIza" + "a1B2c3d" * 5,
    "Anthropic": "sk-ant-" + "a1B2c3d4e5" * 3,
    "OpenAI": "sk-proj-" + "a1B2c3d4e5" * 3,
}


def told(name: str) -> list[dict[str, Any]]:
    return [entry.payload for entry in Entry.objects.filter(name=name).order_by("id")]


def kept() -> str:
    return str(list(Payload.objects.values_list("content", flat=True)))


class TestRules:
    @pytest.mark.parametrize(
        ("when", "said"),
        [
            ("action.amount_minor <=", "line 1, column "),
            ("action.amont_minor <= 5", "Did you mean action.amount_minor?"),
            ("action.amount_minor <= 'five'", "“<=” does not take a whole number with a text."),
            ("action.amount_minor", "bool"),
            ("", "This is required."),
        ],
    )
    def test_what_does_not_compile_is_refused_with_its_place(self, when: str, said: str) -> None:
        boss = as_person(make_admin())
        rule = {"slug": "r", "when": when, "effect": "allow"}
        answer = post(boss, "policies/", {"slug": "p", "name": "P", "rules": [rule]})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
        assert list(answer.json()["errors"]) == ["rules.0.when"]
        assert said in answer.json()["errors"]["rules.0.when"][0]
        assert [one["code"] for one in told("request.refused")] == ["invalid"]
        assert not Policy.objects.exists()


class TestDocumentsOfSystems:
    @pytest.mark.parametrize(
        ("document", "said"),
        [
            ("openapi: [", "neither JSON nor YAML"),
            ("a: &x [1]\nb: *x", "line 2: Aliases"),
            ("x" * (BYTES_MAX + 1), "no more than"),
            ("[" * 100_000, "levels"),
            (json.dumps({**BANK, "servers": [{"url": "https://evil.example"}]}), "Its servers"),
            (json.dumps({**BANK, "servers": [{"url": "file:///etc"}]}), "servers"),
            (f"key: {OTHERS['Stripe']}", "line 1: This looks like a secret"),
        ],
        ids=["broken", "aliases", "huge", "deep", "elsewhere", "file", "secret"],
    )
    def test_broken_huge_and_elsewhere(self, document: str, said: str) -> None:
        boss = as_person(make_admin())
        make_connector(slug="bank", base_url="https://bank.example")
        answer = post(boss, "connectors/bank/import/", {"document": document})
        assert answer.status_code == 422
        assert said in answer.json()["errors"]["document"][0]
        assert len(told("request.refused")) == 1
        assert len(told("connector.import_refused")) == (len(document) <= BYTES_MAX), "what is too large is not read"
        assert not Operation.objects.exists()
        assert OTHERS["Stripe"] not in answer.content.decode() + kept()

    @pytest.mark.parametrize("where", ["https://evil.example/a", "http://169.254.169.254/", "file:///etc/passwd"])
    def test_what_points_elsewhere_is_left_out_with_the_reason_and_never_fetched(self, where: str) -> None:
        boss = as_person(make_admin())
        make_connector(slug="bank", base_url="https://bank.example")
        document = json.dumps(document_with({}, paths={"/a": {"$ref": where}}))
        answer = post(boss, "connectors/bank/import/", {"document": document})
        assert "nothing is fetched" in answer.json()["unfit"][0]["reason"]
        assert told("connector.imported")[0]["unfit"] == 1
        assert not Operation.objects.exists()


def _fields(page: str) -> dict[str, list[str]]:
    """What the form on a refusal's page sends."""
    (form,) = html.document_fromstring(page).xpath("//main//form")
    assert form.get("action") is None
    found: dict[str, list[str]] = {}
    for name, value in form.form_values():
        found.setdefault(name, []).append(value.removeprefix("\n"))
    return found


class TestSecretsInTheWrongField:
    @pytest.mark.parametrize("secret", OTHERS.values(), ids=OTHERS)
    def test_an_agent_is_refused_and_nothing_of_it_is_kept(self, secret: str) -> None:
        desk = make_desk()
        answer = desk.post("actions/", desk.body(reasoning=f"I used {secret}."), key="k")
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["reasoning"])
        assert "Nothing of it was kept" in answer.content.decode()
        assert [one["code"] for one in told("request.refused")] == ["invalid"]
        assert secret not in answer.content.decode() + kept()
        assert secret not in masked(f"POST /x {secret}")

    @pytest.mark.parametrize("field", ["name", "purpose", "known_limits", "reason"])
    def test_a_person_is_refused_on_a_page(self, field: str) -> None:
        desk, boss = make_desk(), signed_in(make_admin())
        before = Agent.objects.values().get(pk=desk.agent.pk)
        answer = boss.post(f"/agents/{desk.agent.slug}/edit/", {field: f"see {OTHERS['GitHub']}"})
        assert answer.status_code == 422
        assert "Nothing of it was kept" in answer.content.decode()
        assert [one["code"] for one in told("request.refused")] == ["invalid"]
        assert Agent.objects.values().get(pk=desk.agent.pk) == before
        assert OTHERS["GitHub"] not in answer.content.decode() + kept()

    def test_what_was_typed_beside_it_is_sent_again_with_one_press(self) -> None:
        boss, typed = signed_in(make_admin()), {"slug": "helper", "name": 'Helper "one"', "risk": "low"}
        secret = {"purpose": f"Pays. {OTHERS['GitHub']} opens it.", "known_limits": f"None.\n{PEM}"}
        answer = boss.post("/agents/new/", {**typed, **secret, "capabilities": ["a", "b"], "password": "pass word"})
        page = answer.content.decode()
        assert answer.status_code == 422
        assert PEM not in page
        assert "pass word" not in page
        again = _fields(page)
        assert again.pop("csrfmiddlewaretoken")
        assert again == {
            **{name: [text] for name, text in typed.items()},
            "purpose": ["Pays.  opens it."],
            "known_limits": [""],
            "capabilities": ["a", "b"],
        }
        assert re.search(r'<input type="password" id="again-password" name="password" autocomplete="off">', page)
        assert "That was refused" not in boss.post("/agents/new/", again).content.decode()

    def test_a_name_of_a_field_that_is_a_secret_is_not_sent_again(self) -> None:
        page = signed_in(make_admin()).post("/agents/new/", {OTHERS["GitHub"]: "x", "name": "Helper"}).content.decode()
        assert "That was refused" in page
        assert "without the secret" not in page
        assert OTHERS["GitHub"] not in page

    @pytest.mark.parametrize(
        "text", ["sk_live_", "a desk_live_payment_records", "ghp_short", "AKIA", "task-proj-a1B2c3d4e5", "xoxb", "AIza"]
    )
    def test_what_only_begins_like_one_is_none(self, text: str) -> None:
        assert misplaced_secrets({"reason": text}) == []


class TestTokens:
    """What an agent signs, or uses, for another server or too late. The ledger has it as the agent's own."""

    @pytest.fixture
    def desk(self) -> Desk:
        return make_desk()

    @pytest.mark.parametrize(
        ("claims", "code", "said"),
        [
            ({"aud": "https://elsewhere.example"}, "wrong_audience", "is not this server alone"),
            ({"exp": 1}, "assertion_expired", "has expired"),
            ({"exp": int(time.time()) + 3600}, "too_long", "older than five minutes"),
            ({"nbf": int(time.time()) + 3600}, "not_yet", "from the future"),
        ],
    )
    def test_an_assertion_for_another_or_of_another_time(
        self, desk: Desk, claims: dict[str, Any], code: str, said: str
    ) -> None:
        signer = make_signer(desk.agent)
        answer = ask_signed(signer.sign(desk.agent.slug, **{"aud": ISSUER, **claims}))
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert said in answer.json()["error_description"]
        assert [one["code"] for one in told("agentcredential.refused")] == [code]
        assert told("request.refused") == []
        assert not AccessToken.objects.exists()

    @pytest.mark.parametrize("what", ["resource", "age"])
    def test_a_token_for_another_server_or_too_late(self, desk: Desk, what: str, settings: Any) -> None:
        text = ask(client_id=desk.agent.slug, client_secret=desk.key).json()["access_token"]
        if what == "resource":
            settings.ACP_URL = "https://plane.example"
        else:
            AccessToken.objects.update(expires_at=ClockTimestamp())
        answer = desk.post("actions/", desk.body(), key="k", token=text)
        code = {"resource": "wrong_resource", "age": "credential_expired"}[what]
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert [one["code"] for one in told("accesstoken.refused")] == [code]
        assert not Action.objects.exists()
        assert me(text).status_code == 401
        assert len(told("accesstoken.refused")) == 1


def test_a_bearer_that_is_none_leaves_the_same_line_at_each_door() -> None:
    for path in ("me/", "actions/", "escalations/"):
        assert Client().get(f"/api/v1/{path}", headers={"Authorization": "Bearer x"}).status_code == 401
    assert [one["path"] for one in told("request.refused")] == ["/api/v1/me/"]


class TestSchemas:
    """A description of parameters that would stretch the time of checking is refused, and checking takes its time."""

    @pytest.mark.parametrize(
        "part",
        [
            {"pattern": "(?=a)b"},
            {"$ref": "#/nowhere"},
            {"allOf": [{"$ref": "#/properties/a"}]},
            {"$ref": "http://evil.example/x"},
            {"unevaluatedProperties": False},
        ],
        ids=["lookahead", "nowhere", "circle", "elsewhere", "unevaluated"],
    )
    def test_an_operation_with_it_is_refused(self, part: dict[str, Any]) -> None:
        boss, connector = as_person(make_admin()), make_connector()
        operation = {
            "slug": f"{connector.slug}.pay", "name": "Pay", "connector": connector.slug, "effect": "write",
            "method": "POST", "path": "/pay", "parameters": {"type": "object", "properties": {"a": part}},
        }  # fmt: skip
        answer = post(boss, "operations/", operation)
        assert answer.status_code == 422, answer.content
        (said,) = answer.json()["errors"]["parameters"]
        assert said.startswith(("properties.a", "schema: ")), said
        assert not Operation.objects.exists()

    def test_an_agent_s_text_takes_no_longer_by_the_pattern_it_has_to_match(self) -> None:
        desk = make_desk()
        schema = {**desk.operation.parameters}
        schema["properties"] = {**schema["properties"], "memo": {"type": "string", "pattern": "^(a+)+$"}}
        Operation.objects.filter(pk=desk.operation.pk).update(parameters=schema)
        body = desk.body()
        body["parameters"] = {**body["parameters"], "memo": "a" * 50_000 + "!"}
        answer = desk.post("actions/", body, key="k")
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["parameters.memo"])
