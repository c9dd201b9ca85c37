"""What people approved in advance: what it lets run, how often, and everything that ends it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.access.models import RoleGrant
from apps.access.services import revoke_role
from apps.agents.models import Action, Agent
from apps.agents.services import change_state
from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.connectors.services import save_operation
from apps.core.differences import MASKED
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.halts.services import engage_halt, lift_halt
from apps.oversight.models import Escalation, Grant, StandingApproval, StandingUse
from apps.oversight.selectors import inbox_for, live_standing_approvals
from apps.oversight.services import (
    cast_vote,
    end_fallen_standing,
    end_standing_approval,
    make_standing_approval,
    undo_decision,
)
from apps.workflows.services.actions import perform_due
from controlplane.reactions import REACTIONS, STANDING
from tests.factories.access import grant, make_admin, make_approver, make_role, make_user
from tests.oversight.edge_cases.doors import Person
from tests.workflows.actions import make_desk, rules_of, the_item, work
from tests.workflows.test_ways_around import spec_of

pytestmark = pytest.mark.django_db
LETS = {"times": 20, "days": 7, "up_to_minor": 300_000}


def asks(desk, obligations=None, **fields):
    return {
        "slug": "large",
        "queue": desk.queue.slug,
        "when": "action.amount_minor > 100000",
        "effect": "require_approval",
        "obligations": {"standing": LETS} if obligations is None else obligations,
        **fields,
    }


class World:
    """A desk whose first payment was approved, and the like of it in advance, three times."""

    def __init__(self, times=3, *, url="http://127.0.0.1:1029", obligations=None, target="iban", **fields):
        self.desk = make_desk(url, obligations={"standing": LETS, **(obligations or {})}, target=target)
        self.desk.ask(250_000)
        self.item, self.ada = the_item(), self.desk.approver
        fields = {"days": 7, "up_to_minor": 250_000, **fields}
        self.approval = make_standing_approval(self.ada, escalation_id=self.item.pk, version=1, times=times, **fields)

    def ask(self, amount=250_000, **more):
        return self.desk.ask(amount, **more).json()

    def now(self):
        return StandingApproval.objects.get(pk=self.approval.pk)

    def runs(self, amount=250_000, **more):
        return self.ask(amount, **more)["state"] == "approved"


@pytest.fixture
def world(db):
    return World()


def test_the_like_of_it_runs_at_once_with_the_rule_and_the_person_named(system):
    world = World(url=system.url)
    answer = world.ask(200_000)
    assert (answer["state"], answer["verdict"]["effect"], answer["escalation"]) == ("approved", "allow", None)
    assert [rule["rule"] for rule in answer["verdict"]["rules"]] == ["large"]
    told = answer["verdict"]["standing"]
    assert (told["id"], told["by"], told["rule"]) == (
        str(world.approval.pk),
        world.ada.username,
        f"{world.desk.policy.slug}/large",
    )
    work()
    assert world.desk.get(f"actions/{answer['id']}/").json()["state"] == "succeeded"
    assert len(system.asked) == 1
    assert Grant.objects.get().state == "consumed"
    assert Escalation.objects.get() == world.item
    assert world.item.state == "pending"


def test_each_use_is_in_the_ledger_and_counted_on_the_item(world):
    ids = [world.ask()["id"] for _ in range(2)]
    told = list(Entry.objects.filter(name="standingapproval.used").order_by("id"))
    assert [entry.subject_id for entry in told] == [world.approval.pk] * 2
    assert [(entry.payload["action"], entry.payload["attempt"]) for entry in told] == [(ids[0], 1), (ids[1], 2)]
    approved = Entry.objects.get(name="action.approved", subject_id=ids[0])
    assert approved.payload["standing"] == str(world.approval.pk)
    page = signed_in(world.ada).get(f"/inbox/{world.item.pk}/").content.decode()
    assert "used 2 of 3" in page
    page = signed_in(make_admin()).get(f"/actions/{ids[0]}/").content.decode()
    assert f"{world.ada.username} approved the like of it in advance" in page
    assert f'href="/inbox/{world.item.pk}/"' in page


def test_it_ends_with_its_last_use_and_people_are_asked_again(world):
    assert [world.runs() for _ in range(4)] == [True, True, True, False]
    assert (world.now().state, world.now().used) == ("used_up", 3)
    assert StandingUse.objects.count() == 3
    assert Entry.objects.filter(name="standingapproval.used_up").count() == 1


def test_the_same_request_again_is_the_same_action_and_no_further_use(world):
    one, two = world.ask(reference="inv-7"), world.ask(reference="inv-7")
    assert one["id"] == two["id"]
    assert world.now().used == 1


@pytest.mark.parametrize(
    ("amount", "parameters", "state"),
    [
        (250_001, {}, "pending_approval"),
        (250_000, {"iban": "DE0018"}, "pending_approval"),
        (250_000, {"currency": "USD"}, "denied"),  # beyond every amount of the rules, so beyond what is denied too
    ],
)
def test_what_is_not_alike_is_not_let_run(world, amount, parameters, state):
    assert world.ask(amount, parameters=parameters)["state"] == state
    assert world.now().used == 0


def test_a_longer_target_that_begins_alike_is_another_one(world):
    far = {"parameters": {"iban": "D" * 200}}
    item = Escalation.objects.get(action=world.ask(**far)["id"])
    make_standing_approval(world.ada, escalation_id=item.pk, version=1, days=7, times=3, up_to_minor=250_000)
    assert world.runs(**far)
    assert not world.runs(parameters={"iban": "D" * 200 + "E"})


@pytest.mark.parametrize("iban", ["DE0018", "de0017", None])
def test_what_the_rule_wants_the_same_must_be_the_same_beside_the_target(iban):
    """The target is a name here: an agent that is talked into another account of that name is stopped."""
    world = World(obligations={"standing": {**LETS, "same": ["iban"]}}, target="currency")
    assert world.runs()
    assert not world.runs(parameters={"iban": iban} if iban else {"iban": ""})
    assert world.now().used == 1


def test_another_agent_is_asked_about(world):
    other = make_desk(obligations={"standing": LETS})
    assert other.ask(250_000).json()["state"] == "pending_approval"
    assert world.now().used == 0


def test_what_the_rules_deny_is_denied(world):
    rules_of(world.desk, asks(world.desk), {"slug": "no", "when": "action.amount_minor > 240000", "effect": "deny"})
    assert world.ask()["state"] == "denied"
    assert world.now().used == 0


def refused(error, actor, item, **fields):
    with pytest.raises(error) as caught:
        make_standing_approval(
            actor, escalation_id=item.pk, version=1, **{"days": 7, "times": 3, "up_to_minor": 1, **fields}
        )
    assert not StandingApproval.objects.exists()
    return caught.value


@pytest.mark.parametrize(
    ("obligations", "why"),
    [
        ({}, "not_permitted"),
        ({"standing": LETS, "quorum": 2}, "several_people"),
        ({"standing": LETS, "step_up": True}, "more_than_a_key"),
        ({"standing": LETS, "hold": "5m"}, "more_than_a_key"),
    ],
)
def test_only_what_the_rule_lets_one_person_do_with_one_act(obligations, why):
    desk = make_desk(obligations=obligations)
    desk.ask(250_000)
    assert refused(NotAllowedError, desk.approver, the_item()).members["why"] == why


def test_not_at_high_risk():
    desk = make_desk(obligations={"standing": LETS})
    Agent.objects.filter(pk=desk.agent.pk).update(risk="high")
    desk.ask(250_000)
    assert refused(NotAllowedError, desk.approver, the_item()).members["why"] == "grave_risk"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"days": 8}, "days"),
        ({"days": 0}, "days"),
        ({"times": 21}, "times"),
        ({"times": 0}, "times"),
        ({"up_to_minor": 300_001}, "up_to_minor"),
        ({"up_to_minor": 0}, "up_to_minor"),
        ({"up_to_minor": None}, "up_to_minor"),
    ],
)
def test_never_more_than_the_rule_lets(fields, field):
    desk = make_desk(obligations={"standing": LETS})
    desk.ask(250_000)
    assert set(refused(InvalidError, desk.approver, the_item(), **fields).errors) == {field}


def test_only_within_one_s_own_authority():
    desk = make_desk(obligations={"standing": LETS, "exclude": ["agent_owner"]})
    desk.ask(250_000)
    item = the_item()
    viewer = make_user()
    grant(viewer, make_role("oversight.view_escalation"), item.unit)
    owner = make_approver(desk.queue)
    Agent.objects.filter(pk=desk.agent.pk).update(owner=owner)
    assert refused(NotAllowedError, viewer, item).members["why"] == "no_permission"
    assert refused(NotAllowedError, owner, item).members["why"] == "agent_owner"
    refused(NotFoundError, make_user(), item)
    refused(NotAllowedError, desk.agent.user, item)


def test_who_approved_it_may_afterwards_and_nobody_else():
    desk = make_desk(obligations={"standing": LETS})
    desk.ask(250_000)
    item, other = the_item(), make_approver(desk.queue)
    cast_vote(desk.approver, escalation_id=item.pk, verdict="approve", version=1)
    refused(ConflictError, other, item)
    made = make_standing_approval(desk.approver, escalation_id=item.pk, version=1, days=1, times=1, up_to_minor=250_000)
    assert made.state == "live"


def test_not_what_was_rejected_nor_twice_nor_under_a_halt(world):
    with pytest.raises(ConflictError):
        make_standing_approval(world.ada, escalation_id=world.item.pk, version=1, days=1, times=1, up_to_minor=1)
    cast_vote(world.ada, escalation_id=world.item.pk, verdict="reject", version=1, reason="No.")
    end_standing_approval(world.ada, approval=world.now())
    with pytest.raises(ConflictError):
        make_standing_approval(world.ada, escalation_id=world.item.pk, version=1, days=1, times=1, up_to_minor=1)


def test_a_rule_that_says_nothing_beside_one_that_lets_lets_nothing():
    desk = make_desk(obligations={"standing": LETS})
    rules_of(desk, asks(desk), asks(desk, {}, slug="also"))
    desk.ask(250_000)
    assert refused(NotAllowedError, desk.approver, the_item()).members["why"] == "not_permitted"


def ends(world, why, *, is_asked=True):
    if is_asked:
        assert not world.runs()
    found = world.now()
    assert (found.state, found.end_why, found.used) == ("ended", why, 0)
    assert Entry.objects.get(name="standingapproval.ended").payload["why"] == why
    if is_asked:
        assert not world.runs()


def test_by_one_click_of_its_maker(world):
    end_standing_approval(world.ada, approval=world.approval)
    ends(world, "ended_by_hand")
    with pytest.raises(ConflictError):
        end_standing_approval(world.ada, approval=world.now())


def test_by_whoever_may_decide_in_the_unit_and_by_nobody_else(world):
    stranger = make_user()
    grant(stranger, make_role("oversight.view_escalation"), world.item.unit)
    with pytest.raises(NotAllowedError):
        end_standing_approval(stranger, approval=world.approval)
    with pytest.raises(NotAllowedError):
        end_standing_approval(world.desk.agent.user, approval=world.approval)
    end_standing_approval(make_approver(world.desk.queue), approval=world.approval)
    ends(world, "ended_by_hand")


def test_when_its_time_is_over(world):
    StandingApproval.objects.update(until=ClockTimestamp() - timedelta(seconds=1))
    assert not world.runs()
    assert end_fallen_standing() == 1
    ends(world, "time_over")


def test_when_its_time_is_over_however_many_stand_before_it(world, monkeypatch):
    monkeypatch.setattr("apps.oversight.services.standing.BATCH", 1)
    world.desk.ask(250_000, parameters={"iban": "DE0099"})
    item = Escalation.objects.latest("id")
    later = make_standing_approval(world.ada, escalation_id=item.pk, version=1, days=7, times=3, up_to_minor=250_000)
    StandingApproval.objects.filter(pk=later.pk).update(until=ClockTimestamp() - timedelta(seconds=1))
    for _ in range(2):
        end_fallen_standing()
    later.refresh_from_db()
    assert (later.state, later.end_why) == ("ended", "time_over")


def test_when_its_maker_loses_the_role(world):
    revoke_role(system_user("console"), grant=RoleGrant.objects.get(user=world.ada))
    ends(world, "no_permission")


def test_whoever_else_ends_it_in_the_same_moment_the_request_goes_to_people(world, monkeypatch):
    found = live_standing_approvals(world.desk.agent.pk, world.desk.operation.slug)
    revoke_role(system_user("console"), grant=RoleGrant.objects.get(user=world.ada))
    end_fallen_standing()
    monkeypatch.setattr("apps.oversight.services.standing.live_standing_approvals", lambda *_asked: found)
    assert world.ask(240_000)["state"] == "pending_approval"
    assert Entry.objects.filter(name="standingapproval.ended").count() == 1


def test_when_its_maker_leaves(world):
    world.ada.is_active = False
    world.ada.save()
    ends(world, "inactive")


def test_when_its_maker_becomes_the_agent_s_owner():
    world = World(obligations={"exclude": ["agent_owner"]})
    Agent.objects.filter(pk=world.desk.agent.pk).update(owner=world.ada)
    ends(world, "agent_owner")


def test_at_a_halt_and_lifting_it_does_not_revive_it(world):
    halt = engage_halt(make_admin(), scope="agent", target=world.desk.agent.slug, unit=world.item.unit, reason="odd")
    assert world.desk.ask(250_000).status_code == 423
    lift_halt(make_admin(), halt_id=halt.pk, reason="fine")
    ends(world, "halted")


def test_when_the_rules_become_stricter(world):
    rules_of(world.desk, asks(world.desk, {"standing": LETS, "quorum": 2}))
    deliver_reactions()
    ends(world, "stricter")


def test_when_the_rules_let_it_no_more_or_less(world):
    rules_of(world.desk, asks(world.desk, {"standing": {**LETS, "up_to_minor": 200_000}}))
    deliver_reactions()
    ends(world, "stricter")


@pytest.mark.parametrize("less", [{"times": 2}, {"days": 6}])
def test_when_the_rules_let_it_less_often_or_for_fewer_days(world, less):
    rules_of(world.desk, asks(world.desk, {"standing": {**LETS, **less}}))
    deliver_reactions()
    ends(world, "stricter")


@pytest.mark.parametrize("less", [{"times": 2}, {"days": 6}])
def test_not_for_what_a_further_rule_lets_less_of(world, less):
    """The rule on what is larger has a say of its own: what it lets is not talked up on something smaller."""
    larger = {"slug": "larger", "when": "action.amount_minor > 240000", "obligations": {"standing": {**LETS, **less}}}
    rules_of(world.desk, asks(world.desk), asks(world.desk, **larger))
    world.desk.ask(200_000, parameters={"iban": "DE0099"})
    item = Escalation.objects.latest("id")
    fields = {"days": 7, "times": 3, "up_to_minor": 250_000}
    make_standing_approval(world.ada, escalation_id=item.pk, version=1, **fields)
    assert not world.runs(parameters={"iban": "DE0099"})
    assert world.runs(200_000, parameters={"iban": "DE0099"})


def test_not_when_something_else_is_released(world):
    rules_of(world.desk, asks(world.desk, message="Other words."))
    deliver_reactions()
    assert world.runs()


def test_when_the_operation_changes(world):
    old = world.desk.operation
    spec = replace(spec_of(old), path="/elsewhere")
    save_operation(system_user("console"), slug=old.slug, connector=old.connector, spec=spec)
    ends(world, "operation_changed")


def test_when_the_agent_is_suspended_and_resuming_does_not_revive_it(world):
    admin = make_admin()
    agent = change_state(admin, agent=world.desk.agent, to="suspended", reason="odd")
    deliver_reactions()
    ends(world, "agent_inactive", is_asked=False)
    change_state(admin, agent=agent, to="active", reason="fine")
    assert not world.runs()


@pytest.mark.parametrize("name", ["role", "halt", "release", "operation", "leaving"])
def test_the_ledger_s_entry_ends_it_without_a_request(world, name):
    told = {
        "role": "rolegrant.revoked",
        "halt": "halt.engaged",
        "release": "release.published",
        "operation": "operation.changed",
        "leaving": "user.ended",
    }
    assert STANDING in REACTIONS[told[name]]
    revoke_role(system_user("console"), grant=RoleGrant.objects.get(user=world.ada))
    deliver_reactions()
    ends(world, "no_permission", is_asked=False)


def test_when_the_item_on_which_it_was_given_is_rejected(world):
    cast_vote(make_approver(world.desk.queue), escalation_id=world.item.pk, verdict="reject", version=1, reason="No.")
    assert not world.runs(240_000)
    ends(world, "item_refused", is_asked=False)


def test_when_the_item_on_which_it_was_given_is_edited(world):
    """Whoever gave it said yes to what it said then, not to the account that somebody else puts there."""
    ben, other = make_approver(world.desk.queue), {"amount_minor": 250_000, "currency": "EUR", "iban": "DE0099"}
    cast_vote(ben, escalation_id=world.item.pk, verdict="approve", version=1, parameters=other)
    assert not world.runs(parameters={"iban": "DE0099"})
    assert not world.runs()
    ends(world, "item_edited", is_asked=False)


def test_whoever_approved_it_in_advance_does_not_review_it(system):
    world = World(url=system.url, obligations={"sample": "100%"})
    other = make_approver(world.desk.queue)
    assert world.runs()
    work()
    review = Escalation.objects.get(kind="review")
    assert not inbox_for(world.ada).filter(pk=review.pk).exists()
    assert inbox_for(other).filter(pk=review.pk).exists()


def test_what_it_let_run_and_has_not_begun_is_asked_about_after_it_fell(system):
    world = World(url=system.url)
    ask = world.ask()
    end_standing_approval(world.ada, approval=world.approval)
    work()
    assert system.asked == []
    action = Action.objects.get(pk=ask["id"])
    assert action.state == "pending_approval"
    assert Escalation.objects.filter(action=action, state="pending").exists()
    assert Grant.objects.get(action=action).state == "revoked"


def test_what_it_let_run_and_has_not_begun_is_asked_about_when_the_rules_let_it_no_more(system):
    """Before anything has followed the release: the claim asks for itself."""
    world = World(url=system.url)
    ran = world.ask()
    rules_of(world.desk, asks(world.desk, {}))
    assert perform_due() == 1
    assert world.desk.get(f"actions/{ran['id']}/").json()["state"] == "pending_approval"
    assert not system.asked


def test_what_it_let_run_runs_on_when_only_its_time_or_its_times_are_over(system):
    world = World(1, url=system.url)
    assert world.runs()
    work()
    assert len(system.asked) == 1
    assert world.now().state == "used_up"


def signed_in(user):
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_from_the_item_to_the_list_and_one_click_ends_it():
    desk = make_desk(obligations={"standing": LETS})
    desk.ask(250_000)
    item, client = the_item(), signed_in(desk.approver)
    assert f"/inbox/{item.pk}/standing/" in client.get(f"/inbox/{item.pk}/").content.decode()
    page = client.get(f"/inbox/{item.pk}/standing/").content.decode()
    assert 'value="3000.00"' in page
    wrong = client.post(f"/inbox/{item.pk}/standing/", {"amount": "9000", "days": "7", "times": "20", "version": "1"})
    assert wrong.status_code == 422
    assert 'value="9000"' in wrong.content.decode()
    sent = client.post(
        f"/inbox/{item.pk}/standing/", {"amount": "2500", "days": "7", "times": "3", "version": "1"}, follow=True
    )
    assert "0 of 3" in sent.content.decode()
    assert desk.ask(250_000).json()["state"] == "approved"
    assert "1 of 3" in client.get("/inbox/standing/").content.decode()
    made = StandingApproval.objects.get()
    ended = client.post(f"/inbox/standing/{made.pk}/end/", {"next": "//evil.example/inbox/"}, follow=True)
    assert ended.redirect_chain[0][0] == "/inbox/standing/"
    assert "Ended. From now on people are asked again." in ended.content.decode()
    assert "is over already" in client.post(f"/inbox/standing/{made.pk}/end/", follow=True).content.decode()


def test_strangers_see_and_end_nothing(world):
    client = signed_in(make_approver(make_desk().queue))
    assert str(world.approval.pk) not in client.get("/inbox/standing/").content.decode()
    assert client.post(f"/inbox/standing/{world.approval.pk}/end/").status_code == 404
    assert world.now().state == "live"


def test_nobody_approves_in_advance_what_somebody_edited_while_they_read_it():
    desk = make_desk(obligations={"standing": LETS})
    desk.ask(250_000)
    item, ada = the_item(), desk.approver
    page = signed_in(ada).get(f"/inbox/{item.pk}/standing/").content.decode()
    assert 'name="version" value="1"' in page
    ben, other = make_approver(desk.queue), {"amount_minor": 250_000, "currency": "EUR", "iban": "DE0099"}
    cast_vote(ben, escalation_id=item.pk, verdict="approve", version=1, parameters=other, hold_s=60)
    undo_decision(ben, escalation_id=item.pk)
    fields = {"days": 7, "times": 3, "version": 1}
    sent = signed_in(ada).post(f"/inbox/{item.pk}/standing/", {**fields, "amount": "2500"})
    assert sent.status_code == 409
    assert "It has changed since you read it" in sent.content.decode()
    answer = Person(ada).post(f"/escalations/{item.pk}/standing/", {**fields, "up_to_minor": 250_000})
    assert (answer.status_code, answer.json()["code"], answer.json()["version"]) == (409, "stale", 2)
    assert not StandingApproval.objects.exists()


def test_where_the_rule_does_not_let_it_the_page_says_so():
    desk = make_desk()
    desk.ask(250_000)
    client = signed_in(desk.approver)
    assert "/standing/" not in client.get(f"/inbox/{the_item().pk}/").content.decode()
    said = client.get(f"/inbox/{the_item().pk}/standing/").content.decode()
    assert "does not let it be approved in advance" in said
    sent = client.post(f"/inbox/{the_item().pk}/standing/", {"amount": "1", "days": "1", "times": "1", "version": "1"})
    assert sent.status_code == 403


def test_the_list_names_what_must_be_the_same_and_what_it_said():
    """Whoever ends one must see what it lets run: the account, not only the name."""
    world = World(obligations={"standing": {**LETS, "same": ["iban", "note"]}}, target="currency")
    said = world.item.action.parameters | {"iban": "DE00<b>\u202e17", "api_key": "canary-9"}
    Action.objects.filter(pk=world.item.action_id).update(parameters=said)
    verdict = world.item.verdict
    verdict["obligations"]["standing"]["same"].append("api_key")
    Escalation.objects.filter(pk=world.item.pk).update(verdict=verdict)
    page = signed_in(world.ada).get("/inbox/standing/").content.decode()
    assert "DE00&lt;b&gt;" in page
    assert "\u202e" not in page
    assert page.count("must be the same") == 3
    assert "not given" in page
    assert "canary-9" not in page
    (told,) = Person(world.ada).get("/standing-approvals/").json()["results"]
    assert told["same"] == {"iban": "DE00<b>\u202e17", "note": None, "api_key": MASKED}


def test_the_api_makes_lists_and_ends(world):
    cast_vote(world.ada, escalation_id=world.item.pk, verdict="approve", version=1)
    end_standing_approval(world.ada, approval=world.approval)
    person, url = Person(world.ada), f"/escalations/{world.item.pk}/standing/"
    made = person.post(url, {"days": 2, "times": 2, "up_to_minor": 250_000, "version": 1})
    assert made.status_code == 201, made.json()
    assert world.runs()
    listed = person.get("/standing-approvals/").json()["results"]
    assert [(one["state"], one["used"], len(one["uses"])) for one in listed] == [("live", 1, 1), ("ended", 0, 0)]
    end = f"/standing-approvals/{made.json()['id']}/end/"
    assert person.post(end, {}).json()["state"] == "ended"
    assert person.post(end, {}).status_code == 409
    assert person.post(url, {"days": "2", "times": 2, "version": 1}).status_code == 422


def test_the_lists_read_as_much_for_many_as_for_one_and_show_the_latest_uses(world, monkeypatch):
    monkeypatch.setattr("apps.oversight.selectors.standing.USES_SHOWN", 2)
    assert [world.runs() for _ in range(3)] == [True] * 3
    person = Person(world.ada)
    with CaptureQueriesContext(connection) as one:
        (listed,) = person.get("/standing-approvals/").json()["results"]
    assert [use["number"] for use in listed["uses"]] == [3, 2]
    page = signed_in(world.ada).get("/inbox/standing/").content.decode()
    assert page.count('<li><a href="/actions/') == 2
    for iban in ("DE0098", "DE0099"):
        world.ask(parameters={"iban": iban})
        fields = {"days": 7, "times": 3, "up_to_minor": 250_000}
        make_standing_approval(world.ada, escalation_id=Escalation.objects.latest("id").pk, version=1, **fields)
    with CaptureQueriesContext(connection) as many:
        assert len(person.get("/standing-approvals/").json()["results"]) == 3
    assert len(many) == len(one)
