"""Erasing what was written on a trail: who may, when, what goes, and what every page and figure says afterwards."""

from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.test import Client

from apps.access.models import Role
from apps.access.services import end_person
from apps.agents.models import Action
from apps.audit.models import Entry, Erasure
from apps.audit.selectors import proof_for
from apps.audit.services import record
from apps.audit.tasks import deliver_reactions
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.kpis.models import ApprovalFact, CostItem, RunFact, StepFact
from apps.kpis.services import fold_entries
from apps.oversight.models import Escalation
from apps.oversight.services import erase_items, make_standing_approval
from apps.policies.models import RuleDay
from apps.policies.services import count_entries
from apps.workflows.models import Attempt, Compensation, ErasureRequest, Run, Step
from apps.workflows.services import ask_erasure, drop_erasure, erase_trail
from tests.factories.access import grant, make_admin, make_holder, make_unit
from tests.factories.oversight import make_payment
from tests.factories.workflows import carry_out, decide, erase, make_workflow, open_item
from tests.oversight.edge_cases.doors import Person
from tests.oversight.edge_cases.test_rows_21_to_26 import places_of
from tests.together import at_once
from tests.workflows.actions import make_desk, the_action, the_item
from tests.workflows.test_purchase_order import DOCUMENT, REQUEST, Case

CANARY = "Bond, 7 Cliff Road"
WHY = "The data subject asked us to."


class Told(Case):
    """A purchase order in which everybody names somebody."""

    def __init__(self) -> None:
        super().__init__(make_workflow(DOCUMENT))
        Run.objects.filter(pk=self.run.pk).update(input={**REQUEST, "requester": CANARY})

    def end(self) -> Run:
        """From the request to the order; its budget was reserved, so that it could be taken back."""
        self.work({"valid": True, "note": CANARY}, {"price": 1, "by": CANARY}, {"price": 2})
        self.select(2_000_000)
        self.carry_out("reserve_budget", {"id": CANARY})
        decide(open_item(self.run, "approve"), self.treasurer, "approve", reason=CANARY)
        self.carry_out("create_order", {"number": CANARY})
        self.carry_out("notify", {"sent": CANARY})
        while deliver_reactions():
            pass
        return self.now()


def facts() -> list[list[dict[str, Any]]]:
    """Everything that projections fold, but for running numbers."""
    ids = {"id", "entry_id"}
    models = (RunFact, StepFact, ApprovalFact, CostItem, RuleDay)
    found = [[{k: v for k, v in row.items() if k not in ids} for row in model.objects.values()] for model in models]
    return [sorted(rows, key=str) for rows in found]


def fold() -> None:
    entries = list(Entry.objects.select_related("actor").order_by("id"))
    fold_entries(entries=entries)
    count_entries(entries=entries)


@pytest.mark.django_db
def test_a_run_loses_its_words_and_keeps_its_story_and_every_page_of_it():
    case = Told()
    run = case.end()
    assert places_of(CANARY) >= {
        "workflows_run",
        "workflows_step",
        "workflows_attempt",
        "agents_action",
        "audit_payload",
    }
    states, digests = case.states(), list(Attempt.objects.order_by("id").values_list("id", "digest"))
    names = list(Entry.objects.order_by("id").values_list("name", flat=True))
    entry = erase(make_admin(username="dora"), run.pk, WHY)
    assert places_of(CANARY) == set()
    now = case.now()
    assert (now.state, now.outcome, now.input, now.output, now.erased_by) == (
        "succeeded",
        "completed",
        {},
        None,
        "dora",
    )
    assert case.states() == states
    assert list(Attempt.objects.order_by("id").values_list("id", "digest")) == digests
    assert list(Entry.objects.order_by("id").values_list("name", flat=True)) == [
        *names,
        "erasure.requested",
        "payloads.erased",
    ]
    assert (entry.payload["reason"], entry.payload["actions"], entry.trail_id) == (WHY, 3, run.pk)
    assert proof_for(system_user("console")).mismatches == ()

    dora = Person(make_admin(username="eva"))
    for tab in ("graph", "timeline", "data", "story"):
        assert "was erased by dora" in dora.page(f"/runs/{run.pk}/?tab={tab}&step=approve")
    told = dora.get(f"/runs/{run.pk}/").json()
    assert (told["erased"]["by"], told["input"], told["output"], told["state"]) == ("dora", {}, None, "succeeded")
    for item in Escalation.objects.all():
        assert "was erased by dora" in dora.page(f"/inbox/{item.pk}/")
        assert dora.get(f"/escalations/{item.pk}/").json()["erased"]["by"] == "dora"
    for action in Action.objects.filter(run_id=run.pk).values_list("pk", flat=True):
        assert "was erased by dora" in dora.page(f"/actions/{action}/")
    for line in Entry.objects.filter(trail_id=run.pk):
        dora.page(f"/audit/{line.pk}/")
    for path in (
        f"/audit/?trail={run.pk}",
        "/runs/",
        "/actions/",
        f"/workflows/{run.workflow.slug}/",
        "/inbox/?view=decided",
    ):
        dora.page(path)


@pytest.mark.django_db
def test_no_figure_changes_and_rebuilding_them_gives_the_same():
    run = Told().end()
    fold()
    before = facts()
    assert [len(rows) > 0 for rows in before] == [True, True, True, True, True]
    erase(make_admin(), run.pk, WHY)
    fold_entries(entries=list(Entry.objects.select_related("actor").order_by("id")))
    assert facts() == before
    for model in (RunFact, StepFact, ApprovalFact, CostItem, RuleDay):
        model.objects.all().delete()
    fold()
    assert facts() == before


@pytest.mark.django_db
class TestWhoMay:
    def test_a_stranger_a_wrong_role_another_unit_an_agent_and_the_plane_erase_nothing(self):
        payment = make_payment()
        decide_it(payment)
        trail = payment.item.trail
        auditor = make_holder("audit.view_entry", "agents.view_agent", "access.manage_access")
        elsewhere = make_holder("audit.erase_payload", unit=make_unit())
        for actor in (payment.ben, auditor, payment.agent.user, system_user("console")):
            with pytest.raises(NotAllowedError):
                ask_erasure(actor, trail_id=trail, reason=WHY)
            with pytest.raises(NotAllowedError):
                erase(actor, trail, WHY)
        with pytest.raises(NotFoundError):
            ask_erasure(elsewhere, trail_id=trail, reason=WHY)
        with pytest.raises(NotFoundError):
            erase(elsewhere, trail, WHY)
        for person in (elsewhere, auditor):
            for path in ("agree", "drop"):
                answer = Person(person).post(f"/audit/trails/{trail}/erase/{path}/", {})
                assert answer.status_code == (404 if person == elsewhere else 403)
        assert Person(elsewhere).post(f"/audit/trails/{trail}/erase/", {"reason": WHY}).status_code == 404
        assert Person(auditor).post(f"/audit/trails/{trail}/erase/", {"reason": WHY}).status_code == 403
        assert Person(auditor).pages.get(f"/audit/trails/{trail}/erase/").status_code == 403
        assert "Erase what was written" not in Person(auditor).page(f"/audit/{Entry.objects.earliest('id').pk}/")
        assert not Erasure.objects.exists()

    def test_who_holds_it_in_the_unit_does(self):
        payment = make_payment()
        decide_it(payment)
        holder = make_holder("audit.erase_payload", unit=payment.item.unit)
        assert erase(holder, payment.item.trail, WHY).actor == holder
        with pytest.raises(NotFoundError):
            erase(holder, uuid4(), WHY)

    def test_only_who_holds_it_in_every_unit_of_the_trail_does(self):
        run = Told().end()
        other, holder = make_unit(name="Payroll"), make_holder("audit.erase_payload", unit=run.unit)
        action = Action.objects.filter(run_id=run.pk).latest("id")
        Action.objects.filter(pk=action.pk).update(unit=other)
        with pytest.raises(NotAllowedError, match="belongs to Payroll, where you may not erase"):
            erase(holder, run.pk, WHY)
        person = Person(holder)
        assert "belongs to Payroll" in person.page(f"/audit/trails/{run.pk}/erase/")
        assert person.pages.post(f"/audit/trails/{run.pk}/erase/", {"reason": WHY}).status_code == 403
        assert person.post(f"/audit/trails/{run.pk}/erase/", {"reason": WHY}).status_code == 403
        assert not Erasure.objects.exists()
        grant(holder, Role.objects.get(slug="administrator"), other)
        assert erase(holder, run.pk, WHY).actor == holder

    def test_nobody_erases_what_they_decided_asked_for_or_answer_for(self):
        payment = make_payment()
        decide_it(payment)
        dora, trail = make_admin(username="dora"), payment.item.trail
        administrator = Role.objects.get(slug="administrator")
        grant(payment.ada, administrator)
        with pytest.raises(NotAllowedError, match="You decided here"):
            erase(payment.ada, trail, WHY)
        Action.objects.filter(pk=trail).update(on_behalf_of=dora)
        with pytest.raises(NotAllowedError, match="You asked for this"):
            erase(dora, trail, WHY)
        Action.objects.filter(pk=trail).update(on_behalf_of=None)
        owner = payment.agent.owner
        grant(owner, administrator)
        with pytest.raises(NotAllowedError, match=f"You own {payment.agent.name}, which worked here"):
            erase(owner, trail, WHY)
        assert not Erasure.objects.exists()
        assert erase(dora, trail, WHY).actor == dora

    def test_whoever_approved_it_in_advance_does_not_erase_it(self):
        limit = {"times": 2, "days": 7, "up_to_minor": 300_000}
        desk = make_desk(obligations={"standing": limit})
        desk.ask(250_000)
        ada = desk.approver
        make_standing_approval(ada, escalation_id=the_item().pk, version=1, days=7, times=2, up_to_minor=250_000)
        ran = desk.ask(250_000).json()
        assert ran["state"] == "approved"
        Action.objects.filter(pk=ran["id"]).update(state="succeeded", finished_at=ClockTimestamp())
        grant(ada, Role.objects.get(slug="administrator"))
        with pytest.raises(NotAllowedError, match="You decided here"):
            ask_erasure(ada, trail_id=ran["id"], reason=WHY)
        assert ask_erasure(make_admin(), trail_id=ran["id"], reason=WHY)
        with pytest.raises(NotAllowedError, match="You decided here"):
            erase_trail(ada, trail_id=ran["id"])
        assert not Erasure.objects.exists()

    def test_nothing_is_approved_in_advance_because_of_what_was_erased(self):
        desk = make_desk(obligations={"standing": {"times": 2, "days": 7, "up_to_minor": 300_000}})
        asked, item = desk.ask(250_000).json(), the_item()
        decide(item, desk.approver, "approve")
        Action.objects.filter(pk=asked["id"]).update(state="succeeded", finished_at=ClockTimestamp())
        assert "Approve the like of this in advance" in Person(desk.approver).page(f"/inbox/{item.pk}/")
        erase(make_admin(), item.trail, WHY)
        with pytest.raises(ConflictError, match="erased"):
            make_standing_approval(
                desk.approver, escalation_id=item.pk, version=1, days=7, times=2, up_to_minor=250_000
            )
        assert "Approve the like of this in advance" not in Person(desk.approver).page(f"/inbox/{item.pk}/")

    def test_whoever_started_the_run_does_not_erase_it(self):
        run = Told().end()
        grant(run.started_by, Role.objects.get(slug="administrator"))
        with pytest.raises(NotAllowedError, match="You asked for this"):
            erase(run.started_by, run.pk, WHY)


def decide_it(payment: Any) -> None:
    decide(payment.item, payment.ada, "reject", reason="Not ours.")
    while deliver_reactions():
        pass


@pytest.mark.django_db
class TestWhenItIsRefused:
    def test_while_the_run_is_not_over(self):
        case = Told()
        with pytest.raises(ConflictError, match="run is not over"):
            erase(make_admin(), case.run.pk, WHY)

    def test_while_an_item_waits_or_an_action_is_under_way(self):
        payment = make_payment()
        with pytest.raises(ConflictError, match="still under way"):
            erase(make_admin(), payment.item.trail, WHY)
        assert payment.now().title == payment.item.title

    def test_while_nobody_knows_what_an_effect_did(self):
        desk = make_desk(execution="agent")
        found = desk.ask(50_000, execution="agent").json()
        desk.post(f"actions/{found['id']}/consume/", {"digest": found["digest"]})
        action = the_action()
        type(action).objects.filter(pk=action.pk).update(state="unknown")
        with pytest.raises(ConflictError, match="Nobody knows what"):
            erase(make_admin(), action.pk, WHY)
        assert the_action().parameters

    @pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
    def test_without_a_reason_that_fits(self, reason):
        payment = make_payment()
        decide_it(payment)
        admin = make_admin()
        with pytest.raises(InvalidError):
            erase(admin, payment.item.trail, reason)
        page = Person(admin).pages.post(f"/audit/trails/{payment.item.trail}/erase/", {"reason": reason})
        assert page.status_code == 422
        assert not Erasure.objects.exists()


@pytest.mark.django_db
def test_the_page_says_first_what_goes_and_what_stays_and_works_without_javascript():
    payment = make_payment()
    trail = payment.item.trail
    page = Person(make_admin()).pages
    waits = page.get(f"/audit/trails/{trail}/erase/").content.decode()
    assert "still under way" in waits
    assert '<button class="btn danger solid" type="submit">' not in waits
    refused = page.post(f"/audit/trails/{trail}/erase/", {"reason": WHY})
    assert refused.status_code == 409
    decide_it(payment)
    asks = page.get(f"/audit/trails/{trail}/erase/").content.decode()
    assert asks.index("Irreversible") < asks.index("What goes") < asks.index("What stays") < asks.index('name="reason"')
    assert "Nobody else can at present" in asks
    asked = page.post(f"/audit/trails/{trail}/erase/", {"reason": WHY}, follow=True).content.decode()
    assert "Nothing is erased yet" in asked
    assert "Agree and erase" not in asked
    assert page.post(f"/audit/trails/{trail}/erase/agree/").status_code == 403
    assert payment.now().reason == "Not ours."
    other = make_admin(name="Somebody Else")
    assert "Somebody Else can." in page.get(f"/audit/trails/{trail}/erase/").content.decode()
    second = Person(other).pages
    assert "1 erasure waits for somebody to agree" in second.get("/control/").content.decode()
    assert f"/audit/trails/{trail}/erase/" in second.get("/audit/erasures/").content.decode()
    assert WHY in second.get(f"/audit/trails/{trail}/erase/").content.decode()
    done = second.post(f"/audit/trails/{trail}/erase/agree/", follow=True)
    assert "Everything that was written here is erased." in done.content.decode()
    entry = Entry.objects.get(name="payloads.erased")
    assert (entry.payload["reason"], entry.actor) == (WHY, other)
    assert "Nobody asked for an erasure" in second.get("/audit/erasures/").content.decode()
    assert Client().get(f"/audit/trails/{trail}/erase/").status_code == 302


@pytest.mark.django_db
class TestTwoPeople:
    """Nobody erases alone: one asks, another agrees in time, or refuses."""

    def trail(self) -> Any:
        payment = make_payment()
        decide_it(payment)
        return payment.item.trail

    def test_who_asked_does_not_agree_and_nothing_is_erased_before(self):
        trail, dora, emil = self.trail(), make_admin(username="dora"), make_admin(username="emil")
        ask_erasure(dora, trail_id=trail, reason=WHY)
        assert not Erasure.objects.exists()
        with pytest.raises(NotAllowedError, match="Somebody else has to agree"):
            erase_trail(dora, trail_id=trail)
        assert not Erasure.objects.exists()
        entry = erase_trail(emil, trail_id=trail)
        assert (entry.actor, entry.payload["asked_by"]) == (emil, "dora")
        assert ErasureRequest.objects.get().outcome == "erased"

    def test_without_a_request_nobody_agrees(self):
        with pytest.raises(ConflictError, match="Nobody asked for it"):
            erase_trail(make_admin(), trail_id=self.trail())
        assert not Erasure.objects.exists()

    def test_a_request_ends_after_seven_days_and_can_be_made_anew(self):
        trail, dora, emil = self.trail(), make_admin(), make_admin()
        asked = ask_erasure(dora, trail_id=trail, reason=WHY)
        assert abs(asked.expires_at - asked.created_at - timedelta(days=7)) < timedelta(minutes=1)
        ErasureRequest.objects.update(expires_at=ClockTimestamp())
        with pytest.raises(ConflictError, match="too long ago"):
            erase_trail(emil, trail_id=trail)
        assert not Erasure.objects.exists()
        ask_erasure(emil, trail_id=trail, reason=WHY)
        assert sorted(ErasureRequest.objects.values_list("outcome", flat=True)) == ["", "expired"]
        assert erase_trail(dora, trail_id=trail).actor == dora

    def test_a_second_request_is_refused_and_so_is_one_for_what_is_erased(self):
        trail = self.trail()
        ask_erasure(make_admin(), trail_id=trail, reason=WHY)
        with pytest.raises(ConflictError, match="asked for it already"):
            ask_erasure(make_admin(), trail_id=trail, reason=WHY)
        erase_trail(make_admin(), trail_id=trail)
        with pytest.raises(ConflictError, match="erased already"):
            ask_erasure(make_admin(), trail_id=trail, reason=WHY)

    def test_who_asked_withdraws_and_others_refuse_with_a_reason(self):
        trail, dora, emil = self.trail(), make_admin(), make_admin()
        ask_erasure(dora, trail_id=trail, reason=WHY)
        with pytest.raises(InvalidError):
            drop_erasure(emil, trail_id=trail)
        assert drop_erasure(emil, trail_id=trail, reason="It is needed in court.").outcome == "refused"
        ask_erasure(dora, trail_id=trail, reason=WHY)
        assert drop_erasure(dora, trail_id=trail).outcome == "withdrawn"
        with pytest.raises(ConflictError):
            drop_erasure(dora, trail_id=trail)
        names = Entry.objects.filter(trail_id=trail, name__startswith="erasure.").order_by("id")
        assert list(names.values_list("name", flat=True)) == [
            "erasure.requested", "erasure.refused", "erasure.requested", "erasure.withdrawn",
        ]  # fmt: skip
        assert not Erasure.objects.exists()

    def test_who_decided_there_does_not_refuse_it_either(self):
        payment = make_payment()
        decide_it(payment)
        grant(payment.ada, Role.objects.get(slug="administrator"))
        ask_erasure(make_admin(), trail_id=payment.item.trail, reason=WHY)
        with pytest.raises(NotAllowedError, match="You decided here"):
            drop_erasure(payment.ada, trail_id=payment.item.trail, reason="No.")
        assert ErasureRequest.objects.filter(ErasureRequest.open()).exists()

    def test_a_request_of_somebody_who_may_not_any_more_counts_for_nothing(self):
        trail, dora = self.trail(), make_admin()
        ask_erasure(dora, trail_id=trail, reason=WHY)
        end_person(make_admin(), user=dora, reason="left")
        with pytest.raises(ConflictError, match="may not erase this any more"):
            erase_trail(make_admin(), trail_id=trail)
        assert not Erasure.objects.exists()

    def test_the_api_asks_lists_agrees_and_refuses(self):
        trail, dora, emil = self.trail(), Person(make_admin(username="dora")), Person(make_admin(username="emil"))
        path = f"/audit/trails/{trail}/erase/"
        asked = dora.post(path, {"reason": WHY})
        told = asked.json()
        assert (asked.status_code, told["asked_by"], told["reason"], told["outcome"]) == (202, "dora", WHY, None)
        (listed,) = emil.get("/audit/erasures/").json()["results"]
        assert listed == told
        assert dora.post(f"{path}agree/", {}).status_code == 403
        assert emil.post(f"{path}drop/", {"reason": "Not yet."}).json()["outcome"] == "refused"
        assert emil.get("/audit/erasures/").json()["results"] == []
        dora.post(path, {"reason": WHY})
        done = emil.post(f"{path}agree/", {})
        assert (done.status_code, done.json()["by"], done.json()["asked_by"]) == (200, "emil", "dora")
        stranger = Person(make_holder("audit.view_entry"))
        assert stranger.get("/audit/erasures/").status_code == 403
        assert stranger.pages.get("/audit/erasures/").status_code == 403

    def test_postgresql_keeps_one_person_from_being_both(self):
        dora = make_admin()
        asked = ask_erasure(dora, trail_id=self.trail(), reason=WHY)
        with pytest.raises(DatabaseError, match="erasure_takes_two_people"), transaction.atomic():
            ErasureRequest.objects.filter(pk=asked.pk).update(
                outcome="erased", ended_by=dora, ended_at=ClockTimestamp()
            )


@pytest.mark.django_db
def test_the_command_erases_in_a_person_s_name():
    payment = make_payment()
    make_admin(username="dora")
    trail, out = str(payment.item.trail), StringIO()
    with pytest.raises(CommandError, match="still under way"):
        call_command("erase", trail, reason=WHY, username="dora")
    decide_it(payment)
    with pytest.raises(CommandError, match="no active person called nobody"):
        call_command("erase", trail, reason=WHY, username="nobody")
    call_command("erase", trail, reason=WHY, username="dora", stdout=out)
    assert out.getvalue().startswith("asked for; somebody else has to agree before 20")
    with pytest.raises(CommandError, match="Somebody else has to agree"):
        call_command("erase", trail, agree=True, username="dora")
    assert not Erasure.objects.exists()
    make_admin(username="emil")
    out = StringIO()
    call_command("erase", trail, agree=True, username="emil", stdout=out)
    entry = Entry.objects.get(name="payloads.erased")
    assert out.getvalue().strip() == str(entry.pk)
    assert (entry.actor.username, entry.payload["asked_by"]) == ("emil", "dora")


@pytest.mark.django_db
class TestWhatPostgreSQLKeeps:
    def test_a_decision_changes_by_no_erasure_but_in_its_words(self):
        payment = make_payment()
        decide_it(payment)
        rows = Escalation.objects.filter(pk=payment.item.pk)
        for changes in ({"reason": ""}, {"state": "approved"}):
            with pytest.raises(DatabaseError, match="does not change"), transaction.atomic():
                rows.update(**changes)
        record(make_admin(), payment.item, "payloads.erased", trail=uuid4())
        with pytest.raises(DatabaseError, match="does not change"), transaction.atomic():
            erase_items(make_admin(), ids=[payment.item.pk])
        record(make_admin(), payment.item, "payloads.erased")
        for changes in ({"reason": ""}, {"reason": "Ours."}, {"state": "approved"}, {"erased_by": "me"}):
            with pytest.raises(DatabaseError, match="does not change"), transaction.atomic():
                rows.update(**changes)
        assert payment.now().reason == "Not ours."
        erase_items(make_admin(), ids=[payment.item.pk])
        assert payment.now().reason == ""

    def test_an_attempt_loses_its_words_alone(self):
        run = Told().end()
        rows = Attempt.objects.filter(run=run)
        with pytest.raises(DatabaseError, match="is not changed"), transaction.atomic():
            rows.update(output=None, reasoning="", sources=[])
        record(make_admin(), run, "payloads.erased", trail=uuid4())
        with pytest.raises(DatabaseError, match="is not changed"), transaction.atomic():
            rows.update(output=None, reasoning="", sources=[])
        record(make_admin(), run, "payloads.erased")
        for changes in ({"number": F("number") + 1}, {"output": {"a": 1}}, {"reasoning": "Mine."}):
            with pytest.raises(DatabaseError, match="is not changed"), transaction.atomic():
                rows.update(**changes)


def test_two_erase_at_once_and_one_of_them_does(real_db):

    with transaction.atomic():
        payment = make_payment()
        decide_it(payment)
        people = [Person(make_admin()), Person(make_admin())]
        ask_erasure(make_admin(), trail_id=payment.item.trail, reason=WHY)
    path = f"/audit/trails/{payment.item.trail}/erase/agree/"
    answers = at_once(*(lambda person=person: person.post(path, {}) for person in people))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert Entry.objects.filter(name="payloads.erased").count() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT because_id) FROM audit_erasure")
        assert cursor.fetchone() == (1,)


@pytest.mark.django_db
def test_what_was_taken_back_loses_its_words_too():
    case = Told()
    case.work({"valid": True}, {"price": 1}, {"price": 2})
    for number in range(4):
        case.select(2_000_000 + number)
        case.carry_out("reserve_budget", {"id": CANARY})
        decide(open_item(case.run, "approve"), case.treasurer, "reject", reason=CANARY)
        take_back(case)
    while deliver_reactions():
        pass
    run = case.now()
    assert (run.state, run.error["code"]) == ("failed", "rework_limit")
    assert "workflows_compensation" in places_of(CANARY)
    erase(make_admin(), run.pk, WHY)
    assert places_of(CANARY) == set()
    assert set(Compensation.objects.values_list("state", "operation")) == {("done", "erp.release_budget")}
    assert case.now().error == {"code": "rework_limit", "message": ""}
    assert Step.objects.filter(run=run, name="approve").count() == 4


def take_back(case: Told) -> None:

    carry_out(Action.objects.filter(operation="erp.release_budget").latest("id"), {})
