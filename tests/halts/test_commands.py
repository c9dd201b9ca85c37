"""``manage.py halt`` and ``lift``: the road that is open where no page answers."""

import io

import pytest
from django.core.management import CommandError, call_command

from apps.access.services import arm_emergency, open_emergency
from apps.audit.models import Entry
from apps.core.models import User
from apps.halts.models import Halt
from tests.factories.access import grant, make_admin, make_holder, make_role
from tests.workflows.actions import Desk, make_desk

pytestmark = pytest.mark.django_db
LIFT = "halts.lift_halt"


@pytest.fixture
def desk() -> Desk:
    return make_desk()


def run(*words: str) -> str:
    """What the command prints, called with these words as in a shell."""
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue().strip()


def lift(*words: str) -> str:
    return run("lift", str(Halt.objects.get().pk), "--reason", "found it", *words)


def people_of(name: str) -> list[str]:
    return list(Entry.objects.filter(name=name).order_by("id").values_list("actor__username", flat=True))


@pytest.mark.parametrize("scope", ["everything", "agent", "unit", "connector", "operation", "version"])
def test_the_console_stops_what_it_names_and_a_second_person_lets_it_go_on(desk, scope):
    target = {
        "everything": [],
        "agent": [desk.agent.slug],
        "unit": [desk.agent.unit.slug],
        "connector": [desk.operation.connector.slug],
        "operation": [desk.operation.slug],
        "version": [f"{desk.agent.slug}@1"],
    }[scope]
    printed = run("halt", scope, *target, "--reason", "it pays twice")
    halt = Halt.objects.get()
    entry = Entry.objects.get(name="halt.engaged")
    assert printed == str(halt.pk) == str(entry.subject_id)
    assert (entry.actor.username, entry.payload["scope"], entry.payload["reason"]) == (
        "console",
        scope,
        "it pays twice",
    )
    answer = desk.ask()
    assert (answer.status_code, answer.json()["scope"], answer.json()["reason"]) == (423, scope, "it pays twice")
    person = make_holder(LIFT)
    assert "lifted" in lift("--as", person.username)
    assert people_of("halt.lifted") == [person.username]
    assert desk.ask().json()["state"] == "approved"


def test_whoever_is_named_engages_it_and_needs_the_right(desk):
    stranger, admin = make_holder(), make_admin()
    for words in (["everything"], ["agent", desk.agent.slug]):
        with pytest.raises(CommandError):
            run("halt", *words, "--reason", "x", "--as", stranger.username)
    assert desk.ask().json()["state"] == "approved"
    run("halt", "everything", "--reason", "x", "--as", admin.username)
    assert people_of("halt.engaged") == [admin.username]


@pytest.mark.parametrize("words", [["agent", "nobody"], ["agent"], ["everything", "payer"], ["everything"]])
def test_what_names_nothing_or_is_engaged_already_fails_in_words(words):
    if words == ["everything"]:
        run("halt", "everything", "--reason", "x")
    before = Halt.objects.count()
    with pytest.raises(CommandError, match=r"\w{3,} \w"):
        run("halt", *words, "--reason", "x")
    assert Halt.objects.count() == before


def in_an_emergency() -> User:
    """An emergency account whose hour runs: it may stop, as it may by command."""
    user = arm_emergency(make_admin(), username="glass")[0].user
    open_emergency(user, reason="nobody can sign in", address="192.0.2.7")
    return user


def agent_with_the_right() -> User:
    """An agent to whom somebody gave the role."""
    agent = make_desk().agent.user
    grant(agent, make_role(LIFT))
    return agent


WHO = {
    "the console": lambda: User.objects.get(username="console"),
    "an agent": agent_with_the_right,
    "an emergency account": in_an_emergency,
    "whoever may only stop": lambda: make_holder("halts.engage_halt"),
    "whoever left": lambda: make_holder(LIFT, is_active=False),
}


@pytest.mark.parametrize("who", WHO)
def test_these_lift_nothing(desk, who):
    run("halt", "everything", "--reason", "x")
    with pytest.raises(CommandError):
        lift("--as", WHO[who]().username)
    assert (desk.ask().status_code, people_of("halt.lifted")) == (423, [])


def test_nobody_is_not_a_second_person(desk):
    run("halt", "everything", "--reason", "x")
    with pytest.raises(CommandError, match="--as"):
        lift()
    assert (desk.ask().status_code, people_of("halt.lifted")) == (423, [])


@pytest.mark.parametrize("who", ["an administrator", "an emergency account"])
def test_whoever_engaged_it_does_not_lift_it(desk, who):
    engager = make_admin() if who == "an administrator" else in_an_emergency()
    run("halt", "everything", "--reason", "x", "--as", engager.username)
    with pytest.raises(CommandError):
        lift("--as", engager.username)
    assert desk.ask().status_code == 423
    assert "lifted" in lift("--as", make_admin().username)
    assert desk.ask().json()["state"] == "approved"
