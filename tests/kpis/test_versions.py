"""Versions compared, from facts to the page: the same mix of units, honest words, and rows behind every number."""

import re
import statistics
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from apps.access.services import create_token
from apps.core.models import User
from apps.kpis.rules.facts import Facts, RunSeen
from apps.kpis.selectors import both
from apps.kpis.services import write_facts
from tests.factories.access import make_holder, make_unit, make_user
from tests.factories.kpis import NOON, make_cost, make_run

pytestmark = pytest.mark.django_db
PERIOD = "from=2026-10-01&to=2026-12-01"
UTC_ZONE = ZoneInfo("UTC")
LABELS = {
    "cycle_time_p50_s": "Cycle time, median",
    "error_rate": "Error rate",
    "sla_adherence": "SLA adherence",
    "cost_per_success_minor": "Cost per workflow",
    "no_touch_rate": "Autonomy rate",
    "escalation_rate": "Escalation rate",
    "rework_rate": "Rework rate",
}


@pytest.fixture
def executive() -> User:
    return make_holder("kpis.view_kpi")


def runs_of(
    version: int, n: int, *, median_s: float = 3600, error: float = 0.05, unit: UUID | None = None, days: int = 20
) -> list[RunSeen]:
    """Runs on ``days`` days one after the other, lognormal, of which every so many fail."""
    source, found = Random(f"{version} {n} {median_s} {unit}"), []
    for at in range(n):
        end = NOON - timedelta(days=at % days)
        took = median_s * source.lognormvariate(0, 0.8)
        state = "failed" if at < error * n else "succeeded"
        found.append(
            make_run(
                version=version,
                state=state,
                unit_id=unit,
                finished_at=end,
                started_at=end - timedelta(seconds=took),
                sla_ms=14_400_000,
            )
        )
    return found


def write(*runs: list[RunSeen]) -> list[RunSeen]:
    every = [run for some in runs for run in some]
    write_facts(facts=Facts(runs=every))
    return every


def asked(user: User, query: str) -> Any:
    token = create_token(user, user=user, days=1)
    return Client().get(f"/api/v1/kpis/versions/?{query}", headers={"Authorization": f"Bearer {token}"})


def answer(user: User, query: str = f"workflow=w&{PERIOD}") -> dict[str, Any]:
    found = asked(user, query)
    assert found.status_code == 200, found.content
    return dict(found.json())


def page(user: User, query: str = PERIOD, slug: str = "w") -> str:
    client = Client()
    client.force_login(user)
    found = client.get(f"/dashboards/{slug}/versions/?{query}")
    assert found.status_code == 200
    return found.content.decode()


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_a_version_that_takes_half_the_time_is_better_and_the_rest_says_how_sure(executive: User) -> None:
    slow, fast = runs_of(2, 400), runs_of(3, 400, median_s=1800)
    write(slow, fast, runs_of(1, 50, median_s=10))
    found = answer(executive)
    assert (found["version"], found["against"]) == (3, 2)
    cycle = found["figures"]["cycle_time_p50_s"]
    took = [
        statistics.median(
            (run.finished_at - run.started_at).total_seconds() for run in some if run.state == "succeeded"
        )
        for some in (fast, slow)
        if all(run.finished_at for run in some)
    ]
    assert cycle["outcome"] == "better"
    assert cycle["difference"]["value"] == pytest.approx(took[0] - took[1], abs=0.01)
    assert cycle["difference"]["low"] < cycle["difference"]["value"] < cycle["difference"]["high"] < 0
    assert (cycle["now"]["n"], cycle["was"]["n"]) == (380, 380)
    assert set(found["figures"]) == set(LABELS)
    errors = found["figures"]["error_rate"]
    assert errors["outcome"] == "too_few"  # 400 of each do not show that 5 % is half of it
    assert errors["difference"]["needed"] > 400
    assert errors["p_adjusted"] >= errors["difference"]["p"]
    words = text_of(page(executive))
    assert "Version 3 against version 2" in words
    assert "Better: Cycle time, median" in words
    assert re.search(r"shorter \(95 % interval: [\d a-z]+ to [\d a-z]+ shorter\)", words)
    assert "About 1,200 of each version are needed to show a change worth knowing." in words


def test_worse_is_said_of_shares_by_their_direction(executive: User) -> None:
    write(runs_of(1, 600, error=0.02), runs_of(2, 600, error=0.12))
    figures = answer(executive)["figures"]
    assert figures["error_rate"]["outcome"] == "worse"
    assert figures["no_touch_rate"]["outcome"] == "worse"
    assert figures["rework_rate"]["outcome"] == "too_few"
    assert figures["error_rate"]["difference"]["value"] == pytest.approx(0.1)
    assert "10.0 pp higher (95 % interval: " in text_of(page(executive))


def test_a_cheaper_version_says_by_how_much_and_failures_are_paid_for(executive: User) -> None:
    source, sides = Random(5), {1: runs_of(1, 400), 2: runs_of(2, 400)}
    costs = [
        make_cost(run, amount_micro=round(source.lognormvariate(0, 0.5) * (2_000_000 if version == 1 else 1_000_000)))
        for version, runs in sides.items()
        for run in runs
    ]
    write_facts(facts=Facts(runs=[*sides[1], *sides[2]], costs=costs))
    paid = {one.run_id: one.amount_micro for one in costs}
    was, now = (sum(paid[run.run_id] for run in runs) / 10_000 / 380 for runs in sides.values())
    found = answer(executive)["figures"]["cost_per_success_minor"]
    assert found["outcome"] == "better"
    assert found["difference"]["value"] == pytest.approx(now - was)
    assert found["difference"]["low"] < now - was < found["difference"]["high"] < 0
    assert re.search(r"1\.\d\d EUR less \(95 % interval: \d\.\d\d EUR to \d\.\d\d EUR less\)", text_of(page(executive)))


def test_enough_runs_of_the_same_say_no_clear_change(executive: User) -> None:
    write(runs_of(1, 1_000), runs_of(2, 1_000))
    found = answer(executive)["figures"]["cycle_time_p50_s"]
    assert found["outcome"] == "unclear"
    assert found["difference"]["low"] < 0 < found["difference"]["high"]
    assert "No clear change: Cycle time, median" in text_of(page(executive))


def test_other_work_is_no_other_version(executive: User) -> None:
    """The newer ran mostly where work is short and the older where it is long: neither is any faster there."""
    first, second = make_unit(name="Short things"), make_unit(name="Long things")
    write(
        runs_of(1, 60, median_s=600, unit=first.pk, error=0.02),
        runs_of(1, 540, median_s=60_000, unit=second.pk, error=0.2),
        runs_of(2, 540, median_s=600, unit=first.pk, error=0.02),
        runs_of(2, 60, median_s=60_000, unit=second.pk, error=0.2),
    )
    found = answer(executive)
    cycle, errors = found["figures"]["cycle_time_p50_s"], found["figures"]["error_rate"]
    assert cycle["now"]["value"] < cycle["was"]["value"] / 10
    assert cycle["outcome"] in {"unclear", "too_few"}
    assert errors["was"]["value"] > 4 * errors["now"]["value"]
    assert errors["difference"]["value"] == pytest.approx(0, abs=0.01)
    assert found["mix_moved"] == pytest.approx(0.8)
    words = text_of(page(executive))
    assert "80.0% of the runs would have to be in another unit" in words
    assert "Short things" in words


def test_a_unit_where_one_version_alone_ran_is_left_out_and_said(executive: User) -> None:
    alone = make_unit(name="New branch")
    write(runs_of(1, 100), runs_of(2, 100), runs_of(2, 300, median_s=5, unit=alone.pk))
    found = answer(executive)
    assert found["left_out"] == 300
    assert found["mix"] == [
        {"unit": "New branch", "now": 300, "was": 0, "compared": False},
        {"unit": "No unit", "now": 100, "was": 100, "compared": True},
    ]
    assert found["figures"]["cycle_time_p50_s"]["outcome"] == "too_few"
    assert "300 runs are of units in which only one of them ran" in text_of(page(executive))


def test_runs_of_one_version_alone_make_no_sample(executive: User) -> None:
    """Twenty of each where both ran are few, whatever else one of them did elsewhere."""
    alone = make_unit()
    write(
        runs_of(1, 20),
        runs_of(2, 20, median_s=60),
        runs_of(1, 300, unit=alone.pk),
        runs_of(2, 300, unit=make_unit().pk),
    )
    found = answer(executive)["figures"]["cycle_time_p50_s"]
    assert found["now"]["n"] > 300
    assert (found["outcome"], found["difference"]) == ("too_few", None)


def test_few_runs_and_few_days_are_told_apart(executive: User) -> None:
    write(runs_of(1, 29), runs_of(2, 500), runs_of(3, 500, days=6, median_s=5))
    few = answer(executive, f"workflow=w&{PERIOD}&version=2&against=1")["figures"]["cycle_time_p50_s"]
    assert (few["outcome"], few["difference"], few["p_adjusted"]) == ("too_few", None, None)
    assert "At least 30 of each version are needed, where both ran." in text_of(
        page(executive, f"{PERIOD}&version=2&against=1")
    )
    days = answer(executive, f"workflow=w&{PERIOD}&version=3&against=2")["figures"]["cycle_time_p50_s"]
    assert (days["outcome"], days["difference"]) == ("too_few", None)
    assert "Each version needs seven days" in text_of(page(executive, f"{PERIOD}&version=3&against=2"))


def test_every_number_leads_to_its_runs(executive: User) -> None:
    write(runs_of(1, 40, error=0.1), runs_of(2, 60, error=0.1))
    html = page(executive)
    client = Client()
    client.force_login(executive)
    links = re.findall(r'href="(/dashboards/w/error_rate/[^"]+)"', html)
    assert len(links) == 2
    for href, failed in zip(links, (4, 6), strict=True):
        assert client.get(href.replace("&amp;", "&")).content.decode().count('href="/runs/') == failed


def test_the_page_keeps_what_was_asked_in_its_address(executive: User) -> None:
    write(runs_of(1, 40), runs_of(2, 40), runs_of(3, 40))
    html = page(executive, f"{PERIOD}&version=3&against=1&tz=Europe/Berlin")
    assert '<option value="1" selected>1</option>' in html
    assert "version=3&amp;against=1" in html
    assert 'name="tz" value="Europe/Berlin"' in html
    assert "<script" not in html.partition("<main")[2].partition("</main>")[0]


def test_many_durations_are_read_in_turn(executive: User, monkeypatch: pytest.MonkeyPatch) -> None:
    write(runs_of(1, 300), runs_of(2, 300, median_s=1800))
    monkeypatch.setattr(both, "MOST", 100)
    assert answer(executive)["figures"]["cycle_time_p50_s"]["outcome"] == "better"
    assert "Of the times one in 3 was read." in text_of(page(executive))


def test_one_version_is_nothing_to_compare(executive: User) -> None:
    write(runs_of(1, 40))
    assert "Nothing to compare in this range" in text_of(page(executive))
    assert asked(executive, f"workflow=w&{PERIOD}").json()["errors"].keys() == {"version"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "workflow"),
        ("workflow=w&version=2&against=2", "against"),
        ("workflow=w&against=x", "against"),
        ("workflow=w&version=-1", "version"),
        ("workflow=w&who=me", "who"),
    ],
)
def test_what_does_not_fit_is_named(executive: User, query: str, field: str) -> None:
    found = asked(executive, query)
    assert found.status_code == 422
    assert field in found.json()["errors"]


def test_who_may_see_no_figures_sees_none_and_others_only_their_units() -> None:
    here, there = make_unit(), make_unit(name="Elsewhere")
    write(runs_of(1, 40, unit=here.pk), runs_of(2, 50, unit=here.pk), runs_of(1, 60, unit=there.pk))
    own = make_holder("kpis.view_kpi", unit=here)
    found = answer(own)
    assert [(one["now"], one["was"]) for one in found["mix"]] == [(50, 40)]
    assert "Elsewhere" not in page(own)
    stranger = make_user()
    assert asked(stranger, f"workflow=w&{PERIOD}").status_code == 403
    client = Client()
    client.force_login(stranger)
    assert client.get("/dashboards/w/versions/").status_code == 403
    client.force_login(make_holder("kpis.view_kpi", unit=make_unit()))
    assert client.get("/dashboards/w/versions/").status_code == 404
    assert Client().get("/dashboards/w/versions/").status_code == 302
