"""One question, every way to ask it: page, CSV, API, the rows behind, and the parts of which it is the sum."""

import csv
import html
import io
import re
from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from apps.access.services import create_token
from apps.core.models import User
from apps.kpis.rules import CARDS, DEFINITIONS, Kind
from apps.kpis.rules.figures import value_text
from apps.kpis.selectors.kpis import OF_BASELINES
from tests.factories.access import make_holder
from tests.factories.kpis import make_baseline, make_fixed
from tests.kpis.oracle import World, make_world

pytestmark = pytest.mark.django_db
AUTUMN, DAYS = date(2025, 10, 20), 12
ADDED = {Kind.COUNT, Kind.SUM, Kind.STOCK}


class Asker:
    """One person at every door."""

    def __init__(self, user: User) -> None:
        token = create_token(user, user=user, days=1)
        self.browser, self.api = Client(), Client(headers={"Authorization": f"Bearer {token}"})
        self.browser.force_login(user)

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        response = self.api.get("/api/v1/kpis/", asked)
        assert response.status_code == 200, response.content
        return response.json()

    def table(self, asked: dict[str, Any]) -> list[dict[str, str]]:
        """The CSV of a dashboard: the total first, then bucket by bucket."""
        rows = csv.reader(io.StringIO(self.browser.get("/dashboards/overview/kpis.csv", asked).content.decode()))
        head, *values = [row for row in rows if not row[0].startswith("#")]
        return [dict(zip(head, row, strict=True)) for row in values]

    def page(self, asked: dict[str, Any]) -> str:
        return self.browser.get("/dashboards/overview/", asked).content.decode()

    def behind(self, kpi: str, asked: dict[str, Any]) -> int:
        """How many rows the API lists, page by page; the list's page says as many, its file holds the same."""
        rows, following = list[dict[str, Any]](), f"/api/v1/kpis/{kpi}/runs/?{urlencode(asked)}"
        while following:
            answer = self.api.get(following).json()
            rows, following = rows + answer["results"], answer["next"]
        seen = len(rows)
        assert self.file(kpi, asked) == [[as_written(value) for value in row.values()] for row in rows], kpi
        page = self.browser.get(f"/dashboards/overview/{kpi}/", asked).content.decode()
        said = re.search(r"<p>([\d,\s]+) in this list</p>", page)
        assert seen == (int(re.sub(r"\D", "", said[1])) if said else 0), kpi
        return seen

    def file(self, kpi: str, asked: dict[str, Any]) -> list[list[str]]:
        """The rows of the list's file, without its head and its end, which says how many they are."""
        text = self.browser.get(f"/dashboards/overview/{kpi}/rows.csv", asked).getvalue().decode()
        *lines, end = csv.reader(io.StringIO(text))
        rows = [row for row in lines if not row[0].startswith("#")][1:]
        assert end == [f"# end: {len(rows)} rows"], kpi
        return rows


def as_written(value: Any) -> str:
    """A value of the API as a file has it."""
    text = "" if value is None else str(value)
    return text.removesuffix("Z") + "+00:00" if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", text) else text


def questions(seed: int, world: World) -> Iterator[dict[str, Any]]:
    """Some by chance: any days, any bucket, any limit, the zone of the rollups or another."""
    random = Random(seed)
    for _ in range(3):
        first = AUTUMN + timedelta(days=random.randint(-2, DAYS))
        last = first + timedelta(days=random.randint(1, DAYS))
        limits = [{}, {"workflow": "a"}, {"version": 1}, {"unit": next(iter(world.units))}, {"agent": "x"}]
        zone = random.choice(["Europe/Berlin", "Europe/Berlin", "America/Sao_Paulo"])
        said = {"from": first, "to": last, "tz": zone, "bucket": random.choice(["day", "week", "month"])}
        yield {name: str(value) for name, value in {**said, **random.choice(limits)}.items()}


@pytest.fixture
def viewer() -> User:
    return make_holder("kpis.view_kpi")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_page_csv_api_parts_and_rows_agree(viewer: User, settings: Any, seed: int) -> None:
    settings.ACP_REPORTING_TZ = "Europe/Berlin"
    world = make_world(AUTUMN, DAYS, seed=seed, runs=90, everywhere=False)
    make_baseline(kpi="cost_per_success_minor", workflow="", value=300, valid_from=date(2024, 1, 1))
    make_fixed(40_000)
    asker, some = Asker(viewer), 0
    for asked in questions(seed, world):
        answer = asker.answer(asked)
        totals = answer["totals"]
        some += totals["throughput"]["value"]
        for key, definition in DEFINITIONS.items():
            where, total = (key, asked), totals[key]
            wanted = total["n"]
            if definition.kind == Kind.SHARE:
                wanted = total["numerator"]
            elif definition.kind == Kind.STOCK:
                wanted = total["value"]
            elif definition.members == "closed" and definition.denominator not in OF_BASELINES:
                wanted = sum(totals[part]["value"] for part in ("throughput", "failed", "cancelled"))
            assert asker.behind(key, asked) == wanted, where
        agree_with_csv(asker.table(asked), answer)
        agree_with_page(asker.page(asked), answer)
        agree_with_parts(asker, asked, answer, world)
    assert some > 30


def agree_with_csv(table: list[dict[str, str]], answer: dict[str, Any]) -> None:
    for key in DEFINITIONS:
        told = [answer["totals"][key]["value"], *(point[key] for point in answer["series"])]
        assert [row[key] for row in table] == ["" if value is None else str(value) for value in told], key


def agree_with_page(page: str, answer: dict[str, Any]) -> None:
    """Each number of the page, whether a card or a line, is the API's to the digits that it shows."""
    shown = dict(re.findall(r'id="kpi-(\w+)">.*?<p class="v">(?:<[^>]+>)?([^<]+)<', page, re.DOTALL))
    assert set(shown) == set(CARDS)
    listed = re.findall(r'<th scope="row">([^<]+)<br>.*?<td class="num[^"]*">(?:<a [^>]+>)?([^<]+)<', page, re.DOTALL)
    by_label = {html.unescape(label): text for label, text in listed}
    for key, definition in DEFINITIONS.items():
        text = value_text(definition, answer["totals"][key]["value"], "EUR")
        assert html.unescape(shown.get(key) or by_label[definition.label]) == text, key


def agree_with_parts(asker: Asker, asked: dict[str, Any], answer: dict[str, Any], world: World) -> None:
    """What may be added is the sum of its buckets, its workflows, its versions, and its units that share nothing."""
    added = [key for key, one in DEFINITIONS.items() if one.kind in ADDED]
    splits: list[tuple[str, list[Any]]] = [("workflow", ["a", "b"]), ("version", [1, 2])]
    above, _below, other = world.units
    splits.append(("unit", [above, other]))
    for name, values in splits:
        if name in asked:
            continue
        parts = [asker.answer({**asked, name: value})["totals"] for value in values]
        for key in added:
            sums = sum(part[key]["value"] or 0 for part in parts)
            assert (answer["totals"][key]["value"] or 0) == pytest.approx(sums, abs=1e-3), (key, name, asked)
    for key in added:
        if key != "backlog":
            sums = sum(point[key] or 0 for point in answer["series"])
            assert (answer["totals"][key]["value"] or 0) == pytest.approx(sums, abs=1e-3), (key, asked)
