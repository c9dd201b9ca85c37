"""The inbox over HTTP: who sees it, what each answer holds, what a refusal leaves as it was."""

import html
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F
from django.test import Client

from apps.audit.services import record
from apps.core.models import User
from apps.core.reasons import sentence_of
from apps.core.services import system_user
from apps.oversight.models import Escalation
from tests.factories.access import grant, make_holder, make_role, make_user
from tests.factories.oversight import (
    PAYMENT,
    Payment,
    escalate,
    make_escalation,
    make_payment,
    nothing_happens,
    propose,
    say,
)

pytestmark = pytest.mark.django_db
FRAGMENT = {"HX-Request": "true", "HX-Target": "detail"}


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def decide(person: User, item: Escalation, *, fragment: bool = True, query: str = "", **typed: Any) -> Any:
    form = {
        "verdict": "approve",
        "version": item.version,
        "view_hash": item.view_hash(),
        "shown": str(item.pk),
        **typed,
    }
    return signed_in(person).post(f"/inbox/{item.pk}/decision/{query}", form, headers=FRAGMENT if fragment else {})


def test_strangers_are_sent_to_the_door_and_others_told_what_they_lack() -> None:
    payment = make_payment()
    assert Client().get("/inbox/")["Location"].startswith("/accounts/login/?next=/inbox/")
    assert signed_in(make_holder("kpis.view_kpi")).get("/inbox/").status_code == 403
    assert signed_in(make_holder("oversight.view_escalation")).get(f"/inbox/{payment.item.pk}/").status_code == 200


def test_an_item_of_another_unit_is_not_there() -> None:
    payment, other = make_payment(), make_payment()
    client = signed_in(other.ada)
    with nothing_happens():
        assert client.get(f"/inbox/{payment.item.pk}/").status_code == 404
        assert decide(other.ada, payment.item).status_code == 404
        assert client.post(f"/inbox/{payment.item.pk}/comment/", {"text": "x"}).status_code == 404
        assert client.post(f"/inbox/{payment.item.pk}/claim/").status_code == 404


def test_a_get_never_decides() -> None:
    payment = make_payment()
    with nothing_happens():
        assert signed_in(payment.ada).get(f"/inbox/{payment.item.pk}/decision/?verdict=approve").status_code == 405


def test_the_fragment_and_the_page_live_at_one_address() -> None:
    payment = make_payment()
    client = signed_in(payment.ada)
    page = client.get(f"/inbox/{payment.item.pk}/")
    part = client.get(f"/inbox/{payment.item.pk}/", headers=FRAGMENT)
    assert "HX-Request" in page["Vary"]
    assert b"<html" in page.content
    assert b"<html" not in part.content
    assert len(part.content) < 45_000
    assert page["Cache-Control"] == "no-store"


def test_what_people_said_is_read_on_the_page_by_those_who_come_after() -> None:
    waiting, rejected = make_payment(quorum=2), make_payment()
    say(waiting.ada, waiting.item, "approve", reason="looks right")
    say(rejected.ada, rejected.item, "reject", reason="wrong vendor")
    for payment, words in ((waiting, "looks right"), (rejected, "wrong vendor")):
        payment.ben = payment.approver()
        client = signed_in(payment.ben)
        client.post(f"/inbox/{payment.item.pk}/comment/", {"text": "I called them"})
        for address in (f"/inbox/{payment.item.pk}/", "/inbox/?view=team"):
            for headers in ({}, FRAGMENT):
                assert client.get(address, headers=headers).status_code == 200
        page = client.get(f"/inbox/{payment.item.pk}/").content.decode()
        assert f"“{words}”" in page
        assert "I called them" in page


def test_the_list_costs_the_same_whatever_its_length(django_assert_max_num_queries: Any) -> None:
    payment = make_payment()
    for number in range(12):
        make_escalation(queue=payment.queue, title=f"Approve {number}")
        escalate(propose(payment.agent, payment.operation, PAYMENT), payment.operation)
    client = signed_in(payment.ada)
    client.get("/inbox/")
    switches = 2  # how the list is to be read, and back
    with django_assert_max_num_queries(30 + switches):
        assert client.get("/inbox/").status_code == 200
    with django_assert_max_num_queries(11 + switches):
        client.get("/inbox/", headers={"HX-Request": "true", "HX-Target": "list"})


@pytest.mark.parametrize("address", ["/inbox/", "/inbox/?view=team", "/inbox/?risk=low", "/policies/"])
def test_the_menu_counts_what_waits_whatever_the_list_shows(address: str) -> None:
    payment = make_payment()
    for _ in range(27):
        make_escalation(queue=payment.queue, risk="high")
    grant(payment.ada, make_role("policies.view_policy"), payment.unit)
    page = signed_in(payment.ada).get(address).content.decode()
    assert ">28<span" in page.split('href="/inbox/"')[1].split("</a>")[0]


def test_pages_follow_each_other_without_gap_or_repeat() -> None:
    payment = make_payment()
    wanted = {str(make_escalation(queue=payment.queue).pk) for _ in range(29)} | {str(payment.item.pk)}
    client, found, url = signed_in(payment.ada), [], "/inbox/"
    while url:
        page = client.get(url, headers={"HX-Request": "true", "HX-Target": "more"}).context["page"]
        found += [str(row.pk) for row in page.rows]
        url = page.next_url
    assert len(found) == len(set(found)) == 30
    assert set(found) == wanted


def test_an_approval_answers_with_the_next_item_the_row_and_the_count() -> None:
    payment = make_payment()
    following = make_escalation(queue=payment.queue, title="The next one")
    answer = decide(payment.ada, payment.item)
    assert answer.status_code == 200
    assert answer["HX-Push-Url"] == f"/inbox/{following.pk}/"
    html = answer.content.decode()
    assert "The next one" in html
    assert f'id="row-{payment.item.pk}" hx-swap-oob="true"' in html
    assert 'id="inbox-count"' in html
    assert payment.now().state == "approved"


def test_without_htmx_a_decision_redirects_and_keeps_the_filters() -> None:
    payment = make_payment()
    answer = decide(payment.ada, payment.item, fragment=False, query="?view=team&risk=medium")
    assert (answer.status_code, answer["Location"]) == (302, "/inbox/?view=team&risk=medium")


def test_the_loser_gets_409_with_the_name_of_the_winner_and_changes_nothing() -> None:
    payment = make_payment()
    say(payment.ben, payment.item)
    with nothing_happens():
        answer = decide(payment.ada, payment.item, verdict="reject", reason="Too late, I know.")
    assert answer.status_code == 409
    html = answer.content.decode()
    assert str(payment.ben) in html
    assert "Too late, I know." in html
    page = decide(payment.ada, payment.item, fragment=False)
    assert page.status_code == 409
    assert b"<html" in page.content


def test_deciding_twice_says_that_one_decided_already() -> None:
    payment = make_payment()
    decide(payment.ada, payment.item)
    with nothing_happens():
        answer = decide(payment.ada, payment.item)
    assert answer.status_code == 409
    assert b"You decided this already." in answer.content


def test_a_stale_view_is_refused_and_what_was_typed_stays() -> None:
    payment = make_payment()
    with nothing_happens():
        answer = decide(payment.ada, payment.item, version=7, verdict="reject", reason="As I said.")
    assert answer.status_code == 409
    assert b"It changed while you looked." in answer.content
    assert b"As I said." in answer.content


@pytest.mark.parametrize(
    "typed",
    [
        {"verdict": "reject"},
        {"verdict": "everything"},
        {"version": "one"},
        {"verdict": "answer", "a-value": "42"},
        {"edit": "1", "p-amount_minor": "12.505", "p-currency": "EUR", "p-iban": "DE0017"},
        {"edit": "1", "p-amount_minor": "990000", "p-currency": "EUR", "p-iban": "DE0017"},
        {"edit": "1", "p-amount_minor": "0", "p-currency": "EUR", "p-iban": "DE0017"},
        {"edit": "1", "p-amount_minor": "2500.00", "p-currency": "EURO", "p-iban": "DE0017"},
        {"edit": "1", "p-amount_minor": "2500.00", "p-currency": "JPY", "p-iban": "DE0017"},
    ],
)
def test_what_does_not_fit_is_422_and_changes_nothing(typed: dict[str, str]) -> None:
    payment = make_payment()
    with nothing_happens():
        assert decide(payment.ada, payment.item, **typed).status_code == 422


def test_the_gravest_tier_sends_to_the_password_and_back() -> None:
    payment = make_payment(risk="critical")
    with nothing_happens():
        answer = decide(payment.ada, payment.item, restated="2,500.00")
    assert answer["HX-Redirect"].startswith("/accounts/reauthenticate/?next=%2Finbox%2F")
    with nothing_happens():
        assert decide(payment.ada, payment.item, fragment=False).status_code == 302


def test_who_may_not_decide_gets_no_buttons_and_a_refusal_without_effect() -> None:
    payment = make_payment()
    viewer = make_holder("oversight.view_escalation", unit=payment.unit)
    html = signed_in(viewer).get(f"/inbox/{payment.item.pk}/").content.decode()
    assert 'name="verdict"' not in html
    assert "do not include deciding" in html
    with nothing_happens():
        assert decide(viewer, payment.item).status_code == 409


def test_a_comment_is_kept_and_an_empty_one_refused() -> None:
    payment = make_payment()
    client = signed_in(payment.ada)
    with nothing_happens():
        assert client.post(f"/inbox/{payment.item.pk}/comment/", {"text": " "}).status_code == 422
    assert client.post(f"/inbox/{payment.item.pk}/comment/", {"text": "Why so much?"}).status_code == 302
    assert "Why so much?" in client.get(f"/inbox/{payment.item.pk}/").content.decode()


def test_the_agent_can_be_asked_from_where_else_one_looks_for_it() -> None:
    payment = make_payment()
    more = signed_in(payment.ada).get(f"/inbox/{payment.item.pk}/?decide=more", headers=FRAGMENT).content.decode()
    assert '<a class="btn small" href="#id_text">' in more
    assert 'id="id_text"' in more
    assert 'name="ask" value="1"' in more


def test_the_timeline_speaks_as_people_do() -> None:
    payment = make_payment()
    for name in ("escalation.unseen", "escalation.escalated", "escalation.due_soon"):
        with transaction.atomic():
            record(system_user("plane"), payment.item, name)
    page = signed_in(payment.ada).get(f"/inbox/{payment.item.pk}/").content.decode()
    assert all(f"<strong>{word}</strong>" in page for word in ("Nobody had opened it", "Due soon"))
    assert "<strong>Brought to the next level</strong>" in page


def test_where_it_is_due_when_it_ends_that_is_said_once() -> None:
    payment = make_payment()
    Escalation.objects.filter(pk=payment.item.pk).update(due_at=F("expires_at"))
    page = signed_in(payment.ada).get(f"/inbox/{payment.item.pk}/").content.decode()
    assert ": then it ends and will not run" in page
    assert ": then it will not run" not in page


def test_a_held_decision_is_taken_back_by_who_made_it_alone() -> None:
    payment = make_payment(obligations={"hold": "60s"})
    decide(payment.ada, payment.item)
    assert payment.now().state == "held"
    with nothing_happens():
        assert signed_in(payment.ben).post(f"/inbox/{payment.item.pk}/undo/").status_code == 409
    assert signed_in(payment.ada).post(f"/inbox/{payment.item.pk}/undo/").status_code == 302
    assert payment.now().state == "pending"


def test_what_is_taken_back_waits_again_in_the_list_too() -> None:
    payment = make_payment(obligations={"hold": "60s"})
    held = decide(payment.ada, payment.item).content.decode()
    assert held.count('hx-include="#rows"') > 0
    other = escalate(propose(payment.agent, payment.operation, PAYMENT), payment.operation)
    address = {"HX-Current-URL": f"http://testserver/inbox/{other.pk}/?view=mine"}
    answer = signed_in(payment.ada).post(
        f"/inbox/{payment.item.pk}/undo/?view=mine",
        {"shown": [str(payment.item.pk), str(other.pk)]},
        headers={**FRAGMENT, **address},
    )
    page = answer.content.decode()
    assert f'<li class="item" id="row-{other.pk}" hx-swap-oob="true">' in page
    assert page.count('aria-current="true"') == 1, "of what was open before the mark goes"
    assert answer["HX-Push-Url"] == f"/inbox/{payment.item.pk}/?view=mine"
    assert f'<li class="item" id="row-{payment.item.pk}" hx-swap-oob="true">' in page
    assert 'aria-current="true"' in page
    assert "Taken back. It waits again." in page


def test_a_claim_is_seen_by_others_and_let_go_of() -> None:
    payment = make_payment()
    client = signed_in(payment.ada)
    client.post(f"/inbox/{payment.item.pk}/claim/")
    assert "looks at it" in signed_in(payment.ben).get(f"/inbox/{payment.item.pk}/").content.decode()
    client.post(f"/inbox/{payment.item.pk}/release/")
    assert payment.now().claimed_by is None


def arrivals(payment: Payment, **shown: Any) -> Any:
    headers = {"HX-Request": "true", "HX-Target": "arrivals"}
    return signed_in(payment.ada).get("/inbox/", shown, headers=headers)


def test_arrivals_name_what_is_new_and_what_ended_and_nothing_else() -> None:
    payment = make_payment()
    quiet = arrivals(payment, shown=str(payment.item.pk), since="2020-01-01T00:00:00+00:00")
    assert b"new" not in quiet.content.split(b"<span")[0]
    make_escalation(queue=payment.queue, risk="high")
    loud = arrivals(
        payment, shown=str(payment.item.pk), since="2020-01-01T00:00:00+00:00", selected=str(payment.item.pk)
    )
    assert b"1 new, 1 high risk" in loud.content
    assert b'id="decision"' not in loud.content
    say(payment.ben, payment.item)
    ended = arrivals(payment, shown=str(payment.item.pk), selected=str(payment.item.pk))
    assert f'id="row-{payment.item.pk}"'.encode() in ended.content
    assert b'id="decision" hx-swap-oob="true"' in ended.content


def test_nonsense_in_the_address_opens_the_inbox_all_the_same() -> None:
    payment = make_payment()
    client = signed_in(payment.ada)
    for query in ("after=forged", "risk=purple&view=none", "selected=x&shown=y", "agent=%E2%80%AE", "decide=destroy"):
        assert client.get(f"/inbox/?{query}").status_code == 200


def test_agents_words_are_inert_and_labelled() -> None:
    payment = make_payment(reasoning="<script>alert(1)</script> Pre-approved by the **CFO**.")
    html = signed_in(payment.ada).get(f"/inbox/{payment.item.pk}/").content.decode()
    assert "<script>alert" not in html
    assert "Written by an agent, not verified" in html
    assert html.index("If you approve") < html.index("Agent says")


def test_a_fragment_of_an_ended_session_sends_the_page_to_the_door() -> None:
    payment = make_payment()
    headers = {**FRAGMENT, "HX-Current-URL": f"http://testserver/inbox/{payment.item.pk}/?view=team"}
    answer = Client().get(f"/inbox/{payment.item.pk}/", headers=headers)
    assert answer.status_code == 401
    assert answer["HX-Redirect"] == f"/accounts/login/?next=%2Finbox%2F{payment.item.pk}%2F%3Fview%3Dteam"


@pytest.mark.parametrize("target", ["arrivals", "bell", "presence"])
def test_parts_that_ask_by_themselves_never_take_the_page_away(target: str) -> None:
    payment = make_payment()
    answer = Client().post(f"/inbox/{payment.item.pk}/presence/", headers={**FRAGMENT, "HX-Target": target})
    assert (answer.status_code, "HX-Redirect" in answer) == (401, False)


def test_somebody_without_any_role_is_told_so() -> None:
    answer = signed_in(make_user()).get("/inbox/")
    assert answer.status_code == 403
    assert b"You may not do this" in answer.content


@pytest.mark.parametrize("word", ["policy", "expired", "edited", "halted"])
def test_what_a_person_wrote_stays_their_word_even_if_the_plane_has_the_same(word: str) -> None:
    payment = make_payment()
    decide(payment.ada, payment.item, verdict="reject", reason=word)
    page = html.unescape(signed_in(payment.ada).get(f"/inbox/{payment.item.pk}/", headers=FRAGMENT).content.decode())
    assert f"“{word}”" in page
    assert sentence_of(word) not in page


def test_all_that_is_shown_is_selected_with_one_link_without_script() -> None:
    payment = make_payment()
    more = [make_escalation(queue=payment.queue) for _ in range(27)]
    client = signed_in(payment.ada)
    page = client.get("/inbox/?view=mine&risk=").content.decode()
    assert 'Select <span class="vh">these</span> 25' in page
    assert "checked" not in page.split('id="rows"')[1].split('id="bulk"')[0]
    href = html.unescape(page.split("data-pick-all")[1].split('href="')[1].split('"')[0])
    ticked = client.get(href).content.decode()
    rows = ticked.split('id="rows"')[1].split('id="bulk"')[0]
    assert rows.count('form="bulk" checked') == 25
    following = html.unescape(rows.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0])
    rest = client.get(following).content.decode().split('id="rows"')[1].split('id="bulk"')[0]
    assert (rest.count('form="bulk"'), rest.count("checked")) == (len(more) + 1 - 25, 0)
    assert "ticked" not in rows.split('class="row-link"')[0].rsplit("href=", 1)[1]
    assert "data-pick-all" not in client.get("/inbox/?view=decided").content.decode()


def test_the_line_of_the_cost_ends_with_what_it_says() -> None:
    payment = make_payment()
    waits = signed_in(payment.ada).get(f"/inbox/{payment.item.pk}/").content.decode()
    assert "2,500.00 EUR · asked" in waits
    say(payment.ada, payment.item)
    ended = signed_in(payment.ada).get(f"/inbox/{payment.item.pk}/").content.decode()
    assert "<span>2,500.00 EUR</span></summary>" in ended
