"""What monitoring reads: the figures of the work and of the process, for whoever has the token and nobody else."""

import os
import subprocess
import sys
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from apps.access.selectors import METRICS
from apps.core.models import User
from apps.core.services import system_user
from apps.kpis.models import RollupDay
from apps.kpis.models.clock import database_now
from apps.kpis.rules.exposition import BOUNDS_S, Ended
from apps.kpis.rules.facts import Facts
from apps.kpis.selectors.exposition import ended_for, standing_for
from apps.kpis.services import write_facts
from apps.telemetry.models import SpanCount
from apps.workflows.models import Run
from controlplane.environment import token
from tests.factories.access import make_user
from tests.factories.agents import make_agent
from tests.factories.kpis import NOON, make_cost, make_run
from tests.factories.oversight import make_payment
from tests.factories.workflows import make_run as start_real_run
from tests.factories.workflows import make_workflow

TOKEN = "t" * 40
LABELS = ("workflow", "status", "kind", "le")


@pytest.fixture
def monitoring(settings, db) -> Client:
    settings.ACP_METRICS_TOKEN = TOKEN
    return Client(headers={"Authorization": f"Bearer {TOKEN}"})


def read(client: Client) -> dict[tuple[str, ...], float]:
    """Name and label values -> value, as a real parser of the format reads them."""
    answer = client.get("/metrics/kpi")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (one.name, *(one.labels[name] for name in LABELS if name in one.labels)): one.value
        for family in families
        for one in family.samples
    }


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/metrics", "/metrics/kpi"])
class TestDoor:
    def test_without_a_token_set_there_is_nothing(self, path):
        assert Client(headers={"Authorization": "Bearer "}).get(path).status_code == 404

    @pytest.mark.parametrize(
        "said", ["", "Bearer", "Bearer ", "Bearer x", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer ä"]
    )
    def test_anything_but_the_token_reads_nothing(self, monitoring, path, said):
        answer = Client(headers={"Authorization": said}).get(path)
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
        assert b"acp_" not in answer.content
        assert not User.objects.filter(username=METRICS).exists()

    def test_signing_in_opens_nothing(self, monitoring, path):
        client = Client()
        client.force_login(make_user())
        assert client.get(path).status_code == 401

    def test_it_is_only_read_and_kept_nowhere(self, monitoring, path):
        assert monitoring.post(path).status_code == 405
        assert "no-store" in monitoring.get(path)["Cache-Control"]


def test_a_token_is_one_long_word(tmp_path):
    assert token("T", {}) == ""
    assert token("T", {"T": TOKEN}) == TOKEN
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert token("T", {"T_FILE": str(file), "T": "other"}) == TOKEN
    for odd in ("short", "x " * 40, "ä" * 40):
        with pytest.raises(ImproperlyConfigured, match="T is one word"):
            token("T", {"T": odd})


class TestFigures:
    def test_what_ended_is_told_by_workflow_and_status(self, monitoring):
        now = database_now()
        runs = [
            make_run(workflow="orders", finished_at=now - timedelta(days=3)),
            make_run(workflow="orders", finished_at=now),
            make_run(workflow="orders", state="failed", finished_at=now),
            make_run(workflow="claims", state="cancelled", finished_at=now),
            make_run(workflow="orders", finished_at=None),
        ]
        write_facts(facts=Facts(runs=runs, costs=[make_cost(runs[0]), make_cost(runs[1], kind="human")]))
        write_facts(facts=Facts(runs=[make_run(workflow="orders")]), simulated=True)
        figures = read(monitoring)
        assert figures["acp_runs_finished_total", "orders", "succeeded"] == 2
        assert figures["acp_runs_finished_total", "orders", "failed"] == 1
        assert figures["acp_runs_finished_total", "orders", "cancelled"] == 0
        assert figures["acp_runs_finished_total", "claims", "cancelled"] == 1
        assert figures["acp_run_duration_seconds_count", "orders"] == 2
        assert figures["acp_run_duration_seconds_sum", "orders"] == 7200
        assert figures["acp_run_duration_seconds_bucket", "orders", "900.0"] == 0
        assert figures["acp_run_duration_seconds_bucket", "orders", "3600.0"] == 2, "a bound is in its bucket"
        assert figures["acp_cost_total", "llm"] == 0.5
        assert figures["acp_cost_total", "human"] == 0.5
        assert figures["acp_cost_total", "agent"] == 0

    def test_days_that_are_over_are_read_from_rollups_and_come_to_the_same(self, monitoring, settings):
        settings.ACP_REPORTING_TZ = "Pacific/Auckland"
        now = database_now()
        states, hours = ("succeeded", "failed", "cancelled"), (0, 3, 20, 30, 50, 900)
        runs = [
            make_run(workflow="w", state=state, finished_at=now - timedelta(hours=h)) for state in states for h in hours
        ]
        write_facts(facts=Facts(runs=runs))
        write_facts(facts=Facts(runs=[make_run(workflow="w", finished_at=now - timedelta(days=9))]), simulated=True)
        whole = ended_for(system_user(METRICS)).runs
        assert whole == {("w", state): len(hours) for state in states}
        for cut in (1, 25, 49, 1000):
            at = now - timedelta(hours=cut)
            both = ended_for(system_user(METRICS), until=at) + ended_for(system_user(METRICS), since=at)
            assert both.runs == whole
        RollupDay.objects.filter(simulated=False).update(succeeded=0)
        assert ended_for(system_user(METRICS)).runs["w", "succeeded"] < len(hours)

    def test_what_waits_is_told_from_where_it_waits(self, monitoring):
        make_payment()
        flow = make_workflow({"slug": "order", "steps": {"check": {"agent": "order.check"}}})
        start_real_run(flow)
        began = database_now() - timedelta(hours=3)
        for since in (None, began):  # what is paused uses nothing of its time up
            late = make_run(started_at=began, finished_at=None, sla_ms=1_000, paused_since=since)
            write_facts(facts=Facts(runs=[late]))
        tried = start_real_run(make_workflow({"slug": "calm", "steps": {"check": {"agent": "calm.check"}}}))
        Run.objects.filter(pk=tried.pk).update(simulated=True)
        agent = make_agent()
        for day in (NOON.date(), NOON.date() + timedelta(days=1)):
            SpanCount.objects.create(agent=agent, day=day, kept=5, rejected=3)
        write_facts(facts=Facts(costs=[make_cost(amount_micro=0, quantity=120, priced_by="unpriced")]))
        figures = read(monitoring)
        assert figures["acp_backlog", "order"] == 1
        assert figures["acp_backlog", "calm"] == 0, "a workflow without open runs says so"
        assert figures["acp_approvals_pending",] == 1
        assert figures["acp_approval_oldest_seconds",] > 0
        assert figures["acp_sla_breached_open",] == 1
        assert figures["acp_spans_rejected_total",] == 6
        assert figures["acp_tokens_unpriced_total",] == 120
        assert figures["acp_outbox_rows",] >= 0
        assert figures["acp_rollup_lag_seconds",] == 0

    def test_an_answer_is_given_again_for_a_while(self, monitoring, django_assert_max_num_queries):
        first = read(monitoring)
        write_facts(facts=Facts(runs=[make_run(workflow="orders", finished_at=database_now())]))
        with django_assert_max_num_queries(1):
            assert read(monitoring) == first

    def test_labels_name_workflows_and_kinds_alone(self, monitoring):
        make_payment()
        run = make_run(workflow="orders", key="Zanzibar", finished_at=database_now())
        write_facts(facts=Facts(runs=[run], costs=[make_cost(run, agent="zoe", model="Zanzibar")]))
        text = monitoring.get("/metrics/kpi").content.decode()
        labels = {
            name
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            for name in sample.labels
        }
        assert labels == set(LABELS)
        assert "Zanzibar" not in text
        assert "zoe" not in text
        assert str(run.run_id) not in text

    def test_whoever_counts_sees_only_what_they_may(self, db):
        write_facts(facts=Facts(runs=[make_run(unit_id=uuid4())], costs=[make_cost()]))
        make_payment()
        stranger = make_user()
        assert ended_for(stranger).runs == {}
        assert set(ended_for(stranger).cost_micro.values()) == {0}
        assert standing_for(stranger).approvals_pending == 0
        assert sum(ended_for(system_user(METRICS)).runs.values()) == 1


@given(st.lists(st.integers(0, 40 * 86_400_000), max_size=20), st.integers(0, 20))
def test_two_spans_of_time_together_are_the_whole(durations_ms, cut):
    def ended(some: list[int]) -> Ended:
        counts = [0] * (len(BOUNDS_S) + 1)
        for one in some:
            counts[sum(bound * 1000 < one for bound in BOUNDS_S)] += 1
        return Ended({("w", "succeeded"): len(some)}, {"w": (counts, sum(some))}, {"llm": len(some)})

    assert ended(durations_ms[:cut]) + ended(durations_ms[cut:]) == ended(durations_ms)


COUNTING = """
import django
django.setup()
from django.http import HttpResponse
from apps.core.middleware.counting import RequestCountsMiddleware
from types import SimpleNamespace
pass_on = RequestCountsMiddleware(lambda request: HttpResponse(status=204))
for method in ("GET", "BREW"):
    pass_on(SimpleNamespace(method=method))
"""


class TestProcess:
    def test_a_process_tells_of_itself(self, monitoring):
        figures = monitoring.get("/metrics").content.decode()
        assert "process_resident_memory_bytes " in figures
        assert "python_gc_objects_collected_total" in figures

    def test_processes_that_share_a_folder_count_together(self, monitoring, tmp_path, monkeypatch):
        environment = {
            **os.environ,
            "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "tests.settings",
        }
        for _ in range(2):
            subprocess.run([sys.executable, "-W", "ignore", "-c", COUNTING], env=environment, check=True)
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
        figures = monitoring.get("/metrics").content.decode()
        assert 'acp_http_requests_total{method="GET",status="204"} 2.0' in figures
        assert 'acp_http_requests_total{method="other",status="204"} 2.0' in figures
        assert 'acp_http_request_duration_seconds_count{method="GET"} 2.0' in figures
