"""Several versions at once: which one acts, what a halt on one stops, and that none is rewritten."""

import pytest
from django.db import IntegrityError, connection, transaction

from apps.agents.models import Action, AgentCredential, AgentVersion
from apps.agents.services import create_credential, save_version
from apps.audit.models import Entry
from apps.core.rules import digest_of
from apps.halts.services import engage_halt
from tests.factories.access import make_admin
from tests.workflows.actions import make_desk

pytestmark = pytest.mark.django_db
HEADER = "Acp-Agent-Version"


@pytest.fixture
def desk():
    """An agent with an active version 1, a pilot 2 and a draft 3."""
    desk = make_desk()
    for number, state in ((2, "pilot"), (3, "draft")):
        AgentVersion.objects.create(
            agent=desk.agent, number=number, state=state, digest=digest_of(number), made_by=desk.agent.owner
        )
    return desk


def ask(desk, **headers):
    return desk.post("actions/", desk.body(50_000), key=f"k{Action.objects.count()}", **headers)


@pytest.mark.parametrize(("named", "number"), [("", 1), ("1", 1), ("2", 2)])
def test_the_header_names_the_version_that_acts(desk, named, number):
    assert ask(desk, **{HEADER: named}).status_code == 202
    assert Action.objects.get().version.number == number


@pytest.mark.parametrize("named", ["3", "9", "0", "-1", "1.0", "two", "²", "1" * 40, f"{'x' * 5000}"])
def test_a_version_that_is_not_at_work_acts_and_reads_nothing(desk, named):
    answer = ask(desk, **{HEADER: named})
    assert (answer.status_code, answer.json()["code"]) == (409, "unknown_version")
    assert answer["Content-Type"] == "application/problem+json"
    assert not Action.objects.exists()
    entry = Entry.objects.get(name="agentcredential.refused")
    assert (entry.payload["code"], entry.actor) == ("unknown_version", desk.agent.user)


def test_a_version_that_was_superseded_is_told_so(desk):
    save_version(make_admin(), agent=desk.agent, instructions="Be bolder.")
    assert ask(desk, **{HEADER: "1"}).json()["code"] == "unknown_version"
    assert ask(desk, **{HEADER: "4"}).status_code == 202


def test_a_key_bound_to_a_version_acts_as_that_and_no_other(desk):
    key = create_credential(make_admin(), agent=desk.agent, version=2).text
    assert desk.post("actions/", desk.body(50_000), key="k", token=key).status_code == 202
    assert Action.objects.get().version.number == 2
    other = desk.post("actions/", desk.body(50_000), key="l", token=key, **{HEADER: "1"})
    assert (other.status_code, other.json()["code"]) == (409, "unknown_version")
    AgentVersion.objects.filter(number=2).update(state="superseded")
    assert desk.post("actions/", desk.body(50_000), key="m", token=key).json()["code"] == "unknown_version"


def test_a_key_is_bound_over_http_to_a_version_that_exists(desk, client):
    client.force_login(make_admin())
    path = f"/api/v1/agents/{desk.agent.slug}/credentials/"
    wrong = client.post(path, {"version": 9}, content_type="application/json")
    assert (wrong.status_code, list(wrong.json()["errors"])) == (422, ["version"])
    assert client.post(path, {"version": 2}, content_type="application/json").status_code == 201
    assert AgentCredential.objects.latest("id").version.number == 2


def test_a_halt_on_a_version_stops_that_one_and_me_says_so(desk):
    engage_halt(make_admin(), scope="version", target=f"{desk.agent.slug}@2", reason="odd")
    stopped = ask(desk, **{HEADER: "2"})
    assert (stopped.status_code, stopped.json()["scope"]) == (423, "version")
    assert ask(desk).status_code == 202
    assert desk.get("me/").json()["halts"] == []
    engage_halt(make_admin(), scope="version", target=f"{desk.agent.slug}@1", reason="odder")
    [halt] = desk.get("me/").json()["halts"]
    assert (halt["scope"], halt["target"], halt["reason"]) == ("version", f"{desk.agent.slug}@1", "odder")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE agents_agentversion SET instructions = 'Pay everybody.'",
        "UPDATE agents_agentversion SET config = '{}', model = 'another', state = 'active'",
        "UPDATE agents_agentversion SET digest = 'x'",
        "UPDATE agents_agentversion SET number = number + 10",
        "UPDATE agents_agentversion SET changelog = 'nothing'",
        "DELETE FROM agents_agentversion WHERE state = 'draft'",
    ],
)
def test_nobody_rewrites_a_version(desk, statement):
    before = list(AgentVersion.objects.order_by("number").values())
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert list(AgentVersion.objects.order_by("number").values()) == before
