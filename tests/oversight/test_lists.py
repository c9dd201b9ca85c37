"""The lists of the inbox: found, folded, kept under a name, and what became of what was decided."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.core.errors import ConflictError
from apps.core.models import User
from apps.oversight.models import Escalation, Grant, SavedView
from apps.oversight.rules import Fate, Trait, asking_rule, gathered
from apps.oversight.selectors import choices_for, condition_of, escalations_for, fates_for, inbox_for
from apps.oversight.services import save_view
from tests.factories.oversight import (
    Payment,
    escalate,
    make_escalation,
    make_payment,
    nothing_happens,
    propose,
    say,
)

pytestmark = pytest.mark.django_db


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def more(payment: Payment, n: int, **fields: Any) -> list[Escalation]:
    """Items like the payment's own: same agent, operation, rule and risk."""
    made = []
    for number in range(n):
        item, action = payment.now(), payment.action_now()
        action.pk, action._state.adding, action.reference = None, True, f"more-{number}"
        action.save()
        item.pk, item._state.adding, item.action = None, True, action
        for name, value in fields.items():
            setattr(item, name, value)
        item.save()
        for group in payment.item.groups.all():
            group.pk, group.escalation = None, item
            group.save()
        made.append(item)
    return made


def test_the_search_looks_where_people_look() -> None:
    payment = make_payment()
    Action.objects.filter(pk=payment.action.pk).update(target="DE0017 Hallam", reference="INV-8841")
    client = signed_in(payment.ada)
    item = payment.item
    for text in (
        "hallam",
        "inv-88",
        item.title[:9],
        str(item.pk),
        str(item.pk)[-8:],
        item.digest[-12:],
        str(item.action_id)[-6:],
    ):
        assert str(item.pk) in client.get("/inbox/", {"q": text}).content.decode(), text
    for text in ("nobody", "ffffffffffff", "%", "0000-0000-"):
        assert f'id="row-{item.pk}"' not in client.get("/inbox/", {"q": text}).content.decode(), text


def test_like_items_stand_under_one_line_and_unfold_by_a_link() -> None:
    payment = make_payment()
    twins = more(payment, 3)
    odd = more(payment, 1, risk="low")[0]
    client = signed_in(payment.ada)
    page = client.get("/inbox/?group=like").content.decode()
    assert page.count('<li class="item') == 2
    assert "3 more like this" in page
    [key] = re.findall(r"group=([0-9a-f]{12})", page)
    unfolded = client.get(f"/inbox/?group={key}").content.decode()
    assert unfolded.count('<li class="item') == 4
    assert all(f'id="row-{twin.pk}"' in unfolded for twin in twins)
    assert f'id="row-{odd.pk}"' not in unfolded
    assert "Remove the filter" in unfolded


def test_an_unknown_group_is_empty_and_a_broken_one_is_ignored() -> None:
    payment = make_payment()
    client = signed_in(payment.ada)
    assert "No item fits this filter" in client.get("/inbox/?group=0123456789ab").content.decode()
    assert f'id="row-{payment.item.pk}"' in client.get("/inbox/?group=../x").content.decode()


def test_folding_costs_the_same_whatever_the_number(django_assert_max_num_queries: Any) -> None:
    payment = make_payment()
    client = signed_in(payment.ada)
    client.get("/inbox/?group=like")
    more(payment, 12)
    headers = {"HX-Request": "true", "HX-Target": "list"}
    with django_assert_max_num_queries(21 + 2):  # two say how the count is to be read
        client.get("/inbox/?group=like", headers=headers)


def test_alike_is_what_has_the_same_traits_in_the_order_of_the_list() -> None:
    traits = [
        Trait(1, "action", "pay", "bot", "p/large", "low"),  # type: ignore[arg-type] # any key will do
        Trait(2, "action", "pay", "bot", "p/large", "high"),  # type: ignore[arg-type] # as above
        Trait(3, "action", "pay", "bot", "p/large", "low"),  # type: ignore[arg-type] # as above
        Trait(4, "action", "pay", "other", "p/large", "low"),  # type: ignore[arg-type] # as above
    ]
    assert [like.ids for like in gathered(traits)] == [(1, 3), (2,), (4,)]
    assert len({like.key for like in gathered(traits)}) == 3
    assert asking_rule([{"effect": "allow"}, {"effect": "require_approval", "policy": "p", "rule": "r"}]) == "p/r"
    assert asking_rule(None) == ""


def test_filters_are_chips_that_take_themselves_away() -> None:
    payment = make_payment()
    page = (
        signed_in(payment.ada).get(f"/inbox/?view=team&queue={payment.queue.slug}&risk=medium&after=x").content.decode()
    )
    assert f'href="/inbox/?view=team&amp;queue={payment.queue.slug}"' in page
    assert 'href="/inbox/?view=team&amp;risk=medium"' in page
    assert f"Queue: {payment.queue.slug}" in page
    assert "Risk: Medium" in page


def options(page: str, name: str) -> list[str]:
    """What a select offers, as ``value: text``."""
    [body] = re.findall(rf'<select name="{name}"[^>]*>(.*?)</select>', page, re.DOTALL)
    return [f"{value}: {text}" for value, text in re.findall(r'<option value="([^"]*)"[^>]*>([^<]*)<', body)]


def test_queue_agent_and_workflow_are_picked_from_what_waits_for_this_person() -> None:
    payment, stranger = make_payment(), make_payment()
    more(payment, 2)
    step = make_escalation(queue=payment.queue, title="A step", workflow="expense-declaration", step="approve")
    client = signed_in(payment.ada)
    assert '<select name="queue"' not in client.get("/inbox/").content.decode()
    page = client.get("/inbox/?pick=1&risk=medium").content.decode()
    agent, queue = payment.item.agent, payment.queue
    assert agent is not None
    assert options(page, "queue") == [": Any queue", f"{queue.slug}: {queue.name} (4)"]
    assert options(page, "agent") == [": Any agent", f"{agent.slug}: {agent.name} (3)"]
    assert options(page, "workflow") == [": Any workflow", "expense-declaration: expense-declaration (1)"]
    assert stranger.queue.slug not in page
    picked = client.get("/inbox/?pick=1&workflow=expense-declaration").content.decode()
    assert f'id="row-{step.pk}"' in picked
    assert f'id="row-{payment.item.pk}"' not in picked
    assert len(options(picked, "agent")) == 2  # what is picked does not narrow what is offered
    assert "Workflow: expense-declaration" in picked


def test_choices_are_read_where_they_are_drawn_and_not_by_every_question_for_news() -> None:
    client = signed_in(make_payment().ada)

    def cost(target: str | None, pick: str) -> int:
        headers = {"HX-Request": "true", "HX-Target": target} if target else {}
        with CaptureQueriesContext(connection) as found:
            assert client.get(f"/inbox/?since=2020-01-01T00:00:00Z{pick}", headers=headers).status_code == 200
        return len(found)

    cost(None, "")
    more_of = [cost(target, "&pick=1") - cost(target, "") for target in (None, "list", "more", "arrivals")]
    assert more_of == [2, 2, 0, 0]


def test_what_was_picked_stays_picked_where_nothing_offers_it_and_is_kept_in_a_view() -> None:
    client = signed_in(make_payment().ada)
    page = client.get("/inbox/?pick=1&queue=long-gone").content.decode()
    assert '<option value="long-gone" selected>' in page
    answer = client.post("/inbox/views/?pick=1&queue=long-gone", {"name": "Gone"})
    assert answer["Location"] == "/inbox/?view=mine&queue=long-gone"


def test_offering_costs_two_queries_whatever_the_number_and_offers_no_thousands(
    monkeypatch: Any, django_assert_num_queries: Any
) -> None:
    payment = make_payment()
    more(payment, 6)
    steps = [f"flow-{number}" for number in range(4) for _ in range(number + 1)]
    for flow in steps:
        make_escalation(queue=payment.queue, title=flow, workflow=flow, step="approve")
    rows = inbox_for(payment.ada)
    rows.exists()  # who serves which queue is known
    with django_assert_num_queries(2):
        found = choices_for(payment.ada, rows)
    assert found.is_whole
    assert [(choice.slug, choice.n) for choice in found.workflow] == [(f"flow-{n}", n + 1) for n in range(4)]
    monkeypatch.setattr("apps.oversight.selectors.choices.MAX_OFFERED", 2)
    assert [choice.slug for choice in choices_for(payment.ada, rows).workflow] == ["flow-2", "flow-3"]
    monkeypatch.setattr("apps.oversight.selectors.choices.WINDOW", 5)
    assert not choices_for(payment.ada, rows).is_whole
    page = signed_in(payment.ada).get("/inbox/?pick=1").content.decode()
    assert f"{payment.queue.slug}: {payment.queue.name}" in options(page, "queue")  # no number that is not exact


def test_a_view_is_kept_listed_changed_and_deleted() -> None:
    payment = make_payment()
    client = signed_in(payment.ada)
    answer = client.post("/inbox/views/?view=team&risk=high&nonsense=1", {"name": "  Grave   ones "})
    assert answer["Location"] == "/inbox/?view=team&risk=high"
    page = client.get(answer["Location"]).content.decode()
    assert 'aria-current="true"><a href="/inbox/?view=team&amp;risk=high">' in page
    assert "Grave ones" in page
    client.post("/inbox/views/?risk=critical", {"name": "grave ONES"})
    kept = SavedView.objects.get()
    assert (kept.name, kept.query) == ("grave ONES", "view=mine&risk=critical")
    assert signed_in(payment.ben).post(f"/inbox/views/{kept.pk}/delete/").status_code == 404
    assert "grave ONES" not in signed_in(payment.ben).get("/inbox/").content.decode()
    assert client.post(f"/inbox/views/{kept.pk}/delete/?view=team")["Location"] == "/inbox/?view=team"
    assert not SavedView.objects.exists()


@pytest.mark.parametrize("name", ["", "   ", "x" * 41])
def test_a_view_without_a_fitting_name_is_refused_beside_the_field(name: str) -> None:
    payment = make_payment()
    with nothing_happens():
        answer = signed_in(payment.ada).post("/inbox/views/?risk=high", {"name": name})
    assert answer.status_code == 422
    assert '<details class="keep" open>' in answer.content.decode()
    assert 'id="id_name_error"' in answer.content.decode()
    assert not SavedView.objects.exists()


def test_twenty_views_are_enough() -> None:
    payment = make_payment()
    for number in range(20):
        save_view(payment.ada, name=f"View {number}", query="view=mine")
    with pytest.raises(ConflictError):
        save_view(payment.ada, name="One more", query="view=mine")
    save_view(payment.ada, name="view 3", query="view=team")
    answer = signed_in(payment.ada).post("/inbox/views/?risk=high", {"name": "One more"})
    assert answer.status_code == 422
    assert "delete one first" in answer.content.decode()


def fate_of(payment: Payment) -> Fate:
    return fates_for(payment.ada, [payment.item.pk])[payment.item.pk]


def decided(state: str = ActionState.APPROVED, **fields: Any) -> Payment:
    payment = make_payment(**fields)
    say(payment.ada, payment.item)
    Action.objects.filter(pk=payment.action.pk).update(state=state)
    return payment


def test_decisions_are_listed_in_the_order_in_which_they_were_made() -> None:
    payment = make_payment()
    parameters = payment.action.parameters
    items = [
        payment.item,
        *(escalate(propose(payment.agent, payment.operation, parameters), payment.operation) for _ in range(26)),
    ]
    items = [*items[5:], *items[:5]]
    for item in items:
        say(payment.ada, item)
    client, address, seen = signed_in(payment.ada), "/inbox/?view=decided", ""
    while address:
        page = client.get(address)
        seen += page.content.decode()
        address = page.context["page"].next_url
    places = [seen.index(f'id="row-{item.pk}"') for item in reversed(items)]
    assert places == sorted(places)
    assert seen.count('id="row-') == len(items)


def reviewed(payment: Payment, answer: Any) -> None:
    make_escalation(kind="review", queue=payment.queue, action=payment.action)
    Escalation.objects.filter(kind="review", action=payment.action).update(
        state="answered", answer=answer, decided_by=payment.ben, decided_at=payment.item.created_at,
        ended_at=payment.item.created_at,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "fate"),
    [
        (ActionState.APPROVED, Fate.WAITING),
        (ActionState.EXECUTING, Fate.UNDER_WAY),
        (ActionState.SUCCEEDED, Fate.CARRIED_OUT),
        (ActionState.FAILED, Fate.FAILED),
        (ActionState.UNKNOWN, Fate.UNKNOWN),
        (ActionState.COMPENSATED, Fate.REVERSED),
        (ActionState.EXPIRED, Fate.UNUSED),
    ],
)
def test_each_decision_says_what_became_of_it(state: str, fate: Fate) -> None:
    payment = decided(state)
    assert fate_of(payment) == fate
    rows = escalations_for(payment.ada)
    assert [name for name in Fate if rows.filter(condition_of(name)).exists()] == [fate]
    client = signed_in(payment.ada)
    assert f'id="row-{payment.item.pk}"' in client.get(f"/inbox/?view=decided&fate={fate}").content.decode()
    assert f'id="row-{payment.item.pk}"' not in client.get("/inbox/?view=decided&fate=open").content.decode()


@pytest.mark.parametrize(
    ("answer", "fate"),
    [("right", Fate.VERIFIED), ({"verdict": "harmful"}, Fate.OVERTURNED), ("wrong", Fate.OVERTURNED)],
)
def test_a_review_verifies_or_overturns(answer: Any, fate: Fate) -> None:
    payment = decided(ActionState.SUCCEEDED)
    reviewed(payment, answer)
    assert fate_of(payment) == fate


def test_a_grant_that_ran_out_was_never_used() -> None:
    payment = decided()
    Grant.objects.update(state="expired")
    assert fate_of(payment) == Fate.UNUSED


def test_what_was_rejected_did_not_run_and_a_vote_among_several_is_open() -> None:
    payment, two = make_payment(), make_payment(quorum=2)
    say(payment.ada, payment.item, verdict="reject", reason="No.")
    say(two.ada, two.item)
    assert fate_of(payment) == Fate.NOT_RUN
    assert fate_of(two) == Fate.OPEN
    assert ">Did not run</span>" in signed_in(payment.ada).get("/inbox/?view=decided").content.decode()


def test_a_step_that_was_approved_went_on() -> None:
    payment = make_payment()
    step = make_escalation(queue=payment.queue)
    say(payment.ada, step)
    assert fates_for(payment.ada, [step.pk])[step.pk] == Fate.WENT_ON
