"""Going back to an earlier version, and retiring: whatever may loosen takes two people."""

from functools import partial

import pytest
from django.test import Client

from apps.access.models import RoleGrant
from apps.audit.models import Entry
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.services import system_user
from apps.policies.models import Policy, PolicyVersion, Proposal, Release
from apps.policies.rules import Effect, differences_between, only_tightens
from apps.policies.services import (
    apply_policy,
    decline_proposal,
    evaluate_action,
    publish_policy,
    retire_policy,
    roll_back_policy,
    save_policy,
)
from tests.factories.access import grant, make_holder, make_queue, make_role, make_unit
from tests.factories.agents import make_agent
from tests.factories.policies import make_facts, make_policy, make_rule

PUBLISH, VIEW, LOWER = "policies.publish_policy", "policies.view_policy", "policies.lower_enforcement"
ASKS = make_rule(slug="asks", when="action.amount_minor > 1000", effect="require_approval", queue="finance")
ALL = make_rule(slug="all")
NO = make_rule(slug="no", effect="deny")


class World:
    """A policy of two releases: first everything was allowed, since then large amounts are asked about."""

    def __init__(self):
        self.unit = make_unit()
        make_queue(slug="finance", unit=self.unit)
        self.ada, self.ben = (make_holder(PUBLISH, LOWER, VIEW, unit=self.unit, name=name) for name in ("Ada", "Ben"))
        self.policy = make_policy(ALL, unit=self.unit, slug="payments", name="Payments")
        self.apply(ALL, ASKS)

    def apply(self, *rules):
        console = system_user("console")
        apply_policy(console, slug="payments", name="Payments", rules=list(rules), unit=self.unit)

    def back(self, actor=None, version=1, reason="It stops everything."):
        return roll_back_policy(actor or self.ada, policy=self.policy, version=version, reason=reason)

    def retire(self, actor=None, reason="Over."):
        return retire_policy(actor or self.ada, policy=self.policy, reason=reason)

    def release(self, actor, proposal):
        return publish_policy(actor, policy=self.policy, version=proposal.version.number)

    def judged(self):
        return evaluate_action(self.ada, facts=make_facts(unit_id=self.unit.pk)).effect

    def now(self):
        return Policy.objects.get(pk=self.policy.pk)


@pytest.fixture
def world(db):
    return World()


class TestRules:
    @pytest.mark.parametrize(
        ("before", "after", "tightens"),
        [
            ([ALL], [], True),
            ([ALL], [ALL], True),
            ([ALL], [ALL, NO], True),
            ([ALL], [ALL | {"effect": "deny"}], True),
            ([ALL | {"message": "x"}], [], True),
            ([ASKS], [], False),
            ([NO], [], False),
            ([make_rule(slug="f", effect="flag")], [], False),
            ([ALL | {"obligations": {"limit": {"amount_minor": 5}}}], [], False),
            ([ALL | {"risk": "high"}], [], False),
            ([], [ALL], False),
            ([], [ASKS], False),
            ([ALL], [ALL, ASKS], False),
            ([NO], [NO | {"when": "false"}], False),
            ([ALL], [ALL | {"when": "false"}], False),
        ],
    )
    def test_only_what_cannot_come_out_milder_tightens(self, before, after, tightens):
        assert only_tightens(differences_between(before, after)) is tightens


class TestGoingBack:
    def test_is_a_version_that_judges_nothing_before_somebody_else_releases_it(self, world):
        made = world.back()
        assert (made.state, made.kind, made.version.number, made.version.rules) == ("open", "rollback", 3, [ALL])
        assert world.judged() is Effect.REQUIRE_APPROVAL
        with pytest.raises(NotAllowedError) as caught:
            world.release(world.ada, made)
        assert (caught.value.code, caught.value.members["may"]) == ("not_eligible", [world.ben.username])
        world.release(world.ben, made)
        made.refresh_from_db()
        assert (world.judged(), made.state, made.decided_by) == (Effect.ALLOW, "released", world.ben)
        assert world.now().latest == world.now().in_force == made.version
        assert Entry.objects.get(name="proposal.open").payload["reason"] == "It stops everything."

    def test_no_earlier_version_is_published_as_it_stands_by_anybody(self, world):
        for actor in (world.ada, world.ben):
            with pytest.raises(ConflictError):
                publish_policy(actor, policy=world.policy, version=1)
        assert world.judged() is Effect.REQUIRE_APPROVAL
        assert Release.objects.count() == 2

    def test_nor_is_a_draft_that_is_older_than_what_is_in_force(self, world):
        save_policy(world.ada, slug="payments", name="Payments", rules=[ALL | {"message": "x"}], unit=world.unit)
        world.apply(ALL, ASKS, NO)
        with pytest.raises(ConflictError):
            publish_policy(world.ben, policy=world.policy, version=3)
        assert world.judged() is Effect.DENY

    def test_to_what_was_stricter_takes_one_person(self, world):
        world.apply(ALL, NO)
        world.apply(ALL)
        made = world.back(version=3)
        assert (made.state, made.decided_by, world.judged()) == ("released", world.ada, Effect.DENY)

    def test_of_what_is_retired_takes_two_people(self, world):
        world.release(world.ben, world.retire())
        with pytest.raises(ConflictError):
            publish_policy(world.ben, policy=world.policy, version=2)
        made = world.back(version=2)
        assert (made.state, made.base, world.judged()) == ("open", None, Effect.DENY)
        world.release(world.ben, made)
        assert world.judged() is Effect.REQUIRE_APPROVAL

    def test_a_newer_release_ends_it_and_a_declined_one_is_over(self, world):
        made = world.back()
        world.apply(ALL, ASKS, NO)
        made.refresh_from_db()
        assert made.state == "superseded"
        again = world.back()
        decline_proposal(world.ben, proposal=again, reason="No.")
        for over in (made, again):
            with pytest.raises(ConflictError):
                world.release(world.ben, over)
        assert world.judged() is Effect.DENY

    def test_says_what_does_not_fit_and_changes_nothing(self, world):
        with pytest.raises(InvalidError):
            world.back(reason=" ")
        with pytest.raises(NotFoundError):
            world.back(version=9)
        with pytest.raises(ConflictError):
            world.back(version=2)
        save_policy(world.ada, slug="payments", name="Payments", rules=[NO], unit=world.unit)
        with pytest.raises(ConflictError):
            world.back(version=3)
        with pytest.raises(NotAllowedError):
            world.back(make_holder(PUBLISH, unit=make_unit()))
        agent = make_agent().user
        grant(agent, make_role(PUBLISH))
        with pytest.raises(NotAllowedError):
            world.back(agent)
        assert not Proposal.objects.exists()
        world.back()
        with pytest.raises(ConflictError):
            world.back(world.ben)
        assert PolicyVersion.objects.count() == 4


class TestRetiring:
    def test_takes_two_people_where_more_may_be_allowed(self, world):
        made = world.retire()
        assert (made.state, made.kind, made.version.rules) == ("open", "retire", [])
        assert (world.now().state, world.judged()) == ("in_force", Effect.REQUIRE_APPROVAL)
        with pytest.raises(NotAllowedError):
            world.release(world.ada, made)
        with pytest.raises(ConflictError):
            world.retire(world.ben)
        world.release(world.ben, made)
        made.refresh_from_db()
        assert (world.now().state, world.now().in_force, made.state) == ("retired", None, "released")
        assert Release.objects.latest("number").policies == []
        assert Entry.objects.get(name="policy.retired").payload["reason"] == "Over."

    def test_was_agreed_to_once_and_not_for_what_came_into_force_since(self, world):
        gone = world.retire()
        world.release(world.ben, gone)
        world.apply(ALL, ASKS)
        for person in (world.ada, world.ben):
            with pytest.raises(ConflictError):
                world.release(person, gone)
        answer = signed_in(world.ben).post("/policies/payments/publish/", {"version": "3"}, follow=True)
        assert "This proposal is over; propose it anew." in answer.content.decode()
        assert (world.now().state, world.judged()) == ("in_force", Effect.REQUIRE_APPROVAL)

    def test_takes_one_person_where_the_rules_only_allow(self, world):
        world.apply(ALL)
        made = world.retire()
        assert (made.state, world.now().state, world.judged()) == ("released", "retired", Effect.DENY)
        with pytest.raises(ConflictError):
            world.retire()

    def test_of_what_never_was_in_force_takes_one_person(self, world):
        draft = make_policy(ASKS, unit=world.unit, in_force=False)
        assert retire_policy(world.ada, policy=draft, reason="Not needed.").state == "released"

    def test_applying_the_documents_again_brings_the_rules_back(self, world):
        world.release(world.ben, world.retire())
        world.apply(ALL, ASKS)
        assert (world.now().state, world.now().in_force.rules) == ("in_force", [ALL, ASKS])

    def test_a_reason_is_needed(self, world):
        with pytest.raises(InvalidError):
            world.retire(reason="")
        assert not Proposal.objects.exists()


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


class TestPages:
    def test_both_are_proposed_and_released_by_page(self, world):
        ada, ben = signed_in(world.ada), signed_in(world.ben)
        page = ada.get("/policies/payments/?version=1").content.decode()
        assert "Propose to roll back to version 1" in page
        assert "Release version 1" not in page
        ada.post("/policies/payments/roll-back/", {"version": "1", "reason": "<b>Too strict"})
        assert world.judged() is Effect.REQUIRE_APPROVAL
        told = ben.get("/policies/payments/").content.decode()
        assert "Ada proposes to go back to what held before, as version 3." in told
        assert "<b>Too strict" not in ben.get("/policies/payments/?version=3").content.decode()
        assert "Release version 3" in ben.get("/policies/payments/?version=3").content.decode()
        ben.post("/policies/payments/publish/", {"version": "3"})
        assert world.judged() is Effect.ALLOW

    def test_what_somebody_wrote_is_still_there_when_it_is_refused(self, world):
        ada = signed_in(world.ada)
        said = {"version": "1", "reason": "It stops “everything”."}
        assert ada.post("/policies/payments/roll-back/", said).status_code == 302
        again = ada.post("/policies/payments/roll-back/", said)
        assert (again.status_code, "The same is proposed already." in again.content.decode()) == (409, True)
        assert 'value="It stops “everything”."' in again.content.decode()
        long = ada.post("/policies/payments/roll-back/", said | {"reason": "x" * 501})
        assert (long.status_code, "x" * 501 in long.content.decode()) == (422, True)
        assert ada.post("/policies/payments/roll-back/", said | {"version": "9"}).status_code == 404

    def test_a_retirement_is_read_before_it_is_released(self, world):
        ada, ben = signed_in(world.ada), signed_in(world.ben)
        answer = ada.post("/policies/payments/retire/", {"reason": "Over."}, follow=True).content.decode()
        assert "Proposed. It holds once somebody else has released it." in answer
        assert "Ada proposes to retire this policy." in ben.get("/policies/payments/").content.decode()
        read = ben.get("/policies/payments/?version=3").content.decode()
        assert read.count("removed") == 2
        answer = ben.post("/policies/payments/publish/", {"version": "3"}, follow=True).content.decode()
        assert "Retired: its rules judge no more." in answer
        assert world.now().state == "retired"
        assert ada.post("/policies/payments/retire/", {"reason": "Over."}).status_code == 302

    def test_where_nobody_else_may_release_it_the_page_says_so(self, world):
        RoleGrant.objects.filter(user=world.ben).delete()
        ada = signed_in(world.ada)
        page = ada.post("/policies/payments/retire/", {"reason": "Over."}, follow=True).content.decode()
        assert "somebody else releases it: nobody yet." in page

    def test_a_broken_form_changes_nothing(self, world):
        ada = signed_in(world.ada)
        for said in ({"version": "1"}, {"reason": "x"}, {"version": "x", "reason": "x"}):
            assert ada.post("/policies/payments/roll-back/", said).status_code == 422
        assert not Proposal.objects.exists()


@pytest.fixture
def call(client):
    def _call(user, method, path, body=None):
        client.force_login(user)
        send = partial(getattr(client, method), f"/api/v1/policies/{path}", headers={"Origin": "http://testserver"})
        return send(data=body, content_type="application/json") if body is not None else send()

    return _call


class TestApi:
    def test_a_roll_back_waits_for_somebody_else(self, world, call):
        answer = call(world.ada, "post", "payments/roll-back/", {"version": 1, "reason": "Too strict."})
        made = answer.json()
        assert (answer.status_code, made["state"], made["kind"], made["instead_of"]) == (202, "open", "rollback", 2)
        assert (made["item"], [change["kind"] for change in made["changes"]]) == (None, ["removed"])
        assert call(world.ada, "post", "payments/publish/", {"version": 3}).json()["code"] == "not_eligible"
        assert call(world.ben, "post", "payments/publish/", {"version": 1}).status_code == 409
        assert call(world.ben, "post", "payments/publish/", {"version": 3}).json()["release"] == 3
        for body in ({}, {"version": 1}, {"version": 0, "reason": "x"}, {"version": True, "reason": "x"}):
            assert call(world.ada, "post", "payments/roll-back/", body).status_code == 422

    def test_a_retirement_waits_for_somebody_else_unless_it_only_tightens(self, world, call):
        assert call(world.ada, "delete", "payments/").status_code == 422
        answer = call(world.ada, "delete", "payments/?reason=Over")
        assert (answer.status_code, answer.json()["kind"]) == (202, "retire")
        answer = call(world.ben, "post", "payments/publish/", {"version": 3}).json()
        assert (answer["version"], answer["release"]) == (None, 3)
        world.apply(ALL)
        assert call(world.ada, "delete", "payments/?reason=Over").status_code == 204
        assert world.now().state == "retired"
