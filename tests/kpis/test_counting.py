"""Which baselines count: an approved one from its day on, before it what nobody approved yet."""

from datetime import date
from typing import Any

import pytest

from apps.core.errors import ConflictError, NotAllowedError
from apps.core.models import User
from apps.core.services import system_user
from apps.kpis.models import Kpi
from apps.kpis.rules.goals import BaselineSeen, baseline_in_force, counting
from apps.kpis.selectors.goals import Goals
from apps.kpis.services import approve_baseline, delete_kpi, remove_baseline, save_baseline, save_kpi
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.workflows import make_workflow
from tests.oversight.test_api import caller

COST, PAST = "cost_per_success_minor", date(2026, 1, 1)


def test_counting_is_by_kpi_workflow_and_day() -> None:
    def seen(**fields: Any) -> BaselineSeen:
        return BaselineSeen(**{"workflow": "w", "kpi": COST, "value": 1.0, "valid_from": PAST, **fields})

    general = seen(workflow="")
    waits = seen(approved=False, valid_from=date(2026, 2, 1))
    before = seen(approved=False, valid_from=date(2025, 1, 1))
    other = seen(approved=False, kpi="error_rate")
    assert counting([general, waits, before, other]) == (general, before, other)
    assert counting([seen(workflow="x"), waits]) == (seen(workflow="x"), waits)


def test_one_that_nobody_approved_gives_way_on_the_day_of_an_approved_one() -> None:
    def seen(**fields: Any) -> BaselineSeen:
        return BaselineSeen(**{"workflow": "w", "kpi": COST, "value": 1.0, "valid_from": date(2026, 6, 1), **fields})

    general, eve = seen(workflow="", value=2.0), seen(approved=False, valid_from=date(2026, 5, 31))
    both = counting([general, eve])
    assert both == (general, eve)
    assert baseline_in_force(both, "w", COST, date(2026, 5, 31)) == eve
    assert baseline_in_force(both, "w", COST, date(2026, 6, 1)) == general
    costs = Goals(baselines=both, targets=()).costs()
    assert [(one.workflow, one.until is None) for one in costs] == [("w", False), ("", True)]
    assert costs[0].until == costs[1].since


@pytest.mark.django_db
def test_whoever_defines_a_figure_anew_does_not_approve_what_others_said_of_it() -> None:
    workflow = make_workflow({"steps": {"check": {"agent": "order.check"}}}, unit=make_unit().slug)
    define = {"slug": "stars", "name": "Stars", "workflow": workflow.slug, "aggregate": "mean", "direction": "up"}
    save_kpi(system_user("console"), value="run.output.check.stars", **define)
    given = {"slug": "was", "kpi": "stars", "workflow": workflow.slug, "value": 4, "valid_from": PAST, "source": "Log"}
    save_baseline(make_admin(), **given)
    other = make_admin()
    save_kpi(other, value="run.output.check.stars * 2", **define)
    with pytest.raises(NotAllowedError):
        approve_baseline(other, slug="was")
    assert approve_baseline(make_admin(), slug="was").entered_by == other


@pytest.mark.django_db
def test_what_was_said_of_a_figure_that_is_gone_is_read_by_who_sees_all_figures() -> None:
    unit = make_unit()
    workflow = make_workflow({"steps": {"check": {"agent": "order.check"}}}, unit=unit.slug)
    define = {"slug": "stars", "name": "Stars", "workflow": workflow.slug, "aggregate": "mean", "direction": "up"}
    save_kpi(make_admin(), value="run.output.check.stars", **define)
    about = {"slug": "was", "kpi": "stars", "workflow": workflow.slug, "value": 4, "valid_from": PAST, "source": "Log"}
    save_baseline(make_admin(), **about)
    approve_baseline(make_admin(), slug="was")
    remove_baseline(make_admin(), slug="was")
    approve_baseline(make_admin(), slug="was")
    near, far = make_holder("kpis.view_kpi", unit=unit), make_holder("kpis.view_kpi", unit=make_unit())

    def read(person: User) -> int:
        return len(caller(person).get("/api/v1/baselines/was/versions/").json()["results"])

    assert [read(one) for one in (near, far, make_admin())] == [1, 0, 1]
    delete_kpi(make_admin(), kpi=Kpi.objects.get(slug="stars"))
    assert [read(one) for one in (near, far, make_admin())] == [0, 0, 1]


@pytest.mark.django_db
def test_nothing_is_corrected_while_its_removal_waits() -> None:
    given = {"slug": "was", "kpi": COST, "value": 4, "valid_from": PAST, "source": "Log"}
    save_baseline(make_admin(), **given)
    approve_baseline(make_admin(), slug="was")
    remove_baseline(make_admin(), slug="was")
    with pytest.raises(ConflictError):
        save_baseline(make_admin(), **{**given, "value": 5}, reason="It was five.")


@pytest.mark.django_db
def test_whoever_answers_for_it_stays_so_until_somebody_else_is_named() -> None:
    first, other = make_admin(), make_user(username="olga")
    body = {"slug": "was", "kpi": COST, "value": 4, "from": "2026-01-01", "source": "Log"}
    made = caller(first).post("/api/v1/baselines/", body, content_type="application/json")
    assert made.json()["owner"] == first.username
    del body["slug"]

    def put(**change: object) -> dict[str, Any]:
        sent = {**body, **change}
        return dict(caller(make_admin()).put("/api/v1/baselines/was/", sent, content_type="application/json").json())

    assert put(value=5)["owner"] == first.username
    assert put(owner="olga")["owner"] == other.username
    assert put(owner="nobody at all")["errors"].keys() == {"owner"}
