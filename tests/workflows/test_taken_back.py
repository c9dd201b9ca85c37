"""What a step did and a run took back is not shown as standing, wherever the step's state is."""

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.agents.models import Action
from apps.workflows.models import Run
from apps.workflows.services import cancel_run
from tests.factories.access import make_admin
from tests.factories.workflows import carry_out, make_run, make_workflow, waiting_action

pytestmark = pytest.mark.django_db

UNDOING = {
    "steps": {
        "a": {"operation": "lab.one", "compensate": {"operation": "lab.undo", "with": {"id": "steps.a.id"}}},
        "b": {"needs": ["a"], "agent": "lab.do", "on_error": {"then": "fail"}},
    }
}
SHOWN = {
    "graph": "<title>A: System · taken back</title>",
    "timeline": '<span class="badge ring">Taken back</span>',
    "data": "What this step did was taken back.",
}


def done_run() -> Run:
    run = make_run(make_workflow(UNDOING), {})
    carry_out(waiting_action(run, "a"), {"state": "registered", "id": "A-1"})
    return run


def cancelled_run() -> Run:
    run = done_run()
    cancel_run(make_admin(), run_id=run.pk, reason="Enough.")
    carry_out(Action.objects.get(purpose="compensate"), {})
    return run


def page_of(run: Run, tab: str, step: str = "") -> str:
    client = Client()
    client.force_login(make_admin())
    return client.get(f"/runs/{run.pk}/?tab={tab}&step={step}").content.decode()


def step_in_api(run: Run, name: str) -> dict[str, object]:
    client = APIClient()
    client.force_authenticate(make_admin())
    answer = client.get(f"/api/v1/runs/{run.pk}/").json()
    return next(step for step in answer["steps"] if step["name"] == name)


@pytest.mark.parametrize("tab", SHOWN)
def test_every_view_says_taken_back_and_none_says_done(tab: str) -> None:
    run = cancelled_run()
    for page in (page_of(run, tab), page_of(run, tab, "a")):
        assert SHOWN[tab] in page
        assert ">Done<" not in page
        assert ", Done" not in page


def test_its_own_panel_says_so_beside_what_was_answered_then() -> None:
    panel = page_of(cancelled_run(), "graph", "a").partition('id="step"')[2].partition("</section>")[0]
    assert '<span class="badge ring">Taken back</span>' in panel
    assert "What this step did was taken back." in panel
    assert "registered" in panel


@pytest.mark.parametrize("tab", SHOWN)
def test_what_stands_is_not_said_to_be_taken_back(tab: str) -> None:
    page = page_of(done_run(), tab, "a").lower()
    assert "registered" in page
    assert "taken back</" not in page
    assert "was taken back" not in page


def test_one_of_two_effects_taken_back_is_taken_back_in_part() -> None:
    run = cancelled_run()
    first = Action.objects.get(operation="lab.one")
    first.pk, first.state = None, "succeeded"
    first._state.adding = True
    first.save()
    assert "System · taken back in part" in page_of(run, "graph")
    assert '<span class="badge warn sq">Taken back in part</span>' in page_of(run, "data", "a")
    assert "the rest stands" in page_of(run, "data")
    assert step_in_api(run, "a")["taken_back"] == "partly"


def test_the_api_says_how_much_was_taken_back() -> None:
    run = cancelled_run()
    step = step_in_api(run, "a")
    assert (step["state"], step["taken_back"]) == ("done", "wholly")
    assert step_in_api(run, "b")["taken_back"] is None


def test_the_api_says_nothing_of_what_stands() -> None:
    assert step_in_api(done_run(), "a")["taken_back"] is None
