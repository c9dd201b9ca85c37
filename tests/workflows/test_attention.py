"""Where operators begin: what fails, is late, is paused or waits, the gravest first."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from apps.oversight.models import Escalation
from apps.workflows.models import Run
from tests.factories.access import make_holder, make_unit
from tests.factories.workflows import make_run, make_workflow

pytestmark = pytest.mark.django_db
DOCUMENT: dict[str, Any] = {
    "slug": "order",
    "steps": {"approve": {"approval": {"subject": "input"}, "queue": "heads", "due": {"after": "1d"}}},
}


def client_of(*rights: str, **fields: Any) -> Client:
    client = Client()
    client.force_login(make_holder("workflows.view_run", *rights, **fields))
    return client


@pytest.fixture
def runs() -> dict[str, Run]:
    flow = make_workflow(DOCUMENT)
    found = {key: make_run(flow, key=key) for key in ("k-calm", "k-waits", "k-late", "k-fails", "k-paused")}
    past = datetime(2026, 1, 1, tzinfo=UTC)
    Run.objects.filter(key="k-calm").update(state="running")
    Run.objects.exclude(key="k-calm").update(state="waiting")
    Run.objects.filter(key__in=["k-late", "k-fails"]).update(overdue_at=past)
    Run.objects.filter(key="k-paused").update(state="paused")
    Escalation.objects.filter(run_id=found["k-fails"].pk).update(kind="exception")
    return found


def order_of(page: str, *keys: str) -> list[str]:
    return sorted((key for key in keys if f">{key}<" in page), key=lambda key: page.index(f">{key}<"))


def test_operators_begin_with_what_fails_then_what_is_late(runs):
    page = client_of("workflows.operate_run").get("/", follow=True)
    assert page.redirect_chain[-1][0] == "/runs/?state=attention"
    text = page.content.decode()
    assert order_of(text, *runs) == ["k-fails", "k-late", "k-paused", "k-waits"]
    for state, count in (("failing", 1), ("late", 1), ("paused", 1), ("waiting", 1)):
        assert f'?state={state}"><strong class="num">{count}</strong>' in text


@pytest.mark.parametrize(("state", "shown"), [("failing", ["k-fails"]), ("late", ["k-late"])])
def test_each_kind_is_a_list_of_its_own(runs, state, shown):
    text = client_of().get(f"/runs/?state={state}").content.decode()
    assert order_of(text, *runs) == shown


def test_only_units_of_the_reader_count(runs):
    text = client_of(unit=make_unit()).get("/runs/?state=attention").content.decode()
    assert "k-fails" not in text
    assert text.count('<strong class="num">0</strong>') == 4
    assert "Nothing needs you" in text
