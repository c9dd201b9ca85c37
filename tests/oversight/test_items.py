"""Opening: clocks, groups, retries, what may be asked."""

from datetime import timedelta

import pytest
from uuid_utils.compat import uuid7

from apps.access.selectors import open_hours_of
from apps.audit.models import Entry
from apps.core.errors import InvalidError, UnavailableError
from apps.core.services import system_user
from apps.oversight.models import Escalation
from apps.oversight.services import (
    attempt_again,
    open_action_escalation,
    open_escalation,
    open_unknown_escalation,
)
from apps.policies.rules import verdict_of
from tests.factories.access import make_calendar, make_queue, make_unit
from tests.factories.agents import make_action
from tests.factories.oversight import make_escalation, make_payment, nothing_happens, say

pytestmark = pytest.mark.django_db


def after(item, name):
    return getattr(item, name) - item.created_at


def near(found, seconds):
    return abs(found - timedelta(seconds=seconds)) < timedelta(seconds=2)


def test_an_action_uses_its_queue_s_two_clocks():
    item = make_payment().item
    assert near(after(item, "due_at"), 3600)
    assert near(after(item, "expires_at"), 86_400)


def test_a_rule_s_expiry_wins_if_shorter():
    assert near(after(make_payment(obligations={"expires_in": "10m"}).item, "expires_at"), 600)
    assert near(after(make_payment(obligations={"expires_in": "10m"}).item, "due_at"), 600)
    assert near(after(make_payment(obligations={"expires_in": "3d"}).item, "expires_at"), 86_400)


def test_a_step_s_due_replaces_the_queue_s_and_only_it_brings_an_expiry():
    plain = make_escalation(due_s=120)
    assert near(after(plain, "due_at"), 120)
    assert plain.expires_at is None
    assert near(after(make_escalation(due_s=120, expires_s=300), "expires_at"), 300)


def test_a_question_expires_with_its_queue_and_an_exception_never():
    assert make_escalation(kind="question", task_id=uuid7()).expires_at is not None
    assert make_escalation(kind="exception", options=["retry", "fail"]).expires_at is None


def test_the_sla_counts_open_time_and_the_expiry_elapsed_time():
    calendar = make_calendar()
    queue = make_queue(calendar=calendar, sla_s=7 * 3600)
    item = make_escalation(queue=queue, expires_s=3 * 86_400)
    hours = calendar.open_hours()
    assert near(hours.between(item.created_at, item.due_at), 7 * 3600)
    assert near(after(item, "expires_at"), 3 * 86_400)


def test_the_calendar_of_the_nearest_unit_counts_where_the_queue_names_none():
    group, team = make_calendar(hours={"mon": ["09:00-10:00"]}), make_calendar()
    above = make_unit(calendar=group)
    unit = make_unit(parent=make_unit(parent=above, calendar=team))
    assert open_hours_of(make_queue(unit=unit)) == team.open_hours()
    assert open_hours_of(make_queue(unit=above)) == group.open_hours()
    assert open_hours_of(make_queue()) is None


def test_the_step_s_days_are_working_days_where_the_queue_has_a_calendar():
    calendar = make_calendar(hours={"mon": ["09:00-17:00"]})
    queue = make_queue(calendar=calendar)
    item = make_escalation(queue=queue, due_s=2 * 86_400, due_unit="d")
    assert near(item.due_at - calendar.open_hours().add_days(item.created_at, 2), 0)
    assert near(after(make_escalation(due_s=2 * 86_400, due_unit="d"), "due_at"), 2 * 86_400)


def test_nothing_is_due_after_it_expired():
    queue = make_queue(calendar=make_calendar(hours={"mon": ["09:00-09:01"]}))
    item = make_escalation(queue=queue, expires_s=600)
    assert item.due_at == item.expires_at


def test_the_entry_of_a_new_item_names_its_queues_and_no_parameters():
    payment = make_payment(parameters={"note": "secret words"})
    told = Entry.objects.get(name="escalation.pending").payload
    assert told["queues"] == [payment.queue.slug]
    assert told["action"] == str(payment.action.pk)
    assert told["agent"] == payment.agent.slug
    assert "secret words" not in str(told)


def test_the_same_action_again_is_the_same_item_and_one_more_attempt():
    payment = make_payment()
    verdict = verdict_of(payment.action.verdict)
    for _ in range(10):
        again = open_action_escalation(payment.agent.user, action=payment.action, verdict=verdict, risk="medium")
        assert again.pk == payment.item.pk
    assert Escalation.objects.count() == 1
    assert payment.now().attempts == 11
    assert payment.now().version == 1
    assert attempt_again(payment.agent.user, action=payment.action).attempts == 12
    names = list(Entry.objects.filter(subject_id=payment.item.pk).order_by("id").values_list("name", flat=True))
    assert names.count("escalation.pending") == 1


def test_nobody_waits_no_attempt_counts():
    payment = make_payment()
    say(payment.ada, payment.item)
    with nothing_happens():
        assert attempt_again(payment.agent.user, action=payment.action) is None


def test_the_same_step_again_is_the_same_item_and_the_next_round_another():
    queue = make_queue()
    item = make_escalation(queue=queue)
    assert make_escalation(queue=queue, run_id=item.run_id).pk == item.pk
    assert make_escalation(queue=queue, run_id=item.run_id, round=2).pk != item.pk
    assert make_escalation(queue=queue, run_id=item.run_id, item=1).pk != item.pk
    assert make_escalation(queue=queue, run_id=item.run_id, kind="exception", options=["retry"]).pk != item.pk


def test_the_same_queue_twice_is_one_group_with_the_larger_quorum():
    queue, other = make_queue(), make_queue()
    item = make_escalation(queue=queue, groups=[(queue, 1), (other, 1), (queue, 3)])
    assert [(group.queue, group.needed) for group in item.group_list()] == [(queue, 3), (other, 1)]


def test_without_a_queue_nothing_is_opened():
    unit = make_unit()
    with nothing_happens(), pytest.raises(InvalidError) as caught:
        open_escalation(system_user("plane"), kind="approval", unit=unit, groups=[], title="Who?")
    assert set(caught.value.errors) == {"queue"}


def test_a_rule_s_queue_that_is_gone_asks_nobody_and_says_so():
    payment = make_payment()
    verdict = verdict_of(
        {**payment.action.verdict, "groups": [{**payment.action.verdict["groups"][0], "queue": "gone"}]}
    )
    action = make_action(agent=payment.agent)
    with nothing_happens(), pytest.raises(UnavailableError):
        open_action_escalation(payment.agent.user, action=action, verdict=verdict, risk="low")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"type": "string", "pattern": "(a+)+$"},
        {"$ref": "#"},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "#/nowhere"},
        {"enum": ["x" * 20_000]},
        "string",
    ],
)
def test_a_question_that_nobody_could_answer_is_not_asked(schema):
    queue = make_queue()
    with nothing_happens(), pytest.raises(InvalidError) as caught:
        make_escalation(queue=queue, kind="question", schema=schema)
    assert set(caught.value.errors) == {"schema"}


def test_a_question_without_a_schema_wants_words():
    item = make_escalation(kind="question")
    assert item.schema["type"] == "string"
    assert make_escalation(kind="question", options=["a", "b"]).schema == {"enum": ["a", "b"]}
    labelled = [{"value": 1, "label": "One"}, {"value": 2, "label": "Two"}]
    assert make_escalation(kind="question", options=labelled).schema == {"enum": [1, 2]}


def test_options_that_fill_a_page_are_refused():
    queue = make_queue()
    with nothing_happens(), pytest.raises(InvalidError) as caught:
        make_escalation(queue=queue, kind="question", options=["x" * 20_000])
    assert set(caught.value.errors) == {"options"}


def test_what_happened_is_asked_where_it_was_decided():
    payment = make_payment()
    say(payment.ada, payment.item)
    item = open_unknown_escalation(system_user("plane"), action=payment.action, effect_error={"code": "silence"})
    assert item.kind == "unknown"
    assert [group.queue for group in item.group_list()] == [payment.queue]
    assert say(payment.ada, item, "answer", answer="succeeded").answer == "succeeded"
    assert payment.action_now().state == "approved"


def test_what_happened_is_asked_near_the_action_s_unit_or_of_nobody():
    action = make_action()
    assert open_unknown_escalation(system_user("plane"), action=action, effect_error={}) is None
    queue = make_queue(unit=action.unit)
    item = open_unknown_escalation(system_user("plane"), action=action, effect_error={})
    assert [group.queue for group in item.group_list()] == [queue]


def test_the_title_says_what_how_much_and_to_whom():
    assert make_payment().item.title == "Pay an invoice · 2,500.00 EUR · DE0017"
