"""A workflow that begins from a log: a draft that its page shows, by who may publish there; or nothing at all."""

from typing import Any

import pytest
from django.test import Client

from apps.access.models import BusinessUnit, Queue
from apps.audit.models import Entry
from apps.core.errors import InvalidError, NotAllowedError
from apps.kpis.models import EventLog
from apps.kpis.services.logs import start_workflow
from apps.oversight.models import Escalation
from apps.workflows.models import Workflow, WorkflowVersion
from apps.workflows.rules.states import VersionState
from apps.workflows.services import publish_version, start_run
from tests.factories.access import make_admin, make_holder, make_queue, make_unit
from tests.factories.agents import make_agent
from tests.kpis.test_event_log_doors import flow, imported, signed_in

pytestmark = pytest.mark.django_db
MANY = "case_id,activity,complete\n" + "".join(
    f"c1,{name},2026-03-02T08:{n % 60:02}:{n // 60:02}Z\n"
    for n, name in enumerate(["Prüfen & freigeben", "9 x", "!", "?", "in", "Step 3", "step 3", "a: b # c", 'q" \\ {x}'])
)


def rows() -> tuple[int, int, int]:
    entries = Entry.objects.filter(name__startswith="workflow")
    return Workflow.objects.count(), WorkflowVersion.objects.count(), entries.count()


def told(unit: BusinessUnit, queue: Queue, more: dict[str, str] | None = None) -> dict[str, str]:
    return {"slug": "claims", "unit": unit.slug, "queue": queue.slug} | (more or {})


def sent(client: Client, log: EventLog, said: dict[str, str]) -> Any:
    return client.post(f"/dashboards/event-logs/{log.pk}/start/", said)


def test_a_draft_is_made_that_its_page_shows_and_the_ledger_tells_of() -> None:
    unit, admin = make_unit(), make_admin()
    queue, (log, _said) = make_queue(unit=unit), imported(admin)
    client = signed_in(admin)
    page = client.get(f"/dashboards/event-logs/{log.pk}/").content.decode()
    assert f'action="/dashboards/event-logs/{log.pk}/start/"' in page
    assert 'value="invoices-2026"' in page
    answer = sent(client, log, told(unit, queue))
    assert (answer.status_code, answer["Location"]) == (302, "/workflows/claims/")
    version = WorkflowVersion.objects.get()
    assert (version.state, version.made_by, version.workflow.unit) == (VersionState.DRAFT, admin, unit)
    assert [(entry.name, entry.actor) for entry in Entry.objects.order_by("-id")[:2]] == [
        ("workflowversion.drafted", admin),
        ("workflow.created", admin),
    ]
    shown = client.get("/workflows/claims/").content.decode()
    for text in ("Begun as a draft", "Submit", "Check", "Pay", queue.slug):
        assert text in shown, text
    assert Workflow.objects.get().active is None


def test_it_can_be_published_and_run_by_people() -> None:
    unit, admin = make_unit(), make_admin()
    log, _said = imported(admin, MANY)
    queue = make_queue(unit=unit)
    version = start_workflow(admin, log=log, slug="claims", unit=unit, queue=queue.slug)
    publish_version(admin, version=version)
    start_run(admin, workflow="claims", input={})
    assert Escalation.objects.get().groups.get().queue == queue


def test_whoever_may_publish_in_a_unit_alone_chooses_among_its_own() -> None:
    here, there = make_unit(), make_unit()
    queue, (log, _said) = make_queue(unit=here), imported(make_admin())
    person = make_holder("workflows.publish_workflow", "kpis.view_kpi", unit=here)
    client = signed_in(person)
    form = client.get(f"/dashboards/event-logs/{log.pk}/").context["form"]
    assert (list(form.fields["unit"].queryset), form["unit"].value()) == ([here], here.slug)
    before = rows()
    assert sent(client, log, told(there, queue)).status_code == 422
    with pytest.raises(NotAllowedError):
        start_workflow(person, log=log, slug="claims", unit=there, queue=queue.slug)
    assert rows() == before
    assert sent(client, log, told(here, queue)).status_code == 302


def test_a_log_of_a_workflow_begins_in_its_unit() -> None:
    make_unit()
    unit, admin = make_unit(), make_admin()
    log, _said = imported(admin, workflow=flow(unit).slug)
    form = signed_in(admin).get(f"/dashboards/event-logs/{log.pk}/").context["form"]
    assert form["unit"].value() == unit.slug


def test_who_may_publish_nothing_gets_the_document_alone() -> None:
    unit, (log, _said) = make_unit(), imported(make_admin())
    viewer = make_holder("kpis.view_kpi")
    client, before = signed_in(viewer), rows()
    page = client.get(f"/dashboards/event-logs/{log.pk}/").content.decode()
    assert "draft.yaml" in page
    assert "/start/" not in page
    assert sent(client, log, told(unit, make_queue(unit=unit))).status_code == 403
    agent = make_agent().user
    with pytest.raises(NotAllowedError):
        start_workflow(agent, log=log, slug="claims", unit=unit, queue="x")
    assert rows() == before


def test_who_may_not_see_the_log_begins_nothing_from_it() -> None:
    there, unit = make_unit(), make_unit()
    log, _said = imported(make_admin(), workflow=flow(there).slug)
    stranger = make_holder("workflows.publish_workflow", "kpis.view_kpi", unit=unit)
    queue = make_queue(unit=unit)
    before = rows()
    assert sent(signed_in(stranger), log, told(unit, queue)).status_code == 404
    assert rows() == before


@pytest.mark.parametrize(
    ("said", "field", "words"),
    [
        ({"slug": "taken"}, "slug", "There is a workflow of this name already"),
        ({"slug": "goals"}, "slug", "A page of the house has this name"),
        ({"slug": "No Slug"}, "slug", "Small letters, digits and dashes only"),
        ({"slug": "a" * 64}, "slug", "at most 63"),
        ({"slug": ""}, "slug", ""),
        ({"unit": "nowhere"}, "unit", ""),
        ({"queue": "nowhere"}, "queue", ""),
    ],
)
def test_what_does_not_fit_is_said_beside_its_field_and_changes_nothing(
    said: dict[str, str], field: str, words: str
) -> None:
    unit, admin = make_unit(), make_admin()
    queue, (log, _said) = make_queue(unit=unit), imported(admin)
    flow(unit)
    Workflow.objects.update(slug="taken")
    before = rows()
    answer = sent(signed_in(admin), log, told(unit, queue, said))
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert words in answer.content.decode()
    assert rows() == before


def test_two_of_one_name_at_once_are_one_draft() -> None:
    unit, admin = make_unit(), make_admin()
    queue, (log, _said) = make_queue(unit=unit), imported(admin)
    start_workflow(admin, log=log, slug="claims", unit=unit, queue=queue.slug)
    before = rows()
    assert sent(signed_in(admin), log, told(unit, queue)).status_code == 422
    assert rows() == before


def test_a_log_without_anything_in_it_begins_nothing() -> None:
    unit, admin = make_unit(), make_admin()
    log, _said = imported(admin)
    log.figures["map"]["variants"] = []
    before = rows()
    with pytest.raises(InvalidError, match="Nothing happened in this log"):
        start_workflow(admin, log=log, slug="claims", unit=unit, queue=make_queue(unit=unit).slug)
    assert rows() == before


def test_another_s_queue_that_is_not_near_is_not_taken() -> None:
    here, there = make_unit(), make_unit()
    log, _said = imported(make_admin())
    person = make_holder("workflows.publish_workflow", "kpis.view_kpi", unit=here)
    before = rows()
    with pytest.raises(InvalidError) as caught:
        start_workflow(person, log=log, slug="claims", unit=here, queue=make_queue(unit=there).slug)
    assert list(caught.value.errors) == ["queue"]
    assert Workflow.objects.count() == before[0]
