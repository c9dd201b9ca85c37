"""A reason that is refused is told in a summary that takes the focus, leads to the field, and loses nothing typed."""

from collections.abc import Callable

import pytest
from django.test import Client
from lxml import html

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
