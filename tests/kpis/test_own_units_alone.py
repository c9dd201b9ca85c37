"""Whoever sees one unit gets the answers of a plane where no other unit ever did anything, at every door of figures."""

import gzip
import html
import io
import re
import sys
from datetime import date, timedelta
from difflib import unified_diff
from types import SimpleNamespace
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import resolve
from django.utils import timezone
from pypdf import PdfReader

from apps.access.models import BusinessUnit
from apps.access.services import create_token
from apps.core.models import User
from apps.core.templatetags import acp
from apps.kpis.models import (
    ActionFact,
    ApprovalFact,
    CostItem,
    DurationDay,
    IncidentFact,
    Kpi,
    KpiValue,
    RollupDay,
    RunFact,
    StepFact,
)
from apps.kpis.models.clock import database_now
from apps.kpis.rules import DEFINITIONS
from apps.kpis.services.rollups import recompute_rollups
from tests.factories.access import make_holder
from tests.factories.agents import make_agent
from tests.factories.kpis import make_baseline, make_target
from tests.kpis.oracle import make_world
from tests.test_house import every_address

pytestmark = pytest.mark.django_db
GZIP = b"\x1f\x8b"
AUTUMN = date(2025, 10, 20)
PERIOD = "from=2025-10-18&to=2025-11-05"
FACTS = (RunFact, StepFact, ApprovalFact, CostItem, ActionFact, IncidentFact, KpiValue)
FIGURES = re.compile(r"(dashboards|reports|api/v1/kpis|api/v1/data-quality)/")
PAGES = (
    f"/dashboards/overview/?{PERIOD}",
    f"/dashboards/cost/?{PERIOD}&compare=previous",
    f"/dashboards/cost/behind/costs/?{PERIOD}&of_kind=llm",
    f"/dashboards/a/?{PERIOD}&bucket=week&compare=previous",
    f"/dashboards/overview/throughput/?{PERIOD}",
    f"/dashboards/a/stars/?{PERIOD}",
    f"/dashboards/a/weeks/?{PERIOD}",
    f"/dashboards/a/versions/?{PERIOD}",
    f"/dashboards/agents/x/?{PERIOD}",
    f"/dashboards/agents/x/versions/?{PERIOD}",
    f"/dashboards/uptime/of-agents/x/?{PERIOD}",
    "/dashboards/a/weeks/2025-W43/",
    "/dashboards/oversight/",
    f"/dashboards/oversight/?{PERIOD}",
    f"/dashboards/oversight/behind/asked/?{PERIOD}&of_version=none",
    f"/dashboards/oversight/behind/judged-wrong/?{PERIOD}",
    "/dashboards/unusual/",
    "/dashboards/data-quality/",
    "/dashboards/data-quality/behind/times-ran-backwards/",
    "/dashboards/data-quality/behind/other-currencies/",
    "/reports/weekly/2025-W43/",
)
"""Where reading begins; every link to a figure is followed from there."""
API = (
    f"kpis/?{PERIOD}",
    f"kpis/?{PERIOD}&workflow=a&compare=previous",
    *(f"kpis/{kpi}/runs/?{PERIOD}" for kpi in DEFINITIONS),
    *(f"kpis/{kpi}/splits/?{PERIOD}" for kpi in DEFINITIONS),
    f"kpis/stars/runs/?{PERIOD}",
    f"kpis/error_rate/runs/?{PERIOD}&error=~unnamed",
    f"kpis/escalation_rate/runs/?{PERIOD}&reason=~overdue",
    f"kpis/actions_alone/runs/?{PERIOD}&operation=o.p",
    f"kpis/cycle_time_p50_s/events/?{PERIOD}&as=csv",
    f"kpis/cost/?{PERIOD}",
    f"kpis/versions/?{PERIOD}&workflow=a",
    "kpis/control-charts/?workflow=a",
    "kpis/unusual-hours/",
    "kpis/worth-a-look/",
    "kpis/weekly-review/?workflow=a&week=2025-W43",
    "data-quality/",
)
ELSEWHERE = re.compile(
    r"dashboards/(goals|prices|rates|event-logs)/"  # what somebody set or imported
    r"|.*/(by-mail|mute|unmute|now|behind)/$|dashboards/$|reports/weekly/$"
)
SAME = re.compile(
    r'nonce="[^"]*"|"X-CSRFToken": "[^"]*"|name="csrfmiddlewaretoken" value="[^"]*"|"request_id":"[^"]*"|"lag_s":[\d.]+'
    r"|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)|# as of: .*|as of [^<]*|(?:cursor|after)=[\w%-]+"
)
"""What differs from one request to the next."""


def read(client: Client, address: str) -> tuple[int, str]:
    answer = client.get(address)
    body = b"".join(answer) if isinstance(answer, StreamingHttpResponse) else answer.content
    if body.startswith(b"%PDF-"):
        text = " ".join(sheet.extract_text() for sheet in PdfReader(io.BytesIO(body)).pages)
    else:
        text = (gzip.decompress(body) if body.startswith(GZIP) else body).decode()
    return answer.status_code, SAME.sub("", text)


def links_in(page: str, at: str) -> list[str]:
    found = [urljoin(at, html.unescape(link)) for link in re.findall(r'href="([^"#]+)', page)]
    return [link for link in found if FIGURES.match(link.lstrip("/")) and not ELSEWHERE.match(urlsplit(link).path[1:])]


def walk(browser: Client, api: Client) -> dict[str, tuple[int, str]]:
    """Every answer by its address: the pages that links lead to, one of each sort of rows or file, and the API's."""
    seen: dict[str, tuple[int, str]] = {}
    sorts, waiting = set[tuple[str, ...]](), list(PAGES)
    while waiting:
        link = waiting.pop(0)
        found = resolve(urlsplit(link).path)
        named = next((found.kwargs[one] for one in ("kind", "figure", "part", "kpi") if one in found.kwargs), link)
        if (found.route, named) not in sorts:
            sorts.add((found.route, named))
            seen[link] = read(browser, link)
            waiting += links_in(seen[link][1], link) if link in PAGES else []
    return seen | {f"/api/v1/{address}": read(api, f"/api/v1/{address}") for address in API}


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is open grows older between two requests."""
    now = database_now()
    for name, module in list(sys.modules.items()):
        if name.startswith("apps.") and hasattr(module, "database_now"):
            monkeypatch.setattr(module, "database_now", lambda: now)
    monkeypatch.setattr(acp, "timezone", SimpleNamespace(**{**vars(timezone), "now": lambda: now}))


@pytest.fixture
def holder(stopped_clock: None, settings: Any) -> User:
    settings.ACP_REPORTING_TZ = "Europe/Berlin"
    make_world(AUTUMN, 12, seed=1, runs=90)
    make_world(database_now().date() - timedelta(days=9), 8, seed=2, runs=60)
    make_baseline(kpi="cost_per_success_minor", workflow="", value=300, valid_from=date(2024, 1, 1))
    make_target(workflow="a")
    make_own_figure()
    mine = BusinessUnit.objects.get(slug="above1")
    BusinessUnit.objects.filter(slug="above2").update(parent=mine)
    make_agent(slug="x", unit=mine)
    return make_holder("kpis.view_kpi", "agents.view_agent", "workflows.view_run", unit=mine)


def make_own_figure() -> None:
    """A figure of the workflow's own, to which each run gave another value."""
    kpi = Kpi.objects.create(
        slug="stars",
        name="Stars",
        workflow="a",
        value="run.output.x.stars",
        aggregate="mean",
        direction="up",
        digest="d",
    )
    make_target(workflow="a", kpi="stars", value=3)
    KpiValue.objects.bulk_create(
        KpiValue(
            kpi="stars", digest=kpi.digest, run_id=run.run_id, finished_at=run.finished_at, value=at % 97,
            workflow="a", unit=run.unit, simulated=run.simulated,
        )
        for at, run in enumerate(RunFact.objects.filter(workflow="a", state="succeeded").order_by("run_id"))
    )  # fmt: skip


def forget_all_other_units(mine: set[Any]) -> None:
    for model in FACTS:
        model.objects.exclude(unit__in=mine).delete()
    touched = set(RollupDay.objects.values_list("workflow", "day"))
    RollupDay.objects.all().delete()
    DurationDay.objects.all().delete()
    recompute_rollups(touched=touched)


def differences(was: str, now: str) -> list[str]:
    return list(unified_diff(was.splitlines(), now.splitlines(), lineterm="", n=0))[2:6]


def test_no_figure_knows_of_another_unit(holder: User) -> None:
    browser, token = Client(), create_token(holder, user=holder, days=1)
    browser.force_login(holder)
    api = Client(headers={"Authorization": f"Bearer {token}"})
    before = walk(browser, api)
    mine = set(
        BusinessUnit.objects.filter(slug__in=["above1", "below1", "above2", "below2"]).values_list("id", flat=True)
    )
    assert RunFact.objects.exclude(unit__in=mine).count() > 30
    forget_all_other_units(mine)
    after = walk(browser, api)
    assert set(before) == set(after)
    told = {address: differences(answer[1], after[address][1]) for address, answer in before.items()}
    assert {address: lines for address, lines in told.items() if lines} == {}
    assert all(status == 200 for status, _body in before.values()), {k: s for k, (s, _b) in before.items() if s != 200}
    asked = {resolve(urlsplit(address).path).route for address in before}
    doors = {route for route in every_address() if FIGURES.match(route) and not ELSEWHERE.match(route)}
    assert doors <= asked, doors - asked
