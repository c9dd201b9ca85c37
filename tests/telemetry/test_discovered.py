"""Discovered agents: names that are none of the sender's own, noted within limits, adopted, ignored or blocked."""

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.test import Client

from apps.agents.models import Agent
from apps.audit.models import Entry
from apps.core.models import ClockTimestamp, User
from apps.kpis.models.clock import database_now
from apps.notifications.models import Notice
from apps.telemetry.models import DiscoveredAgent, LogRecord, Span, SpanCount
from apps.telemetry.rules.discovered import LONGEST_NAME, MOST_OPEN_OF_SENDER, is_known
from apps.telemetry.services import block_discovered, ignore_discovered
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.agents import make_agent, make_key_for
from tests.factories.telemetry import body_of, log, logs_of, rejected, send, send_logs, span
from tests.factories.workflows import deliver_all
from tests.oversight.test_api import caller, nothing_but_a_note, post
from tests.together import at_once

VIEW, MANAGE = "agents.view_agent", "agents.manage_agent"
HOSTILE = ["a\u202eb", "<script>alert(1)</script>", "x" * 10_000, "nul\x00l", "\u200b\u2066", "'; DROP TABLE"]


@pytest.fixture
def agent(db: None) -> Agent:
    return make_agent(slug="payer", name="Paula Payer")


def tell(agent: Agent, *services: str, first: int = 1) -> int:
    """Send one span under each of these names; how many were not taken."""
    return sum(
        rejected(send(agent, body_of(span(number, {}), service_name=name)))
        for number, name in enumerate(services, start=first)
    )


def found(agent: Agent) -> list[str]:
    return sorted(DiscoveredAgent.objects.filter(sender=agent).values_list("service", flat=True))


def act(person: User, one: DiscoveredAgent, what: str, **body: Any) -> Any:
    body = {"seen": "open", "reason": "Looked.", **body}
    return post(caller(person), f"/api/v1/discovered-agents/{one.pk}/{what}/", body)


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


class TestWhatIsDiscovered:
    def test_a_name_of_its_own_and_none_at_all_are_nothing_new(self, agent: Agent) -> None:
        assert tell(agent, "payer", "Paula Payer", "PAULA_PAYER", "", "unknown_service", "unknown_service:python") == 0
        assert found(agent) == []
        assert not Entry.objects.filter(name="agent.discovered").exists()

    def test_another_name_is_noted_once_counted_and_its_owner_told_once(self, agent: Agent) -> None:
        assert tell(agent, "scraper", "scraper", "other") == 0
        one = DiscoveredAgent.objects.get(service="scraper")
        assert (one.sender, one.spans, one.state) == (agent, 2, "open")
        assert one.created_at <= one.last_at
        assert found(agent) == ["other", "scraper"]
        assert Entry.objects.get(name="agent.discovered").payload == {"services": ["scraper"], "spans": 1}
        deliver_all()
        assert Notice.objects.get().event == "discovered"
        assert Span.objects.count() == 3, "what came is kept as ever"

    def test_that_of_another_agent_is_noted_too(self, agent: Agent) -> None:
        other = make_agent(slug="other-agent")
        tell(agent, other.slug)
        assert found(agent) == ["other-agent"]
        assert found(other) == []

    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_names_are_kept_short_and_shown_inert(self, agent: Agent, name: str) -> None:
        assert tell(agent, name) == 0
        for one in DiscoveredAgent.objects.filter(sender=agent):
            assert len(one.service) <= LONGEST_NAME
            assert "\x00" not in one.service
            for address in ("/discovered-agents/", f"/discovered-agents/{one.pk}/"):
                page = signed_in(make_admin()).get(address)
                assert page.status_code == 200
                assert "<script>alert" not in page.content.decode()
                heading = page.content.decode().partition("<main")[2]
                assert "\u202e" not in heading.partition('<form method="post"')[0]

    def test_what_is_no_text_is_no_name(self, agent: Agent) -> None:
        assert tell(agent, 7) == 0  # type: ignore[arg-type] # on purpose
        assert found(agent) == []

    def test_one_sender_fills_no_table_and_takes_no_room_of_another(self, agent: Agent) -> None:
        names = [f"name {number:03}" for number in range(MOST_OPEN_OF_SENDER + 5)]
        many = [body_of(span(n, {}), service_name=name) for n, name in enumerate(names, start=1)]
        for body in many:
            assert rejected(send_again(agent, body)) == 0
        assert found(agent) == names[:MOST_OPEN_OF_SENDER]
        other = make_agent()
        tell(other, "stranger")
        assert found(other) == ["stranger"]
        one = DiscoveredAgent.objects.filter(sender=agent).first()
        assert one
        assert act(make_admin(), one, "block").status_code == 200
        tell(agent, "late", first=900)
        assert "late" in found(agent), "there is room again"

    def test_there_is_a_limit_for_all_together(self, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("apps.telemetry.services.discovered.MOST_OPEN", 2)
        tell(agent, "one", "two", "three")
        assert found(agent) == ["one", "two"]

    def test_what_was_ignored_is_open_again_within_the_limit_before_what_is_new(self, agent: Agent) -> None:
        person, now = make_admin(), database_now()
        decided = {"state": "ignored", "decided_by": person, "decided_at": now, "reason": "Later.", "last_at": now}
        names = [f"old {number:03}" for number in range(MOST_OPEN_OF_SENDER + 5)]
        for number, name in enumerate(reversed(names)):
            until = now - timedelta(minutes=number + 1)
            DiscoveredAgent.objects.create(sender=agent, service=name, until=until, **decided)
        spans = [span(number, {}) for number in range(1, len(names) + 2)]
        assert rejected(send_each(agent, zip(spans, ["new", *names], strict=True))) == 0
        open_now = DiscoveredAgent.objects.filter(state="open")
        assert sorted(open_now.values_list("service", flat=True)) == names[:MOST_OPEN_OF_SENDER]
        assert not DiscoveredAgent.objects.filter(service="new").exists()
        told = Entry.objects.get(name="agent.discovered").payload["services"]
        assert told == names[:MOST_OPEN_OF_SENDER]
        late = DiscoveredAgent.objects.get(service=names[-1])
        assert (late.state, late.reason, late.spans) == ("ignored", "Later.", 1)
        one = open_now.first()
        assert one
        assert act(person, one, "block").status_code == 200
        assert rejected(send_each(agent, [(span(100, {}), names[-1])])) == 0
        late.refresh_from_db()
        assert late.state == "open", "there is room again"
        assert open_now.count() == MOST_OPEN_OF_SENDER

    def test_the_limit_for_all_together_holds_for_what_was_ignored(
        self, agent: Agent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tell(agent, "one", "two")
        assert act(make_admin(), DiscoveredAgent.objects.get(service="one"), "ignore", until=soon()).status_code == 200
        DiscoveredAgent.objects.filter(state="ignored").update(until=ClockTimestamp() - timedelta(seconds=1))
        monkeypatch.setattr("apps.telemetry.services.discovered.MOST_OPEN", 1)
        tell(agent, "one", first=5)
        assert sorted(DiscoveredAgent.objects.values_list("service", "state")) == [("one", "ignored"), ("two", "open")]


def send_each(agent: Agent, told: Iterable[tuple[Any, str]]) -> Any:
    """Several spans in one request, each under a name of its own."""
    bodies = [json.loads(body_of(one, service_name=name)) for one, name in told]
    return send_again(agent, json.dumps({"resourceSpans": [body["resourceSpans"][0] for body in bodies]}).encode())


def send_again(agent: Agent, body: bytes) -> Any:
    key = agent.__dict__.setdefault("own_key", None) or make_key_for(agent)
    agent.__dict__["own_key"] = key
    headers = {"Authorization": f"Bearer {key}"}
    return Client().post("/v1/traces", data=body, content_type="application/json", headers=headers)


class TestWhatPeopleSayOfIt:
    @pytest.fixture
    def one(self, agent: Agent) -> DiscoveredAgent:
        tell(agent, "scraper")
        return DiscoveredAgent.objects.get()

    def test_it_is_an_agent_that_there_is(self, agent: Agent, one: DiscoveredAgent) -> None:
        other = make_agent(unit=agent.unit)
        answer = act(make_holder(VIEW, MANAGE, unit=agent.unit), one, "adopt", agent=other.slug)
        assert answer.status_code == 200
        assert (answer.json()["state"], answer.json()["adopted_as"]) == ("adopted", other.slug)
        entry = Entry.objects.get(name="agent.discovery_adopted")
        assert (entry.subject_id, entry.payload["agent"], entry.payload["service"]) == (agent.pk, other.slug, "scraper")
        tell(agent, "scraper", first=2)
        assert Entry.objects.filter(name="agent.discovered").count() == 1, "nothing is unknown of it any more"
        assert Span.objects.filter(agent=agent).count() == 2, "what comes stays with whose key it is"
        again = act(make_admin(), one, "block", seen="adopted")
        assert again.status_code == 409

    def test_an_agent_of_a_unit_that_one_does_not_see_is_not_named(self, agent: Agent, one: DiscoveredAgent) -> None:
        secret = make_agent(slug="quiet-works", name="Quiet Works")
        assert act(make_admin(), one, "adopt", agent=secret.slug).json()["adopted_as"] == secret.slug
        reader = make_holder(VIEW, unit=agent.unit)
        (row,) = caller(reader).get("/api/v1/discovered-agents/?state=adopted").json()["results"]
        assert (row["state"], row["adopted_as"]) == ("adopted", None)
        page = signed_in(reader).get(f"/discovered-agents/{one.pk}/").content.decode()
        assert "Quiet Works" not in page
        assert "an agent of another unit" in page
        assert "quiet-works" not in str(Entry.objects.get(name="agent.discovery_adopted").payload)

    def test_one_that_somebody_made_meanwhile_is_not_changed(self, agent: Agent, one: DiscoveredAgent) -> None:
        theirs = make_agent(slug="scraper", name="Theirs", unit=agent.unit)
        manager = make_holder(VIEW, MANAGE, unit=agent.unit)
        with patch("apps.agents.services.agents._is_taken", return_value=False):
            answer = act(manager, one, "adopt", slug="scraper", name="Mine", owner=manager.username)
        assert answer.status_code == 422
        theirs.refresh_from_db()
        one.refresh_from_db()
        assert (theirs.name, one.state) == ("Theirs", "open")

    def test_it_becomes_a_draft_without_a_key(self, agent: Agent, one: DiscoveredAgent) -> None:
        manager = make_holder(VIEW, MANAGE, unit=agent.unit)
        owner = make_holder(VIEW, unit=agent.unit)
        new = {"slug": "scraper", "name": "Scraper", "owner": owner.username}
        assert act(manager, one, "adopt", **new).status_code == 200
        made = Agent.objects.get(slug="scraper")
        assert (made.state, made.owner, made.unit) == ("draft", owner, agent.unit)
        assert not made.credentials.exists()
        one.refresh_from_db()
        assert (one.state, one.adopted_as) == ("adopted", made)

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"slug": "scraper"},
            {"agent": "payer", "slug": "scraper"},
            {"slug": "payer", "name": "Me", "owner": "{owner}"},
            {"slug": "new", "name": "Me", "owner": "nobody"},
            {"agent": "no-such"},
            {"agent": "elsewhere"},
            {"agent": "payer", "reason": " "},
        ],
    )
    def test_an_adoption_that_does_not_fit_changes_nothing(
        self, agent: Agent, one: DiscoveredAgent, body: dict[str, str]
    ) -> None:
        make_agent(slug="elsewhere", unit=make_unit())
        manager = make_holder(VIEW, MANAGE, unit=agent.unit)
        said = {name: value.format(owner=manager.username) for name, value in body.items()}
        agents = Agent.objects.count()
        answer = act(manager, one, "adopt", **said)
        assert answer.status_code == 422, answer.content
        one.refresh_from_db()
        assert (one.state, Agent.objects.count()) == ("open", agents)
        agent.refresh_from_db()
        assert agent.name == "Paula Payer"

    def test_ignored_it_is_counted_and_open_again_afterwards(self, agent: Agent, one: DiscoveredAgent) -> None:
        until = (database_now() + timedelta(days=3)).isoformat()
        assert act(make_admin(), one, "ignore", until=until).json()["state"] == "ignored"
        tell(agent, "scraper", first=2)
        one.refresh_from_db()
        assert (one.state, one.spans) == ("ignored", 2)
        assert Entry.objects.filter(name="agent.discovered").count() == 1
        DiscoveredAgent.objects.update(until=ClockTimestamp() - timedelta(seconds=1))
        tell(agent, "scraper", first=3)
        one.refresh_from_db()
        assert (one.state, one.reason, one.decided_by) == ("open", "", None)
        assert Entry.objects.filter(name="agent.discovered").count() == 2

    @pytest.mark.parametrize("days", [-1, 0, 366])
    def test_it_is_ignored_for_a_time_to_come_within_a_year(self, one: DiscoveredAgent, days: int) -> None:
        until = (database_now() + timedelta(days=days)).isoformat()
        answer = act(make_admin(), one, "ignore", until=until)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["until"])
        one.refresh_from_db()
        assert one.state == "open"

    def test_blocked_nothing_is_taken_under_its_name_and_the_sender_hears_so(
        self, agent: Agent, one: DiscoveredAgent
    ) -> None:
        assert act(make_admin(), one, "block").json()["state"] == "blocked"
        assert Entry.objects.get(name="agent.discovery_blocked").payload["reason"] == "Looked."
        assert tell(agent, "scraper", "payer", first=2) == 1
        assert Span.objects.count() == 2, "that of before, and its own"
        assert send_logs(agent, logs_of(log("hello"), service_name="scraper")) == 1
        assert not LogRecord.objects.exists()
        assert SpanCount.objects.get().blocked == 1
        one.refresh_from_db()
        assert one.spans == 2, "counted all the same"
        assert act(make_admin(), one, "ignore", seen="blocked", until=soon()).status_code == 200
        assert tell(agent, "scraper", first=5) == 0

    @pytest.mark.parametrize("renamed", ["scraper", "Scra Per"])
    def test_it_stays_blocked_where_its_sender_is_called_so_since(
        self, agent: Agent, one: DiscoveredAgent, renamed: str
    ) -> None:
        assert act(make_admin(), one, "block").status_code == 200
        Agent.objects.update(name=renamed)
        kept = Span.objects.count()
        assert tell(agent, "scraper", first=2) == 1
        assert send_logs(agent, logs_of(log("hello"), service_name="scraper")) == 1
        assert (Span.objects.count(), LogRecord.objects.count()) == (kept, 0)
        one.refresh_from_db()
        assert (one.state, one.spans) == ("blocked", 2)
        assert act(make_admin(), one, "ignore", seen="blocked", until=soon()).status_code == 200
        assert tell(agent, "scraper", first=5) == 0

    def test_who_saw_another_state_decides_nothing(self, one: DiscoveredAgent) -> None:
        first = make_admin(name="Ada")
        assert act(first, one, "block").status_code == 200
        late = act(make_admin(), one, "ignore", until=soon())
        assert (late.status_code, late.json()["detail"]) == (409, "Ada decided about it before.")
        one.refresh_from_db()
        assert (one.state, one.decided_by) == ("blocked", first)
        assert Entry.objects.filter(name__startswith="agent.discovery_").count() == 1

    def test_only_who_manages_the_sender_decides(self, agent: Agent, one: DiscoveredAgent) -> None:
        for reader in (make_holder(VIEW, unit=agent.unit), agent.owner):
            with nothing_but_a_note():
                assert act(reader, one, "block").status_code == 403
            page = signed_in(reader).get(f"/discovered-agents/{one.pk}/")
            assert "Whoever manages its sender decides." in page.content.decode()
        for stranger in (make_user(), make_holder(VIEW, MANAGE, unit=make_unit())):
            with nothing_but_a_note():
                assert act(stranger, one, "block").status_code == 404
            assert caller(stranger).get("/api/v1/discovered-agents/").json()["results"] == []
            assert signed_in(stranger).get(f"/discovered-agents/{one.pk}/").status_code == 404
        key = {"Authorization": f"Bearer {make_key_for(agent)}"}
        assert Client().get("/api/v1/discovered-agents/", headers=key).status_code == 403

    def test_the_list_says_what_there_is(self, agent: Agent, one: DiscoveredAgent) -> None:
        (told,) = caller(agent.owner).get("/api/v1/discovered-agents/?state=open&agent=payer").json()["results"]
        assert (told["id"], told["sender"], told["service"], told["spans"]) == (str(one.pk), "payer", "scraper", 1)
        assert told["may_decide"] is False
        assert caller(make_admin()).get("/api/v1/discovered-agents/").json()["results"][0]["may_decide"] is True
        assert caller(make_admin()).get("/api/v1/discovered-agents/?state=blocked").json()["results"] == []
        assert caller(make_admin()).get("/api/v1/discovered-agents/?state=odd").status_code == 422


class TestThePages:
    def test_a_person_decides_on_its_page(self, agent: Agent) -> None:
        tell(agent, "scraper")
        one = DiscoveredAgent.objects.get()
        person = signed_in(make_admin())
        assert "scraper" in person.get("/discovered-agents/").content.decode()
        address = f"/discovered-agents/{one.pk}/"
        empty = person.post(address, {"seen": "open"})
        assert empty.status_code == 422
        assert 'role="alert"' in empty.content.decode()
        lacking = person.post(address, {"seen": "open", "act": "ignore", "reason": "Later."})
        assert "This is wanted for what you chose." in lacking.content.decode()
        done = person.post(address, {"seen": "open", "act": "belongs", "agent": "payer", "reason": "Its old name."})
        assert done.status_code == 302
        one.refresh_from_db()
        assert (one.state, one.adopted_as, one.reason) == ("adopted", agent, "Its old name.")
        late = person.post(address, {"seen": "open", "act": "block", "reason": "No."})
        assert late.status_code == 409
        assert "What was adopted stays so." in person.get(address).content.decode()

    def test_a_new_agent_is_made_on_its_page(self, agent: Agent) -> None:
        tell(agent, "Web Scraper")
        one, admin = DiscoveredAgent.objects.get(), make_admin()
        page = signed_in(admin).get(f"/discovered-agents/{one.pk}/").content.decode()
        assert 'value="web-scraper"' in page
        new = {"slug": "web-scraper", "name": "Web Scraper", "owner": admin.username}
        body = {"seen": "open", "act": "new", "reason": "It works.", **new}
        assert signed_in(admin).post(f"/discovered-agents/{one.pk}/", body).status_code == 302
        assert Agent.objects.get(slug="web-scraper").state == "draft"

    def test_an_empty_page_says_why(self, agent: Agent) -> None:
        page = signed_in(make_admin()).get("/discovered-agents/").content.decode()
        assert "Nothing was discovered" in page
        assert "None of the agents that you manage." in page
        assert signed_in(make_user()).get("/discovered-agents/").status_code == 403

    def test_dead_keys_that_knock_stand_beside_it(self, agent: Agent) -> None:
        key = make_key_for(agent, revoked_at=ClockTimestamp())
        for _ in range(2):
            assert send_with(key).status_code == 401
        page = signed_in(make_holder(VIEW, MANAGE, unit=agent.unit)).get("/discovered-agents/").content.decode()
        assert key.split("_")[2] in page
        assert key.split("_")[3] not in page
        assert "refused 2 times" in page
        other = signed_in(make_holder(VIEW, MANAGE, unit=make_unit())).get("/discovered-agents/").content.decode()
        assert key.split("_")[2] not in other


def send_with(key: str) -> Any:
    headers = {"Authorization": f"Bearer {key}"}
    body = body_of(span(1, {}), service_name="scraper")
    return Client().post("/v1/traces", data=body, content_type="application/json", headers=headers)


def soon() -> str:
    return (database_now() + timedelta(days=1)).isoformat()


@pytest.mark.usefixtures("real_db")
def test_of_two_who_decide_at_once_one_wins() -> None:
    agent = make_agent()
    one = DiscoveredAgent.objects.create(sender=agent, service=f"s {uuid4()}", last_at=database_now())
    first, second = make_admin(), make_admin()
    until = database_now() + timedelta(days=1)
    answers = at_once(
        lambda: block_discovered(first, found=DiscoveredAgent.objects.get(), seen="open", reason="No."),
        lambda: ignore_discovered(
            second, found=DiscoveredAgent.objects.get(), seen="open", until=until, reason="Later."
        ),
    )
    assert sorted(isinstance(answer, DiscoveredAgent) for answer in answers) == [False, True]
    one.refresh_from_db()
    assert one.decided_by == (first if one.state == "blocked" else second)
    assert Entry.objects.filter(name__startswith="agent.discovery_").count() == 1


@pytest.mark.parametrize(
    ("service", "known"),
    [
        ("Payer", True),
        ("pay-er", True),
        ("", True),
        ("  ", True),
        ("unknown_service:x", True),
        ("unknown_service-rogue trader", False),
        ("unknown_service:x y", False),
        ("payer2", False),
        ("—", False),
    ],
)
def test_whose_name_it_is(service: str, known: bool) -> None:
    assert is_known(service, ("payer", "Paula")) is known
