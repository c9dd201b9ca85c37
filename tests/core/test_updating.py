"""One row's update: what the database made of it comes back with it, and nothing where nothing matched."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.db.models import F, Q, Value
from django.db.models.functions import Concat
from django.test.utils import CaptureQueriesContext

from apps.agents.models import Agent
from apps.core.models import ClockTimestamp, User
from apps.core.updating import update_row
from tests.factories.access import make_user
from tests.factories.agents import make_agent

pytestmark = pytest.mark.django_db


def test_what_the_database_computed_comes_back_in_the_same_statement():
    agent = make_agent()
    rows = Agent.objects.filter(pk=agent.pk)
    with CaptureQueriesContext(connection) as queries:
        found = update_row(rows, {"name": "Renamed", "epoch": F("epoch") + 1, "created_at": ClockTimestamp()})
    assert len(queries) == 1
    assert found is not None
    again = Agent.objects.get(pk=agent.pk)
    assert found == {"name": "Renamed", "epoch": agent.epoch + 1, "created_at": again.created_at}
    assert (again.name, again.epoch) == ("Renamed", agent.epoch + 1)
    assert datetime.now(UTC).tzinfo == found["created_at"].tzinfo


def test_columns_are_read_as_django_reads_them_and_relations_by_their_name():
    person, owner = make_user(), make_user()
    found = update_row(
        User.objects.filter(pk=person.pk), {"shortcuts": F("shortcuts"), "name": Concat("name", Value("!"))}
    )
    assert found == {"shortcuts": {}, "name": f"{person.name}!"}
    agent = make_agent()
    assert update_row(Agent.objects.filter(pk=agent.pk), {"owner": owner}) == {"owner": owner}
    assert Agent.objects.get(pk=agent.pk).owner == owner


def test_where_nothing_matches_nothing_is_said_and_nothing_changes():
    agent = make_agent()
    rows = Agent.objects.filter(pk=agent.pk)
    assert update_row(rows.filter(name="somebody else"), {"name": "x"}) is None
    assert update_row(rows.filter(pk__in=[]), {"name": "x"}) is None
    assert update_row(rows.filter(~Q(unit__slug=agent.unit.slug)), {"epoch": F("epoch") + 1}) is None
    assert update_row(rows.filter(unit__slug=agent.unit.slug), {"epoch": F("epoch") + 1}) == {"epoch": agent.epoch + 1}
    assert Agent.objects.get(pk=agent.pk).name == agent.name
