"""Lists of the API ask the database so many questions, however many rows they have."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core.services import system_user
from apps.halts.models import Breaker, Halt, Trip
from apps.halts.rules import BreakerTerms
from apps.halts.services import engage_halt, save_breaker
from tests.factories.access import make_admin
from tests.factories.agents import make_agent
from tests.factories.budgets import make_budget
from tests.oversight.test_api import caller

pytestmark = pytest.mark.django_db


def add_budget(number: int) -> None:
    make_budget(make_agent(), cap=1000 + number)


def add_breaker(number: int) -> None:
    terms = BreakerTerms(kind="denied", scope="agent", threshold=3, window_s=60)
    breaker, _outcome = save_breaker(system_user("console"), slug=f"breaker-{number}", terms=terms)
    halt = engage_halt(make_admin(), scope="agent", target=f"a{number}", reason="It opened.")
    Trip.objects.create(breaker=breaker, halt=halt, measured=3, threshold=3, in_flight=0)


@pytest.mark.parametrize(("path", "add"), [("budgets", add_budget), ("breakers", add_breaker)])
def test_a_longer_list_takes_no_more_queries(path, add):
    admin = caller(make_admin())

    def asked() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as queries:
            answer = admin.get(f"/api/v1/{path}/")
        return len(answer.json()["results"]), len(queries)

    add(1)
    asked()  # what a process prepares once
    rows, queries = asked()
    for number in range(2, 6):
        add(number)
    assert asked() == (rows + 4, queries)


def test_a_list_of_breakers_counts_for_each_how_often_it_opened():
    add_breaker(1)
    Halt.objects.update(target="other")
    breaker = Breaker.objects.get(slug="breaker-1")
    again = engage_halt(make_admin(), scope="agent", target="a1", reason="It opened again.")
    Trip.objects.create(breaker=breaker, halt=again, measured=4, threshold=3, in_flight=0)
    rows = caller(make_admin()).get("/api/v1/breakers/").json()["results"]
    assert {row["opened"] for row in rows if row["slug"] != "breaker-1"} == {0}
    assert next(row["opened"] for row in rows if row["slug"] == "breaker-1") == 2
