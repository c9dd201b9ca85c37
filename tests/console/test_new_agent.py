"""A new agent: one form makes it whole or not at all, and its page says what became of its first calls."""

import json
import re
from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client

from apps.agents.models import Agent, AgentCredential
from apps.agents.services import revoke_credential
from apps.connectors.rules import example_of
from apps.console.selectors.agents import owners_for
from apps.core.models import User
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.connectors import make_connector, make_operation, permit
from tests.factories.policies import make_policy, make_rule
from tests.together import at_once

MANAGE, VIEW = "agents.manage_agent", "agents.view_agent"


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({"type": "object", "properties": {"a": {"type": "integer", "minimum": 5}}, "required": ["a"]}, {"a": 5}),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, {}),
        ({"enum": ["x", "y"]}, "x"),
        ({"const": 3}, 3),
        ({"type": "string", "minLength": 6}, "textxx"),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "string", "format": "email"}, "somebody@example.com"),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [False, False]),
        ({}, "text"),
    ],
)
def test_parameters_to_begin_with_are_made_from_the_schema(schema: dict[str, Any], example: Any) -> None:
    assert example_of(schema) == example


@pytest.fixture
def admin(client: Client) -> User:
    admin = make_admin()
    client.force_login(admin)
    return admin


def told(admin: User, **more: Any) -> dict[str, Any]:
    about = {"name": "Payer", "slug": "payer", "owner": admin.username, "risk": "low", "purpose": "Pays."}
    return {**about, "unit": more.pop("unit", None) or make_unit().slug, **more}


def begun(client: Client, admin: User, **more: Any) -> tuple[str, str]:
    """The page of a new agent, and its key."""
    operation = make_operation()
    answer = client.post("/new-agent/", told(admin, operations=[operation.slug], **more))
    assert answer["Location"] == "/agents/payer/first-call/"
    page = client.get(answer["Location"]).content.decode()
    return page, re.findall(r"acp_agt_\w+", page)[0]


def call(key: str, path: str = "actions/", body: dict[str, Any] | None = None) -> Any:
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "first-1"}
    if body is None:
        return Client().get(f"/api/v1/{path}", headers=headers)
    return Client().post(f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=headers)


def came(client: Client) -> str:
    """What the page says came, as its fragment says it too."""
    fragment = client.get("/agents/payer/first-call/", headers={"HX-Request": "true"}).content.decode()
    assert fragment.strip().startswith("<section")
    assert fragment.strip() in client.get("/agents/payer/first-call/").content.decode()
    return fragment


@pytest.mark.django_db
class TestTheForm:
    def test_makes_a_draft_with_permissions_and_a_test_key_that_is_shown_once(
        self, client: Client, admin: User
    ) -> None:
        page, key = begun(client, admin)
        agent = Agent.objects.get()
        assert (agent.state, agent.owner, agent.purpose, agent.version.number) == ("draft", admin, "Pays.", 1)
        assert AgentCredential.objects.get().environment == "test"
        assert "curl -X POST http://testserver/api/v1/actions/" in page
        assert key not in client.get("/agents/payer/first-call/").content.decode()

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"slug": "Not a slug"}, "Small letters, digits and dashes only"),
            ({"slug": "taken"}, "An agent with this short name exists."),
            ({"owner": "nobody"}, "There is no active person of this name."),
            ({"owner": "stranger"}, "holds no role in"),
            ({"unit": "elsewhere"}, "Unit"),
            ({"purpose": ""}, "Purpose"),
            ({"operations": ["bank.nothing"]}, "May use"),
        ],
    )
    def test_what_does_not_fit_makes_nothing_and_is_named(
        self, client: Client, admin: User, wrong: dict[str, Any], said: str
    ) -> None:
        make_user(username="stranger")
        if wrong.get("slug") == "taken":
            begun(client, admin, slug="payer")
            wrong = {"slug": "payer"}
        before = (Agent.objects.count(), User.objects.count(), AgentCredential.objects.count())
        answer = client.post("/new-agent/", told(admin, **wrong))
        page = answer.content.decode()
        assert answer.status_code == 422
        assert 'class="summary" role="alert"' in page
        assert said in page
        assert (Agent.objects.count(), User.objects.count(), AgentCredential.objects.count()) == before

    def test_says_what_each_operation_does_where_it_is_granted(self, client: Client, admin: User) -> None:
        bank = make_connector(name="The bank")
        for at, effect in enumerate(("read", "irreversible")):
            make_operation(connector=bank, slug=f"bank.{at}", name=f"To {effect} it", effect=effect, amount=None)
        make_operation(connector=bank, slug="bank.pay", name="Pay a bill", effect="write")
        page = client.get("/new-agent/").content.decode()
        assert page.count(">The bank</p>") == 1
        told = re.findall(r"<label[^>]*><input[^>]*> <span[^>]*>([^<]*?) <code.*?</label>", page, re.DOTALL)
        assert told == ["To read it", "To irreversible it", "Pay a bill"]
        assert [page.count(f">{word}<") for word in ("Reads", "Writes", "Irreversible", "Moves money")] == [1, 1, 1, 1]

    def test_calls_optional_only_what_may_say_nothing(self, client: Client, admin: User) -> None:
        begun(client, admin)
        page = client.get("/agents/payer/").content.decode()
        labels = dict(re.findall(r'<label for="key_(\w+)">(.*?)</label>', page, re.DOTALL))
        assert labels["environment"] == "Environment"
        assert "optional" in labels["networks"]

    def test_suggests_as_owners_whom_its_maker_may_see(self, client: Client) -> None:
        mine, other = make_unit(), make_unit()
        make_holder(VIEW, unit=mine, username="near", name="Nea Ray")
        make_holder(VIEW, unit=other, username="far")
        maker = make_holder(VIEW, MANAGE, "access.manage_access", unit=mine, username="maker")
        client.force_login(maker)
        page = client.get("/new-agent/").content.decode()
        assert 'list="known-owner"' in page
        assert '<option value="near">Nea Ray</option>' in page
        assert '<option value="maker">' in page
        assert 'value="far"' not in page

    def test_reads_no_more_people_than_it_suggests_and_its_maker_is_among_them(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("apps.console.selectors.agents.OWNERS_MAX", 3)
        for name in ("a-one", "b-two", "c-three", "d-four"):
            make_holder(VIEW, username=name, name=name.title())
        maker = make_holder(MANAGE, "access.manage_access", username="zoe", name="Zoe")
        assert owners_for(maker) == [("zoe", "Zoe"), ("a-one", "A-One"), ("b-two", "B-Two")]

    def test_is_for_those_who_manage_agents_and_their_units(self, client: Client) -> None:
        mine, other = make_unit(), make_unit()
        client.force_login(make_holder(VIEW))
        assert client.get("/new-agent/").status_code == 403
        assert "New agent" not in client.get("/agents/").content.decode()
        person = make_holder(VIEW, MANAGE, unit=mine)
        client.force_login(person)
        assert "New agent" in client.get("/agents/").content.decode()
        assert client.post("/new-agent/", told(person, unit=other.slug)).status_code == 422
        assert client.post("/new-agent/", told(person, unit=mine.slug)).status_code == 302

    def test_what_one_sees_but_may_not_grant_is_named(self, client: Client) -> None:
        unit, seen = make_unit(), make_operation(connector=make_connector(unit=make_unit()))
        person = make_holder(VIEW, MANAGE, unit=unit)
        permit(person, seen)
        client.force_login(person)
        answer = client.post("/new-agent/", told(person, unit=unit.slug, operations=[seen.slug]))
        assert answer.status_code == 422
        assert f"{seen.slug} cannot be granted" in answer.content.decode()
        assert not Agent.objects.exists()


def test_two_who_make_the_same_at_once_make_one(real_db: str) -> None:
    admin, unit = make_admin(), make_unit().slug
    clients = [Client(), Client(), Client()]
    for each in clients:
        each.force_login(admin)
    ends = at_once(*[lambda each=each: each.post("/new-agent/", told(admin, unit=unit)) for each in clients])
    codes = [end.status_code for end in ends]
    assert set(codes) <= {302, 409, 422}, [end.content.decode() for end in ends]
    assert (codes.count(302), Agent.objects.count(), AgentCredential.objects.count()) == (1, 1, 1)


@pytest.mark.django_db
def test_one_that_somebody_made_meanwhile_is_not_changed_and_gets_no_key(admin: User, client: Client) -> None:
    """Made between the question whether the name is taken and the answer: the question says no, the row is there."""
    unit = make_unit().slug
    client.force_login(admin)
    client.post("/new-agent/", told(admin, unit=unit))
    client.force_login(make_admin())
    with patch("apps.agents.services.agents._is_taken", return_value=False):
        second = client.post("/new-agent/", {**told(admin, unit=unit), "name": "Another"})
    assert (second.status_code, "An agent with this short name exists." in second.content.decode()) == (422, True)
    assert AgentCredential.objects.count() == 1
    assert Agent.objects.get().name != "Another"


@pytest.mark.django_db
class TestTheFirstCall:
    def test_is_waited_for(self, client: Client, admin: User) -> None:
        page, _key = begun(client, admin)
        assert "Waiting for its first call" in page
        assert "Waiting for its first call" in came(client)

    def test_that_only_looks_is_seen_to_have_authenticated(self, client: Client, admin: User) -> None:
        _page, key = begun(client, admin)
        assert call(key, "me/").status_code == 200
        assert "it asked for nothing yet" in came(client)

    def test_that_works_as_copied_says_what_the_rules_said(self, client: Client, admin: User) -> None:
        page, key = begun(client, admin)
        text = re.findall(r"-d &#x27;(.*?)&#x27;</pre>", page, re.S)[0].replace("&quot;", '"')
        body = json.loads(text)
        assert set(body["parameters"]) == {"amount_minor", "currency", "iban"}
        body["parameters"] = {"amount_minor": 5_000, "currency": "EUR", "iban": "DE0017"}
        assert call(key, body=body).json()["state"] == "denied"
        shown = came(client)
        assert "the rules deny it" in shown
        assert ">Test<" in shown
        make_policy(make_rule())
        assert call(key, body={**body, "goal": "Again."}).status_code == 409, "the key of the first is used"

    def test_that_is_refused_says_why_and_what_to_do(self, client: Client, admin: User) -> None:
        _page, key = begun(client, admin)
        assert call(key, body={"operation": "bank.nothing", "parameters": {}}).status_code == 404
        shown = came(client)
        assert "not_found" in shown
        assert "GET /me/operations/" in shown

    def test_with_a_key_that_was_revoked_says_so(self, client: Client, admin: User) -> None:
        _page, key = begun(client, admin)
        revoke_credential(admin, credential=AgentCredential.objects.get())
        assert call(key, "me/").status_code == 401
        assert "credential_revoked" in came(client)

    def test_is_shown_to_those_who_manage_it(self, client: Client, admin: User) -> None:
        begun(client, admin)
        client.force_login(make_holder(VIEW))
        assert client.get("/agents/payer/first-call/").status_code == 404
