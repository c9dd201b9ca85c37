"""Ends that come from elsewhere, halts, retries of steps, answers that do not fit, crashes half-way."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import IntegrityError, transaction

from apps.audit.models import Delivery as Reaction
from apps.audit.tasks import deliver_reactions
from apps.core.models import ClockTimestamp
from apps.notifications.models import Delivery
from apps.notifications.tasks import send_messages
from apps.oversight.models import Escalation
from apps.oversight.tasks import sweep_escalations
from apps.workflows.services.actions import perform_due
from tests.factories.access import make_admin, make_approver, make_queue, make_unit
from tests.factories.agents import make_agent, make_key_for
from tests.factories.connectors import permit
from tests.factories.oversight import make_escalation, make_payment
from tests.factories.policies import make_policy, make_rule
from tests.factories.workflows import make_run, make_worker, make_workflow, open_item
from tests.notifications.conftest import Mailbox, later, tell
from tests.notifications.conftest import mail as mail
from tests.oversight.edge_cases.census import only
from tests.oversight.edge_cases.doors import Person, make_reachable, make_reachable_desk
from tests.together import at_once
from tests.workflows.actions import Desk, make_desk, rules_of, the_item, work
from tests.workflows.conftest import system as system
from tests.workflows.test_api import Door

ROOT = Path(__file__).resolve().parents[3]
HEAD = "kind: Workflow\nslug: edge\nname: Edge\nunit: lab\nsteps:\n"
ASK = HEAD + "  ask: {approval: {subject: '1'}, queue: clerks, due: {after: 1h}}\n"
AGAIN = (
    HEAD
    + "  fetch: {agent: lab.do}\n"
    + "  ask: {needs: [fetch], approval: {subject: '1'}, queue: clerks, due: {after: 1h},"
    + " outcomes: {rejected: {back_to: fetch, max: 3}}}\n"
)


def clerk_of(item: Escalation) -> Person:
    """Somebody who serves the item's queue."""
    return Person(make_approver(item.group_list()[0].queue))


@pytest.mark.django_db
def test_row_15_a_cancelled_run_takes_its_item_along_in_the_same_transaction() -> None:
    run = make_run(make_workflow(ASK), {})
    item = open_item(run, "ask")
    clerk, olga = clerk_of(item), Person(run.started_by)
    deliver_reactions()
    assert len(clerk.get("/escalations/?state=pending").json()["results"]) == 1
    with only(
        "-1 run waiting", "+1 run cancelled", "+1 entry run.cancel_asked", "+1 entry run.cancelled",
        "-1 step open", "+1 step cancelled", "+1 entry step.cancelled", "-1 escalation pending",
        "+1 escalation cancelled", "+1 entry escalation.cancelled", "-1 escalationgroup open",
        "+1 escalationgroup closed",
    ):  # fmt: skip
        assert olga.post(f"/runs/{run.pk}/cancel/", {"reason": "No longer needed."}).status_code == 200
    assert clerk.get("/escalations/?state=pending").json()["results"] == []
    with only("+1 entry request.refused"):
        late = clerk.decide(item)
    assert (late.status_code, late.json()["code"]) == (409, "cancelled")
    with only("+1 notice"):
        deliver_reactions()


@pytest.mark.django_db
def test_row_15_a_retired_agent_s_items_are_refused_at_once_and_end_within_a_second() -> None:
    payment = make_payment()
    ada, admin = Person(payment.ada), Person(make_admin())
    deliver_reactions()
    with only("-1 agent active", "+1 agent retired", "+1 entry agent.retired", "+1 entry request.refused"):
        admin.post(f"/agents/{payment.agent.slug}/state/", {"state": "retired", "reason": "replaced"})
        late = ada.decide(payment.item)
    assert (late.status_code, late.json()["code"]) == (409, "cancelled")
    with only(
        "-1 escalation pending", "+1 escalation cancelled", "+1 entry escalation.cancelled",
        "-1 escalationgroup open", "+1 escalationgroup closed",
        "-1 action pending_approval", "+1 action cancelled", "+1 entry action.cancelled", "+1 notice",
    ):  # fmt: skip
        deliver_reactions()


DROPPED = ("-2 delivery queued", "+2 delivery suppressed")


def nothing_is_sent(item: Escalation, mail: Mailbox, system: Any) -> bool:
    """Whether everything that was to leave for an item was dropped, with its outcome, and nothing of it ever leaves."""
    rows = Delivery.objects.filter(notice__escalation=item, channel__in=["email", "chat"])
    dropped = set(rows.values_list("state", "outcome"))
    later()
    send_messages()
    return dropped == {("suppressed", "not_asked")} and (mail.letters, system.asked) == ([], [])


@pytest.mark.django_db
def test_row_15_nobody_is_told_of_what_ended_with_its_run(mail: Mailbox, system: Any) -> None:
    run = make_run(make_workflow(ASK), {})
    item = open_item(run, "ask")
    clerk, olga = clerk_of(item), Person(run.started_by)
    make_reachable(clerk.user, item.group_list()[0].queue, system.url)
    tell()
    with only(
        "-1 run waiting", "+1 run cancelled", "+1 entry run.cancel_asked", "+1 entry run.cancelled",
        "-1 step open", "+1 step cancelled", "+1 entry step.cancelled", "-1 escalation pending",
        "+1 escalation cancelled", "+1 entry escalation.cancelled", "-1 escalationgroup open",
        "+1 escalationgroup closed", "+1 notice", *DROPPED,
    ):  # fmt: skip
        assert olga.post(f"/runs/{run.pk}/cancel/", {"reason": "No longer needed."}).status_code == 200
        tell()
    assert nothing_is_sent(item, mail, system)


@pytest.mark.django_db
def test_row_15_nobody_is_told_of_what_ended_with_its_agent(mail: Mailbox, system: Any) -> None:
    desk, admin = make_reachable_desk(system.url, risk="medium"), Person(make_admin())
    desk.ask(250_000)
    item = the_item()
    tell()
    admin.post(f"/agents/{desk.agent.slug}/state/", {"state": "retired", "reason": "replaced"})
    with only(
        "-1 escalation pending", "+1 escalation cancelled", "+1 entry escalation.cancelled",
        "-1 escalationgroup open", "+1 escalationgroup closed",
        "-1 action pending_approval", "+1 action cancelled", "+1 entry action.cancelled", "+1 notice", *DROPPED,
    ):  # fmt: skip
        tell()
    assert nothing_is_sent(item, mail, system)


@pytest.mark.django_db
def test_row_16_a_halt_refuses_decisions_and_stops_the_clocks() -> None:
    payment = make_payment()
    ada, admin = Person(payment.ada), Person(make_admin())
    with only("+1 halt", "+1 entry halt.engaged", "+1 entry request.refused"):
        admin.post("/halts/", {"scope": "agent", "target": payment.agent.slug, "reason": "odd payments"})
        late = ada.decide(payment.item)
    assert (late.status_code, late.json()["code"], late.json()["reason"]) == (423, "halted", "odd payments")


@pytest.mark.django_db
def test_row_16_a_halt_keeps_a_grant_back_until_somebody_else_lifts_it() -> None:
    desk = make_desk(execution="agent")
    found = desk.ask(50_000, execution="agent").json()
    one, other = Person(make_admin()), Person(make_admin())
    halt = one.post("/halts/", {"scope": "agent", "target": desk.agent.slug, "reason": "odd payments"}).json()
    deliver_reactions()
    with only("+2 entry request.refused"):
        refused = desk.post(f"actions/{found['id']}/consume/", {"digest": found["digest"]})
        own = one.post(f"/halts/{halt['id']}/lift/", {"reason": "It is fine."})
    assert (refused.status_code, refused.json()["code"], own.status_code) == (423, "halted", 403)
    assert other.post(f"/halts/{halt['id']}/lift/", {"reason": "It was a test."}).status_code == 200


@pytest.mark.django_db
def test_row_16_a_halt_on_the_run_s_own_unit_covers_what_its_steps_asked_for() -> None:
    workflow = make_workflow(HEAD + "  pay: {operation: lab.pay}\n")
    asking = make_rule(effect="require_approval", queue=make_queue(unit=workflow.unit).slug)
    make_policy({**asking, "scope": {"operations": ["lab.pay"]}})
    shop, elsewhere = make_unit(), make_unit()
    run = make_run(workflow, {}, business_unit=shop.slug)
    item = open_item(run, "pay")
    assert item.unit == workflow.unit
    clerk, admin = clerk_of(item), Person(make_admin())
    admin.post("/halts/", {"scope": "unit", "target": elsewhere.slug, "reason": "not this"})
    admin.post("/halts/", {"scope": "unit", "target": shop.slug, "reason": "odd payments"})
    with only("+1 entry request.refused"):
        late = clerk.decide(item)
    assert (late.status_code, late.json()["code"], late.json()["target"]) == (423, "halted", shop.slug)
    deliver_reactions()
    item.refresh_from_db()
    assert item.frozen_at


def stop(desk: Desk) -> Callable[[], None]:
    """Halt the desk's agent and let that be followed; what is returned lifts the halt, and follows nothing yet."""
    one, other = Person(make_admin()), Person(make_admin())
    halt = one.post("/halts/", {"scope": "agent", "target": desk.agent.slug, "reason": "odd payments"}).json()

    def lift() -> None:
        assert other.post(f"/halts/{halt['id']}/lift/", {"reason": "It was a test."}).status_code == 200

    return lift


STOPPED = ("+1 notice", "+1 entry halt.grants_revoked", "+1 entry halt.clocks_frozen")
TAKEN_BACK = ("-1 grant live", "+1 grant revoked", "+1 entry grant.revoked")
ASKED_AGAIN = (
    "-1 action approved", "+1 action pending_approval", "+1 entry action.pending_approval", "+1 escalation pending",
    "+1 entry escalation.pending", "+1 escalationgroup open",
)  # fmt: skip


@pytest.mark.django_db
def test_row_16_what_was_approved_before_a_halt_is_asked_again_behind_it(system: Any) -> None:
    desk = make_desk(system.url)
    ada = Person(desk.approver)
    asked = desk.ask(250_000).json()
    old = the_item()
    assert ada.decide(old).json()["state"] == "approved"
    deliver_reactions()
    lift = stop(desk)
    with only(*STOPPED, *TAKEN_BACK):
        deliver_reactions()
    with only():
        perform_due()
    told = desk.get(f"actions/{asked['id']}/").json()
    assert (told["state"], told["final"], told["grant"]) == ("approved", False, None)
    lift()
    with only(*ASKED_AGAIN, "+1 entry halt.clocks_thawed", "+1 notice"):
        work()
    work()
    assert system.asked == []
    new = the_item()
    assert (new.supersedes_id, new.action_id) == (old.pk, old.action_id)
    told = desk.get(f"actions/{asked['id']}/").json()
    assert (told["state"], told["escalation"]["id"]) == ("pending_approval", str(new.pk))
    assert "A halt took back what was approved" in ada.page(f"/inbox/{new.pk}/")
    assert ada.decide(new).json()["state"] == "approved"
    work()
    assert (desk.get(f"actions/{asked['id']}/").json()["state"], len(system.asked)) == ("succeeded", 1)


@pytest.mark.django_db
def test_row_16_a_grant_from_before_a_halt_is_refused_however_late_the_workers() -> None:
    desk = make_desk(execution="agent")
    ada = Person(desk.approver)
    asked = desk.ask(250_000, execution="agent").json()
    ada.decide(the_item())
    stop(desk)()
    with only(*TAKEN_BACK, *ASKED_AGAIN):  # nobody has followed the halt yet, nor its end
        refused = desk.post(f"actions/{asked['id']}/consume/", {"digest": asked["digest"]})
    assert (refused.status_code, refused.json()["code"], refused.json()["state"]) == (
        409, "invalid_state", "pending_approval",
    )  # fmt: skip
    with only("+4 notice", "+1 entry halt.grants_revoked", "+1 entry halt.clocks_thawed"):
        deliver_reactions()
    with only("+1 entry request.refused"):
        again = desk.post(f"actions/{asked['id']}/consume/", {"digest": asked["digest"]})
    assert (again.status_code, again.json()["state"]) == (409, "revoked")


@pytest.mark.django_db
def test_row_16_what_rules_alone_allowed_needs_a_new_grant_behind_a_halt() -> None:
    desk = make_desk(execution="agent")
    asked = desk.ask(50_000, execution="agent").json()
    lift = stop(desk)
    with only(*STOPPED, *TAKEN_BACK):
        deliver_reactions()
    lift()
    with only("+1 grant live", "+1 entry grant.live", "+1 entry halt.clocks_thawed"):
        work()
    path, body = f"actions/{asked['id']}/consume/", {"digest": asked["digest"]}
    assert [desk.post(path, body).status_code for _ in range(2)] == [200, 409]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rule", "state"),
    [
        ({"slug": "any"}, "pending_approval"),
        ({"slug": "never", "effect": "deny", "message": "Not this month."}, "denied"),
    ],
)
def test_row_16_lifting_judges_what_was_approved_by_the_rules_in_force(
    system: Any, rule: dict[str, Any], state: str
) -> None:
    desk = make_desk(system.url)
    asked = desk.ask(250_000).json()
    Person(desk.approver).decide(the_item())
    lift = stop(desk)
    deliver_reactions()
    rules_of(desk, rule)
    lift()
    work()
    sweep_escalations()
    work()
    assert (desk.get(f"actions/{asked['id']}/").json()["state"], system.asked) == (state, [])


@pytest.mark.django_db
def test_row_16_lifting_judges_what_waits_by_what_happened_meanwhile() -> None:
    desk = make_desk()
    whole = f"action.amount_minor + history.sum_minor('{desk.operation.slug}', '1d', 'target') > 300000"
    rules_of(
        desk, {"slug": "any"},
        {"slug": "large", "when": "action.amount_minor > 100000", "effect": "require_approval",
         "queue": desk.queue.slug},
        {"slug": "cap", "when": f"action.amount_minor > 100000 && {whole}", "effect": "deny"},
    )  # fmt: skip
    other = make_agent(unit=desk.agent.unit)
    permit(other.user, desk.operation)
    waits = desk.ask(250_000).json()
    lift = stop(desk)
    deliver_reactions()
    assert desk.post("actions/", desk.body(60_000), key="other", token=make_key_for(other)).status_code == 202
    with only():
        sweep_escalations()
    lift()
    with only("+1 entry halt.clocks_thawed"):
        deliver_reactions()
    with only(
        "-1 escalation pending", "+1 escalation invalidated", "+1 entry escalation.invalidated",
        "-1 escalationgroup open", "+1 escalationgroup closed",
        "-1 action pending_approval", "+1 action denied", "+1 entry action.denied",
    ):  # fmt: skip
        assert sweep_escalations() == 1
    assert desk.get(f"actions/{waits['id']}/").json()["state"] == "denied"


@pytest.mark.django_db
def test_row_16_a_decision_that_was_held_is_open_again_behind_a_halt() -> None:
    desk = make_desk()
    ada = Person(desk.approver)
    desk.ask(250_000)
    item = the_item()
    assert ada.decide(item, hold_s=30).json()["state"] == "held"
    lift = stop(desk)
    deliver_reactions()
    lift()
    deliver_reactions()
    Escalation.objects.filter(pk=item.pk).update(releases_at=ClockTimestamp())
    with only(
        "-1 escalation held", "+1 escalation pending", "+1 entry escalation.pending", "-1 vote live", "+1 vote void",
        "+1 entry vote.voided",
    ):  # fmt: skip
        sweep_escalations()
    assert ada.decide(item).json()["state"] == "approved"


@pytest.mark.django_db
def test_row_17_a_step_that_is_done_again_asks_anew_and_the_old_decision_never_changes() -> None:
    workflow = make_workflow(AGAIN)
    agent = Door(make_key_for(make_worker(workflow, "lab.do")))
    run = make_run(workflow, {})
    agent.end(agent.claim()[0], "complete", {"output": 1})
    old = open_item(run, "ask")
    clerk = clerk_of(old)
    assert clerk.decide(old, "reject", reason="Fetch it again.").json()["state"] == "rejected"
    deliver_reactions()
    decided = Escalation.objects.filter(pk=old.pk).values().get()
    task = agent.claim()[0]
    with only(
        "-1 task claimed", "+1 attempt done", "+1 entry task.completed", "+1 step done", "+1 entry step.done",
        "+1 entry step.open", "-1 run running", "+1 run waiting", "+1 entry run.waiting",
        "+1 escalation pending", "+1 entry escalation.pending", "+1 escalationgroup open",
    ):  # fmt: skip
        agent.end(task, "complete", {"output": 2})
    new = open_item(run, "ask")
    assert (new.supersedes_id, new.round) == (old.pk, 2)
    with only("+1 entry request.refused"):
        late = clerk.decide(old)
    assert (late.status_code, late.json()["code"]) == (409, "already_decided")
    with pytest.raises(IntegrityError), transaction.atomic():
        Escalation.objects.filter(pk=old.pk).update(state="pending")
    assert Escalation.objects.filter(pk=old.pk).values().get() == decided


@pytest.mark.django_db
def test_row_18_mixed_decisions_on_parallel_actions_are_independent(system: Any) -> None:
    desk = make_desk(system.url)
    ada = Person(desk.approver)
    asked = [desk.ask(amount).json() for amount in (250_000, 260_000, 270_000, 280_000)]
    items = {str(item.action_id): item for item in Escalation.objects.all()}
    first, second, third, fourth = (items[one["id"]] for one in asked)
    with only(
        "+3 vote live", "+3 entry vote.cast", "-3 escalation pending", "-3 escalationgroup open",
        "+3 escalationgroup closed", "+1 escalation approved", "+1 entry escalation.approved",
        "+1 escalation rejected", "+1 entry escalation.rejected", "+1 escalation changes_requested",
        "+1 entry escalation.changes_requested", "-3 action pending_approval", "+1 action approved",
        "+1 entry action.approved", "+1 action rejected", "+1 entry action.rejected", "+1 action changes_requested",
        "+1 entry action.changes_requested", "+1 grant live", "+1 entry grant.live",
    ):  # fmt: skip
        assert ada.decide(second, "reject", reason="No.").status_code == 200
        assert ada.decide(first).status_code == 200
        assert ada.decide(third, "request_changes", reason="Split it.").status_code == 200
    work()
    states = [desk.get(f"actions/{one['id']}/").json()["state"] for one in asked]
    assert states == ["succeeded", "rejected", "changes_requested", "pending_approval"]
    assert len(system.asked) == 1
    assert the_item() == fourth


@pytest.mark.django_db
@pytest.mark.parametrize("answer", [{}, {"supplier": 5}, {"supplier": "ACME", "more": 1}, None, "ACME"])
def test_row_19_an_answer_that_does_not_fit_is_refused_at_once_and_the_item_waits_on(answer: Any) -> None:
    schema = {
        "type": "object", "additionalProperties": False, "required": ["supplier"],
        "properties": {"supplier": {"type": "string"}},
    }  # fmt: skip
    item = make_escalation(kind="form", schema=schema)
    clerk = clerk_of(item)
    with only("+1 entry request.refused"):
        refused = clerk.decide(item, "answer", answer=answer)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
    assert all(name.startswith("answer") for name in refused.json()["errors"])
    assert clerk.decide(item, "answer", answer={"supplier": "ACME"}).json()["state"] == "answered"


def test_row_20_a_crash_between_decision_and_resumption_costs_nothing_and_nothing_twice(real_db: str) -> None:
    run = make_run(make_workflow(f"{ASK}  go_on: {{needs: [ask], agent: lab.do}}\n"), {})
    item = open_item(run, "ask")
    clerk = clerk_of(item)
    deliver_reactions()
    assert clerk.decide(item).json()["state"] == "approved"
    with only():
        assert killed_while_resuming(real_db) == -signal.SIGKILL
    Reaction.objects.filter(done_at=None).update(not_before=ClockTimestamp())  # its claim has lapsed
    with only(
        "+1 step done", "+1 entry step.done", "+1 entry step.open", "+1 task ready", "+1 entry task.ready",
        "-1 run waiting", "+1 run running", "+1 entry run.running", "+1 notice",
    ):  # fmt: skip
        at_once(*([deliver_reactions] * 4))


def killed_while_resuming(database: str) -> int:
    """The exit status of a worker that is killed when it has resumed the run and not committed yet."""
    code = """
        import os, signal, django
        django.setup()
        from apps.audit.tasks import deliver_reactions
        from apps.workflows import services
        resume = services.resume_step
        def resume_and_die(*args, **more):
            resume(*args, **more)
            os.kill(os.getpid(), signal.SIGKILL)
        services.resume_step = resume_and_die
        deliver_reactions()
    """
    environment = {**os.environ, "DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "controlplane.settings"}
    environment |= {"REDIS_URL": settings.REDIS_URL}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
