"""Interrupts of agent frameworks: asked for together, decided apart, handed over once."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from apps.agents.models import Action
from apps.agents.services import change_state
from apps.audit.models import Entry
from apps.core.models import ClockTimestamp
from apps.halts.services import engage_halt, lift_halt
from apps.oversight.models import Escalation, Grant
from apps.oversight.services import cast_vote, expire_escalations, expire_grants
from apps.workflows.models import Interrupt
from tests.factories.access import make_admin, make_holder, make_user
from tests.factories.connectors import make_operation, permit
from tests.factories.workflows import erase, make_run, make_workflow, permit_workflow
from tests.oversight.edge_cases.doors import Person
from tests.workflows.actions import Desk, make_desk, rules_of, work

pytestmark = pytest.mark.django_db
SMALL, LARGE, HUGE = 50_000, 250_000, 20_000_000
ALL = ["approve", "edit", "reject", "respond"]


def payment(amount_minor: Any = LARGE, **more: Any) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": "EUR", "iban": "DE0017", **more}


def hitl(*args: dict[str, Any], allowed: list[str] | None = None, name: str = "pay") -> dict[str, Any]:
    """LangChain's request with one call per ``args``."""
    return {
        "action_requests": [
            {"name": name, "args": each, "description": "Tool execution requires approval"} for each in args
        ],
        "review_configs": [{"action_name": name, "allowed_decisions": allowed or ALL} for _ in args],
    }


def human(args: dict[str, Any], **allow: bool) -> dict[str, Any]:
    """LangGraph's interrupt for one call."""
    config = {f"allow_{act}": allow.get(act, True) for act in ("ignore", "respond", "edit", "accept")}
    return {"action_request": {"action": "pay", "args": args}, "config": config, "description": "Pay ACME."}


class Framework:
    """An agent that asks in its framework's shape, and people who decide."""

    def __init__(self, **desk: Any) -> None:
        self.desk: Desk = make_desk(execution="agent", **desk)
        self.keys = 0

    def post(self, path: str, body: Any, key: str | None = None) -> Any:
        self.keys += 1
        return self.desk.post(path, body, key=key or f"key{self.keys}")

    def ask(self, interrupt: Any, *, key: str | None = None, **more: Any) -> Any:
        body = {"interrupt": interrupt, "operations": {"pay": self.desk.operation.slug}, **more}
        return self.post("interrupts/", body, key)

    def look(self, interrupt_id: str) -> Any:
        return self.desk.get(f"interrupts/{interrupt_id}/").json()

    def resume(self, interrupt_id: str, key: str | None = None) -> Any:
        return self.post(f"interrupts/{interrupt_id}/resume/", {}, key)

    def decide(self, call: dict[str, Any], verdict: str = "approve", **words: Any) -> None:
        item = Escalation.objects.get(action=call["action"], state="pending")
        cast_vote(self.desk.approver, escalation_id=item.pk, verdict=verdict, version=item.version, **words)


@pytest.fixture
def framework() -> Framework:
    return Framework()


def nothing_was_asked() -> bool:
    return not Action.objects.exists() and not Interrupt.objects.exists() and not Escalation.objects.exists()


# -- asking ------------------------------------------------------------------------------------------------------------


def test_what_rules_allow_is_ready_at_once_and_resumes_as_approved(framework):
    asked = framework.ask(hitl(payment(SMALL)))
    found = asked.json()
    assert (asked.status_code, found["state"], found["shape"]) == (201, "ready", "hitl_request")
    (call,) = found["calls"]
    assert (call["name"], call["decision"], call["why"], call["decided_by"]) == ("pay", "approve", "allowed", None)
    assert Grant.objects.get().state == "live"
    answer = framework.resume(found["id"])
    assert (answer.status_code, answer.json()["resume"]) == (200, {"decisions": [{"type": "approve"}]})
    assert answer.json()["state"] == "resumed"
    assert Grant.objects.get().state == "consumed"
    assert Action.objects.get().state == "executing"


def test_what_policy_denies_is_a_no_with_its_sentence_and_nobody_s(framework):
    asked = framework.ask(hitl(payment(HUGE)))
    (call,) = asked.json()["calls"]
    assert (asked.status_code, asked.json()["state"]) == (201, "ready")
    assert (call["decision"], call["why"], call["decided_by"]) == ("refuse", "denied", None)
    decision = {"type": "reject", "message": "Denied by policy: Never."}
    assert framework.resume(asked.json()["id"]).json()["resume"] == {"decisions": [decision]}
    assert not Grant.objects.exists()


def test_calls_are_answered_in_their_order_whatever_the_order_of_deciding(framework):
    asked = framework.ask(hitl(payment(LARGE), payment(LARGE + 1), payment(SMALL)))
    found = asked.json()
    assert (asked.status_code, found["state"]) == (202, "waiting")
    assert [call["decision"] for call in found["calls"]] == [None, None, "approve"]
    framework.decide(found["calls"][1], "reject", reason="wrong supplier")
    still = framework.look(found["id"])
    assert still["state"] == "waiting"
    early = framework.resume(found["id"])
    assert (early.status_code, early.json()["code"], early.json()["state"]) == (409, "invalid_state", "waiting")
    assert set(Grant.objects.values_list("state", flat=True)) == {"live"}
    framework.decide(found["calls"][0], parameters=payment(LARGE - 1))
    assert framework.look(found["id"])["state"] == "ready"
    assert framework.resume(found["id"]).json()["resume"] == {
        "decisions": [
            {"type": "edit", "edited_action": {"name": "pay", "args": payment(LARGE - 1)}},
            {"type": "reject", "message": "Rejected by a person: wrong supplier"},
            {"type": "approve"},
        ]
    }


def test_langgraph_hears_the_same_in_its_own_words(framework):
    asked = framework.ask([human(payment(LARGE + each)) for each in range(3)] + [human(payment(HUGE), respond=False)])
    found = asked.json()
    assert found["shape"] == "human_interrupt"
    framework.decide(found["calls"][2], "request_changes", reason="Split it.")
    framework.decide(found["calls"][1], parameters=payment(LARGE - 1))
    framework.decide(found["calls"][0])
    ready = framework.look(found["id"])
    assert [call["why"] for call in ready["calls"]] == ["approved", "edited", "changes_requested", "denied"]
    ada = framework.desk.approver.username
    assert [call["decided_by"] for call in ready["calls"]] == [ada, ada, ada, None]
    assert framework.resume(found["id"]).json()["resume"] == [
        {"type": "accept", "args": None},
        {"type": "edit", "args": {"action": "pay", "args": payment(LARGE - 1)}},
        {"type": "response", "args": "A person wants it changed first: Split it."},
        {"type": "ignore", "args": None},
    ]


def test_a_single_interrupt_is_answered_as_a_list_of_one(framework):
    found = framework.ask(human(payment(SMALL))).json()
    assert framework.resume(found["id"]).json()["resume"] == [{"type": "accept", "args": None}]


def approval_schema(*decisions: str) -> dict[str, Any]:
    """What LangChain publishes with a ``ToolApprovalRequest``."""
    branches = {word: {"properties": {"type": {"const": word}}, "required": ["type"]} for word in decisions}
    return {"$defs": branches, "oneOf": [{"$ref": f"#/$defs/{word}"} for word in decisions]}


def test_one_tool_approval_is_answered_by_one_decision(framework):
    request = {"type": "tool_approval", "tool_call_id": "c1", "name": "pay", "args": payment(), "description": ""}
    found = framework.ask(request, response_schema=approval_schema("approve", "reject")).json()
    assert Action.objects.get().cannot_take == ["edit"]
    framework.decide(found["calls"][0])
    assert framework.resume(found["id"]).json()["resume"] == {"type": "approve"}


def test_the_agent_s_words_stand_apart_and_its_execution_is_its_own(framework):
    framework.ask([human(payment())], goal="Close the month.", reference="thread-7")
    action = Action.objects.get()
    assert (action.reasoning, action.goal, action.execution) == ("Pay ACME.", "Close the month.", "agent")
    assert (action.reference, action.together) == ("thread-7/0", True)


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_an_operation_that_is_not_permitted_is_named_by_its_call_and_nothing_is_asked(framework):
    other = make_operation(execution="agent")
    interrupt = hitl(payment(), payment())
    interrupt["action_requests"][1]["name"] = interrupt["review_configs"][1]["action_name"] = other.slug
    for name in (other.slug, "nothing.like_it"):
        interrupt["action_requests"][1]["name"] = interrupt["review_configs"][1]["action_name"] = name
        answer = framework.ask(interrupt)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert list(answer.json()["errors"]) == ["interrupt.action_requests.1"]
    assert nothing_was_asked()


def test_arguments_that_miss_the_schema_are_named_where_they_stand_and_nothing_is_asked(framework):
    answer = framework.ask(hitl(payment(), payment("much")))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert list(answer.json()["errors"]) == ["interrupt.action_requests.1.args.amount_minor"]
    answer = framework.ask([human(payment()), human({"amount_minor": 1})])
    assert "interrupt.1.action_request.args.iban" in answer.json()["errors"]
    assert nothing_was_asked()


def test_an_operation_that_the_plane_carries_out_cannot_be_asked_for_so(framework):
    mine = make_operation()
    permit(framework.desk.agent.user, mine)
    answer = framework.ask(hitl(payment()), operations={"pay": mine.slug})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["interrupt.action_requests.0"])
    assert nothing_was_asked()


def changed(interrupt: Any, **changes: Any) -> Any:
    return {**interrupt, **changes}


@pytest.mark.parametrize(
    ("interrupt", "path"),
    [
        ("pay", "interrupt"),
        ([], "interrupt"),
        ({}, "interrupt"),
        ({"action_requests": [], "review_configs": []}, "interrupt.action_requests"),
        ([payment()], "interrupt.0"),
        (changed(hitl(payment()), review_configs=[{"action_name": "x", "allowed_decisions": ALL}]),
         "interrupt.action_requests.0.name"),
        (hitl(payment(), allowed=["approve", "maybe"]), "interrupt.review_configs.0.allowed_decisions.1"),
        (hitl(payment(), allowed=["approve", "edit"]), "interrupt.review_configs"),
        (hitl(payment(), allowed=["reject", "edit"]), "interrupt.review_configs"),
        (hitl(payment(), allowed=["respond"]), "interrupt.review_configs"),
        (hitl(*[payment()] * 21), "interrupt.action_requests"),
        (changed(hitl(payment()), urgent=True), "interrupt"),
        ([human(payment(), accept=False)], "interrupt.0.config.allow_accept"),
        ([human(payment(), ignore=False, respond=False)], "interrupt.0.config"),
        (human(payment(), accept=False), "interrupt.config.allow_accept"),
        ([changed(human(payment()), config={"allow_edit": 1})], "interrupt.0.config"),
        ({"type": "tool_approval", "tool_call_id": "c", "name": "pay", "args": payment()}, "response_schema"),
        (hitl({"n": 2**53 + 1}), "interrupt.action_requests.0.args.n"),
    ],
)  # fmt: skip
def test_what_is_no_interrupt_or_takes_too_few_answers_says_where(framework, interrupt, path):
    answer = framework.ask(interrupt)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert path in answer.json()["errors"], answer.json()
    assert nothing_was_asked()


def test_only_agents_ask_and_only_for_themselves(framework):
    found = framework.ask(hitl(payment())).json()
    stranger = Framework()
    assert stranger.desk.get(f"interrupts/{found['id']}/").status_code == 404
    assert stranger.resume(found["id"]).status_code == 404


def test_people_look_and_do_not_resume(framework):
    found = framework.ask(hitl(payment(SMALL))).json()
    admin = Person(make_admin())
    assert admin.get(f"/interrupts/{found['id']}/").json()["state"] == "ready"
    refused = admin.post(f"/interrupts/{found['id']}/resume/", {})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    assert Person(make_user()).get(f"/interrupts/{found['id']}/").status_code == 404
    assert Grant.objects.get().state == "live"


def test_what_is_asked_under_a_task_belongs_to_its_run(framework):
    agent = framework.desk.agent
    agent.capabilities = ["invoice.pay"]
    agent.save()
    workflow = make_workflow({"unit": agent.unit.slug, "steps": {"pay": {"agent": "invoice.pay", "with": {}}}})
    permit_workflow(agent, workflow)
    run = make_run(workflow)
    (task,) = framework.post("tasks/claim/", {"limit": 1}).json()["tasks"]
    found = framework.ask(hitl(payment()), task=task["id"])
    assert (found.status_code, found.json()["run"]) == (202, str(run.pk))
    action = Action.objects.get()
    assert (action.run_id, str(action.task_id), action.step) == (run.pk, task["id"], "pay")
    assert framework.ask(hitl(payment()), task=str(run.pk)).status_code == 404


def test_it_needs_an_idempotency_key(framework):
    answer = framework.desk.post("interrupts/", {"interrupt": hitl(payment())})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")


# -- once --------------------------------------------------------------------------------------------------------------


def test_the_same_key_asks_once_and_the_same_reference_finds_the_same(framework):
    first = framework.ask(hitl(payment(), payment()), key="k", reference="t1").json()
    again = framework.ask(hitl(payment(), payment()), key="k", reference="t1")
    assert (again.json(), again["Idempotency-Replayed"]) == (first, "true")
    anew = framework.ask(hitl(payment(), payment()), key="other", reference="t1").json()
    assert anew["id"] == first["id"]
    assert (Action.objects.count(), Escalation.objects.count(), Interrupt.objects.count()) == (2, 2, 1)


def test_it_is_handed_over_once_and_a_lost_answer_can_be_had_under_its_key(framework):
    found = framework.ask(hitl(payment(SMALL))).json()
    first = framework.resume(found["id"], key="r")
    lost = framework.resume(found["id"], key="r")
    assert (lost.json(), lost["Idempotency-Replayed"]) == (first.json(), "true")
    after_a_crash = framework.resume(found["id"], key="another")
    assert (after_a_crash.status_code, after_a_crash.json()["code"]) == (409, "already_consumed")
    assert Entry.objects.filter(name="interrupt.resumed").count() == 1
    reported = framework.post(f"actions/{found['calls'][0]['action']}/outcome/", {"succeeded": True})
    assert reported.json()["state"] == "succeeded"
    assert framework.look(found["id"])["state"] == "resumed"


def test_a_no_can_be_heard_again_since_nothing_runs_on_it(framework):
    found = framework.ask(hitl(payment(HUGE))).json()
    first, second = framework.resume(found["id"]), framework.resume(found["id"])
    assert first.json()["resume"] == second.json()["resume"]
    assert framework.look(found["id"])["state"] == "ready"


def test_looking_hands_nothing_over(framework):
    found = framework.ask(hitl(payment(SMALL))).json()
    assert "resume" not in framework.look(found["id"])
    assert Grant.objects.get().state == "live"


def test_a_grant_that_was_used_by_itself_is_not_used_again(framework):
    found = framework.ask(hitl(payment(SMALL), payment(SMALL + 1))).json()
    action = Action.objects.get(pk=found["calls"][0]["action"])
    framework.post(f"actions/{action.pk}/consume/", {"digest": action.digest})
    answer = framework.resume(found["id"])
    assert (answer.status_code, answer.json()["code"]) == (409, "already_consumed")
    assert Action.objects.get(pk=found["calls"][1]["action"]).state == "approved"


# -- every no is its own -----------------------------------------------------------------------------------------------


def pass_time() -> None:
    """Everything that expires has expired."""
    Escalation.objects.filter(state="pending").update(
        created_at=ClockTimestamp() - timedelta(days=3), due_at=ClockTimestamp() - timedelta(days=2),
        expires_at=ClockTimestamp() - timedelta(days=1),
    )  # fmt: skip
    expire_escalations()
    work()


def test_what_nobody_decided_in_time_is_told_so_and_never_as_a_rejection(framework):
    found = framework.ask([human(payment()), human(payment(), respond=False)]).json()
    pass_time()
    ready = framework.look(found["id"])
    assert ready["state"] == "ready"
    assert [(call["state"], call["why"], call["decided_by"]) for call in ready["calls"]] == [
        ("expired", "expired", None)
    ] * 2
    text = "Not carried out: nobody decided in time. Nobody rejected it."
    assert framework.resume(found["id"]).json()["resume"] == [
        {"type": "response", "args": text},
        {"type": "ignore", "args": None},
    ]
    found = framework.ask(hitl(payment())).json()
    pass_time()
    assert framework.resume(found["id"]).json()["resume"] == {"decisions": [{"type": "reject", "message": text}]}


def test_an_approval_waits_two_days_for_the_slowest_decision_and_then_lapses(framework):
    found = framework.ask(hitl(payment(SMALL), payment())).json()
    grant = Grant.objects.get()
    assert grant.expires_at - grant.created_at > timedelta(days=1, hours=23)
    framework.decide(found["calls"][1])
    Grant.objects.update(expires_at=ClockTimestamp() - timedelta(seconds=1))
    assert framework.resume(found["id"]).json()["code"] == "expired"
    expire_grants()
    ready = framework.look(found["id"])
    assert [(call["why"], call["decided_by"]) for call in ready["calls"]] == [("grant_expired", None)] * 2
    decisions = framework.resume(found["id"]).json()["resume"]["decisions"]
    assert {each["message"] for each in decisions} == {
        "Not carried out: it was allowed, and nobody took that up in time."
    }


def test_what_the_agent_withdrew_is_told_so(framework):
    found = framework.ask(hitl(payment())).json()
    framework.post(f"actions/{found['calls'][0]['action']}/cancel/", {})
    (call,) = framework.look(found["id"])["calls"]
    assert (call["decision"], call["why"], call["decided_by"]) == ("refuse", "cancelled", None)


def test_what_people_rejected_before_is_answered_so_and_not_asked_again(framework):
    first = framework.ask(hitl(payment())).json()
    framework.decide(first["calls"][0], "reject", reason="wrong supplier", retry="never")
    second = framework.ask(hitl(payment(), payment(SMALL)))
    found = second.json()
    assert (second.status_code, found["state"]) == (201, "ready")
    assert (found["calls"][0]["action"], found["calls"][0]["retry"]) == (first["calls"][0]["action"], "never")
    assert framework.resume(found["id"]).json()["resume"] == {
        "decisions": [{"type": "reject", "message": "Rejected by a person: wrong supplier"}, {"type": "approve"}]
    }
    assert Escalation.objects.count() == 1


def test_an_agent_that_keeps_asking_for_what_was_rejected_is_flagged(framework):
    first = framework.ask(hitl(payment())).json()
    framework.decide(first["calls"][0], "reject", reason="no")
    for _ in range(3):
        framework.ask(hitl(payment()))
    assert Entry.objects.filter(name="agent.flagged").count() == 1


# -- halts and rules ---------------------------------------------------------------------------------------------------


def test_a_halt_refuses_asking_and_handing_over_and_behind_it_people_are_asked_again(framework):
    found = framework.ask(hitl(payment(SMALL), payment())).json()
    framework.decide(found["calls"][1])
    admin = make_admin()
    halt = engage_halt(
        admin, scope="agent", target=framework.desk.agent.slug, unit=framework.desk.agent.unit, reason="odd"
    )
    refused = framework.resume(found["id"])
    assert (refused.status_code, refused.json()["code"], refused.json()["reason"]) == (423, "halted", "odd")
    assert framework.ask(hitl(payment(SMALL))).status_code == 423
    work()
    lift_halt(make_admin(), halt_id=halt.pk, reason="fine")
    work()
    again = framework.look(found["id"])
    assert (again["state"], [call["decision"] for call in again["calls"]]) == ("waiting", ["approve", None])
    framework.decide(found["calls"][1])
    assert framework.resume(found["id"]).json()["resume"] == {"decisions": [{"type": "approve"}, {"type": "approve"}]}


def test_where_one_goes_back_to_people_none_is_handed_over(framework):
    found = framework.ask(hitl(payment(SMALL), payment(SMALL + 1))).json()
    rules_of(
        framework.desk,
        {"slug": "one", "when": f"action.amount_minor == {SMALL}"},
        {"slug": "two", "when": f"action.amount_minor > {SMALL}", "effect": "require_approval",
         "queue": framework.desk.queue.slug},
    )  # fmt: skip
    answer = framework.resume(found["id"], key="r")
    assert (answer.status_code, answer.json()["code"], answer.json()["state"]) == (409, "invalid_state", "waiting")
    states = [Action.objects.get(pk=call["action"]).state for call in found["calls"]]
    assert states == ["approved", "pending_approval"]
    framework.decide(found["calls"][1])
    assert framework.resume(found["id"]).json()["resume"] == {"decisions": [{"type": "approve"}, {"type": "approve"}]}


def test_calls_of_one_interrupt_see_each_other_so_that_one_amount_cannot_hide_as_two(framework):
    slug = framework.desk.operation.slug
    within = f"action.amount_minor + history.sum_minor('{slug}', '1d', 'agent') <= 100000"
    rules_of(
        framework.desk,
        {"slug": "few", "when": within},
        {"slug": "many", "when": f"!({within})", "effect": "require_approval", "queue": framework.desk.queue.slug},
    )
    found = framework.ask(hitl(payment(60_000), payment(60_000))).json()
    assert [call["decision"] for call in found["calls"]] == ["approve", None]


def test_what_changed_since_it_was_judged_is_a_no_and_the_others_go_on(framework):
    other = make_operation(execution="agent")
    permit(framework.desk.agent.user, other)
    rules_of(framework.desk, {"slug": "both", "scope": {"operations": [framework.desk.operation.slug, other.slug]}})
    interrupt = hitl(payment(SMALL), payment(SMALL))
    interrupt["action_requests"][1]["name"] = interrupt["review_configs"][1]["action_name"] = other.slug
    found = framework.ask(interrupt).json()
    other.path = "/elsewhere"
    other.save()
    assert framework.resume(found["id"]).json()["state"] == "ready"
    decisions = framework.resume(found["id"]).json()["resume"]["decisions"]
    assert decisions[0] == {"type": "approve"}
    assert decisions[1]["message"].startswith("Not carried out: The operation is not the one that was judged")


def test_a_suspended_agent_is_handed_nothing(framework):
    found = framework.ask(hitl(payment(SMALL))).json()
    change_state(make_admin(), agent=framework.desk.agent, to="suspended", reason="odd")
    answer = framework.resume(found["id"])
    assert (answer.status_code, answer.json()["code"]) == (403, "agent_inactive")
    assert Grant.objects.get().state == "live"


# -- what the framework cannot take ------------------------------------------------------------------------------------


def person(framework: Framework) -> Person:
    return Person(framework.desk.approver)


def test_an_edit_that_the_framework_cannot_take_is_not_offered_and_refused(framework):
    found = framework.ask(hitl(payment(), allowed=["approve", "reject"])).json()
    item = found["calls"][0]["escalation"]["id"]
    ada = person(framework)
    allowed = ada.get(f"/escalations/{item}/").json()["allowed"]
    assert (allowed["approve"]["edit"], "request_changes" in allowed) == (False, True)
    said = {"verdict": "approve", "version": 1, "parameters": payment(LARGE - 1)}
    refused = ada.post(f"/escalations/{item}/decision/", said)
    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["parameters"])
    assert framework.look(found["id"])["state"] == "waiting"
    said["parameters"] = payment()
    assert ada.post(f"/escalations/{item}/decision/", said).json()["state"] == "approved"


def test_changes_are_not_asked_of_who_cannot_hear_them(framework):
    found = framework.ask([human(payment(), respond=False)]).json()
    item = found["calls"][0]["escalation"]["id"]
    ada = person(framework)
    assert "request_changes" not in ada.get(f"/escalations/{item}/").json()["allowed"]
    said = {"verdict": "request_changes", "version": 1, "reason": "Split it."}
    refused = ada.post(f"/escalations/{item}/decision/", said)
    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["verdict"])
    assert "cannot be told what to change" in refused.json()["errors"]["verdict"][0]
    assert framework.look(found["id"])["state"] == "waiting"


def test_the_page_says_why_nothing_can_be_edited(framework):
    found = framework.ask([human(payment(), edit=False, respond=False), human(payment())]).json()
    ada = person(framework)
    bound, free = (ada.page(f"/inbox/{call['escalation']['id']}/") for call in found["calls"])
    assert 'data-panel="edit"' in free
    assert 'data-panel="edit"' not in bound
    assert 'data-panel="request_changes"' not in bound
    bound, free = (ada.page(f"/inbox/{call['escalation']['id']}/?decide=more") for call in found["calls"])
    for why in ("Nothing can be edited. The agent takes", "The agent cannot be told what to change"):
        assert why in bound
        assert why not in free


# -- the ledger and erasing --------------------------------------------------------------------------------------------


def test_asking_and_handing_over_each_leave_a_line(framework):
    found = framework.ask(hitl(payment(SMALL))).json()
    framework.resume(found["id"])
    lines = Entry.objects.filter(subject_id=found["id"]).order_by("id")
    assert list(lines.values_list("name", flat=True)) == ["interrupt.open", "interrupt.resumed"]


def test_an_erasure_takes_the_words_out_of_what_is_kept_for_retries(framework):
    found = framework.ask(hitl(payment()), key="a").json()
    framework.decide(found["calls"][0], "reject", reason="because of Mrs Miller")
    framework.resume(found["id"], key="r")
    work()
    eraser = make_holder("audit.erase_payload", unit=framework.desk.agent.unit)
    erase(eraser, UUID(found["calls"][0]["action"]), "asked for")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM core_idempotencykey WHERE answer::text LIKE '%%Miller%%'")
        assert cursor.fetchone() == (0,)
