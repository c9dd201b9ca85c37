"""The dashboards one gets to: what runs stands in front, what does not behind it."""

import re

import pytest
from django.test import Client

from apps.kpis.rules.facts import Facts
from apps.kpis.selectors.places import workflows_seen_for
from apps.kpis.services import write_facts
from apps.workflows.models import Workflow
from tests.factories.access import make_holder, make_unit
from tests.factories.kpis import make_run
from tests.factories.workflows import make_workflow

pytestmark = pytest.mark.django_db
STEPS = {"steps": {"check": {"agent": "order.check"}}}


def chips(html: str, label: str) -> list[str]:
    return re.findall(
        r'<a class="chip"[^>]*>([^<]*)</a>', html.partition(f'aria-label="{label}"')[2].partition("</nav>")[0]
    )


@pytest.mark.parametrize("page", ["overview", "agents", "cost", "oversight"])
def test_workflows_without_runs_and_versions_in_force_stand_behind_the_others(page: str) -> None:
    unit = make_unit()
    for slug in ("works", "ran", "drafted"):
        make_workflow(STEPS, slug=slug, name=slug.capitalize(), unit=unit.slug)
    Workflow.objects.exclude(slug="works").update(active=None)
    write_facts(facts=Facts(runs=[make_run(workflow="ran", unit_id=unit.pk)]))
    client = Client()
    client.force_login(make_holder("kpis.view_kpi", unit=unit))
    html = client.get(f"/dashboards/{page}/").content.decode()
    assert chips(html, "Dashboards") == ["Overview", "Agents", "Cost", "Oversight", "Ran", "Works"]
    assert chips(html, "Workflows that do not run") == ["Drafted"]
    own = client.get("/dashboards/drafted/").content.decode()
    assert "Drafted" in chips(own, "Dashboards"), "one sees where one is"
    assert "Workflows that do not run" not in own


def test_runs_of_other_units_do_not_bring_a_draft_to_the_front() -> None:
    unit, other = make_unit(), make_unit()
    make_workflow(STEPS, slug="drafted", unit=unit.slug)
    Workflow.objects.update(active=None)
    write_facts(facts=Facts(runs=[make_run(workflow="drafted", unit_id=other.pk)]))
    mine, everyone = make_holder("kpis.view_kpi", unit=unit), make_holder("kpis.view_kpi")
    assert workflows_seen_for(mine).unused == {"drafted"}
    assert workflows_seen_for(everyone).unused == set()
