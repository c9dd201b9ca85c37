"""Links that are only opened, clocks, hostile words."""

import json
import re
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.access.models import Queue
from apps.notifications.models import Delivery
from apps.notifications.rules import RETRY_AFTER_S
from apps.notifications.tasks import send_messages
from apps.oversight.tasks import sweep_escalations
from tests.core.test_agent_text import assert_inert
from tests.factories.access import make_approver, make_queue
from tests.factories.oversight import make_payment
from tests.notifications.conftest import closed_port as closed_port
from tests.notifications.conftest import later, tell
from tests.notifications.conftest import no_mail as no_mail
from tests.oversight.edge_cases.census import only
from tests.oversight.edge_cases.doors import Person, make_reachable_desk
from tests.oversight.edge_cases.test_rows_01_to_07 import APPROVED
from tests.oversight.hostile_corpus import CORPUS, FORGED
from tests.workflows.actions import make_desk, the_item


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
