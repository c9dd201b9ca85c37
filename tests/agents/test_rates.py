"""How often an agent may ask: beyond its limit it is told when to come again, and nothing is done."""

from datetime import timedelta

import pytest
from django.db.models import F

from apps.agents.models import Action, Agent, RequestRate
from apps.agents.services import save_agent
from apps.audit.models import Entry
from apps.core.errors import InvalidError
from apps.core.models import database_now
from apps.core.services import system_user
from tests.factories.access import grant, make_role
from tests.together import at_once
from tests.workflows.actions import make_desk

MINUTE = timedelta(minutes=1)


def limited(most: int):
    desk = make_desk()
    Agent.objects.filter(pk=desk.agent.pk).update(limits={"rate_per_minute": most})
    return desk


@pytest.mark.django_db
def test_beyond_its_limit_it_is_told_when_to_come_again():
    desk = limited(2)
    answers = [desk.ask(100) for _ in range(6)]  # a minute may end in between, once
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) in {2, 4}
    assert refused[0].json()["code"] == "rate_limited"
    assert 1 <= int(refused[0]["Retry-After"]) <= 60
    assert Action.objects.count() == 6 - len(refused)
    assert not Entry.objects.filter(name="request.refused").exists()
    RequestRate.objects.update(minute=F("minute") - MINUTE)
    assert desk.ask(100).status_code == 202, "the next minute is another"


@pytest.mark.django_db
def test_who_has_no_limit_is_not_counted():
    desk = make_desk()
    assert desk.ask(100).status_code == 202
    assert not RequestRate.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "limits", [{"rate_per_minute": 0}, {"rate_per_minute": "9"}, {"rate": 9}, {"rate_per_minute": True}]
)
def test_limits_that_say_nothing_are_refused(limits):
    agent = make_desk().agent
    grant(agent.owner, make_role("agents.view_agent"), agent.unit)
    with pytest.raises(InvalidError) as refused:
        save_agent(system_user("console"), slug=agent.slug, name="A", unit=agent.unit, owner=agent.owner, limits=limits)
    assert list(refused.value.errors) in (["limits.rate_per_minute"], ["limits.rate"])


@pytest.mark.usefixtures("real_db")
def test_many_at_once_are_counted_one_by_one():
    desk = limited(7)
    began = database_now()
    codes = at_once(*(lambda: desk.get("me/").status_code for _ in range(20)))
    is_one_minute = database_now().minute == began.minute
    assert codes.count(200) == 7 if is_one_minute else 7 <= codes.count(200) <= 14
    assert set(codes) == {200, 429}


@pytest.mark.django_db
def test_a_version_that_is_not_there_fills_no_ledger_beyond_the_limit():
    desk, before = limited(2), Entry.objects.count()
    codes = [desk.post("actions/", {}, **{"Acp-Agent-Version": "999"}).status_code for _ in range(6)]
    assert 429 in codes
    assert Entry.objects.count() - before == codes.count(409) <= 4, "a minute may end in between, once"
