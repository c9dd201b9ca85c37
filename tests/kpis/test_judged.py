"""How right agents were, what was missed and what went wrong: facts by real decisions, figures against a slow count."""

from datetime import timedelta
from importlib import import_module
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from apps.access.services import create_token
from apps.agents.models import Action
from apps.audit.models import Entry
from apps.audit.services import record
from apps.connectors.models import Effect, Operation
from apps.connectors.services import mark_compensated
from apps.core.models import User
from apps.core.services import system_user
from apps.core.statistics import wilson_interval
from apps.halts.services import engage_halt, lift_halt
from apps.kpis.models import ActionFact, IncidentFact, RollupDay, RunFact
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules import DEFINITIONS, RangeName
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.filters import filter_of
from apps.kpis.selectors import behind_for, kpis_for
from apps.kpis.services import fill_acts, fold_entries, write_facts
from apps.kpis.services.incidents import unfolded_incidents
from apps.kpis.services.judged import NOT_FOR_CONTENT
from apps.kpis.services.rollups import recompute_rollups, reconcile_rollups
from apps.oversight.selectors.words import REASONS
from apps.workflows.services.tasks import claim_tasks, complete_task
from tests.factories.access import make_approver, make_holder, make_queue, make_unit
from tests.factories.agents import make_action, make_agent
from tests.factories.connectors import make_operation
from tests.factories.kpis import NOON, make_cost
from tests.factories.kpis import make_run as make_run_seen
from tests.factories.oversight import make_escalation, make_payment, say
from tests.factories.workflows import make_run, make_worker, make_workflow
from tests.kpis.test_selectors import ask
from tests.kpis.test_views import signed_in

pytestmark = pytest.mark.django_db
SOURCES = ("decided", "reviewed", "read_back")


@pytest.fixture
def viewer() -> User:
    return make_holder("kpis.view_kpi")


def fold() -> None:
    fold_entries(entries=list(Entry.objects.order_by("id")))


def now() -> Any:
    return filter_of({}, now=database_now(), zone=reporting_zone(), days=RangeName.DAYS_7)


def done(operation: Operation | None = None, state: str = "succeeded", **fields: Any) -> Action:
    """An action that ended, with its entry."""
    if operation is not None:
        fields["operation"] = operation.slug
    action = make_action(state=state, finished_at=database_now(), **fields)
    record(system_user("plane"), action, f"action.{state}")
    return action


def carried_out(action: Action, operation: Operation, state: str) -> Effect:
    effect = Effect.objects.create(
        action=action, operation=operation, connector=operation.connector, state=state, idempotency_key=str(uuid4())
    )
    record(system_user("plane"), effect, f"effect.{state}", payload={"action": action.pk, "run_id": None})
    return effect


def looked_at(action: Action, verdict: str) -> None:
    queue = make_queue(unit=action.unit)
    item = make_escalation(kind="review", action=action, run_id=None, schema={"type": "object"}, queue=queue)
    reviewer = make_approver(queue)
    say(reviewer, item, "answer", answer={"verdict": verdict, "reason": "it was not ours"})


def test_a_persons_word_on_an_action_says_how_right_its_agent_was(viewer: User) -> None:
    approved, edited, rejected, waiting = (make_payment() for _ in range(4))
    say(approved.ada, approved.item)
    Action.objects.filter(pk=approved.action.pk).update(state="succeeded", finished_at=database_now())
    record(system_user("plane"), approved.action_now(), "action.succeeded")
    say(edited.ada, edited.item, parameters={**edited.action.parameters, "amount_minor": 200_000})
    Action.objects.filter(pk=edited.action.pk).update(state="succeeded", finished_at=database_now())
    record(system_user("plane"), edited.action_now(), "action.succeeded")
    say(rejected.ada, rejected.item, "reject", reason="twice")
    fold()
    told = dict(ActionFact.objects.values_list("action_id", "decided"))
    assert told == {approved.action.pk: True, edited.action.pk: False, rejected.action.pk: False}
    assert waiting.action.pk not in told
    assert not ActionFact.objects.filter(alone=True).exists()
    figure = kpis_for(viewer, now()).totals["accuracy"].figure
    assert (figure.numerator, figure.denominator) == (1, 3)
    assert (figure.low, figure.high) == wilson_interval(1, 3)


@pytest.mark.parametrize(
    ("code", "decided"), [("not_needed", None), ("bad_timing", None), ("wrong_amount", False), ("other", False)]
)
def test_a_rejection_that_is_not_about_the_content_judges_nothing(code: str, decided: bool | None) -> None:
    payment = make_payment()
    say(payment.ada, payment.item, "reject", reason_code=code)
    fold()
    assert ActionFact.objects.get(pk=payment.action.pk).decided is decided


def test_the_codes_that_judge_nothing_are_ones_that_people_are_offered() -> None:
    assert set(NOT_FOR_CONTENT) <= {code for code, _label in REASONS}


@pytest.mark.parametrize(("reading", "right"), [("verified", True), ("mismatch", False)])
def test_what_was_read_back_counts_on_after_it_was_taken_back(viewer: User, reading: str, right: bool) -> None:
    pay = make_operation()
    action = done(pay)
    effect = carried_out(action, pay, reading)
    fold()
    mark_compensated(system_user("plane"), action=action)
    Action.objects.filter(pk=action.pk).update(state="compensated")
    record(system_user("plane"), action, "action.compensated")
    fold()
    effect.refresh_from_db()
    assert effect.state == "compensated"
    fact = ActionFact.objects.get(pk=action.pk)
    assert (fact.read_back, fact.taken_back) == (right, True)
    figure = kpis_for(viewer, now()).totals["accuracy_read_back"].figure
    assert (figure.numerator, figure.denominator) == (int(right), 1)


@pytest.mark.parametrize(("reading", "mismatches"), [("verified", 0), ("mismatch", 1)])
def test_a_run_keeps_the_mismatch_of_what_was_taken_back(reading: str, mismatches: int) -> None:
    pay, run = make_operation(), make_run_seen()
    write_facts(facts=Facts([run]))
    action = done(pay, run_id=run.run_id)
    carried_out(action, pay, reading)
    write_facts(facts=Facts(looked_at=[run.run_id]))
    assert RunFact.objects.get().mismatches == mismatches
    mark_compensated(system_user("plane"), action=action)
    write_facts(facts=Facts(costs=[make_cost(run)]))
    assert RunFact.objects.get().mismatches == mismatches
    RunFact.objects.update(mismatches=0)  # as it was before
    RollupDay.objects.update(wrong=0)
    import_module("apps.kpis.migrations.0048_fill_mismatches_taken_back").fill(None, connection.schema_editor())
    assert RunFact.objects.get().mismatches == sum(RollupDay.objects.values_list("wrong", flat=True)) == mismatches


def test_what_was_done_without_asking_is_missed_when_it_turns_out_wrong(viewer: User) -> None:
    pay = make_operation()
    quiet, verified, mismatched, taken_back, wrong, right = (done(pay) for _ in range(6))
    carried_out(verified, pay, "verified")
    carried_out(mismatched, pay, "mismatch")
    looked_at(wrong, "harmful")
    looked_at(right, "right")
    Action.objects.filter(pk=taken_back.pk).update(state="compensated")
    record(system_user("plane"), taken_back, "action.compensated")
    done(environment="test")
    done(purpose="compensate")
    fold()
    totals = {key: total.figure for key, total in kpis_for(viewer, now()).totals.items()}
    assert ActionFact.objects.count() == 6
    assert ActionFact.objects.filter(alone=True).count() == 6
    missed = totals["missed_escalations"]
    assert (missed.numerator, missed.denominator) == (3, 5)
    assert (totals["accuracy"].numerator, totals["accuracy"].denominator) == (2, 4)
    assert (totals["accuracy_reviewed"].numerator, totals["accuracy_reviewed"].denominator) == (1, 2)
    assert (totals["accuracy_read_back"].numerator, totals["accuracy_read_back"].denominator) == (1, 2)
    assert totals["accuracy_decided"].value is None
    rows, _order = behind_for(viewer, DEFINITIONS["missed_escalations"], now())
    assert {row.action_id for row in rows} == {mismatched.pk, taken_back.pk, wrong.pk}
    assert quiet.pk not in {row.action_id for row in rows}


def test_the_same_entries_again_and_a_night_later_change_nothing(viewer: User) -> None:
    pay = make_operation()
    carried_out(done(pay), pay, "mismatch")
    looked_at(done(pay), "wrong")
    fold()
    before = [list(model.objects.order_by("pk").values()) for model in (ActionFact, IncidentFact)]
    sums = kpis_for(viewer, now()).measures
    fold()
    assert [list(model.objects.order_by("pk").values()) for model in (ActionFact, IncidentFact)] == before
    assert reconcile_rollups() == 0
    assert kpis_for(viewer, now()).measures == sums


def test_what_happened_before_it_was_counted_is_filled_from_rows_and_ledger_once(viewer: User) -> None:
    pay = make_operation()
    carried_out(done(pay), pay, "mismatch")
    looked_at(done(pay), "wrong")
    fold()
    wanted = kpis_for(viewer, now()).measures
    for model in (ActionFact, IncidentFact, RollupDay):
        model.objects.all().delete()
    assert (fill_acts(), fill_acts()) == (3, 0)
    found = kpis_for(viewer, now()).measures
    assert {name: found[name] for name in ("judged", "missed", "incidents")} == {
        name: wanted[name] for name in ("judged", "missed", "incidents")
    }


def some_acts(random: Random, n: int = 150) -> list[ActionFact]:
    maybe = (None, None, True, False)
    facts = [
        ActionFact(
            action_id=uuid4(), agent=random.choice("xy"), operation="bank.pay", state="succeeded",
            workflow=random.choice("ab"), ended_at=NOON + timedelta(hours=random.randint(-200, 200)),
            alone=random.random() < 0.5, taken_back=random.random() < 0.1,
            decided=random.choice(maybe), reviewed=random.choice(maybe), read_back=random.choice(maybe),
        )
        for _ in range(n)
    ]  # fmt: skip
    ActionFact.objects.bulk_create(facts)
    recompute_rollups(touched={(one.workflow, one.ended_at.date()) for one in facts})
    return facts


def slowly(facts: list[ActionFact]) -> dict[str, tuple[int, int]]:
    """Each figure by asking every action."""
    found = {}
    for key, sources in (("accuracy", SOURCES), *((f"accuracy_{name}", (name,)) for name in SOURCES)):
        words = [[word for name in sources if (word := getattr(one, name)) is not None] for one in facts]
        found[key] = (sum(all(said) for said in words if said), sum(bool(said) for said in words))
    alone = [one for one in facts if one.alone and (one.taken_back or {one.reviewed, one.read_back} != {None})]
    missed = sum(one.taken_back or one.reviewed is False or one.read_back is False for one in alone)
    return {**found, "missed_escalations": (missed, len(alone))}


@pytest.mark.parametrize("limits", [{}, {"agent": "x"}, {"workflow": "a"}])
def test_figures_of_actions_are_those_of_every_action_asked_by_itself(viewer: User, limits: dict[str, str]) -> None:
    facts = some_acts(Random(5))
    mine = [one for one in facts if all(getattr(one, name) == value for name, value in limits.items())]
    asked = ask(**limits)
    totals = kpis_for(viewer, asked).totals
    for key, (top, bottom) in slowly(mine).items():
        figure = totals[key].figure
        assert (figure.numerator, figure.denominator) == (top, bottom), key
        rows, _order = behind_for(viewer, DEFINITIONS[key], asked)
        assert rows.count() == top, key


def test_incidents_begin_and_end_with_entries_and_know_their_money(viewer: User) -> None:
    pay = make_operation()
    owner, other = make_holder("halts.engage_halt", "halts.lift_halt"), make_holder("halts.lift_halt")
    lost = make_action(state="unknown", amount_minor=70_000, currency="EUR")
    record(system_user("plane"), lost, "action.unknown")
    carried_out(done(pay, amount_minor=5), pay, "mismatch")
    halt = engage_halt(owner, scope="agent", target=make_agent().slug, reason="odd")
    test = make_action(state="unknown", environment="test")
    record(system_user("plane"), test, "action.unknown")
    fold()
    assert unfolded_incidents(10) == [], "what a test key did is none, and is not looked for again"
    open_ = {one.kind: one for one in IncidentFact.objects.all()}
    assert set(open_) == {"unknown", "mismatch", "halt"}
    assert (open_["unknown"].amount_minor, open_["unknown"].currency, open_["unknown"].took_s) == (70_000, "EUR", None)
    Action.objects.filter(pk=lost.pk).update(state="succeeded", finished_at=database_now())
    record(system_user("plane"), lost, "action.succeeded")
    lift_halt(other, halt_id=halt.pk, reason="looked")
    fold()
    fold()
    ended = {one.kind: one.took_s for one in IncidentFact.objects.all()}
    assert ended["mismatch"] is None
    assert all(took is not None and took >= 0 for kind, took in ended.items() if kind != "mismatch")
    assert kpis_for(viewer, now()).totals["incidents"].figure.value == 3
    elsewhere = make_holder("kpis.view_kpi", unit=make_unit())
    assert kpis_for(elsewhere, now()).totals["incidents"].figure.value == 0


def test_what_goes_wrong_again_is_open_again(viewer: User) -> None:
    lost = make_action(state="unknown")
    for name in ("unknown", "succeeded", "unknown"):
        record(system_user("plane"), lost, f"action.{name}")
        fold_entries(entries=[Entry.objects.order_by("-id")[0]])
    assert [one.ended_at for one in IncidentFact.objects.all()] == [None]


def test_page_and_api_list_the_actions_and_the_incidents_behind_a_number(viewer: User) -> None:
    pay = make_operation()
    action = done(pay, amount_minor=1250, currency="EUR")
    carried_out(action, pay, "mismatch")
    fold()
    token = {"Authorization": f"Bearer {create_token(viewer, user=viewer, days=1)}"}
    missed = Client().get("/api/v1/kpis/missed_escalations/runs/", headers=token).json()["results"]
    assert [(row["action"], row["read_back"], row["alone"]) for row in missed] == [(str(action.pk), False, True)]
    wrong = Client().get("/api/v1/kpis/incidents/runs/", headers=token).json()["results"]
    assert [(row["kind"], row["amount_minor"], row["took_s"]) for row in wrong] == [("mismatch", 1250, None)]
    page = signed_in(viewer)
    assert str(action.pk) in page.get("/dashboards/overview/missed_escalations/").content.decode()
    html = page.get("/dashboards/overview/incidents/").content.decode()
    assert "12.50" in html
    assert "not yet" in html


def test_an_action_has_the_capability_of_the_task_in_which_it_was_asked_for() -> None:
    flow = make_workflow({"steps": {"pay": {"agent": "order.pay"}}})
    agent = make_worker(flow, "order.pay")
    make_run(flow)
    (task,) = claim_tasks(agent.user)
    early = done(agent=agent, unit=flow.unit, task_id=task.pk)
    other = done(agent=agent, unit=flow.unit)
    fold()
    assert capabilities() == {early.pk: "order.pay", other.pk: ""}
    complete_task(agent.user, task_id=task.pk, lease=str(task.fence), output={})
    late = done(agent=agent, unit=flow.unit, task_id=task.pk)
    fold()
    wanted = {early.pk: "order.pay", other.pk: "", late.pk: "order.pay"}
    assert capabilities() == wanted
    ActionFact.objects.update(capability="")
    import_module("apps.kpis.migrations.0043_fill_capabilities").fill(None, connection.schema_editor())
    assert capabilities() == wanted


def capabilities() -> dict[Any, str]:
    return dict(ActionFact.objects.values_list("action_id", "capability"))
