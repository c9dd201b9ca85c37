"""Links that are only opened, clocks, hostile words."""

import json
import re
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tests.core.test_agent_text import assert_inert
from tests.factories.oversight import make_payment
from tests.oversight.edge_cases.census import only
from tests.oversight.edge_cases.doors import Person
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
