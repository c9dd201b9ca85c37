"""The REST door: shapes of the interface, bad input named, permissions, goals made and removed."""

import json
from typing import Any

import pytest
from django.test import Client

from apps.access.services import create_token
from apps.audit.models import Entry
from apps.kpis.models import Baseline, Target
from apps.kpis.models.goals import LIVE
from apps.kpis.rules import DEFINITIONS
from apps.kpis.rules.definitions import RELEASES, UPTIME
from apps.kpis.rules.facts import Facts
from apps.kpis.services import write_facts
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.agents import make_agent, make_key_for
from tests.factories.kpis import make_baseline, make_cost, make_decision, make_run, make_target
from tests.kpis.test_services import batch

pytestmark = pytest.mark.django_db
PERIOD = "from=2026-10-01&to=2026-12-01"


class Api:
    """A caller with a bearer key."""

    def __init__(self, key: str) -> None:
        self.client, self.headers = Client(), {"Authorization": f"Bearer {key}"}

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.client.generic(
            method,
            f"/api/v1{path}",
            data=b"" if body is None else json.dumps(body),
            content_type="application/json",
            headers=self.headers,
        )
        answer.body = json.loads(answer.content) if answer.content else None  # type: ignore[attr-defined]
        return answer


def person(*permissions: str, **fields: Any) -> Api:
    user = make_holder(*permissions, **fields)
    return Api(create_token(user, user=user, days=1))


def test_the_answer_has_the_shape_of_the_interface() -> None:
    make_baseline()
    make_target(value=0.9)
    write_facts(facts=batch(120))
    answer = person("kpis.view_kpi")("GET", f"/kpis/?{PERIOD}&bucket=week&tz=Europe/Berlin")
    assert answer.status_code == 200
    parts = {"filter", "tz", "as_of", "lag_s", "totals", "series", "live", "own", "uptime", "releases", "definitions"}
    assert set(answer.body) == parts
    assert answer.body["tz"] == "Europe/Berlin"
    assert answer.body["filter"]["from"] == "2026-09-30T22:00:00+00:00"
    error = answer.body["totals"]["error_rate"]
    assert {"value", "unit", "n", "numerator", "denominator", "low", "high"} <= set(error)
    assert error["low"] < error["value"] < error["high"]
    assert error["value"] == error["numerator"] / error["denominator"]
    point = answer.body["series"][0]
    assert (point["bucket"], point["partial"]) == ("2026-W40", False)
    assert set(answer.body["totals"]) == set(DEFINITIONS) < set(point)
    assert set(answer.body["definitions"]) == {*DEFINITIONS, *UPTIME, *RELEASES}
    live = answer.body["live"]
    assert set(live["figures"]) == set(live["definitions"])
    assert live["figures"]["wip"] == {"value": 0, "unit": "runs", "n": 0}
    assert answer.body["totals"]["cost_per_success_minor"]["currency"] == "EUR"


def test_a_workflows_total_carries_what_was_and_what_should_be() -> None:
    make_baseline(value=7200)
    make_target(value=0.9)
    write_facts(facts=Facts(runs=[make_run() for _ in range(40)]))
    totals = person("kpis.view_kpi")("GET", f"/kpis/?{PERIOD}&workflow=w&compare=previous").body["totals"]
    assert totals["cycle_time_p50_s"]["baseline"] == 7200
    assert totals["cycle_time_p50_s"]["baseline_approved"] is False
    assert (totals["error_rate"]["target"], totals["error_rate"]["status"]) == (0.9, "good")
    assert totals["error_rate"]["previous"] is None


def test_by_default_the_last_30_days_count_without_invented_runs() -> None:
    write_facts(facts=Facts(runs=[make_run()]), simulated=True)
    api = person("kpis.view_kpi")
    assert len(api("GET", "/kpis/").body["series"]) == 30
    assert api("GET", f"/kpis/?{PERIOD}").body["totals"]["throughput"]["value"] == 0
    assert api("GET", f"/kpis/?{PERIOD}&simulated=true").body["totals"]["throughput"]["value"] == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=tomorrow", "from"),
        ("bucket=minute", "bucket"),
        ("tz=Nowhere", "tz"),
        ("simulated=1", "simulated"),
        ("version=x", "version"),
        ("team=blue", "team"),
        ("from=2026-02-01&to=2026-01-01", "to"),
    ],
)
def test_a_question_that_does_not_fit_names_its_parameter(query: str, field: str) -> None:
    answer = person("kpis.view_kpi")("GET", f"/kpis/?{query}")
    assert (answer.status_code, answer.body["code"]) == (422, "invalid")
    assert field in answer.body["errors"]


def test_strangers_and_agents_see_no_kpi() -> None:
    write_facts(facts=Facts(runs=[make_run()]))
    user = make_user()
    for api in (
        person("oversight.view_escalation"),
        Api(create_token(user, user=user, days=1)),
        Api(make_key_for(make_agent())),
    ):
        for path in ("/kpis/", "/kpis/throughput/runs/", "/baselines/", "/targets/"):
            assert api("GET", path).status_code == 403, path
    assert Client().get("/api/v1/kpis/").status_code == 401


def test_the_runs_behind_a_number_come_in_pages_that_survive_new_rows() -> None:
    runs = [make_run() for _ in range(7)]
    write_facts(facts=Facts(runs=runs, decisions=[make_decision(runs[0])], costs=[make_cost(runs[1])]))
    api = person("kpis.view_kpi")
    first = api("GET", f"/kpis/throughput/runs/?{PERIOD}&limit=3")
    seen = [row["run"] for row in first.body["results"]]
    following = first.body["next"]
    write_facts(facts=Facts(runs=[make_run()]))
    while following:
        page = api("GET", following.partition("/api/v1")[2])
        seen += [row["run"] for row in page.body["results"]]
        following = page.body["next"]
    assert len(set(seen)) == len(seen) >= 7
    assert {str(run.run_id) for run in runs} <= set(seen)
    (decision,) = api("GET", f"/kpis/approval_latency_p50_s/runs/?{PERIOD}").body["results"]
    assert decision["latency_s"] == 600
    (cost,) = api("GET", f"/kpis/spend_minor/runs/?{PERIOD}").body["results"]
    assert cost["amount_minor"] == 50
    assert api("GET", "/kpis/happiness/runs/").status_code == 404


def test_a_number_and_its_runs_stay_within_the_units_of_the_actor() -> None:
    mine, other = make_unit(), make_unit()
    write_facts(facts=Facts(runs=[make_run(unit_id=mine.id), make_run(unit_id=other.id)]))
    api = person("kpis.view_kpi", unit=mine)
    assert api("GET", f"/kpis/?{PERIOD}").body["totals"]["throughput"]["value"] == 1
    assert len(api("GET", f"/kpis/throughput/runs/?{PERIOD}").body["results"]) == 1


BASELINE = {"slug": "was", "kpi": "cycle_time_p50_s", "value": 362880, "from": "2026-01-01", "source": "estimate"}


def test_goals_are_made_changed_and_removed_each_with_an_entry() -> None:
    user = make_admin()
    api = Api(create_token(user, user=user, days=1))
    made = api("POST", "/baselines/", BASELINE)
    assert made.status_code == 201
    assert made.body["value"] == 362880
    assert api("POST", "/baselines/", BASELINE).status_code == 409
    change = {**BASELINE, "value": 1}
    change.pop("slug")
    assert api("PUT", "/baselines/was/", change).body["value"] == 1
    assert api("GET", "/baselines/?kpi=error_rate").body["results"] == []
    assert api("DELETE", "/baselines/was/").status_code == 204
    assert not Baseline.objects.filter(LIVE).exists()
    made = api("POST", "/targets/", {"slug": "t", "kpi": "error_rate", "value": 0.02})
    assert made.body["direction"] == "down"
    assert api("DELETE", "/targets/t/").status_code == 204
    assert not Target.objects.exists()
    names = Entry.objects.filter(subject_kind__in=["baseline", "target"]).order_by("id").values_list("name", flat=True)
    assert list(names) == [
        "baseline.created",
        "baseline.changed",
        "baseline.deleted",
        "target.created",
        "target.deleted",
    ]


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"kpi": "happiness"}, 422, "kpi"),
        ({"value": "12"}, 422, "value"),
        ({"value": True}, 422, "value"),
        ({"value": 1e30}, 422, "value"),
        ({"from": "soon"}, 422, "from"),
        ({"colour": "blue"}, 422, "colour"),
        ({"workflow": "nowhere"}, 422, "workflow"),
    ],
)
def test_a_baseline_that_does_not_fit_is_refused_and_none_is_made(change: Any, status: int, field: str | None) -> None:
    user = make_admin()
    answer = Api(create_token(user, user=user, days=1))("POST", "/baselines/", {**BASELINE, **change})
    assert answer.status_code == status
    assert field is None or field in answer.body["errors"]
    assert not Baseline.objects.exists()


def test_who_only_sees_kpis_sets_none() -> None:
    make_baseline(slug="was")
    api = person("kpis.view_kpi")
    assert api("POST", "/baselines/", {**BASELINE, "slug": "new"}).status_code == 403
    assert api("DELETE", "/baselines/was/").status_code == 403
    assert Baseline.objects.count() == 1
