"""Pages of runs and workflows: who sees them, and what they say."""

from pathlib import Path

import pytest
from django.test import Client

from apps.core.models import User
from apps.workflows.models import Run, Workflow
from tests.factories.access import make_admin, make_holder, make_user
from tests.factories.workflows import make_run, make_workflow

pytestmark = pytest.mark.django_db
DOCUMENT = (Path(__file__).parent / "purchase_order.yaml").read_text()
REQUEST = {"request_id": "R-1", "vendor_id": "V", "suppliers": ["a", "b"], "requester": "x@y.z", "cost_center": "it"}


@pytest.fixture
def workflow() -> Workflow:
    return make_workflow(DOCUMENT)


@pytest.fixture
def run(workflow: Workflow) -> Run:
    return make_run(workflow, REQUEST)


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def olga() -> Client:
    return client_of(make_holder("workflows.view_run", "workflows.operate_run", "workflows.publish_workflow"))


@pytest.mark.parametrize("tab", ["graph", "timeline", "trace", "data", "story"])
def test_a_run_shows_what_it_waits_for_in_every_tab(olga: Client, run: Run, tab: str) -> None:
    page = olga.get(f"/runs/{run.pk}/?tab={tab}&step=validate_vendor")
    assert page.status_code == 200
    text = page.content.decode()
    assert "an agent with the capability vendor.validate" in text
    assert "po:R-1" in text


def test_the_drawing_marks_the_open_step_and_names_outcomes(olga: Client, run: Run) -> None:
    text = olga.get(f"/runs/{run.pk}/").content.decode()
    assert text.count('rx="8"') == 8
    assert 'class="now"' in text
    assert ">invalid<" in text


def test_runs_are_found_by_state_workflow_and_key(olga: Client, run: Run) -> None:
    assert str(run.pk) in olga.get("/runs/?state=running&workflow=purchase-order&q=po:").content.decode()
    assert str(run.pk) not in olga.get("/runs/?state=failed").content.decode()
    assert "No run fits" in olga.get("/runs/?q=zz").content.decode()


def test_a_stranger_sees_no_run_and_no_workflow(run: Run) -> None:
    stranger = client_of(make_user())
    assert stranger.get(f"/runs/{run.pk}/").status_code == 404
    assert str(run.pk) not in stranger.get("/runs/").content.decode()
    assert stranger.get("/workflows/purchase-order/").status_code == 404
    assert stranger.post(f"/runs/{run.pk}/cancel/", {"reason": "x"}).status_code == 404
    assert Run.objects.get().state == "running"


def test_whoever_only_looks_cannot_intervene(run: Run) -> None:
    looker = client_of(make_holder("workflows.view_run"))
    assert "Intervene" not in looker.get(f"/runs/{run.pk}/").content.decode()
    assert looker.post(f"/runs/{run.pk}/pause/", {"reason": "x"}).status_code == 403
    assert Run.objects.get().state == "running"


def test_an_operator_pauses_resumes_and_cancels_with_a_reason(olga: Client, run: Run) -> None:
    assert olga.post(f"/runs/{run.pk}/pause/", {}).status_code == 422
    assert Run.objects.get().state == "running"
    assert olga.post(f"/runs/{run.pk}/pause/", {"reason": "Look first."}).status_code == 302
    assert Run.objects.get().state == "paused"
    assert "somebody to resume it" in olga.get(f"/runs/{run.pk}/").content.decode()
    assert olga.post(f"/runs/{run.pk}/resume/", {"reason": "Fine."}).status_code == 302
    assert olga.post(f"/runs/{run.pk}/cancel/", {"reason": "Enough.", "compensate": "on"}).status_code == 302
    assert Run.objects.get().state == "cancelled"


def test_a_workflow_shows_its_drawing_steps_and_document(olga: Client, run: Run) -> None:
    text = olga.get("/workflows/purchase-order/").content.decode()
    assert "Reserve budget" in text
    assert "a capability, not a named agent" in text  # the text is kept as it was written
    assert "purchase-order" in olga.get("/workflows/").content.decode()


def test_an_open_run_keeps_the_version_with_which_it_began(run: Run) -> None:
    make_workflow(DOCUMENT.replace("name: Purchase order", "name: Purchase order two"))
    admin, said = client_of(make_admin()), {"version": 1, "reason": "Worse."}
    assert admin.post("/workflows/purchase-order/rollback/", said).status_code == 302
    make_workflow(DOCUMENT.replace("name: Purchase order", "name: Purchase order three"))
    run.refresh_from_db()
    assert (run.version.number, run.state in {"running", "waiting"}) == (1, True)
    newest = make_run(run.workflow, REQUEST | {"request_id": "R-2"})
    assert newest.version.number == 3


def test_a_version_is_rolled_back_with_a_reason(olga: Client, workflow: Workflow) -> None:
    make_workflow(DOCUMENT.replace("name: Purchase order", "name: Purchase order two"))
    assert "Roll back" in olga.get("/workflows/purchase-order/?version=1").content.decode()
    assert olga.post("/workflows/purchase-order/rollback/", {"version": 1}).status_code == 422
    looker = client_of(make_holder("workflows.view_run"))
    assert looker.post("/workflows/purchase-order/rollback/", {"version": 1, "reason": "x"}).status_code == 403
    workflow.refresh_from_db()
    assert workflow.active is not None
    assert workflow.active.number == 2
