"""Figures of one's own in the comparison of versions: shares and means, with effect, interval and words."""

from datetime import timedelta
from random import Random
from statistics import mean
from typing import Any

import pytest

from apps.core.models import User
from apps.core.services import system_user
from apps.kpis.models import KpiValue
from apps.kpis.rules.facts import Facts, RunSeen
from apps.kpis.services import save_kpi, write_facts
from apps.workflows.models import Workflow
from tests.factories.access import make_holder, make_unit
from tests.factories.classification import make_data_class
from tests.factories.kpis import NOON, make_run
from tests.factories.workflows import make_workflow
from tests.kpis.test_bars import Door, said_count
from tests.kpis.test_business import RATED
from tests.kpis.test_versions import PERIOD, answer, page, text_of

pytestmark = pytest.mark.django_db
SOLVED = "run.output.rate.solved"
STARS = "run.output.rate.stars"


class Twice:
    """Two versions, 200 runs each on 20 days: those of the second are solved more often, and get half a star more."""

    def __init__(self) -> None:
        make_data_class(slug="health")
        self.flow: Workflow = make_workflow(RATED)
        self.viewer: User = make_holder("kpis.view_kpi", unit=self.flow.unit)
        self.random = Random(3)
        self.runs: dict[int, list[RunSeen]] = {one: [self.run(one, n) for n in range(200)] for one in (1, 2)}
        write_facts(facts=Facts(runs=[*self.runs[1], *self.runs[2]]))
        self.gave: dict[str, dict[int, list[float]]] = {}

    def run(self, version: int, n: int) -> RunSeen:
        end = NOON - timedelta(days=n % 20)
        return make_run(workflow=self.flow.slug, unit_id=self.flow.unit_id, version=version, finished_at=end)

    def kpi(self, slug: str, aggregate: str, direction: str = "up") -> None:
        kpi, _said = save_kpi(
            system_user("console"), slug=slug, name=slug.capitalize(), workflow=self.flow.slug, aggregate=aggregate,
            value=SOLVED if aggregate == "share" else STARS, direction=direction, unit="stars",
        )  # fmt: skip
        KpiValue.objects.filter(kpi=slug).delete()
        self.gave[slug] = {one: [self.value(aggregate, one) for _run in self.runs[one]] for one in (1, 2)}
        KpiValue.objects.bulk_create(
            KpiValue(
                kpi=slug, digest=kpi.digest, run_id=run.run_id, finished_at=run.finished_at, value=value,
                workflow=self.flow.slug, unit=self.flow.unit_id,
            )
            for version in (1, 2)
            for run, value in zip(self.runs[version], self.gave[slug][version], strict=True)
        )  # fmt: skip

    def value(self, aggregate: str, version: int) -> float:
        if aggregate == "share":
            return float(self.random.random() < {1: 0.5, 2: 0.8}[version])
        return round(self.random.gauss({1: 3.25, 2: 3.75}[version], 0.5), 2)

    def told(self) -> dict[str, Any]:
        return dict(answer(self.viewer, f"workflow={self.flow.slug}&{PERIOD}")["figures"])


@pytest.fixture
def twice(db: None) -> Twice:
    return Twice()


def test_a_mean_and_a_share_are_held_against_each_other_as_all_others_are(twice: Twice) -> None:
    twice.kpi("stars", "mean")
    twice.kpi("solved", "share")
    told = twice.told()
    for slug in ("stars", "solved"):
        was, now = (mean(twice.gave[slug][version]) for version in (1, 2))
        one = told[slug]
        assert one["outcome"] == "better"
        assert (one["was"]["value"], one["now"]["value"]) == pytest.approx((was, now), abs=1e-4)
        assert (one["was"]["n"], one["now"]["n"], one["compared"]) == (200, 200, {"now": 200, "was": 200})
        difference = one["difference"]
        assert difference["value"] == pytest.approx(now - was, abs=1e-4)
        assert 0 < difference["low"] < difference["value"] < difference["high"]
    shown = text_of(page(twice.viewer, slug=twice.flow.slug))
    moved = told["stars"]["difference"]["value"]
    assert f"{moved:.2f} stars higher (95 % interval: " in shown
    assert "Better: Solved; Stars." in shown


def test_what_rises_and_should_not_is_worse(twice: Twice) -> None:
    twice.kpi("stars", "mean", "down")
    assert twice.told()["stars"]["outcome"] == "worse"


def test_what_has_no_better_and_what_adds_up_is_in_no_comparison(twice: Twice) -> None:
    twice.kpi("stars", "mean", "none")
    twice.kpi("sum", "sum")
    twice.kpi("middle", "p50")
    assert not {"stars", "sum", "middle"} & set(twice.told())


def test_values_of_an_earlier_definition_are_in_none(twice: Twice) -> None:
    twice.kpi("stars", "mean")
    KpiValue.objects.update(digest="of before")
    one = twice.told()["stars"]
    assert (one["outcome"], one["now"]["value"], one["now"]["n"]) == ("too_few", None, 0)


def test_a_number_leads_to_the_values_of_its_version(twice: Twice) -> None:
    twice.kpi("stars", "mean")
    KpiValue.objects.filter(run_id__in=[one.run_id for one in twice.runs[2][:7]]).update(value=None, fault="failed")
    door = Door(twice.viewer)
    assert twice.told()["stars"]["now"]["n"] == 193
    assert said_count(door.page(f"/dashboards/{twice.flow.slug}/stars/?{PERIOD}&version=2")) == 193


def test_who_may_not_count_its_runs_is_told_of_none(twice: Twice) -> None:
    twice.kpi("stars", "mean")
    stranger = Door(make_holder("kpis.view_kpi", unit=make_unit()))
    found = stranger.api.get(f"/api/v1/kpis/versions/?workflow={twice.flow.slug}&{PERIOD}")
    assert "stars" not in found.content.decode().lower()
