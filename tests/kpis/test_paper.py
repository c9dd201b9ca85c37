"""Dashboards and reports on paper say what the page says; nothing that people wrote is obeyed."""

import io
import re

import pytest
from django.test import Client
from pypdf import PdfReader

from apps.core.models import User
from apps.halts.services import engage_halt
from apps.kpis.models.clock import database_now
from apps.kpis.rules.facts import Facts
from apps.kpis.selectors.paper import printed_report_for
from apps.kpis.selectors.reports import last_week_for, report_for
from apps.kpis.services import write_facts
from apps.kpis.services.letters import write_report
from apps.workflows.models import Workflow
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.agents import make_agent
from tests.factories.kpis import make_baseline, make_cost, make_decision, make_run, make_target

pytestmark = pytest.mark.django_db
VIEW = "kpis.view_kpi"
PERIOD = "from=2026-11-01&to=2026-12-01"
HOSTILE = '#read("/etc/passwd") $x$ *b* \u202egnp.exe ' + "W" * 70


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def read(content: bytes) -> tuple[PdfReader, str]:
    reader = PdfReader(io.BytesIO(content))
    return reader, re.sub(r"\s+", " ", " ".join(page.extract_text() for page in reader.pages))


def some_runs(n: int = 60) -> None:
    runs = [make_run(state="failed" if i % 20 == 0 else "succeeded", sla_ms=7_200_000) for i in range(n)]
    decisions = [make_decision(run) for run in runs[:10]]
    write_facts(facts=Facts(runs=runs, decisions=decisions, costs=[make_cost(run) for run in runs]))


def test_a_dashboard_says_on_paper_what_its_page_says() -> None:
    make_baseline(kpi="error_rate", value=0.2)
    make_target(kpi="error_rate", value=0.001, workflow="")
    some_runs()
    client = signed_in(make_holder(VIEW))
    page = client.get(f"/dashboards/overview/?{PERIOD}")
    (link,) = re.findall(r'href="(/dashboards/overview\.pdf\?[^"]*)"', page.content.decode())
    answer = client.get(link.replace("&amp;", "&"))
    assert (answer["Content-Type"], answer.status_code) == ("application/pdf", 200)
    assert 'filename="overview-2026-11-01-to-2026-11-30.pdf"' in answer["Content-Disposition"]
    reader, said = read(answer.content)
    shown = page.context["page"]
    for card in shown.cards:
        assert card.label in said
        assert card.text in said
        assert card.n in said
        assert re.sub(r"\s+", " ", card.formula) in said[said.index("How they are counted") :]
    assert "Error rate 5.0% 1.7%–13.7% 20.0% −15.0 pp better 0.1% missed 60" in said
    for sentence in shown.sentences:
        assert re.sub(r"\s+", " ", sentence.text) in said
    for drawing in shown.drawings:
        assert drawing.title in said
        assert re.sub(r"\s+", " ", drawing.finding) in said
    links = {note["/A"]["/URI"] for one in reader.pages for note in one.get("/Annots", [])}
    assert any(link.endswith(shown.cards[0].href) for link in links), "a figure leads to what is behind it"
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"], "it is tagged for screen readers"
    assert reader.metadata is not None
    assert str(reader.metadata.title).startswith("Overview")


def test_few_values_of_a_workflow_say_on_paper_how_many_they_are() -> None:
    write_facts(facts=Facts(runs=[make_run(state="failed" if i == 0 else "succeeded") for i in range(4)]))
    _reader, said = read(signed_in(make_holder(VIEW)).get(f"/dashboards/overview.pdf?{PERIOD}").content)
    assert "25.0% n 4" in said[said.index("By workflow") :]


def test_what_people_wrote_is_text_and_nothing_else() -> None:
    unit = make_unit()
    Workflow.objects.create(slug="w", name=HOSTILE, unit=unit)
    run = make_run(unit_id=unit.pk)
    write_facts(facts=Facts(runs=[run]))
    answer = signed_in(make_holder(VIEW)).get(f"/dashboards/w.pdf?{PERIOD}")
    reader, said = read(answer.content)
    assert '#read("/etc/passwd") $x$ *b*' in said
    assert "U+202E" in said, "what turns the line is seen"
    assert "\u202e" not in said
    assert said.replace(" ", "").replace("\u200b", "").count("W" * 70) == 1, "a long word is whole, over several lines"
    assert "root:" not in said
    assert len(reader.pages) <= 4


def test_a_report_is_printed_for_whoever_may_see_it() -> None:
    unit = make_unit(name="Finance")
    person = make_holder(VIEW, unit=unit)
    week = last_week_for(person)
    client = signed_in(person)
    assert (
        f"/reports/weekly/{week}.pdf?unit={unit.slug}"
        in client.get(f"/reports/weekly/{week}/?unit={unit.slug}").content.decode()
    )
    answer = client.get(f"/reports/weekly/{week}.pdf?unit={unit.slug}")
    assert f'filename="report-{week}-{unit.slug}.pdf"' in answer["Content-Disposition"]
    _reader, said = read(answer.content)
    assert f"Weekly report {week}" in said
    assert "Finance" in said
    assert "Decisions asked for" in said
    assert person.username not in said, "readers with the same rights get the same sheets"
    stranger = signed_in(make_holder(VIEW, unit=make_unit()))
    assert stranger.get(f"/reports/weekly/{week}.pdf?unit={unit.slug}").status_code == 404
    assert signed_in(make_holder("agents.view_agent")).get(f"/reports/weekly/{week}.pdf").status_code == 403
    assert client.get("/reports/weekly/2026-W99.pdf").status_code == 404


def test_reasons_that_people_gave_leave_the_house_by_no_mail() -> None:
    person, week = make_holder(VIEW), last_week_for(make_holder(VIEW)).moved(1)
    engage_halt(make_admin(), scope="everything", target="", reason="Somebody took the till.")
    report = report_for(person, week=week)
    _reader, said = read(printed_report_for(person, report))
    assert "Somebody took the till." in said
    (name, content, kind), _numbers = write_report(person, monday=week.monday).attached
    assert (name, kind) == (f"report-{week}.pdf", "application/pdf")
    assert isinstance(content, bytes)
    assert "What changed" in read(content)[1]
    assert "Somebody" not in read(content)[1]


def test_an_agent_has_a_sheet_of_its_own() -> None:
    make_agent(slug="payer", name="Payer")
    run = make_run()
    write_facts(facts=Facts(runs=[run], costs=[make_cost(run, agent="payer")]))
    client = signed_in(make_holder(VIEW))
    page = client.get(f"/dashboards/agents/payer/?{PERIOD}").content.decode()
    (link,) = re.findall(r'href="(/dashboards/agents/payer\.pdf\?[^"]*)"', page)
    answer = client.get(link.replace("&amp;", "&"))
    assert 'filename="agent-payer-2026-11-01-to-2026-11-30.pdf"' in answer["Content-Disposition"]
    _reader, said = read(answer.content)
    assert "Agent: Payer" in said
    assert "Accuracy of agents" in said
    assert "/dashboards/agents/payer/" in said


def test_sources_of_baselines_leave_the_house_by_no_mail() -> None:
    person = make_holder(VIEW)
    week = last_week_for(person).moved(1)
    make_baseline(kpi="cost_per_success_minor", workflow="", value=10_000, source="Told by the works council")
    write_facts(facts=Facts(runs=[make_run(started_at=database_now(), finished_at=database_now()) for _ in range(3)]))
    _reader, said = read(printed_report_for(person, report_for(person, week=week)))
    assert "Told by the works council" in said
    (_name, content, _kind), _numbers = write_report(person, monday=week.monday).attached
    assert isinstance(content, bytes)
    assert "works council" not in read(content)[1]


def test_of_a_workflow_that_one_does_not_see_there_is_no_paper() -> None:
    run = make_run(unit_id=make_unit().pk)
    write_facts(facts=Facts(runs=[run]))
    stranger = signed_in(make_holder(VIEW, unit=make_unit()))
    assert stranger.get(f"/dashboards/w.pdf?{PERIOD}").status_code == 404
    assert stranger.get("/dashboards/overview.pdf?from=2026-12-01&to=2026-11-01").status_code == 422
