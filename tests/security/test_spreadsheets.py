"""No file for a spreadsheet runs anything: every address that gives one is asked over HTTP, with what a cell might run.

The addresses come from the URL configuration and the API's own description, the writers from the code: a new one is
listed here, or a test fails.
"""

import ast
import csv
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from apps.access.services import create_token
from apps.classification.models import DataClass
from apps.core.models import User
from apps.kpis.models import EventLog, Kpi, LogCase, RunFact
from apps.kpis.models.facts import StepFact
from apps.kpis.rules.facts import Facts
from apps.kpis.services import write_facts
from apps.workflows.models import Workflow
from tests.factories.access import make_admin, make_holder
from tests.factories.access_reviews import open_review
from tests.factories.classification import make_data_class
from tests.factories.kpis import make_cost, make_decision, make_run, make_step
from tests.factories.oversight import make_payment, say
from tests.factories.workflows import make_workflow
from tests.kpis.test_event_log_doors import imported
from tests.test_house import APP_FILES, ROOT, every_address

pytestmark = pytest.mark.django_db
PERIOD = "from=2026-11-01&to=2026-12-01"
STARTS = {"equals": "=", "plus": "+", "minus": "-", "at": "@", "tab": "\t", "return": "\r", "line": "\n"}
WRITERS = {
    "apps/console/views/data_classes.py", "apps/console/views/feedback.py", "apps/kpis/rules/eventlogs/writing.py",
    "apps/kpis/services/letters.py", "apps/kpis/views/cases.py", "apps/kpis/views/dashboards.py",
    "apps/oversight/views/access_reviews.py",
}  # fmt: skip
"""The files of the code that write CSV; letters' is attached to mail, and is asked in its own test."""
type Scene = Callable[[User, str], str]


def feedback(_actor: User, text: str) -> str:
    payment = make_payment()
    say(payment.ada, payment.item, "reject", reason=text)
    return f"/agents/{payment.agent.slug}/feedback.csv"


def data_classes(_actor: User, text: str) -> str:
    make_data_class()
    DataClass.objects.update(name=text)
    return "/data-classes/report.csv"


def log_cases(actor: User, text: str) -> str:
    log, _said = imported(actor)
    told = {"name": text, "did": [text, "Pay"], "told": {text: text}}
    LogCase.objects.filter(pk=LogCase.objects.earliest("pk").pk).update(**told)
    EventLog.objects.update(figures={**log.figures, "attributes": [{"name": text}]})
    return f"/dashboards/event-logs/{log.pk}/cases.csv"


def own_figures(_actor: User, text: str) -> str:
    flow: Workflow = make_workflow({"steps": {"a": {"agent": "lab.do"}}})
    said = {"value": "run.output.a.n", "aggregate": "mean", "direction": "up", "digest": "x"}
    Kpi.objects.create(slug="stars", name=text[:20], workflow=flow.slug, unit=text[:20], **said)
    return f"/dashboards/{flow.slug}/kpis.csv"


def costs(_actor: User, text: str) -> str:
    write_facts(facts=Facts(costs=[make_cost(model=text)]))
    return f"/dashboards/cost/by-model.csv?{PERIOD}"


def rejections(_actor: User, text: str) -> str:
    write_facts(facts=Facts(decisions=[make_decision(outcome="rejected", reason_code=text[:40])]))
    return f"/dashboards/oversight/rejections.csv?{PERIOD}"


def split(_actor: User, text: str) -> str:
    write_facts(facts=Facts(runs=[make_run(state="failed", error_class=text)]))
    return f"/dashboards/overview/error_rate/by-error.csv?{PERIOD}"


def rows(_actor: User, text: str) -> str:
    write_facts(facts=Facts(runs=[make_run(key=text)]))
    return f"/dashboards/overview/throughput/rows.csv?{PERIOD}"


def events_of(where: str) -> Scene:
    def scene(_actor: User, text: str) -> str:
        run = make_run()
        write_facts(facts=Facts(runs=[run], steps=[make_step(run, name="check", agent="checker")]))
        StepFact.objects.update(name=text, agent=text)
        RunFact.objects.update(outcome=text[:20])
        return f"{where}{PERIOD}"

    return scene


def evidence(actor: User, text: str) -> str:
    holder = make_holder("kpis.view_kpi")
    User.objects.filter(pk=holder.pk).update(username=text)
    return f"/access/reviews/{open_review(actor).pk}/evidence.csv"


SCENES: dict[str, Scene] = {
    "access/reviews/<uuid:review_id>/evidence.csv": evidence,
    "agents/<slug:slug>/feedback.csv": feedback,
    "api/v1/kpis/<slug:kpi>/events/": events_of("/api/v1/kpis/throughput/events/?as=csv&"),
    "dashboards/<slug:slug>/<slug:figure>.csv": own_figures,
    "dashboards/<slug:slug>/<slug:kpi>/events.<str:kind>": events_of("/dashboards/overview/throughput/events.csv?"),
    "dashboards/<slug:slug>/<slug:kpi>/rows.csv": rows,
    "dashboards/<slug:slug>/<slug:kpi>/<slug:split>.csv": split,
    "dashboards/cost/<slug:figure>.csv": costs,
    "dashboards/oversight/<slug:figure>.csv": rejections,
    "dashboards/event-logs/<uuid:log_id>/cases.csv": log_cases,
    "data-classes/report.csv": data_classes,
}
"""Every address that gives one, each with a scene: what it makes holds the text, and it says where to look."""
TRIMMED = {"agents/<slug:slug>/feedback.csv"}
"""What people said, without the blanks around it: those never reach a file."""
OTHER_FIGURES = ("overview/kpis", "overview/now", "overview/throughput", "overview/cycle-time")
"""Files of the same address that are made of numbers and of the house's own words."""


def given(actor: User, path: str) -> list[list[str]]:
    """The rows of the file that ``actor`` gets."""
    client = Client()
    if path.startswith("/api/"):
        client = Client(headers={"Authorization": f"Bearer {create_token(actor, user=actor)}"})
    else:
        client.force_login(actor)
    answer: Any = client.get(path)
    assert answer.status_code == 200, answer
    assert answer["Content-Type"].startswith("text/csv")
    return list(csv.reader(io.StringIO(answer.getvalue().decode(), newline="")))


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.isascii() and cell == cell.strip()


def running(rows: list[list[str]]) -> list[str]:
    """The cells that a spreadsheet would run."""
    return [cell for row in rows for cell in row if cell.startswith(tuple(STARTS.values())) and not is_number(cell)]


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("route", sorted(SCENES))
def test_what_would_run_is_text_in_every_file(route: str, start: str):
    admin, text = make_admin(), f'{start}HYPERLINK("x")'
    rows = given(admin, SCENES[route](admin, text))
    held = [cell for row in rows for cell in row if "HYPERLINK" in cell]
    assert held
    assert running(rows) == []
    kept = text.strip() if route in TRIMMED else text
    assert (f"'{kept}" if kept.startswith(tuple(STARTS.values())) else kept) in held


@pytest.mark.parametrize("name", OTHER_FIGURES)
def test_so_it_is_in_the_files_of_figures(name: str):
    rows = given(make_admin(), f"/dashboards/{name}.csv?{PERIOD}")
    assert len(rows) > 1
    assert running(rows) == []


def test_every_address_that_gives_such_a_file_is_listed():
    pages = {route for route in every_address() if "csv" in route or re.search(r"\.<\w+:\w+>$", route)}
    described: Any = SchemaGenerator().get_schema(request=None, public=True)
    doors = {
        path.lstrip("/")
        for path, methods in described["paths"].items()
        for told in methods.values()
        if "text/csv" in told.get("responses", {}).get("200", {}).get("content", {})
    }
    assert {one.replace("{kpi}", "<slug:kpi>") for one in doors} | pages == set(SCENES)


def test_every_writer_of_such_files_is_known_and_marks_what_would_run():
    found = {}
    for path in APP_FILES:
        calls = [one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Call)]
        names = {ast.unparse(one.func) for one in calls}
        if names & {"csv.writer", "csv.DictWriter", "writer", "DictWriter"}:
            found[str(path.relative_to(ROOT))] = "as_cell" in names
    assert found == dict.fromkeys(WRITERS, True)
