"""What an action asked for beside what people made of it, what went wrong in words, and who decided in the ledger."""

import html
from typing import Any

import pytest
from django.test import Client

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.core.models import User
from tests.factories.access import make_admin
from tests.factories.oversight import say
from tests.workflows.actions import Desk, make_desk, the_action, the_item, work

pytestmark = pytest.mark.django_db
TOLD = '{"error": {"code": "mismatch", "message": "The amount is not the invoice\'s."}}'


def page_of(person: User, address: str) -> str:
    client = Client()
    client.force_login(person)
    answer = client.get(address)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def edited(desk: Desk) -> Action:
    desk.ask(250_000)
    say(desk.approver, the_item(), parameters={**the_action().parameters, "amount_minor": 180_000})
    return the_action()


def test_what_was_asked_stands_beside_what_a_person_made_of_it() -> None:
    desk = make_desk()
    action = edited(desk)
    page = page_of(make_admin(), f"/actions/{action.pk}/")
    assert '<span class="badge warn">Edited</span>' in page
    assert f"{desk.approver} changed what was asked for. It asked for 2,500.00 EUR." in page
    assert "<del>250000</del>" in page
    assert "<ins>180000</ins>" in page
    assert "As it asked" in page


def test_what_nobody_edited_is_not_called_so() -> None:
    make_desk().ask(250_000)
    page = page_of(make_admin(), f"/actions/{the_action().pk}/")
    assert "Edited" not in page
    assert "As it asked" not in page


@pytest.mark.parametrize(
    ("message", "shown", "folded"),
    [
        (TOLD, "The system said no. It answered 422. “The amount is not the invoice's.”", True),
        ("no such invoice", "The system said no. It answered 422. “no such invoice”", False),
        ('{"errors": [', "The system said no. It answered 422. <code", True),
    ],
)
def test_what_failed_was_to_be_done_and_the_reason_is_in_words(message: str, shown: str, folded: bool) -> None:
    make_desk().ask(50_000)
    error: dict[str, Any] = {"code": "refused_by_system", "message": message, "status": 422}
    Action.objects.update(state="failed", error=error)
    page = page_of(make_admin(), f"/actions/{the_action().pk}/")
    assert "What it was to do" in page
    assert "What it does" not in page
    assert shown in " ".join(page.split())
    assert ("<details><summary" in page and "What it answered, whole" in page) is folded


def test_the_ledger_says_which_rule_decided_and_who_asked() -> None:
    desk = make_desk()
    desk.ask(50_000)
    boss = make_admin()
    said = f'Rule small of {desk.policy.slug}, <span class="muted">asked by</span>'
    assert said in page_of(boss, "/audit/?name=action.approved")
    entry = Entry.objects.get(name="action.approved")
    page = page_of(boss, f"/audit/{entry.pk}/")
    assert f"<dt>Decided by</dt><dd>Rule small of {desk.policy.slug}</dd><dt>Asked by</dt>" in page
    assert f"Action approved · Rule small of {desk.policy.slug} · " in page.partition("The whole trail")[2]


def test_what_no_rule_allows_and_what_a_rule_denies_name_the_policy() -> None:
    desk = make_desk()
    desk.ask(20_000_000)
    assert f"Rule huge of {desk.policy.slug}" in page_of(make_admin(), "/audit/?name=action.denied")


def test_what_a_person_approved_is_no_rule_s() -> None:
    desk = make_desk()
    desk.ask(250_000)
    boss = make_admin()
    assert f"Rule large of {desk.policy.slug}" in page_of(boss, "/audit/?name=action.pending_approval")
    say(desk.approver, the_item())
    work()
    assert "Rule " not in page_of(boss, "/audit/?name=action.approved")
