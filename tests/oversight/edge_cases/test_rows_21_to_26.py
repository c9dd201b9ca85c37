"""Links that are only opened, clocks, hostile words, words that have to go."""

import json
import re
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.access.models import Queue
from apps.audit.models import Entry
from apps.audit.rules import leaf_of
from apps.audit.selectors import proof_for
from apps.core.services import system_user
from apps.notifications.models import Delivery
from apps.notifications.rules import RETRY_AFTER_S
from apps.notifications.tasks import send_messages
from apps.oversight.models import ViewSnapshot
from apps.oversight.services import perform_due_items
from apps.oversight.tasks import sweep_escalations
from tests.core.test_agent_text import assert_inert
from tests.factories.access import make_admin, make_approver, make_queue
from tests.factories.oversight import make_payment
from tests.factories.policies import make_rule
from tests.notifications.conftest import closed_port as closed_port
from tests.notifications.conftest import later, tell
from tests.notifications.conftest import no_mail as no_mail
from tests.oversight.edge_cases.census import only
from tests.oversight.edge_cases.doors import Person, make_reachable_desk
from tests.oversight.edge_cases.test_rows_01_to_07 import APPROVED
from tests.oversight.hostile_corpus import CORPUS, FORGED
from tests.workflows.actions import make_desk, rules_of, the_item, work


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_row_21_a_scanner_that_opens_every_link_decides_nothing(method: str) -> None:
    payment = make_payment()
    ada = Person(payment.ada)
    item = f"/inbox/{payment.item.pk}/"
    asks = ["", "?verdict=approve", "?panel=approve", "?panel=reject", "decision/?verdict=approve&version=1"]
    acts = ["claim/", "release/", "comment/?text=x", "undo/"]
    with only(*(["+1 escalationview"] if method == "get" else [])):  # that the page was open; nothing else
        for link in [*asks, *acts]:
            answer = getattr(ada.pages, method)(f"{item}{link}")
            assert answer.status_code == (200 if method == "get" and link in asks[:-1] else 405), link
            getattr(ada.api, method)(f"/api/v1/escalations/{payment.item.pk}/{link}")
    assert payment.now().state == "pending"


@pytest.mark.django_db
def test_row_21_with_mail_and_chat_down_the_item_is_there_and_goes_up_before_its_time(
    no_mail: None, closed_port: int
) -> None:
    desk = make_reachable_desk(f"http://127.0.0.1:{closed_port}")
    heads = make_queue(slug="heads", unit=desk.queue.unit)
    Queue.objects.filter(pk=desk.queue.pk).update(escalation=[{"after_s": 3000, "to": "heads"}])
    asked = desk.ask(250_000)
    item = the_item()
    assert (asked.status_code, asked.json()["escalation"]["id"]) == (202, str(item.pk))
    tell()
    for _ in RETRY_AFTER_S:
        later()
        send_messages()
    rows = Delivery.objects.filter(notice__escalation=item, channel__in=["email", "chat"])
    assert {(row.channel, row.state) for row in rows} == {("email", "failed"), ("chat", "failed")}
    assert {row.outcome.partition(" (")[0] for row in rows} == {
        "The mail server gives no answer", f"127.0.0.1:{closed_port} cannot be reached",
    }  # fmt: skip
    with only("+1 entry escalation.escalated"):
        assert sweep_escalations() == 1
    item.refresh_from_db()
    assert [group.queue for group in item.group_list()] == [heads]
    head = Person(make_approver(heads))
    page = head.page(f"/inbox/{item.pk}/")
    assert "failed for 1" in page
    assert "Nobody could be reached." in page
    with only(*APPROVED):
        decided = head.decide(item, version=item.version, restated="2,500.00")
    assert decided.json()["state"] == "approved"


@pytest.mark.django_db
def test_row_22_instants_are_utc_in_the_database_and_carry_their_offset_outside() -> None:
    payment = make_payment()
    ada = Person(payment.ada)
    with only("+1 escalationview"):
        detail = ada.get(f"/escalations/{payment.item.pk}/").json()
        page = ada.page(f"/inbox/{payment.item.pk}/")
    for name in ("created_at", "due_at", "expires_at"):
        moment = datetime.fromisoformat(detail[name])
        assert moment.utcoffset() == timedelta(0), name
        assert moment == getattr(payment.item, name)
    with connection.cursor() as cursor:
        cursor.execute("SHOW timezone")
        assert cursor.fetchone()[0] == "UTC"
    assert f'datetime="{payment.item.due_at.isoformat()}" title="{payment.item.due_at:%Y-%m-%d %H:%M:%S} UTC"' in page
    assert re.search(r'data-now="[^"]+\+00:00"', page), "the page counts from the server's now"


@pytest.mark.django_db
def test_row_22_a_deadline_is_computed_and_judged_by_the_database_not_by_whoever_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    payment = make_payment()
    ada = Person(payment.ada)
    monkeypatch.setattr(timezone, "now", lambda: payment.item.expires_at + timedelta(days=1))
    assert ada.decide(payment.item).json()["state"] == "approved"


WORDS = re.compile(r'<div class="agent-words" hx-disable>(.*?)</div>\s*</div></details>', re.DOTALL)


@pytest.mark.django_db
@pytest.mark.parametrize("words", FORGED.values(), ids=FORGED)
def test_row_25_forged_words_are_inert_labelled_and_below_the_facts(words: str) -> None:
    desk = make_desk()
    ada = Person(desk.approver)
    desk.ask(250_000, goal=words, reasoning=words, alternatives=[words], sources=[{"title": words}])
    item = the_item()
    with only("+1 escalationview"):
        page = ada.page(f"/inbox/{item.pk}/")
    said = WORDS.search(page)
    assert said
    assert "Written by an agent, not verified" in said[1]
    assert page.index("Will pay 2,500.00 EUR to DE0017.") < page.index('id="parameters"') < said.start()
    inside = re.sub(r"</?(?:div|span|h4|ul|li|p)(?: class=\"[a-z ]+\")?>", "", said[1])
    assert_inert(inside)
    assert ada.get(f"/escalations/{item.pk}/").json()["consequence"] == "Will pay 2,500.00 EUR to DE0017."


@pytest.mark.django_db
def test_row_25_no_text_grows_without_bound_and_none_holds_a_null() -> None:
    desk = make_desk()
    with only("+2 entry request.refused"):
        too_long = desk.ask(250_000, goal=CORPUS["200 KB"])
        null = desk.post("actions/", json.dumps(desk.body(250_000, goal="a\x00b")), key="null")
    assert (too_long.status_code, list(too_long.json()["errors"])) == (422, ["goal"])
    assert (null.status_code, null.json()["code"]) == (422, "invalid")


CANARY = "Bond, 7 Cliff Road"


def places_of(words: str) -> set[str]:
    """The tables in which these words stand, in any column."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        found = set()
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT EXISTS (SELECT FROM "{table}" AS r WHERE r::text LIKE %s)', [f"%{words}%"])
            found |= {table} if cursor.fetchone()[0] else set()
    return found


@pytest.mark.django_db
def test_row_26_words_and_parameters_go_while_digests_decisions_and_proofs_stay() -> None:
    desk = make_desk(execution="agent")
    ada, dora = Person(desk.approver), Person(make_admin(username="dora"))
    words = {
        "goal": CANARY,
        "reasoning": CANARY,
        "sources": [{"title": CANARY}],
        "evidence": [{"title": CANARY, "text": CANARY}],
    }
    asked = desk.ask(250_000, execution="agent", parameters={"iban": CANARY}, **words).json()
    item = the_item()
    ada.post(f"/escalations/{item.pk}/comment/", {"text": CANARY})
    trail = f"/audit/trails/{asked['id']}/erase/"
    with only("+1 entry request.refused"):
        early = dora.post(trail, {"reason": "She asked us to."})
    assert (early.status_code, early.json()["code"]) == (409, "invalid_state")
    seen = ada.get(f"/escalations/{item.pk}/").json()["view_hash"]
    assert ada.decide(item, view_hash=seen, reason=CANARY, restated="2500.00").status_code == 200
    assert desk.post(f"actions/{asked['id']}/consume/", {"digest": asked["digest"]}).status_code == 200
    desk.post(f"actions/{asked['id']}/outcome/", {"succeeded": True, "result": {"to": CANARY}})
    work()
    assert {"agents_action", "audit_payload", "core_idempotencykey", "oversight_comment", "oversight_viewsnapshot"} <= (
        places_of(CANARY)
    )
    was = ada.get(f"/escalations/{item.pk}/").json()
    emil = Person(make_admin(username="emil"))
    with only("+1 entry erasure.requested", "+1 erasurerequest"):
        assert emil.post(trail, {"reason": "She asked us to."}).status_code == 202
    written = Entry.objects.filter(trail_id=asked["id"]).count()
    leaves = {entry.pk: leaf_of(entry) for entry in Entry.objects.all()}

    with only("+1 entry payloads.erased", f"+{written} erasure"):
        answer = dora.post(f"{trail}agree/", {})
    assert (answer.status_code, answer.json()["payloads"], answer.json()["items"]) == (200, written, 1)
    assert places_of(CANARY) == set()

    now = ada.get(f"/escalations/{item.pk}/").json()
    for name in (
        "state",
        "version",
        "digest",
        "decided_by",
        "decided_at",
        "risk",
        "quorum",
        "created_at",
        "amount_minor",
    ):
        assert now[name] == was[name], name
    assert (now["erased"]["by"], now["parameters"], now["reason"]) == ("dora", {}, "")
    vote, before = now["votes"][0], was["votes"][0]
    assert {**vote, "seen": None} == {**before, "seen": None}
    assert vote["seen"] is None
    assert {entry.pk: leaf_of(entry) for entry in Entry.objects.filter(pk__in=leaves)} == leaves
    assert proof_for(system_user("console")).mismatches == ()
    with only("+1 entry request.refused"):
        again = dora.post(trail, {"reason": "Once more."})
    assert (again.status_code, again.json()["code"]) == (409, "invalid_state")

    erased = answer.json()["entry"]
    told = dora.get(f"/audit/entries/?trail={asked['id']}").json()["results"]
    assert [entry["payload"] is None for entry in told] == [entry["id"] != erased for entry in told]
    assert {entry["erased"]["entry"] for entry in told if entry["erased"]} == {erased}
    action = f"/actions/{asked['id']}/"
    for path in (
        f"/inbox/{item.pk}/",
        action,
        f"/audit/?trail={asked['id']}",
        f"/audit/{told[-1]['id']}/",
        f"/audit/{erased}/",
    ):
        assert "erased" in dora.page(path).lower(), path
    assert desk.get(f"actions/{asked['id']}/").json()["erased"]["by"] == "dora"
    assert "was erased" in ada.page(f"/inbox/{item.pk}/seen/{vote['id']}/")


@pytest.mark.django_db
def test_row_26_what_an_edit_a_comment_and_a_bulk_decision_left_behind_goes_too() -> None:
    desk = make_desk()
    large = make_rule(slug="large", effect="require_approval", queue=desk.queue.slug, when="action.amount_minor > 1000")
    board = {**large, "slug": "board", "when": "action.amount_minor > 1000000", "obligations": {"quorum": 2}}
    rules_of(desk, large, board)
    ada, ben, dora = Person(desk.approver), Person(make_approver(desk.queue)), Person(make_admin(username="dora"))
    parameters = {"iban": CANARY, "currency": "EUR"}
    asked = desk.ask(250_000, parameters=parameters).json()
    item = the_item()
    said = desk.post(f"actions/{asked['id']}/comments/", {"text": CANARY}, key="said")
    assert said.status_code == 201
    seen = ada.get(f"/escalations/{item.pk}/").json()["view_hash"]
    edit = {"parameters": {**parameters, "amount_minor": 2_000_000}, "view_hash": seen, "restated": "20000.00"}
    assert ada.decide(item, **edit).json()["state"] == "pending"
    assert places_of(CANARY) >= {"core_idempotencykey", "oversight_comment"}
    assert not ViewSnapshot.objects.exists(), "no vote was cast on it"
    body = {"verdict": "reject", "ids": [str(item.pk)], "reason": CANARY}
    job = ben.post("/escalations/bulk/", body, **{"Idempotency-Key": "bulk"}).json()["id"]
    trail = f"/audit/trails/{asked['id']}/erase/"
    work()
    assert dora.post(trail, {"reason": "She asked us to."}).status_code == 409
    assert perform_due_items() == 1
    work()
    assert "oversight_job" in places_of(CANARY)
    assert dora.post(trail, {"reason": "She asked us to."}).status_code == 202
    assert Person(make_admin()).post(f"{trail}agree/", {}).status_code == 200
    assert places_of(CANARY) == set()
    assert desk.post(f"actions/{asked['id']}/comments/", {"text": CANARY}, key="said").json() == {
        "id": said.json()["id"]
    }
    entries = Entry.objects.filter(trail_id=job).order_by("id")
    assert [entry.name for entry in entries] == ["job.running", "job.done", "payloads.erased"]
    assert entries[0].payload["items"] == [str(item.pk)]
    assert proof_for(system_user("console")).mismatches == ()
