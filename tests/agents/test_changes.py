"""The life of an agent: who moves it, what takes two people, and what follows when its owner leaves."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from apps.access.services import end_person
from apps.agents.models import Agent, ChangeRequest
from apps.agents.rules import AGENT_MOVES, AgentState, ChangeKind, needs_second_person
from apps.agents.services import agree_to_change, ask_change, drop_change, save_agent
from apps.agents.tasks import sweep_ownerless
from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.models import ClockTimestamp, User
from apps.core.rules import Risk
from apps.notifications.models import Delivery
from apps.notifications.tasks import send_messages
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.agents import make_agent
from tests.oversight.test_api import caller, post

VIEW, MANAGE = "agents.view_agent", "agents.manage_agent"
HIGH = ("high", "critical")


@pytest.mark.parametrize("risk", list(Risk))
@pytest.mark.parametrize(
    ("before", "to"), [(before, to) for before, moves in AGENT_MOVES.items() for to in sorted(moves)]
)
def test_two_people_are_needed_where_a_grave_agent_may_do_more_or_ends(risk: str, before: str, to: str) -> None:
    narrows = to == "suspended" or (before, to) == ("active", "pilot")
    expected = risk in HIGH and not narrows
    assert needs_second_person(ChangeKind.STATE, risk=risk, state=before, before=before, to=to) is expected


@pytest.mark.parametrize("state", list(AgentState))
@pytest.mark.parametrize("before", list(Risk))
@pytest.mark.parametrize("to", list(Risk))
def test_two_people_are_needed_for_less_of_a_risk_and_for_a_grave_one_that_works(
    state: str, before: str, to: str
) -> None:
    tiers = ["low", "medium", "high", "critical"]
    is_less = tiers.index(to) < tiers.index(before)
    lowers = is_less and (before in HIGH or state != "draft")
    raises = state in {"pilot", "active"} and before not in HIGH and to in HIGH
    found = needs_second_person(ChangeKind.RISK, risk=before, state=state, before=before, to=to)
    assert found is (lowers or raises)


def managers(agent: Agent) -> tuple[User, User]:
    return make_holder(VIEW, MANAGE, unit=agent.unit), make_holder(VIEW, MANAGE, unit=agent.unit)


def ask(person: User, agent: Agent, to: str = "active", **more: Any) -> ChangeRequest:
    asked = {"kind": "state", "to": to, "reason": "It is ready.", "override": True, **more}
    change = ask_change(person, agent=agent, **asked)
    assert change is not None
    return change


def state_of(agent: Agent) -> str:
    return str(Agent.objects.values_list("state", flat=True).get(pk=agent.pk))


@pytest.mark.django_db
class TestTwoPeople:
    @pytest.mark.parametrize("risk", HIGH)
    def test_one_asks_and_another_one_agrees(self, risk: str) -> None:
        agent = make_agent(state="pilot", risk=risk)
        first, second = managers(agent)
        change = ask(first, agent)
        assert state_of(agent) == "pilot"
        agree_to_change(second, change=change)
        assert state_of(agent) == "active"
        change.refresh_from_db()
        assert (change.outcome, change.ended_by) == ("made", second)
        asked, moved = Entry.objects.filter(subject_id=agent.pk).order_by("id")
        assert (asked.name, asked.actor, asked.payload["to"]) == ("agent.change_requested", first, "active")
        assert (moved.name, moved.actor) == ("agent.active", second)
        assert (moved.payload["asked_by"], moved.payload["reason"]) == (first.username, "It is ready.")

    def test_nobody_agrees_with_themselves_and_the_database_says_so_too(self) -> None:
        agent = make_agent(state="pilot", risk="high")
        first, _ = managers(agent)
        change = ask(first, agent)
        with pytest.raises(NotAllowedError):
            agree_to_change(first, change=change)
        with pytest.raises(IntegrityError), transaction.atomic():
            ChangeRequest.objects.update(ended_at=ClockTimestamp(), ended_by=first, outcome="made")
        assert state_of(agent) == "pilot"
        assert ChangeRequest.objects.filter(ChangeRequest.open()).count() == 1

    @pytest.mark.parametrize("who", ["viewer", "stranger", "elsewhere", "agent"])
    def test_nobody_agrees_who_does_not_manage_it(self, who: str) -> None:
        agent = make_agent(state="pilot", risk="high")
        first, _ = managers(agent)
        change = ask(first, agent)
        people = {
            "viewer": make_holder(VIEW, unit=agent.unit),
            "stranger": make_user(),
            "elsewhere": make_holder(MANAGE, unit=make_unit()),
            "agent": agent.user,
        }
        if who == "agent":
            grant(agent.user, make_role(MANAGE))
        with pytest.raises(NotAllowedError):
            agree_to_change(people[who], change=change)
        with pytest.raises(NotAllowedError):
            drop_change(people[who], change=change, reason="No.")
        assert state_of(agent) == "pilot"
        assert not Entry.objects.exclude(name="agent.change_requested").exists()

    @pytest.mark.parametrize("what", ["moved", "left", "over", "withdrawn"])
    def test_what_does_not_hold_any_more_is_not_agreed_with(self, what: str) -> None:
        agent = make_agent(state="pilot", risk="high")
        first, second = managers(agent)
        change = ask(first, agent)
        if what == "moved":
            ask_change(second, agent=agent, kind="state", to="suspended", reason="Odd.")
        elif what == "left":
            end_person(make_admin(), user=first, reason="Left.")
            change.asked_by.refresh_from_db()
        elif what == "over":
            ChangeRequest.objects.update(expires_at=ClockTimestamp())
        else:
            drop_change(first, change=change)
        before = state_of(agent)
        with pytest.raises(ConflictError):
            agree_to_change(second, change=change)
        assert state_of(agent) == before

    def test_it_is_refused_with_a_reason_and_can_be_asked_for_anew(self) -> None:
        agent = make_agent(state="pilot", risk="high")
        first, second = managers(agent)
        change = ask(first, agent)
        with pytest.raises(ConflictError):
            ask(second, agent)
        with pytest.raises(InvalidError):
            drop_change(second, change=change, reason=" ")
        drop_change(second, change=change, reason="Too early.")
        assert Entry.objects.get(name="agent.change_refused").payload["reason"] == "Too early."
        ask(first, agent)
        assert state_of(agent) == "pilot"

    @pytest.mark.parametrize("age", ["expired", "overtaken"])
    def test_what_is_over_stands_in_nobodys_way(self, age: str) -> None:
        agent = make_agent(state="pilot", risk="high")
        first, second = managers(agent)
        ask(first, agent)
        if age == "expired":
            ChangeRequest.objects.update(expires_at=ClockTimestamp())
        else:
            ask_change(second, agent=agent, kind="state", to="suspended", reason="Odd.")
        agent.refresh_from_db()
        ask(second, agent)
        assert ChangeRequest.objects.filter(outcome=age).count() == 1
        entry = Entry.objects.get(name=f"agent.change_{age}")
        assert (entry.actor.username, entry.payload["asked_by"]) == ("plane", first.username)

    @pytest.mark.parametrize("to", ["suspended", "pilot"])
    def test_stopping_and_narrowing_wait_for_nobody(self, to: str) -> None:
        agent = make_agent(risk="critical")
        first, _ = managers(agent)
        assert ask_change(first, agent=agent, kind="state", to=to, reason="Odd.") is None
        assert state_of(agent) == to

    def test_a_lesser_agent_takes_one_person(self) -> None:
        agent = make_agent(state="draft")
        first, _ = managers(agent)
        assert ask_change(first, agent=agent, kind="state", to="pilot") is None
        assert state_of(agent) == "pilot"

    def test_its_risk_is_lowered_by_two_and_not_by_the_way(self) -> None:
        agent = make_agent(risk="high")
        first, second = managers(agent)
        grant(agent.owner, make_role(VIEW), agent.unit)
        about = {"slug": agent.slug, "name": agent.name, "unit": agent.unit, "owner": agent.owner}
        with pytest.raises(ConflictError) as refusal:
            save_agent(first, **about, risk="low")
        assert refusal.value.code == "second_person_required"
        change = ask(first, agent, kind="risk", to="low")
        agree_to_change(second, change=change)
        agent.refresh_from_db()
        assert (agent.risk, agent.epoch) == ("low", 2)
        assert (
            Entry.objects.filter(subject_id=agent.pk, name="agent.changed").get().payload["asked_by"] == first.username
        )

    def test_one_that_works_comes_to_the_high_tiers_by_two(self) -> None:
        agent = make_agent(risk="medium")
        first, second = managers(agent)
        grant(agent.owner, make_role(VIEW), agent.unit)
        about = {"slug": agent.slug, "name": agent.name, "unit": agent.unit, "owner": agent.owner}
        with pytest.raises(ConflictError) as refusal:
            save_agent(first, **about, risk="critical")
        assert refusal.value.code == "second_person_required"
        change = ask(first, agent, kind="risk", to="critical")
        assert Agent.objects.get(pk=agent.pk).risk == "medium"
        agree_to_change(second, change=change)
        assert Agent.objects.get(pk=agent.pk).risk == "critical"

    @pytest.mark.parametrize(("state", "before"), [("suspended", "medium"), ("draft", "low"), ("active", "high")])
    def test_more_care_of_one_that_does_not_work_or_is_grave_already_waits_for_nobody(
        self, state: str, before: str
    ) -> None:
        agent = make_agent(state=state, risk=before)
        first, _ = managers(agent)
        assert ask_change(first, agent=agent, kind="risk", to="critical") is None
        assert Agent.objects.get(pk=agent.pk).risk == "critical"

    @pytest.mark.parametrize(("to", "error"), [("draft", ConflictError), ("nowhere", InvalidError)])
    def test_what_leads_nowhere_is_not_asked_for(self, to: str, error: type[Exception]) -> None:
        agent = make_agent(risk="high")
        first, _ = managers(agent)
        with pytest.raises(error):
            ask(first, agent, to)
        assert not ChangeRequest.objects.exists()
        assert not Entry.objects.exists()

    def test_who_could_agree_is_told_and_who_asked_is_not(self) -> None:
        agent = make_agent(state="pilot", risk="high")
        first, second = managers(agent)
        elsewhere = make_holder(MANAGE, unit=make_unit())
        ask(first, agent)
        assert told() == {second.username}
        assert elsewhere.username not in told()


def told(event: str = "agreement") -> set[str]:
    deliver_reactions()
    send_messages()
    rows = Delivery.objects.filter(notice__event=event, channel="in_app")
    return set(rows.values_list("recipient__username", flat=True))


@pytest.mark.django_db
class TestOverHttp:
    def test_the_answer_says_whether_it_is_done_or_waits(self) -> None:
        agent = make_agent(state="pilot", risk="high")
        first, second = managers(agent)
        base = f"/api/v1/agents/{agent.slug}/"
        asked = post(caller(first), f"{base}state/", {"state": "active", "reason": "Ready.", "override": True})
        assert (asked.status_code, asked.json()["outcome"], asked.json()["basis"]) == (202, None, "pilot")
        [listed] = caller(second).get(f"{base}changes/").json()["results"]
        assert listed == asked.json()
        door = f"{base}changes/{listed['id']}/"
        alone = post(caller(first), f"{door}agree/", {})
        assert (alone.status_code, alone.json()["code"]) == (403, "not_allowed")
        done = post(caller(second), f"{door}agree/", {})
        assert (done.status_code, done.json()["state"]) == (200, "active")
        late = post(caller(second), f"{door}drop/", {"reason": "No."})
        assert (late.status_code, late.json()["code"]) == (409, "invalid_state")
        suspended = post(caller(first), f"{base}state/", {"state": "suspended", "reason": "Odd."})
        assert (suspended.status_code, suspended.json()["state"]) == (200, "suspended")

    def test_a_change_of_risk_is_asked_for_and_a_patch_says_so(self) -> None:
        agent = make_agent(risk="high")
        first, _ = managers(agent)
        client = caller(first)
        patched = client.patch(f"/api/v1/agents/{agent.slug}/", '{"risk": "low"}', content_type="application/json")
        assert (patched.status_code, patched.json()["code"]) == (409, "second_person_required")
        body = {"kind": "risk", "to": "low", "reason": "It only reads."}
        assert post(client, f"/api/v1/agents/{agent.slug}/changes/", body).status_code == 202
        missing = post(client, f"/api/v1/agents/{agent.slug}/changes/", {"kind": "risk", "to": "none"})
        assert (missing.status_code, list(missing.json()["errors"])) == (422, ["to"])

    def test_a_change_of_another_agent_is_not_there(self) -> None:
        agent, other = make_agent(state="pilot", risk="high"), make_agent()
        first, _ = managers(agent)
        change = ask(first, agent)
        admin = caller(make_admin())
        answer = post(admin, f"/api/v1/agents/{other.slug}/changes/{change.pk}/agree/", {})
        assert answer.status_code == 404
        assert state_of(agent) == "pilot"


@pytest.mark.django_db
class TestThePage:
    def test_it_shows_who_asked_and_who_can_agree(self, client: Any) -> None:
        agent = make_agent(state="pilot", risk="high")
        first, second = managers(agent)
        client.force_login(first)
        url = f"/agents/{agent.slug}/"
        assert client.post(f"{url}state/", {"state": "active", "reason": "Ready.", "override": "on"}).status_code == 302
        page = client.get(url).content.decode()
        assert "Asked to make it “Active”" in page
        assert f"{second} can." in page
        assert ">Agree<" not in page
        change = ChangeRequest.objects.get()
        assert client.post(f"{url}changes/{change.pk}/agree/").status_code == 403
        client.force_login(second)
        assert ">Agree<" in client.get(url).content.decode()
        assert client.post(f"{url}changes/{change.pk}/drop/", {"reason": ""}).status_code == 422
        assert client.post(f"{url}changes/{change.pk}/agree/").status_code == 302
        assert state_of(agent) == "active"

    def test_a_move_that_leads_nowhere_is_explained_in_the_form(self, client: Any) -> None:
        agent = make_agent(state="retired")
        client.force_login(make_admin())
        answer = client.post(f"/agents/{agent.slug}/state/", {"state": "active", "reason": "Again."})
        assert answer.status_code == 409
        assert "that does not lead to active" in answer.content.decode()


@pytest.mark.django_db
class TestTheOwner:
    def test_has_a_part_in_the_unit(self) -> None:
        admin, unit = make_admin(), make_unit()
        about = {"slug": "payer", "name": "Payer", "unit": unit}
        inside, above = make_holder(VIEW, unit=unit), make_holder(VIEW)
        for stranger in (make_user(), make_holder(VIEW, unit=make_unit())):
            with pytest.raises(InvalidError) as refusal:
                save_agent(admin, **about, owner=stranger)
            assert list(refusal.value.errors) == ["owner"]
        assert not Agent.objects.exists()
        save_agent(admin, **about, owner=inside)
        save_agent(admin, **about, owner=above)
        assert Agent.objects.get().owner == above

    @pytest.mark.parametrize("how", ["ended", "deactivated"])
    def test_who_leaves_suspends_what_they_own_and_the_unit_is_told_once(self, how: str) -> None:
        agent, theirs = make_agent(), make_agent()
        draft = make_agent(state="draft", owner=agent.owner)
        manager, _ = managers(agent)
        if how == "ended":
            end_person(make_admin(), user=agent.owner, reason="Left.")
            deliver_reactions()
        else:
            User.objects.filter(pk=agent.owner.pk).update(is_active=False)
            assert sweep_ownerless() == 1
        assert [state_of(each) for each in (agent, theirs, draft)] == ["suspended", "active", "draft"]
        entry = Entry.objects.get(name="agent.suspended")
        assert (entry.payload["why"], entry.payload["owner"]) == ("owner_left", agent.owner.username)
        assert sweep_ownerless() == 0
        assert manager.username in told("ownerless")
        assert Delivery.objects.filter(recipient=manager, channel="in_app").count() == 1

    def test_nobody_puts_it_to_work_before_it_has_another_owner(self) -> None:
        agent = make_agent(state="suspended")
        User.objects.filter(pk=agent.owner.pk).update(is_active=False)
        first, _ = managers(agent)
        with pytest.raises(ConflictError):
            ask_change(first, agent=agent, kind="state", to="pilot", reason="Go on.")
        assert state_of(agent) == "suspended"
        save_agent(first, slug=agent.slug, name=agent.name, unit=agent.unit, owner=first)
        ask_change(first, agent=agent, kind="state", to="pilot", reason="Go on.")
        assert state_of(agent) == "pilot"

    def test_who_suspends_it_themselves_tells_nobody_of_an_owner(self) -> None:
        agent = make_agent()
        first, _ = managers(agent)
        ask_change(first, agent=agent, kind="state", to=AgentState.SUSPENDED, reason="Odd.")
        assert told("ownerless") == set()
