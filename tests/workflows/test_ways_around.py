"""What an agent, or an unlucky moment, might get past the rules: each is refused, and nothing else stands still."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.access.models import Queue, RoleGrant
from apps.agents.models import Action
from apps.audit.tasks import deliver_reactions
from apps.connectors.models import Effect, Operation
from apps.connectors.rules import OperationSpec
from apps.connectors.services import revoke_operation, save_operation
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.rules import MAX_COST_MINOR
from apps.core.services import system_user
from apps.oversight.models import Escalation, Grant
from apps.oversight.services import cast_vote
from apps.oversight.tasks import sweep_escalations
from apps.policies.services import apply_policy
from apps.workflows.models import Run, Workflow
from apps.workflows.services import start_run
from apps.workflows.services.actions import perform_due
from apps.workflows.services.definitions import publish_document, publish_version, rollback_workflow, save_draft
from tests.factories.access import make_admin, make_approver, make_holder, make_unit, make_user
from tests.factories.connectors import permit
from tests.factories.policies import make_rule
from tests.factories.workflows import carry_out, make_run, make_worker, make_workflow, waiting_action
from tests.workflows.actions import make_desk, the_action, the_item, work

pytestmark = pytest.mark.django_db


def let_time_pass(item: Escalation) -> None:
    Escalation.objects.filter(pk=item.pk).update(releases_at=timezone.now() - timedelta(seconds=1))


def spec_of(operation: Operation) -> OperationSpec:
    return OperationSpec(**{one.name: getattr(operation, one.name) for one in fields(OperationSpec)})


def approve(desk, item: Escalation, **words) -> None:
    cast_vote(desk.approver, escalation_id=item.pk, verdict="approve", version=item.version, **words)


def test_a_cancelled_action_takes_its_item_out_of_the_inbox():
    desk = make_desk()
    asked = desk.ask(250_000).json()
    answer = desk.post(f"actions/{asked['id']}/cancel/", {"reason": "no longer needed"})
    assert (answer.status_code, answer.json()["state"], answer.json()["escalation"]) == (200, "cancelled", None)
    item = Escalation.objects.get()
    assert (item.state, item.decided_by) == ("cancelled", None)


def test_an_action_cancelled_while_its_approval_is_held_stops_no_clock():
    desk = make_desk()
    held, other = desk.ask(250_000).json(), desk.ask(260_000).json()
    items = {str(item.action_id): item for item in Escalation.objects.all()}
    approve(desk, items[held["id"]], hold_s=30)
    let_time_pass(items[held["id"]])
    assert desk.post(f"actions/{held['id']}/cancel/", {}).json()["state"] == "cancelled"
    Escalation.objects.filter(pk=items[other["id"]].pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    sweep_escalations()
    assert Escalation.objects.get(action=held["id"]).state == "cancelled"
    assert Escalation.objects.get(action=other["id"]).state == "expired"
    assert not Grant.objects.exists()


def test_cancelling_an_approved_action_revokes_its_grant():
    desk = make_desk(execution="agent")
    asked = desk.ask(50_000, execution="agent").json()
    assert desk.post(f"actions/{asked['id']}/cancel/", {}).json()["state"] == "cancelled"
    assert Grant.objects.get().state == "revoked"


def test_cancelling_an_approved_action_drops_its_effect(system):
    desk = make_desk(system.url)
    asked = desk.ask(50_000).json()
    assert desk.post(f"actions/{asked['id']}/cancel/", {}).json()["state"] == "cancelled"
    work()
    assert Effect.objects.get().state == "failed"
    assert system.asked == []


def test_one_item_that_cannot_go_on_holds_up_no_other():
    desk = make_desk()
    stuck, other = desk.ask(250_000).json(), desk.ask(260_000).json()
    items = {str(item.action_id): item for item in Escalation.objects.all()}
    for item in items.values():
        approve(desk, item, hold_s=30)
        let_time_pass(item)
    Action.objects.filter(pk=stuck["id"]).update(state="failed")
    sweep_escalations()
    assert Escalation.objects.get(action=other["id"]).state == "approved"


def test_a_revoked_permission_ends_what_the_agent_would_carry_out_itself():
    desk = make_desk(execution="agent")
    asked = desk.ask(50_000, execution="agent").json()
    revoke_operation(make_admin(), holder=desk.agent.user, operation=desk.operation, reason="gone")
    answer = desk.post(f"actions/{asked['id']}/consume/", {"digest": asked["digest"]})
    assert answer.status_code == 403
    assert (the_action().state, Grant.objects.get().state) == ("approved", "live")


def test_what_became_stricter_is_not_consumed_by_the_agent_either():
    desk = make_desk(execution="agent")
    asked = desk.ask(50_000, execution="agent").json()
    rule = make_rule(slug="all", when="true", effect="deny", scope={"operations": [desk.operation.slug]})
    apply_policy(system_user("console"), slug=desk.policy.slug, name="P", unit=desk.agent.unit, rules=[rule])
    answer = desk.post(f"actions/{asked['id']}/consume/", {"digest": asked["digest"]}, key="c1")
    assert (answer.status_code, answer.json()["code"], answer.json()["state"]) == (409, "invalid_state", "denied")
    assert (the_action().state, Grant.objects.get().state) == ("denied", "revoked")


def test_one_action_that_cannot_be_claimed_starves_no_other(system):
    desk = make_desk(system.url)
    first, second = desk.ask(50_000).json(), desk.ask(60_000).json()
    other_queue = Queue.objects.exclude(pk=desk.queue.pk).first() or desk.queue
    rules = [
        make_rule(slug="some", when="true", scope={"operations": [desk.operation.slug]}),
        make_rule(
            slug="first",
            when="action.amount_minor == 50000",
            effect="require_approval",
            queue=other_queue.slug,
            scope={"operations": [desk.operation.slug]},
        ),
    ]
    apply_policy(system_user("console"), slug=desk.policy.slug, name="P", unit=desk.agent.unit, rules=rules)
    Queue.objects.filter(pk=other_queue.pk).update(slug="renamed")
    assert perform_due() == 1
    assert Action.objects.get(pk=second["id"]).state == "succeeded"
    assert Action.objects.get(pk=first["id"]).state == "approved"
    assert len(system.asked) == 1


def test_an_answer_that_was_held_still_says_what_became_of_an_unknown_effect(system):
    desk = make_desk(system.url, idempotency="none")
    system.will(status=500)
    desk.ask(50_000)
    work()
    assert the_action().state == "unknown"
    item = the_item()
    cast_vote(
        make_approver(Queue.objects.get(pk=item.group_list()[0].queue_id)),
        escalation_id=item.pk, verdict="answer", answer="succeeded", reason="It is in the books.", version=1, hold_s=9,
    )  # fmt: skip
    let_time_pass(item)
    sweep_escalations()
    deliver_reactions()
    assert the_action().state == "succeeded"


def test_a_person_who_left_after_finding_out_has_still_found_out(system):
    desk = make_desk(system.url, idempotency="none")
    system.will(status=500)
    desk.ask(50_000)
    work()
    item = the_item()
    person = make_approver(Queue.objects.get(pk=item.group_list()[0].queue_id))
    cast_vote(person, escalation_id=item.pk, verdict="answer", answer="failed", reason="Not there.", version=1)
    type(person).objects.filter(pk=person.pk).update(is_active=False)
    deliver_reactions()
    assert the_action().state == "failed"


def test_never_means_never_whatever_was_rejected_since():
    desk = make_desk()
    desk.ask(250_000)
    cast_vote(desk.approver, escalation_id=the_item().pk, verdict="reject", reason="no", retry="never", version=1)
    desk.ask(260_000, reference="inv-2")
    cast_vote(
        desk.approver, escalation_id=the_item().pk, verdict="reject", reason="no", retry="after_change", version=1
    )
    again = desk.ask(250_000, reference="inv-2")
    assert (again.status_code, again.json()["code"]) == (409, "previously_rejected")
    assert Action.objects.count() == 2


def test_what_was_edited_and_then_rejected_is_remembered_as_it_was_asked():
    desk = make_desk()
    make_approver(desk.queue)
    asked = desk.ask(250_000).json()
    item = the_item()
    changed = "sha256:" + "0" * 64
    before = {"parameters": asked["parameters"], "digest": asked["digest"]}
    Escalation.objects.filter(pk=item.pk).update(asked=before, digest=changed, edited=True)
    Action.objects.filter(pk=asked["id"]).update(digest=changed)
    cast_vote(desk.approver, escalation_id=item.pk, verdict="reject", reason="no", version=1)
    assert desk.ask(250_000).status_code == 409
    assert Action.objects.count() == 1


def test_a_role_lost_while_the_decision_is_held_voids_it():
    desk = make_desk()
    asked = desk.ask(250_000).json()
    item = the_item()
    approve(desk, item, hold_s=30)
    RoleGrant.objects.filter(user=desk.approver).delete()
    let_time_pass(item)
    sweep_escalations()
    now = Escalation.objects.get()
    assert (now.state, now.decided_by, now.live_votes()) == ("pending", None, [])
    assert Action.objects.get(pk=asked["id"]).state == "pending_approval"
    assert not Grant.objects.exists()


def test_a_person_who_lost_the_right_is_asked_for_no_longer(system):
    desk = make_desk(system.url)
    person = make_user()
    permission = permit(person, desk.operation)
    desk.ask(50_000, on_behalf_of=person.username)
    permission.delete()
    work()
    found = the_action()
    assert (found.state, found.error["code"]) == ("failed", "permission")
    assert system.asked == []


@pytest.mark.parametrize(
    ("code", "state"), [("permission", "failed"), ("fields", "failed"), ("limit", "failed"), ("timed_out", "running")]
)
def test_what_the_permission_no_longer_covers_is_not_tried_again(code, state):
    workflow = make_workflow(
        "kind: Workflow\nslug: paying\nname: S\nunit: u\nsteps:\n"
        "  a: {operation: lab.pay, with: {}, retry: {max: 2, delay: 1s}, on_error: {then: fail}}\n"
    )
    run = make_run(workflow, {})
    carry_out(waiting_action(run, "a"), code=code)
    run.refresh_from_db()
    assert run.state == state


def test_what_an_operation_became_after_the_approval_does_not_run(system):
    desk = make_desk(system.url)
    desk.ask(250_000)
    approve(desk, the_item())
    old = desk.operation
    save_operation(
        system_user("console"), slug=old.slug, connector=old.connector, spec=replace(spec_of(old), path="/refunds")
    )
    work()
    found = the_action()
    assert (found.state, found.error["code"]) == ("failed", "operation_changed")
    assert system.asked == []


def test_an_agent_starts_runs_in_its_own_unit_or_the_workflows_and_nowhere_else():
    workflow = make_workflow({"steps": {"check": {"agent": "checking"}}, "slug": "checks", "name": "Checks"})
    worker = make_worker(workflow, "checking")
    elsewhere, below = make_unit(), make_unit(parent=workflow.unit)
    with pytest.raises(InvalidError):
        start_run(worker.user, workflow="checks", input={}, business_unit=elsewhere.slug)
    assert not Run.objects.exists()
    assert start_run(worker.user, workflow="checks", input={}, business_unit=below.slug).unit_id == below.pk


DRAFTED = """\
kind: Workflow
slug: drafted
name: Drafted
unit: {unit}
risk: {risk}
steps: {{one: {{rule: {{value: "1"}}}}}}
"""


def test_a_draft_changes_nothing_of_the_workflow_in_force():
    admin, unit, other = make_admin(), make_unit(), make_unit()
    first, _ = publish_document(admin, source=DRAFTED.format(unit=unit.slug, risk="low"))
    draft = save_draft(admin, source=DRAFTED.format(unit=other.slug, risk="critical"))
    workflow = Workflow.objects.get(slug="drafted")
    assert (workflow.unit, workflow.risk, workflow.active_id) == (unit, "low", first.pk)
    publish_version(admin, version=draft)
    workflow.refresh_from_db()
    assert (workflow.unit, workflow.risk, workflow.active_id) == (other, "critical", draft.pk)
    rollback_workflow(admin, workflow=workflow, reason="too strict")
    workflow.refresh_from_db()
    assert (workflow.unit, workflow.risk, workflow.active_id) == (unit, "low", first.pk)


def test_a_workflow_moves_only_with_the_consent_of_both_units():
    admin, here, there = make_admin(), make_unit(), make_unit()
    publish_document(admin, source=DRAFTED.format(unit=here.slug, risk="low"))
    draft = save_draft(admin, source=DRAFTED.format(unit=there.slug, risk="low"))
    publisher = make_holder("workflows.publish_workflow", unit=here)
    with pytest.raises(NotAllowedError):
        publish_version(publisher, version=draft)
    assert Workflow.objects.get(slug="drafted").unit == here


@pytest.mark.parametrize(
    "body",
    [
        {"succeeded": "yes"},
        {"succeeded": 1},
        {"succeeded": None},
        {"succeeded": True, "cost_minor": MAX_COST_MINOR + 1},
    ],
)
def test_what_is_no_truth_value_or_no_cost_is_no_outcome(body):
    desk = make_desk()
    Operation.objects.filter(pk=desk.operation.pk).update(execution="both")
    asked = desk.ask(execution="agent").json()
    desk.post(f"actions/{asked['id']}/consume/", {"digest": asked["digest"]})
    answer = desk.post(f"actions/{asked['id']}/outcome/", body)
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [list(body)[-1]]
    assert desk.get(f"actions/{asked['id']}/").json()["state"] == "executing"


@pytest.mark.parametrize("query", ["?wait=abc", "?wait=-1", "?wait=1.5", "?wait=9999", "?bogus=1"])
def test_a_parameter_that_an_address_does_not_know_is_refused(query):
    desk = make_desk()
    asked = desk.ask().json()
    answer = desk.get(f"actions/{asked['id']}/{query}")
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
    assert desk.get(f"actions/{asked['id']}/?wait=1&state=approved").status_code == 200
    assert desk.get("actions/?state=bogus").status_code == 422


@pytest.mark.parametrize("path", ["nope/", "actions/not-a-uuid/", "actions", "runs/1/steps/"])
def test_an_address_that_is_none_is_refused_as_a_problem(path, client):
    desk = make_desk()
    for answer in (desk.get(path), desk.post(path, {})):
        assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
        assert answer.json()["code"] == "not_found"
    assert client.get(f"/api/v1/{path}").status_code == 401
