"""What the pages of runs lead to and ask again: addresses that answer, and the actions of this run alone."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from apps.workflows.models import Run
from tests.factories.access import make_admin
from tests.factories.workflows import make_run, make_workflow

pytestmark = pytest.mark.django_db

LAB = {"steps": {"a": {"operation": "lab.one"}, "b": {"needs": ["a"], "operation": "lab.two"}}}
ASKED_AGAIN = re.compile(r'hx-get="([^"]+)"')


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(make_admin())
    return client


@pytest.fixture
def run() -> Run:
    return make_run(make_workflow(LAB), {})


def led_to(page: str, own: str) -> set[str]:
    """What the page asks again, and where its links lead, as a browser at ``own`` understands them."""
    main = page.partition('<main id="main"')[2].partition("</main>")[0]
    found = {*ASKED_AGAIN.findall(main), *re.findall(r'href="([^"#]+)', main)}
    return {own + address if address.startswith("?") else address for address in found}


@pytest.mark.parametrize("move", ["cancel", "pause", "resume"])
def test_after_a_refused_form_the_page_asks_and_leads_to_what_answers(admin: Client, run: Run, move: str) -> None:
    own = f"/runs/{run.pk}/{move}/"
    refused = admin.post(own, {"reason": ""})
    assert refused.status_code == 422
    page = refused.content.decode()
    assert f'hx-get="/runs/{run.pk}/"' in page
    addresses = led_to(page.replace("&amp;", "&"), own)
    assert len([one for one in addresses if one.startswith(f"/runs/{run.pk}/?tab=")]) >= 5
    assert [one for one in addresses if admin.get(one).status_code == 405] == []


def test_a_page_that_was_asked_for_is_renewed_as_it_was_asked_for(admin: Client, run: Run) -> None:
    page = admin.get(f"/runs/{run.pk}/?tab=data&step=a").content.decode()
    assert f'hx-get="/runs/{run.pk}/?tab=data&amp;step=a"' in page


def test_after_a_refused_rollback_the_links_of_a_workflow_lead_to_what_answers(admin: Client, run: Run) -> None:
    own = f"/workflows/{run.workflow.slug}/rollback/"
    refused = admin.post(own, {"version": "1", "reason": ""})
    assert refused.status_code == 422
    addresses = led_to(refused.content.decode().replace("&amp;", "&"), own)
    assert [one for one in addresses if admin.get(one).status_code == 405] == []


def test_no_live_part_asks_the_address_to_which_a_form_was_sent() -> None:
    templates = Path(settings.BASE_DIR) / "templates"
    wrong = [path.name for path in templates.rglob("*.html") if 'hx-get="{{ request.' in path.read_text()]
    assert wrong == [], "include core/_renewed_at.html"


def test_a_run_leads_to_its_own_actions(admin: Client, run: Run) -> None:
    other = make_run(run.workflow, {})
    assert f'href="/actions/?run={run.pk}"' in admin.get(f"/runs/{run.pk}/").content.decode()
    listed = admin.get(f"/actions/?run={run.pk}")
    assert {action.run_id for action in listed.context["actions"]} == {run.pk}
    assert f'value="{run.pk}"' in listed.content.decode()
    assert other.pk in {action.run_id for action in admin.get("/actions/").context["actions"]}


@pytest.mark.parametrize("value", ["x", "' or 1=1 --", "<script>", "0190f0a0-0000-7000-8000-000000000000", "0" * 5000])
def test_what_names_no_run_finds_no_action(admin: Client, run: Run, value: str) -> None:
    answer = admin.get("/actions/", {"run": value})
    assert answer.status_code == 200
    assert list(answer.context["actions"]) == []
    assert "No action fits" in answer.content.decode()
    assert "<script>" not in answer.content.decode().partition('<main id="main"')[2]
