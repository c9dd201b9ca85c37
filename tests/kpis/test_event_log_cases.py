"""The cases behind the numbers of an event log: as many as the number says, by page, CSV and API."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from apps.access.models import BusinessUnit
from apps.access.services import create_token
from apps.core.models import User
from apps.kpis.models import EventLog, LogCase
from apps.kpis.rules.eventlogs import Columns, asked_cases, way_digest
from apps.kpis.selectors.cases import cases_for, count_of
from apps.kpis.services import delete_event_log, import_event_log
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.workflows import make_workflow

pytestmark = pytest.mark.django_db
NAMES = ["Submit", "Check", "Pay & file", "Ask = again", "Ä → ö", "=1+1"]


REGIONS = ["North", "Süd & West", "=2+2", ""]


def text_of(cases: int, *, seed: int = 1, costs: bool = True) -> str:
    """A log in which everything occurs: loops, nobody's rows, equal ends, cases without a cost."""
    random, out = Random(seed), io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["case_id", "activity", "start", "complete", "resource", "cost", "region"])
    for number in range(cases):
        at = datetime(2026, 1, 5, 8, tzinfo=UTC) + timedelta(hours=random.randrange(24 * 70))
        told, region = costs and random.random() < 0.7, REGIONS[number % len(REGIONS)]
        for _ in range(random.randint(1, 6)):
            end = at + timedelta(minutes=random.choice((0, 5, 30)))
            who, cost = random.choice(("ada", "ben", "")), f"{random.randint(0, 900) / 100}" if told else ""
            writer.writerow([f"c{number}", random.choice(NAMES), at.isoformat(), end.isoformat(), who, cost, region])
            at = end + timedelta(minutes=random.choice((0, 60)))
    return out.getvalue()


def imported(actor: User, text: str, **said: Any) -> EventLog:
    file = io.BytesIO(text.encode())
    columns = said.pop("columns", None)
    return import_event_log(actor, file=file, **{"name": "Claims", "tz": "Europe/Berlin", "columns": columns, **said})[
        0
    ]


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def numbers_of(log: EventLog) -> Iterator[tuple[dict[str, str], int]]:
    """Every number of a log that counts cases, and one that counts events where a case counts more than once."""
    told = log.figures
    yield {}, log.cases
    yield {"of": "reworked"}, round(told["rework_share"] * log.cases)
    yield {"of": "handovers"}, told["handovers"]
    if told["cost"]:
        yield {"of": "cost"}, told["cost"]["cases"]
    for one in told["throughput_weekly"]:
        yield {"of": "week", "name": one["week"]}, one["cases"]
    for one in told["map"]["variants"]:
        yield {"of": "variant", "name": way_digest(one["activities"])}, one["cases"]
    for one in told["activities"]:
        yield {"of": "first", "name": one["activity"]}, one["starts"]
        yield {"of": "last", "name": one["activity"]}, one["ends"]
        yield {"of": "activity", "name": one["activity"]}, one["events"]
    for one in told["map"]["arrows"]:
        yield {"of": "follows", "before": one["from"], "name": one["to"]}, one["count"]
    for one in told["map"]["workload"]:
        yield {"of": "resource", "name": one["resource"]}, one["events"]
    yield from numbers_by_attribute(log)


def numbers_by_attribute(log: EventLog) -> Iterator[tuple[dict[str, str], int]]:
    for one in log.figures["attributes"]:
        yield {"of": "attribute", "key": one["name"]}, log.cases - one["cases"]
        for line in one["values"]:
            yield {"of": "attribute", "key": one["name"], "name": line["value"]}, line["cases"]


def with_costs(text: str) -> dict[str, Any]:
    return {"text": text, "columns": Columns(cost="cost"), "attributes": ["region"]}


def test_every_number_has_as_many_cases_behind_it_as_it_says() -> None:
    admin = make_admin()
    log = imported(admin, **with_costs(text_of(120)))
    asked = list(numbers_of(log))
    assert {query.get("of", "all") for query, _ in asked} == {
        *(
            "all",
            "reworked",
            "handovers",
            "cost",
            "week",
            "variant",
            "first",
            "last",
            "activity",
            "follows",
            "resource",
        ),
        "attribute",
    }
    for query, number in asked:
        _log, rows = cases_for(admin, log.pk, asked_cases(query))
        count, times = count_of(rows)
        assert times == number, query
        assert count <= times
    for kind, names in (("activity", "activities"), ("resource", None)):
        lines = log.figures[names] if names else log.figures["map"]["workload"]
        for one in lines:
            _log, rows = cases_for(admin, log.pk, asked_cases({"of": kind, "name": one[kind]}))
            assert rows.count() == one["cases"]


def test_the_page_links_every_number_to_a_list_of_as_many() -> None:
    admin = make_admin()
    client, log = signed_in(admin), imported(admin, **with_costs(text_of(80)))
    html = client.get(f"/dashboards/event-logs/{log.pk}/").content.decode()
    links = re.findall(rf'href="(/dashboards/event-logs/{log.pk}/cases/\?[^"]*)">([^<]*)<', html)
    counting = [(url.replace("&amp;", "&"), text) for url, text in links if text.replace(",", "").isdigit()]
    assert len(counting) > 40
    for url, text in counting:
        page = client.get(url)
        assert page.status_code == 200, url
        shown = re.findall(
            r"([\d,]+) (?:cases?|handovers?|times?)", page.content.decode().split("<h1")[1].split("</header>")[0]
        )
        assert text in shown, (url, text, shown)


def test_the_list_is_paged_and_shows_each_case_once() -> None:
    admin = make_admin()
    client, log = signed_in(admin), imported(admin, text_of(130))
    url, seen = f"/dashboards/event-logs/{log.pk}/cases/", []
    while url:
        html = client.get(url).content.decode()
        seen += re.findall(r'<th scope="row">(c\d+)</th>', html)
        found = re.search(r'href="([^"]+)" rel="next"', html)
        url = found[1].replace("&amp;", "&") if found else ""
    assert len(seen) == len(set(seen)) == 130
    longest = LogCase.objects.order_by("-cycle_s", "id").values_list("name", flat=True)
    assert seen == list(longest)


def test_the_csv_has_all_of_them_and_marks_what_a_spreadsheet_would_run() -> None:
    admin = make_admin()
    client, log = signed_in(admin), imported(admin, text_of(120))
    for query, number in numbers_of(log):
        answer = client.get(f"/dashboards/event-logs/{log.pk}/cases.csv?{urlencode(query)}")
        lines = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))  # type: ignore[attr-defined]
        assert sum(int(line["times"]) for line in lines) == number, query
        assert not any(line["way"].startswith("=") for line in lines)


def test_the_api_pages_through_the_same_cases(client: Client) -> None:
    admin = make_admin()
    log = imported(admin, **with_costs(text_of(60)))
    headers = {"Authorization": f"Bearer {create_token(admin, user=admin)}"}
    detail = client.get(f"/api/v1/event-logs/{log.pk}/", headers=headers).json()
    assert detail["map"]["variants"][0]["digest"] == way_digest(detail["map"]["variants"][0]["activities"])
    for query, number in [one for one in numbers_of(log) if one[0].get("of") != "week"]:
        url, times = f"/api/v1/event-logs/{log.pk}/cases/?{urlencode({**query, 'limit': 25})}", 0
        while url:
            answer = client.get(url, headers=headers).json()
            times += sum(line["times"] for line in answer["results"])
            url = answer["next"]
        assert times == number, query
    line = client.get(f"/api/v1/event-logs/{log.pk}/cases/?of=cost", headers=headers).json()["results"][0]
    assert set(line) == {
        *("case", "first_at", "last_at", "cycle_s", "handovers", "reworked", "cost", "times", "did", "by", "told")
    }
    assert len(line["did"]) == len(line["by"])


@pytest.mark.parametrize(
    "query",
    [
        {"of": "everything"},
        {"of": "week", "name": "now"},
        {"of": "week", "name": "2026-W01'--"},
        {"of": "variant", "name": "x"},
        {"of": "activity"},
        {"of": "follows", "name": "Pay"},
        {"of": "follows", "before": "Pay"},
        {"of": "activity", "name": "a\0b"},
        {"of": "follows", "name": "a", "before": "a\0b"},
        {"of": "resource", "name": "x" * 201},
    ],
)
def test_what_is_no_part_of_a_log_is_refused(client: Client, query: dict[str, str]) -> None:
    admin = make_admin()
    log = imported(admin, text_of(3))
    headers = {"Authorization": f"Bearer {create_token(admin, user=admin)}"}
    asked = urlencode(query)
    assert client.get(f"/api/v1/event-logs/{log.pk}/cases/?{asked}", headers=headers).status_code == 422
    page = signed_in(admin)
    assert page.get(f"/dashboards/event-logs/{log.pk}/cases/?{asked}").status_code == 422
    assert page.get(f"/dashboards/event-logs/{log.pk}/cases.csv?{asked}").status_code == 422


def test_a_name_is_a_value_and_no_query() -> None:
    admin = make_admin()
    log = imported(admin, text_of(5))
    for name in ("'; DROP TABLE kpis_logcase; --", "%s", "{a,b}", '"', "\\"):
        for part in ("activity", "first", "last", "resource"):
            _log, rows = cases_for(admin, log.pk, asked_cases({"of": part, "name": name}))
            assert count_of(rows) == (0, 0)
        _log, rows = cases_for(admin, log.pk, asked_cases({"of": "follows", "name": name, "before": name}))
        assert count_of(rows) == (0, 0)


def flow(unit: BusinessUnit) -> str:
    return make_workflow({"steps": {"check": {"agent": "order.check"}}}, unit=unit.slug).slug


def test_cases_of_another_units_log_are_not_there(client: Client) -> None:
    here, elsewhere = make_unit(), make_unit()
    log = imported(make_admin(), text_of(5), workflow=flow(here))
    inside, outside = make_holder("kpis.view_kpi", unit=here), make_holder("kpis.view_kpi", unit=elsewhere)
    for person, status in ((inside, 200), (outside, 404), (make_user(), 403)):
        page = signed_in(person)
        answers = [
            page.get(f"/dashboards/event-logs/{log.pk}/").status_code,
            page.get(f"/dashboards/event-logs/{log.pk}/cases/").status_code,
            page.get(f"/dashboards/event-logs/{log.pk}/cases.csv").status_code,
        ]
        headers = {"Authorization": f"Bearer {create_token(person, user=person)}"}
        answers.append(client.get(f"/api/v1/event-logs/{log.pk}/cases/", headers=headers).status_code)
        assert answers == [status] * 4 or (status == 403 and set(answers) <= {403, 404})


def test_an_empty_list_says_why(client: Client) -> None:
    admin = make_admin()
    log = imported(admin, text_of(5))
    page = signed_in(admin)
    html = page.get(f"/dashboards/event-logs/{log.pk}/cases/?of=activity&name=Nothing").content.decode()
    assert "No case of this log fits" in html
    LogCase.objects.all().delete()
    EventLog.objects.update(has_cases=False)
    html = page.get(f"/dashboards/event-logs/{log.pk}/cases/").content.decode()
    assert "It was imported before cases were kept" in html


def test_a_log_from_before_gets_its_cases_by_the_same_file() -> None:
    admin = make_admin()
    log = imported(admin, text_of(5))
    LogCase.objects.all().delete()
    EventLog.objects.update(has_cases=False)
    assert imported(admin, text_of(5)).pk == log.pk
    assert log.kept_cases.count() == 5


def test_another_file_takes_the_place_of_the_cases_and_removing_takes_them_away() -> None:
    admin = make_admin()
    imported(admin, text_of(9))
    log = imported(admin, text_of(4, seed=2))
    assert LogCase.objects.count() == log.cases == 4
    delete_event_log(admin, log=log)
    assert LogCase.objects.count() == 0


def test_the_page_says_what_its_import_did() -> None:
    client = signed_in(make_admin())
    unit = make_unit()
    slug = flow(unit)
    file = io.BytesIO(text_of(40, costs=False).encode())
    file.name = "claims.csv"
    at = client.post("/dashboards/event-logs/", {"file": file}).headers["Location"]
    form = client.get(at).context["form"]
    sent = {name: "" if value is None else value for name, value in form.initial.items() if name in form.fields}
    answer = client.post(at, {**sent, "name": "Claims", "workflow": slug, "tz": "UTC", "import": "1"}, follow=True)
    html, log = answer.content.decode(), EventLog.objects.get()
    assert f"Imported: {log.events} events in 40 cases, read in" in html
    assert "Baselines of its workflow were set from it." in html
