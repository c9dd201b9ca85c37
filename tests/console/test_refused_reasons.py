"""A reason that is refused is told in a summary that takes the focus, leads to the field, and loses nothing typed."""

from collections.abc import Callable

import pytest
from django.test import Client
from lxml import html

from apps.audit.models import Entry
from apps.halts.models import Halt
from apps.halts.services import engage_halt
from tests.console import offers
from tests.console.test_destructive_acts import forms_to
from tests.factories.access import make_admin

pytestmark = pytest.mark.django_db


def halted() -> tuple[Client, str]:
    engage_halt(make_admin(), scope="everything", target="", unit=None, reason="The bank answers twice.")
    return offers.signed_in(), "/halts/"


@pytest.mark.parametrize("typed", ["", "x" * 501])
@pytest.mark.parametrize(
    ("scene", "route"),
    [
        (halted, "halts/<uuid:halt_id>/lift/"),
        (offers.flags, "flags/<uuid:flag_id>/dismiss/"),
        (offers.tool_findings, "tool-findings/<uuid:finding_id>/dismiss/"),
    ],
)
def test_it_is_summed_up_and_kept(scene: Callable[[], tuple[Client, str]], route: str, typed: str):
    client, path = scene()
    (form,) = forms_to(html.fromstring(client.get(path).content), path, route)
    answer = client.post(form.get("action"), {"reason": typed})
    assert answer.status_code == 422
    page = html.fromstring(answer.content)
    (summary,) = page.xpath("//div[@class='summary' and @role='alert' and @tabindex='-1']")
    (link,) = summary.xpath(".//a/@href")
    (field,) = page.xpath(f"//*[@id='{link.removeprefix('#')}']")
    assert field.get("value") == typed
    assert not Halt.objects.filter(lifted_at__isnull=False).exists()


@pytest.mark.parametrize(
    ("scene", "route", "wrong"),
    [
        (offers.item("?decide=more"), "inbox/<uuid:escalation_id>/comment/", {"text": "x" * 5000}),
        (offers.item("?decide=more"), "inbox/<uuid:escalation_id>/delegate/", {"to": "", "reason": "Please."}),
        (offers.item("?decide=more"), "inbox/<uuid:escalation_id>/extend/", {"by_s": "3600", "reason": ""}),
        (offers.item("?decide=more"), "inbox/<uuid:escalation_id>/extend/", {"by_s": "7", "reason": "More time."}),
        (
            offers.item("?decide=more"),
            "inbox/<uuid:escalation_id>/reassign/",
            {"to": "nobody-here", "reason": "Theirs."},
        ),
        (offers.item("?decide=snooze"), "inbox/<uuid:escalation_id>/snooze/", {"until": "never"}),
        (offers.access_requests, "access/requests/<uuid:request_id>/refuse/", {"reason": "x" * 501}),
        (
            offers.policy(rest="?version=1", versions=3),
            "policies/<slug:slug>/roll-back/",
            {"version": "1", "reason": ""},
        ),
        (offers.workflow, "workflows/<slug:slug>/rollback/", {"version": "1", "reason": "x" * 2001}),
        (offers.at("/settings/"), "settings/", {"hold_s": "1000000"}),
        (offers.budget, "budgets/<slug:slug>/end/", {"reason": ""}),
        (offers.budget, "budgets/<slug:slug>/end/", {"reason": "x" * 501}),
        (offers.budget_change, "budgets/<slug:slug>/changes/<uuid:change_id>/decline/", {"reason": ""}),
        (offers.breaker, "breakers/<slug:slug>/end/", {"reason": ""}),
        (offers.breaker_change, "breakers/<slug:slug>/changes/<uuid:change_id>/decline/", {"reason": ""}),
        (offers.breaker_change, "breakers/<slug:slug>/changes/<uuid:change_id>/decline/", {"reason": "x" * 501}),
        (offers.waiver(approved=False), "waivers/<uuid:waiver_id>/decline/", {"reason": ""}),
        (offers.waiver(approved=True), "waivers/<uuid:waiver_id>/end/", {"reason": "x" * 501}),
        (offers.policy(rest="?version=2", retiring=True), "policies/<slug:slug>/decline/", {"reason": ""}),
        (offers.policy(rest="?version=2", retiring=True), "policies/<slug:slug>/decline/", {"reason": "x" * 501}),
        (
            offers.connector,
            "connectors/<slug:slug>/operations/<str:operation>/state/",
            {"state": "disabled", "reason": ""},
        ),
    ],
)
def test_other_forms_sum_up_what_is_wrong_and_change_nothing(
    scene: Callable[[], tuple[Client, str]], route: str, wrong: dict[str, str]
):
    client, path = scene()
    (form, *_others) = forms_to(html.fromstring(client.get(path).content), path, route)
    entries = Entry.objects.exclude(name="request.refused").count()
    answer = client.post(form.get("action"), dict(form.form_values()) | wrong)
    assert answer.status_code == 422
    page = html.fromstring(answer.content)
    (summary,) = page.xpath("//div[@class='summary' and @role='alert' and @tabindex='-1']")
    for link in summary.xpath(".//a/@href"):
        assert page.xpath(f"//*[@id='{link.removeprefix('#')}']"), link
    typed = [text for name, text in wrong.items() if name in {"reason", "text"} and text]
    assert all(text in answer.content.decode() for text in typed)
    assert Entry.objects.exclude(name="request.refused").count() == entries


def test_what_may_not_be_told_together_is_summed_up():
    client, path = offers.bulk()
    answer = client.post(path.split("?")[0], {"verdict": "reject", "ids": path.rsplit("=", 1)[1], "v": ""})
    page = html.fromstring(answer.content)
    assert len(page.xpath("//div[@class='summary' and @role='alert' and @tabindex='-1']")) == 1
