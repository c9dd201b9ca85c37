"""Figures of one's own: made of what real runs gave, faults counted, classed data in none, held against goals."""

import csv
import html
import re
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.audit.models import Entry
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.models import User, database_now
from apps.core.services import system_user
from apps.kpis.models import Kpi, KpiValue
from apps.kpis.rules.business import Aggregate, Fault, left_of, outcome_of
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.weeks import week_named
from apps.kpis.selectors.reports import report_for
from apps.kpis.selectors.weekly import this_week
from apps.kpis.services import (
    delete_kpi,
    delete_target,
    fill_values,
    fold_entries,
    save_baseline,
    save_kpi,
    save_target,
    values,
    write_facts,
)
from apps.workflows.models import Run, Workflow
from apps.workflows.services.tasks import claim_tasks, complete_task
from tests.factories.access import make_holder, make_unit
from tests.factories.classification import make_data_class
from tests.factories.kpis import make_run as make_fact
from tests.factories.workflows import make_run, make_worker, make_workflow
from tests.kpis.test_views import signed_in
from tests.oversight.test_api import caller

RATED: dict[str, Any] = {
    "slug": "care",
    "steps": {
        "rate": {
            "agent": "customer.rate",
            "output": {
                "type": "object",
                "properties": {
                    "stars": {"type": ["integer", "null"]},
                    "solved": {"type": "boolean"},
                    "illness": {"type": ["string", "integer"], "x-data-class": "health"},
                },
            },
        }
    },
}
STARS = "run.output.rate.stars"


class Care:
    """A workflow whose runs say how customers rated them."""

    def __init__(self) -> None:
        make_data_class(slug="health")
        self.flow: Workflow = make_workflow(RATED)
        self.agent = make_worker(self.flow, "customer.rate")
        self.viewer: User = make_holder("kpis.view_kpi", "kpis.manage_target", unit=self.flow.unit)

    def gave(self, **output: Any) -> Run:
        """A run that ended with this, worked out."""
        run = self.ended(**output)
        values.value_marked()
        return run

    def ended(self, **output: Any) -> Run:
        """A run that ended with this, and was folded."""
        run = make_run(self.flow)
        (task,) = claim_tasks(self.agent.user)
        complete_task(self.agent.user, task_id=task.pk, lease=str(task.fence), output=output)
        run.refresh_from_db()
        assert run.state == "succeeded"
        fold_entries(entries=list(Entry.objects.filter(trail_id=run.pk).order_by("id")))
        return run

    def kpi(self, slug: str = "stars", value: str = STARS, aggregate: str = "mean", **more: Any) -> Kpi:
        named = {"name": "Stars", "unit": "stars", "direction": "up", **more}
        return save_kpi(
            system_user("console"), slug=slug, workflow=self.flow.slug, value=value, aggregate=aggregate, **named
        )[0]

    def told(self, slug: str = "stars", viewer: User | None = None) -> dict[str, Any]:
        answer = caller(viewer or self.viewer).get("/api/v1/kpis/", {"workflow": self.flow.slug})
        assert answer.status_code == 200, answer.content
        return dict(answer.json()["own"][slug])


@pytest.fixture
def care(db: None) -> Care:
    return Care()


@pytest.mark.parametrize(("aggregate", "value"), [("mean", 3.0), ("sum", 9.0), ("p50", 4.0)])
def test_values_of_runs_come_together(care: Care, aggregate: str, value: float) -> None:
    care.kpi(aggregate=aggregate)
    for stars in (4, 4, 1):
        care.gave(stars=stars)
    told = care.told()
    assert (told["value"], told["n"], told["faults"], told["without"], told["missing"]) == (value, 3, 0, 0, 0)
    assert (told["name"], told["suffix"], told["unit"]) == ("Stars", "stars", "number")


def test_a_share_counts_where_its_condition_holds_with_an_interval(care: Care) -> None:
    care.kpi("solved", "run.context.rate.solved", "share")
    for solved in (True, True, False):
        care.gave(stars=1, solved=solved)
    told = care.told("solved")
    assert (told["value"], told["numerator"], told["denominator"]) == (2 / 3, 2, 3)
    assert 0 < told["low"] < 2 / 3 < told["high"] < 1


def test_what_could_not_be_made_is_counted_and_is_no_zero(care: Care) -> None:
    care.kpi()
    care.gave(stars=5)
    care.gave(stars=None)
    missing = care.gave(solved=True)
    told = care.told()
    assert (told["value"], told["n"], told["faults"], told["without"]) == (5.0, 1, 1, 1)
    assert told["coverage"] == {"counted": 1, "of": 3}

    def rows(**part: str) -> list[tuple[Any, ...]]:
        asked = {"workflow": care.flow.slug, **part}
        found = caller(care.viewer).get("/api/v1/kpis/stars/runs/", asked).json()["results"]
        return [(row["value"], row["fault"], row["run"]) for row in found]

    assert [(value, fault) for value, fault, _run in rows()] == [(5.0, "")]
    for fault in ("~any", "failed"):
        assert rows(error=fault) == [(None, "failed", str(missing.pk))]
    assert rows(error="wrong_type") == []
    other = caller(care.viewer).get("/api/v1/kpis/stars/runs/", {"workflow": care.flow.slug, "error": "timeout"})
    assert (other.status_code, list(other.json()["errors"])) == (422, ["error"])
    page = signed_in(care.viewer).get(f"/dashboards/{care.flow.slug}/").content.decode()
    (faulty,) = re.findall(r'<a href="([^"]+)">1 run gave nothing readable</a>', page)
    assert "1 run without one" in page
    behind = signed_in(care.viewer).get(html.unescape(faulty)).content.decode()
    assert "What it reads is not there" in behind
    assert "1 in this list" in behind


@pytest.mark.parametrize(
    ("value", "aggregate"),
    [
        ("run.output.rate.illness == 'flu'", "share"),
        ("run.context.rate.illness == 'flu' || run.output.rate.illness == 'flu'", "share"),
        ("size(string(run.context.rate.illness))", "mean"),
        ("run.output.rate.illness", "mean"),
    ],
)
def test_a_field_of_a_class_is_in_no_figure(care: Care, value: str, aggregate: str) -> None:
    care.kpi(value=value, aggregate=aggregate)
    for illness in ("flu", 7):
        care.gave(illness=illness)
    told = care.told()
    assert (told["value"], told["n"], told["faults"]) == (None, 0, 2)
    assert not KpiValue.objects.filter(value__isnull=False).exists()


def test_a_changed_definition_goes_through_the_runs_again_and_counts_no_old_value(
    care: Care, monkeypatch: pytest.MonkeyPatch
) -> None:
    care.kpi()
    for stars in (2, 4, 3):
        care.gave(stars=stars)
    assert fill_values() == 3
    monkeypatch.setattr(values, "AT_ONCE", 2)
    care.kpi(value=f"{STARS} * 10")
    assert (care.told()["value"], care.told()["missing"]) == (None, 3)
    assert fill_values() == 2
    told = care.told()
    assert (told["value"], told["n"], told["missing"]) == (35.0, 2, 1)
    assert fill_values() == 1
    assert (care.told()["value"], care.told()["missing"]) == (30.0, 0)
    assert fill_values() == 0


def test_an_erased_run_keeps_what_it_gave_and_is_not_gone_through_again(care: Care) -> None:
    care.kpi()
    run = care.gave(stars=2)
    Run.objects.filter(pk=run.pk).update(erased_at="2026-01-01T00:00:00Z", erased_by="x", output=None)
    fill_values()
    assert care.told()["value"] == 2.0
    care.kpi(value=f"{STARS} + 1")
    fill_values()
    assert (care.told()["value"], care.told()["missing"]) == (None, 1)


def test_simulated_runs_and_units_of_others_are_left_out(care: Care) -> None:
    care.kpi()
    care.gave(stars=5)
    stranger = make_holder("kpis.view_kpi", unit=make_unit())
    assert caller(stranger).get("/api/v1/kpis/").json()["own"] == {}, "Not even what it is called."
    assert caller(stranger).get("/api/v1/kpis/", {"workflow": care.flow.slug}).status_code == 422
    assert caller(stranger).get("/api/v1/kpis/stars/runs/").status_code == 404
    make_workflow({**RATED, "slug": "other", "unit": care.flow.unit.slug})
    other = caller(care.viewer).get("/api/v1/kpis/", {"workflow": "other"}).json()
    assert other["own"] == {}


def test_simulated_history_is_not_said_to_be_missing(care: Care) -> None:
    care.kpi()
    care.gave(stars=5)
    write_facts(
        facts=Facts(runs=[make_fact(workflow=care.flow.slug, unit_id=care.flow.unit_id, finished_at=database_now())]),
        simulated=True,
    )
    answer = caller(care.viewer).get("/api/v1/kpis/", {"workflow": care.flow.slug, "simulated": "true"}).json()
    assert answer["totals"]["throughput"]["value"] == 2
    assert (answer["own"]["stars"]["n"], answer["own"]["stars"]["missing"]) == (1, 0)


def test_it_is_held_against_a_target_and_a_baseline_of_its_workflow(care: Care) -> None:
    care.kpi()
    care.gave(stars=4)
    console = system_user("console")
    goal, _ = save_target(console, slug="t", kpi="stars", value=4.5, workflow=care.flow.slug)
    since, workflow = date(2026, 1, 1), care.flow.slug
    save_baseline(console, slug="b", kpi="stars", value=3.5, workflow=workflow, valid_from=since, source="survey")
    told = care.told()
    assert (told["target"], told["baseline"]) == (4.5, 3.5)
    for _ in range(30):
        care.gave(stars=1)
    assert care.told()["status"] == "bad"
    report = report_for(care.viewer, week=week_named(this_week()))
    assert "Flow: the target of Stars is missed" in [one.text for one in report.decisions]
    goals = signed_in(care.viewer).get("/dashboards/goals/").content.decode()
    assert "4.5 stars" in goals
    with pytest.raises(InvalidError, match=r".*") as refused:
        save_target(console, slug="u", kpi="stars", value=1, workflow="")
    assert "workflow" in (refused.value.errors or {})
    with pytest.raises(ConflictError, match="target"):
        delete_kpi(console, kpi=Kpi.objects.get())
    delete_target(console, target=goal)


def test_it_leaves_as_csv(care: Care) -> None:
    care.kpi(unit="=1+1")
    for stars in (4, None, 1, 2, 5, 5):
        care.gave(stars=stars)
    answer = signed_in(care.viewer).get(f"/dashboards/{care.flow.slug}/kpis.csv?bucket=week").content.decode()
    lines = answer.splitlines()
    assert f"# own-stars: the mean over succeeded runs of {STARS}" in lines
    assert "# unit of own-stars,'=1+1" in lines
    assert "# coverage of own-stars: 5 of 6 runs that succeeded gave a value" in lines
    rows = list(csv.DictReader(line for line in lines if not line.startswith(("#", '"#'))))
    told = [[row[f"own-stars{more}"] for more in ("", "_n", "_low", "_high")] for row in (rows[0], rows[-1])]
    assert told[0] == told[1] == ["3.4", "5", "1.1502", "5.6498"], "By Student: 1.1444 to 5.6556."
    overview = signed_in(care.viewer).get("/dashboards/overview/kpis.csv").content.decode()
    assert "own-stars" not in overview


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({"value": "run.output.."}, "value"),
        ({"value": "steps.rate"}, "value"),
        ({"value": "1 + 2", "aggregate": "share"}, "value"),
        ({"aggregate": "median"}, "aggregate"),
        ({"direction": "left"}, "direction"),
        ({"slug": "error_rate"}, "slug"),
        ({"slug": "uptime_workflows"}, "slug"),
        ({"slug": "weeks"}, "slug"),
        ({"slug": "x" * 41}, "slug"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_kept(care: Care, fault: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidError) as refused:
        care.kpi(**{"slug": "stars", **fault})
    assert field in (refused.value.errors or {})
    assert not Kpi.objects.exists()
    assert not Entry.objects.filter(name="kpi.created").exists()


def test_only_who_sets_targets_there_defines_and_removes(care: Care) -> None:
    said = {"slug": "stars", "name": "Stars", "workflow": care.flow.slug, "value": STARS}
    for actor in (make_holder("kpis.view_kpi"), make_holder("kpis.manage_target", unit=make_unit())):
        with pytest.raises(NotAllowedError):
            save_kpi(actor, **said, aggregate="mean", direction="up")
    kpi, outcome = save_kpi(care.viewer, **said, aggregate="mean", direction="up")
    assert outcome == "created"
    assert save_kpi(care.viewer, **said, aggregate="mean", direction="up")[1] == "unchanged"
    care.gave(stars=1)
    with pytest.raises(NotAllowedError):
        delete_kpi(make_holder("kpis.view_kpi"), kpi=kpi)
    assert KpiValue.objects.count() == 1
    delete_kpi(care.viewer, kpi=kpi)
    assert not KpiValue.objects.exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(output=JSON, aggregate=st.sampled_from(Aggregate))
def test_any_output_gives_a_number_or_a_fault_or_nothing(output: Any, aggregate: Aggregate) -> None:
    found = outcome_of("run.output.x", aggregate, output={"x": output}, context={})
    is_number = isinstance(output, int | float) and not isinstance(output, bool)
    if output is None:
        assert (found.value, found.fault) == (None, "")
    elif isinstance(output, bool) and aggregate == Aggregate.SHARE:
        assert found.value == float(output)
    elif found.value is not None:
        assert is_number
        assert aggregate != Aggregate.SHARE
    else:
        assert found.fault in list(Fault)


@given(value=JSON)
def test_what_nobody_hides_is_all_left(value: Any) -> None:
    assert repr(left_of({"a": value}, {"a": value})) == repr({"a": value})
    assert left_of({"a": value, "b": 1}, {"a": "[hidden]", "b": 1}) == {"b": 1}
