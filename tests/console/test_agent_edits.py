"""Forms of an agent: what is said of it, and its next version as a draft."""

from typing import Any

import pytest
from django.test import Client

from apps.access.models import RoleGrant
from apps.agents.models import Agent, AgentVersion, ChangeRequest
from apps.agents.selectors import seen_of
from apps.agents.services import agree_to_change, save_version
from apps.audit.models import Entry
from apps.core.models import User
from tests.factories.access import make_admin, make_holder, make_user
from tests.factories.agents import make_agent
from tests.factories.connectors import make_operation, permit

pytestmark = pytest.mark.django_db
MANAGE, VIEW = "agents.manage_agent", "agents.view_agent"
DRAFT = {"model": "m-2", "provider": "p", "instructions": "Pay less.\r\nAsk more.", "changelog": "Careful."}


@pytest.fixture
def admin(client: Client) -> User:
    admin = make_admin()
    client.force_login(admin)
    return admin


def said(agent: Agent, **more: Any) -> dict[str, Any]:
    agent.refresh_from_db()
    names = ("name", "purpose", "known_limits", "risk")
    told = {name: getattr(agent, name) or "x" for name in names}
    return {**told, "owner": agent.owner.username, "seen": seen_of(agent), **more}


def text_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


class TestEdit:
    def test_it_says_anew_what_an_agent_is_and_the_next_request_is_judged_so(self, client: Client, admin: User) -> None:
        agent = make_agent(state="suspended")
        other, epoch = make_holder(MANAGE, unit=agent.unit), agent.epoch
        page = text_of(client.get(f"/agents/{agent.slug}/edit/"))
        assert "The owner answers for it" in page
        about = said(agent, owner=other.username, purpose="Pays.", known_limits="Slow.", risk="high", reason="Money.")
        answer = client.post(f"/agents/{agent.slug}/edit/", about)
        assert (answer.status_code, answer["Location"]) == (302, f"/agents/{agent.slug}/")
        agent.refresh_from_db()
        assert (agent.owner, agent.purpose, agent.known_limits, agent.risk) == (other, "Pays.", "Slow.", "high")
        assert agent.epoch > epoch
        assert Entry.objects.filter(name="agent.changed", actor=admin.pk).count() == 2

    def test_less_of_a_risk_waits_for_somebody_else_and_the_rest_is_saved(self, client: Client, admin: User) -> None:
        agent = make_agent(risk="high")
        assert "takes two people" in text_of(client.get(f"/agents/{agent.slug}/edit/"))
        answer = client.post(
            f"/agents/{agent.slug}/edit/", said(agent, purpose="Reads.", risk="low", reason="It reads.")
        )
        assert answer.status_code == 302
        agent.refresh_from_db()
        assert (agent.purpose, agent.risk) == ("Reads.", "high")
        change = ChangeRequest.objects.get()
        assert (change.kind, change.to, change.reason) == ("risk", "low", "It reads.")
        agree_to_change(make_admin(), change=change)
        agent.refresh_from_db()
        assert agent.risk == "low"

    def test_a_high_risk_of_one_that_works_waits_for_somebody_else(self, client: Client, admin: User) -> None:
        agent = make_agent()
        page = text_of(client.get(f"/agents/{agent.slug}/edit/"))
        assert "so does a high or critical one of an agent that works" in page
        answer = client.post(f"/agents/{agent.slug}/edit/", said(agent, risk="high", reason="It pays more."))
        assert answer.status_code == 302
        agent.refresh_from_db()
        assert agent.risk == "medium"
        assert ChangeRequest.objects.get().to == "high"
        assert "Asked to make its risk" in text_of(client.get(f"/agents/{agent.slug}/"))

    @pytest.mark.parametrize(
        ("more", "field"),
        [
            ({"owner": "nobody"}, "There is no active person of this name."),
            ({"owner": "stranger"}, "holds no role in"),
            ({"purpose": ""}, "Purpose"),
            ({"risk": "tiny"}, "Risk"),
            ({"known_limits": "Bearer abcdefghijklmnopqrstuvwxyz"}, "looks like a secret"),
            ({"purpose": "x" * 501}, "Purpose"),
            ({"name": ""}, "Name"),
            ({"risk": "low"}, "Say why"),
        ],
    )
    def test_what_does_not_fit_is_said_and_nothing_changes(
        self, client: Client, admin: User, more: dict[str, str], field: str
    ) -> None:
        agent = make_agent(risk="high")
        make_user(username="stranger")
        before, entries = Agent.objects.values().get(pk=agent.pk), Entry.objects.count()
        answer = client.post(f"/agents/{agent.slug}/edit/", said(agent, **more))
        assert answer.status_code == 422
        page = text_of(answer)
        assert 'class="summary" role="alert"' in page
        assert field in page
        assert Agent.objects.values().get(pk=agent.pk) == before
        assert Entry.objects.count() == entries

    def test_of_two_who_edit_at_once_the_second_looks_again(self, client: Client, admin: User) -> None:
        agent = make_agent()
        about = said(agent, purpose="Second.")
        Agent.objects.filter(pk=agent.pk).update(purpose="First.")
        answer = client.post(f"/agents/{agent.slug}/edit/", about)
        assert answer.status_code == 409
        assert "Somebody changed it" in text_of(answer)
        agent.refresh_from_db()
        assert agent.purpose == "First."

    @pytest.mark.parametrize("address", ["edit/", "versions/new/"])
    def test_only_who_manages_it_finds_the_forms(self, client: Client, address: str) -> None:
        agent = make_agent()
        client.force_login(make_holder(VIEW, unit=agent.unit))
        assert client.get(f"/agents/{agent.slug}/{address}").status_code == 404
        assert client.post(f"/agents/{agent.slug}/{address}", {**said(agent), **DRAFT}).status_code == 404
        assert f"/{address}" not in client.get(f"/agents/{agent.slug}/").content.decode()

    def test_a_retired_agent_stays_as_it_is(self, client: Client, admin: User) -> None:
        agent = make_agent(state="retired")
        for address, body in (("edit/", said(agent, purpose="New.")), ("versions/new/", DRAFT)):
            assert "stays as it is" in text_of(client.get(f"/agents/{agent.slug}/{address}"))
            assert client.post(f"/agents/{agent.slug}/{address}", body).status_code == 409
        assert not AgentVersion.objects.filter(agent=agent, state="draft").exists()


class TestVersion:
    def test_a_draft_is_made_beside_the_current_one_and_shown_with_its_difference(
        self, client: Client, admin: User
    ) -> None:
        agent = make_agent()
        save_version(admin, agent=agent, instructions="Pay.", config={"tools": ["a"], "t": 0}, is_reviewed=True)
        form = text_of(client.get(f"/agents/{agent.slug}/versions/new/"))
        assert "Nothing acts as it before somebody promotes it" in form
        assert "&quot;t&quot;: 0" in form
        body = {**DRAFT, "tools": "a\r\nb\r\na\r\n", "parameters": '{"t": 1}'}
        looked = client.post(f"/agents/{agent.slug}/versions/new/", {**body, "look": "1"})
        assert looked.status_code == 200
        assert "What it would change of version" in text_of(looked)
        assert not AgentVersion.objects.filter(agent=agent, state="draft").exists()
        answer = client.post(f"/agents/{agent.slug}/versions/new/", body)
        made = AgentVersion.objects.get(agent=agent, state="draft")
        assert answer["Location"] == f"/agents/{agent.slug}/versions/{made.number}/"
        assert (made.model, made.instructions, made.changelog) == ("m-2", "Pay less.\nAsk more.", "Careful.")
        assert made.config == {"t": 1, "tools": ["a", "b"]}
        agent.refresh_from_db()
        assert agent.version_id != made.pk
        page = text_of(client.get(answer["Location"]))
        assert "What it changes of version" in page
        assert "Make it current" in page

    def test_what_the_form_shows_it_gives_back(self, client: Client, admin: User) -> None:
        agent = make_agent()
        config = {"tools": [{"name": "odd"}], "deep": {"a": [1, None, "ü"]}}
        save_version(admin, agent=agent, model="m", instructions=" Pay.\n\n", config=config, is_reviewed=True)
        initial = client.get(f"/agents/{agent.slug}/versions/new/").context["form"].initial
        answer = client.post(f"/agents/{agent.slug}/versions/new/", {**initial, "changelog": "None."})
        assert answer.status_code == 409
        assert "says the same already" in text_of(answer)

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            ({"changelog": ""}, "Say what changes"),
            ({"parameters": "{"}, "This is not JSON"),
            ({"parameters": '{"a": 1, "a": 2}'}, "Parameters"),
            ({"parameters": "[1]"}, "An object is wanted"),
            ({"parameters": '{"a": 1e400}'}, "Parameters"),
            ({"parameters": '{"a": 9007199254740993}'}, "beyond"),
            ({"parameters": '{"tools": ["b"]}', "tools": "a"}, "a field of their own"),
            ({"instructions": "use Bearer abcdefghijklmnopqrstuvwxyz"}, "looks like a secret"),
            ({"tools": "x" * 121}, "At most 200 names"),
            ({"model": "m" * 121}, "Model"),
        ],
    )
    def test_what_does_not_fit_is_said_and_nothing_is_made(
        self, client: Client, admin: User, more: dict[str, str], said: str
    ) -> None:
        agent = make_agent()
        before = AgentVersion.objects.count()
        answer = client.post(f"/agents/{agent.slug}/versions/new/", {**DRAFT, **more})
        assert answer.status_code == 422
        assert 'class="summary" role="alert"' in answer.content.decode()
        assert said in text_of(answer)
        assert AgentVersion.objects.count() == before


class TestTakingAway:
    """What a revocation follows from is said before, and what it wants is said where it was missing."""

    def test_a_permission(self, client: Client, admin: User) -> None:
        agent = make_agent()
        operation = make_operation()
        permit(agent.user, operation)
        page = text_of(client.get(f"/agents/{agent.slug}/"))
        assert "next request for it is refused" in page
        answer = client.post(f"/agents/{agent.slug}/permissions/{operation.slug}/revoke/", {"reason": ""})
        assert answer.status_code == 422
        name = f"why-{operation.slug}-reason"
        assert f'href="#{name}"' in text_of(answer)
        assert f'id="{name}"' in text_of(answer)

    def test_a_role(self, client: Client, admin: User) -> None:
        grant = RoleGrant.objects.get(user=make_holder(VIEW))
        page = text_of(client.get(f"/access/people/{grant.user.username}/"))
        assert "votes that rested on it are void" in page
        answer = client.post(f"/access/grants/{grant.pk}/revoke/", {"reason": ""})
        assert answer.status_code == 422
        assert f'href="#why-{grant.pk}-reason"' in text_of(answer)
        assert f'id="why-{grant.pk}-reason"' in text_of(answer)
