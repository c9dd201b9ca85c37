"""Accuracy taken apart by operation and by agent: each way adds up to the figure, and each row to its list."""

import re
from html import unescape
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.access.services import create_token
from apps.core.errors import NotAllowedError
from apps.core.models import User
from apps.kpis.models import ActionFact
from apps.kpis.selectors import kpis_for
from apps.kpis.selectors.accuracy import accuracy_for
from apps.kpis.services.rollups import recompute_rollups
from tests.factories.access import make_holder, make_unit, make_user
from tests.factories.kpis import NOON
from tests.kpis.test_bars import Door, said_count
from tests.kpis.test_selectors import ask
from tests.kpis.test_views import signed_in

pytestmark = pytest.mark.django_db


def acted(operation: str, agent: str, **fields: Any) -> ActionFact:
    own: dict[str, Any] = {"workflow": "w", "state": "succeeded", "ended_at": NOON, "alone": False}
    own["capability"] = {"erp.pay": "order.pay", "erp.order": "order.place"}.get(operation, "")
    return ActionFact(action_id=uuid4(), operation=operation, agent=agent, **{**own, **fields})


@pytest.fixture
def viewer() -> User:
    random = Random(5)
    ActionFact.objects.bulk_create(
        acted(
            random.choice(["erp.order", "erp.pay", "mail.send"]),
            random.choice("xyz"),
            **{name: random.choice([None, True, True, False]) for name in ("decided", "reviewed", "read_back")},
        )
        for _ in range(80)
    )
    recompute_rollups(touched={("w", NOON.date())})
    return make_holder("kpis.view_kpi")


def test_both_ways_add_up_to_the_figure(viewer: User) -> None:
    found, figure = accuracy_for(viewer, ask()), kpis_for(viewer, ask()).totals["accuracy"].figure
    assert (found.whole.share.part, found.whole.share.whole) == (figure.numerator, figure.denominator)
    assert {line.name for line in found.capabilities} == {"order.pay", "order.place", "In no task"}
    for lines in (found.capabilities, found.operations, found.agents):
        assert len(lines) == 3
        assert sum(line.share.whole for line in lines) == figure.denominator
        assert sum(line.share.part for line in lines) == figure.numerator
        assert [line.share.whole for line in lines] == sorted((line.share.whole for line in lines), reverse=True)
    by_hand = [
        one
        for one in ActionFact.objects.filter(operation="erp.pay")
        if any(said is not None for said in (one.decided, one.reviewed, one.read_back))
    ]
    line = next(one for one in found.operations if one.name == "erp.pay")
    right = [one for one in by_hand if False not in (one.decided, one.reviewed, one.read_back)]
    assert (line.share.part, line.wrong) == (len(right), len(by_hand) - len(right))


def test_each_row_of_the_page_leads_to_exactly_its_actions(viewer: User) -> None:
    client = signed_in(viewer)
    page = client.get(f"/dashboards/oversight/?{ask().query}").content.decode()
    found = accuracy_for(viewer, ask())
    for line in (*found.capabilities, *found.operations, *found.agents, found.whole):
        assert line.href in unescape(page)
        listed = client.get(line.href).content.decode()
        said = re.search(r"<p>(\d+) in this list</p>", listed)
        assert said is not None
        assert int(said[1]) == line.share.part, line
    headers = {"Authorization": f"Bearer {create_token(viewer, user=viewer, days=1)}"}
    asked = f"?{ask().query}&operation=erp.pay"
    rows = Client().get(f"/api/v1/kpis/accuracy/runs/{asked}", headers=headers).json()["results"]
    assert {row["operation"] for row in rows} == {"erp.pay"}
    for address in (f"/api/v1/kpis/throughput/runs/{asked}", f"/api/v1/kpis/pending/runs/{asked}"):
        refused = Client().get(address, headers=headers)
        assert (refused.status_code, "operation" in refused.json()["errors"]) == (422, True)


def test_what_was_judged_and_what_was_wrong_have_lists_of_as_many_and_files(viewer: User) -> None:
    door, found = Door(viewer), accuracy_for(viewer, ask())
    page = door.page(f"/dashboards/oversight/?{ask().query}")
    links = re.findall(r'<a href="(/dashboards/oversight/behind/judged[^"]*)">(\d+)</a>', page)
    assert len(links) == 2 * (3 * 3 + 3), "judged and wrong, of three rows in each of three tables and of all of each"
    for link, text in links:
        assert said_count(door.page(link)) == int(text), link
    (wrong,) = (line.wrong for line in found.capabilities if line.name == "order.pay")
    address = f"/dashboards/oversight/behind/judged-wrong/?{ask().query}"
    listed = door.page(f"{address}&capability=order.pay")
    assert said_count(listed) == wrong
    assert "Capability: order.pay" in listed
    for part in ("capability=order.pay", "operation=erp.pay"):
        (home,) = re.findall(r'class="btn push" href="([^"]*)"', door.page(f"{address}&{part}"))
        assert door.browser.get(unescape(home)).status_code == 200
    assert said_count(door.page(f"{address}&capability=~none")) > 0
    assert door.browser.get(f"{address}&error=x").status_code == 422
    for way, lines in (("capability", found.capabilities), ("operation", found.operations), ("agent", found.agents)):
        raw = door.page(f"/dashboards/oversight/by-{way}.csv?{ask().query}").splitlines()
        rows = [line.split(",") for line in raw if not line.startswith("#")]
        assert rows[0][1:] == ["Judged", "Right (0..1)", "95 % interval", "Wrong"]
        assert [(row[0], int(row[1]), int(row[-1])) for row in rows[1:-1]] == [
            (line.name, line.share.whole, line.wrong) for line in lines
        ]
        assert rows[-1][1] == str(found.whole.share.whole)


def test_nothing_judged_says_so_and_units_see_their_own(viewer: User) -> None:
    unit = make_unit()
    below = make_holder("kpis.view_kpi", unit=unit)
    page = signed_in(below).get(f"/dashboards/oversight/?{ask().query}").content.decode()
    assert "No action of this period was judged" in page
    ActionFact.objects.bulk_create([acted("erp.order", "x", unit=unit.pk, decided=True)])
    assert accuracy_for(below, ask()).whole.share.whole == 1
    ActionFact.objects.update(capability="")
    assert accuracy_for(below, ask()).capabilities == []
    with pytest.raises(NotAllowedError):
        accuracy_for(make_user(), ask())
