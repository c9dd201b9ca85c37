"""The small forms below an item, the list's bar, and the pages of a job: over HTTP, with and without htmx."""

from typing import Any

import pytest

from apps.halts.models import Halt
from apps.oversight.models import DecidingHabit, Delegation, Escalation, Job, Snooze
from apps.oversight.services import perform_due_items
from tests.factories.access import grant, make_approver, make_holder, make_queue, make_role
from tests.factories.oversight import escalate, make_escalation, make_payment, nothing_happens, propose, say
from tests.oversight.test_bulk import many, states
from tests.oversight.test_views import FRAGMENT, decide, signed_in

pytestmark = pytest.mark.django_db


def do(person: Any, item: Escalation, name: str, *, fragment: bool = True, **typed: Any) -> Any:
    headers = FRAGMENT if fragment else {}
    return signed_in(person).post(f"/inbox/{item.pk}/{name}/", typed, headers=headers)


def test_an_item_is_put_aside_by_a_button_and_taken_up_again() -> None:
    payment = make_payment()
    client = signed_in(payment.ada)
    assert do(payment.ada, payment.item, "snooze", fragment=False, for_s="900").status_code == 302
    assert Snooze.objects.count() == 1
    assert payment.item.title.encode() not in client.get("/inbox/").content
    assert payment.item.title.encode() in client.get("/inbox/?view=snoozed").content
    assert do(payment.ada, payment.item, "snooze", for_s="900", until="2999-01-01T10:00").status_code == 200
    assert do(payment.ada, payment.item, "snooze", for_s="0").status_code == 200
    assert not Snooze.objects.exists()


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("snooze", {}, "Say until when."),
        ("snooze", {"until": "2020-01-01T10:00"}, "Name a time to come."),
        ("snooze", {"until": "2999-01-01T10:00"}, "after its deadline"),
        ("snooze", {"until": "soon"}, "valid date"),
        ("delegate", {"to": "nobody", "reason": "My words."}, "Nobody of this name may decide it."),
        ("delegate", {}, "Name somebody."),
        ("reassign", {"queue": "none", "reason": "My words."}, "There is no such queue."),
        ("reassign", {"queue": "none"}, "Say why."),
        ("extend", {"by_s": "7", "reason": "My words."}, "valid choice"),
        ("extend", {"by_s": "3600"}, "Say why."),
        ("escalate", {}, "Say why."),
    ],
)
def test_what_does_not_fit_is_told_at_its_field_and_changes_nothing(name: str, typed: Any, said: str) -> None:
    payment = make_payment()
    payment.queue.escalation = [{"after_s": 60, "to": make_queue().slug}]
    payment.queue.save(update_fields=["escalation"])
    with nothing_happens():
        part = do(payment.ada, payment.item, name, **typed)
        page = do(payment.ada, payment.item, name, fragment=False, **typed)
    assert (part.status_code, page.status_code) == (422, 422)
    for answer in (part, page):
        assert said in answer.content.decode()
    if "reason" in typed:
        assert "My words." in part.content.decode()


def test_more_offers_what_one_may_and_nothing_else() -> None:
    payment = make_payment()
    there = make_queue(unit=payment.unit, role=payment.queue.role)
    other = make_queue(unit=payment.unit)
    viewer = make_holder("oversight.view_escalation", unit=payment.unit)
    html = signed_in(payment.ada).get(f"/inbox/{payment.item.pk}/?decide=more").content.decode()
    assert str(payment.ben) in html
    assert there.name in html
    assert other.name not in html
    assert "Halt the agent" not in html
    assert "Escalate now" not in html
    assert 'data-panel-of="more"' not in signed_in(viewer).get(f"/inbox/{payment.item.pk}/").content.decode()
    mover = make_approver(make_queue(unit=payment.unit))
    html = signed_in(mover).get(f"/inbox/{payment.item.pk}/?decide=more").content.decode()
    assert "Reassign" in html
    assert "Delegate" not in html


def test_an_item_is_handed_on_given_and_extended_by_its_forms() -> None:
    payment = make_payment()
    assert (
        do(payment.ada, payment.item, "delegate", to=payment.ben.username, reason="Back on Monday.").status_code == 200
    )
    assert Delegation.objects.get().reason == "Back on Monday."
    assert do(payment.ben, payment.item, "extend", by_s="3600", reason="They are closed.").status_code == 200
    there = make_queue(unit=payment.unit, role=payment.queue.role)
    assert (
        do(payment.ben, payment.item, "reassign", fragment=False, queue=there.slug, reason="Theirs.").status_code == 302
    )
    assert [group.queue for group in payment.now().group_list()] == [there]


def test_a_move_on_what_ended_says_who_decided_it() -> None:
    payment = make_payment()
    say(payment.ben, payment.item)
    with nothing_happens():
        answer = do(payment.ada, payment.item, "extend", by_s="3600", reason="More.")
    assert answer.status_code == 409
    assert str(payment.ben) in answer.content.decode()


def test_a_question_is_asked_by_the_second_button() -> None:
    payment = make_payment()
    assert do(payment.ada, payment.item, "comment", text="Which contract?", ask="1").status_code == 200
    assert payment.now().sla_paused_at is not None
    html = signed_in(payment.ada).get(f"/inbox/{payment.item.pk}/").content.decode()
    assert "The agent was asked" in html
    assert "Question to the agent" in html
    step = make_escalation(queue=payment.queue)
    with nothing_happens():
        assert do(payment.ada, step, "comment", text="Who?", ask="1").status_code == 422


def test_the_agent_is_halted_from_the_item_in_two_actions_without_a_script() -> None:
    payment = make_payment()
    grant(payment.ada, make_role("halts.engage_halt"), payment.unit)
    client, url = signed_in(payment.ada), f"/inbox/{payment.item.pk}/"
    html = client.get(f"{url}?decide=more").content.decode()
    assert f'value="agent:{payment.agent.slug}"' in html
    typed = {"what": f"agent:{payment.agent.slug}", "reason": "Seen here.", "next": url}
    answer = client.post("/halts/engage/", typed)
    assert (answer.status_code, answer["Location"]) == (302, url)
    assert Halt.objects.get().target == payment.agent.slug
    for evil in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
        answer = client.post("/halts/engage/", {"what": f"workflow:{evil}", "reason": "x", "next": evil})
        assert "evil" not in answer.get("Location", "")


def test_a_held_decision_says_so_and_can_be_undone_from_where_one_is() -> None:
    payment = make_payment()
    make_escalation(queue=payment.queue, title="The next one")
    DecidingHabit.objects.create(person=payment.ada, hold_s=20)
    html = decide(payment.ada, payment.item).content.decode()
    assert "Approved, releases in 20 s: Pay an invoice · 2,500.00 EUR · DE0017" in html
    assert f"/inbox/{payment.item.pk}/undo/" in html
    assert 'data-stay="20"' in html
    assert do(payment.ada, payment.item, "undo").status_code == 200
    answer = decide(payment.ada, payment.item, fragment=False)
    assert answer["Location"] == f"/inbox/{payment.item.pk}/"
    assert f"/inbox/{payment.item.pk}/undo/" in signed_in(payment.ada).get(answer["Location"]).content.decode()


def test_the_hold_is_set_among_the_settings() -> None:
    payment = make_payment()
    client = signed_in(payment.ada)
    assert client.post("/settings/", {"hold_s": "20"}).status_code == 302
    assert 'value="20"' in client.get("/settings/").content.decode()
    for odd in ("61", "-1", "", "x", "1e9"):
        assert client.post("/settings/", {"hold_s": odd}).status_code == 422
    assert DecidingHabit.objects.get().hold_s == 20


def test_an_item_that_was_asked_again_is_linked_both_ways_with_its_difference() -> None:
    payment = make_payment()
    say(payment.ada, payment.item, "request_changes", reason="Half of it.")
    again = propose(payment.agent, payment.operation, {**payment.action.parameters, "amount_minor": 125_000})
    item = escalate(again, payment.operation, supersedes=payment.action)
    client = signed_in(payment.ada)
    old, new = (client.get(f"/inbox/{pk}/").content.decode() for pk in (payment.item.pk, item.pk))
    assert f'Replaced by <a href="/inbox/{item.pk}/"' in old
    assert f'href="/inbox/{payment.item.pk}/"' in new
    assert "250,000" in new or "250000" in new


def test_a_rejection_may_say_when_to_try_again() -> None:
    payment = make_payment()
    decide(payment.ada, payment.item, verdict="reject", reason_code="too_risky", retry="in_a_day")
    assert payment.now().retry.startswith("after:")


# Many at once


def test_the_page_lists_what_would_be_decided_with_its_total_and_decides_nothing() -> None:
    payment, items = many(amounts=[250_000, 260_000, 240_000, 9_000_000])
    client = signed_in(payment.ada)
    with nothing_happens():
        page = client.get("/inbox/bulk/", {"verdict": "approve", "ids": [str(item.pk) for item in items]})
    html = page.content.decode()
    assert "Approve 3 items?" in html
    assert "7,500.00 EUR" in html
    assert "stands out" in html
    typed = {"verdict": "approve", "ids": [str(item.pk) for item in items]}
    typed |= {f"v-{item.pk}": item.version for item in items}
    answer = client.post("/inbox/bulk/", typed)
    job = Job.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/jobs/{job.pk}/")
    assert 'hx-trigger="every 2s"' in client.get(answer["Location"]).content.decode()
    while perform_due_items():
        pass
    html = client.get(answer["Location"], headers={"HX-Request": "true"}).content.decode()
    assert "every 2s" not in html
    assert "4 of 4" in html
    assert "Left out" in html
    assert states(items) == ["approved"] * 3 + ["pending"]
    assert signed_in(payment.ben).get(answer["Location"]).status_code == 404


def test_rejecting_many_without_a_reason_is_told_at_the_field() -> None:
    payment, items = many(2)
    with nothing_happens():
        answer = signed_in(payment.ada).post(
            "/inbox/bulk/", {"verdict": "reject", "ids": [str(item.pk) for item in items]}
        )
    assert answer.status_code == 422
    assert "Say why." in answer.content.decode()
    assert not Job.objects.exists()


def test_nonsense_among_the_ticks_is_an_empty_page_and_too_many_are_refused() -> None:
    payment = make_payment()
    client = signed_in(payment.ada)
    for query in (
        "",
        "?ids=x&verdict=approve",
        "?verdict=%2e&ids=%2e",
        f"?ids={make_payment().item.pk}&verdict=reject",
    ):
        assert "Nothing here can be told that" in client.get(f"/inbox/bulk/{query}").content.decode()
    ids = "&".join(f"ids={number:032x}" for number in range(201))
    assert "At most 200" in client.get(f"/inbox/bulk/?verdict=approve&{ids}").content.decode()
    assert client.post("/inbox/bulk/", {"verdict": "eat", "ids": [str(payment.item.pk)]}).status_code == 422


def test_an_unlike_choice_is_told_before_anything_is_sent() -> None:
    payment, items = many(1)
    items.append(make_escalation(queue=payment.queue, risk="low"))
    html = signed_in(payment.ada).get("/inbox/bulk/", {"verdict": "approve", "ids": [str(item.pk) for item in items]})
    assert "These are not approved together." in html.content.decode()


def test_who_holds_nothing_sees_no_bulk_page() -> None:
    assert signed_in(make_holder("kpis.view_kpi")).get("/inbox/bulk/").status_code == 403
