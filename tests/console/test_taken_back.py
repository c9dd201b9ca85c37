"""What a halt took back: listed on its page and in the API, with counts, for who may see the units."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.agents.services import change_state
from apps.core.models import ClockTimestamp, User
from apps.halts.models import Halt
from apps.halts.services import engage_halt
from apps.oversight.models import Escalation, Grant, Vote
from apps.oversight.services import release_held
from apps.workflows.tasks.actions import return_stopped
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.oversight import make_payment, say
from tests.oversight.test_api import caller
from tests.workflows.actions import make_desk, the_action, the_item, work
from tests.workflows.test_halting import approved, engage, lift

pytestmark = pytest.mark.django_db
SEES = ("agents.view_agent", "oversight.view_escalation", "halts.engage_halt")


def page(person: User, halt: Halt, query: str = "") -> str:
    client = Client()
    client.force_login(person)
    return client.get(f"/halts/{halt.pk}/{query}").content.decode()


def listed(person: User, halt: Halt, query: str = "") -> Any:
    return caller(person).get(f"/api/v1/halts/{halt.pk}/taken-back/{query}").json()


def test_it_lists_what_people_had_approved_with_links_and_what_became_of_it() -> None:
    desk = approved()
    item, halt = Escalation.objects.get(), engage("agent", desk.agent.slug)
    assert Grant.objects.get().halt == halt
    reader = make_holder(*SEES, unit=desk.agent.unit)
    shown = page(reader, halt)
    for part in (f"/actions/{the_action().pk}/", f"/inbox/{item.pk}/", str(desk.approver), desk.operation.slug):
        assert part in shown
    (row,) = listed(reader, halt)["results"]
    assert (row["kind"], row["action"], row["escalation"]) == ("grants", str(the_action().pk), str(item.pk))
    assert (row["state"], listed(reader, halt)["count"]) == ("approved", 1)
    lift(halt)
    (row,) = listed(make_admin(), halt)["results"]
    assert (row["state"], row["waits_in"]) == ("pending_approval", str(the_item().pk))


def test_the_list_of_halts_says_how_much_each_took_back_and_links_there() -> None:
    desk = approved()
    halt, idle = engage("agent", desk.agent.slug), engage("operation", "another.pay")
    client = Client()
    client.force_login(make_admin())
    for _ in range(2):
        shown = client.get("/halts/").content.decode()
        assert "Took back 1" in shown.split(f'href="/halts/{halt.pk}/"')[1][:60]
        assert "Took nothing back" in shown.split(f'href="/halts/{idle.pk}/"')[1][:60]
        lift(halt) if halt.lifted_at is None else None
        halt.refresh_from_db()


def test_what_rules_alone_allowed_is_listed_as_such() -> None:
    desk = make_desk(execution="agent")
    desk.ask(50_000, execution="agent")
    halt = engage("everything")
    assert "rules alone" in page(make_admin(), halt)
    assert listed(make_admin(), halt)["results"][0]["escalation"] is None


def test_whoever_does_not_see_the_unit_sees_nothing_of_it_and_no_number() -> None:
    desk = approved()
    halt = engage("agent", desk.agent.slug)
    elsewhere = make_holder(*SEES, unit=make_unit())
    assert desk.operation.slug not in page(elsewhere, halt)
    assert "Nothing that you may see" in page(elsewhere, halt)
    assert listed(elsewhere, halt) == {"results": [], "next": None, "count": 0}
    client = Client()
    client.force_login(elsewhere)
    assert "Took nothing back" in client.get("/halts/").content.decode()


def test_a_halt_that_was_lifted_is_shown_to_whom_halts_are_shown_alone() -> None:
    desk = approved()
    halt = engage("agent", desk.agent.slug)
    lift(halt)
    client = Client()
    client.force_login(make_holder("agents.view_agent"))
    assert client.get(f"/halts/{halt.pk}/").status_code == 404
    assert caller(make_holder("agents.view_agent")).get(f"/api/v1/halts/{halt.pk}/taken-back/").status_code == 404


def test_what_a_claim_found_stopped_before_the_ledger_was_followed_names_the_halt_too() -> None:
    desk = approved()
    halt = engage_halt(make_admin(), scope="agent", target=desk.agent.slug, reason="odd")
    Halt.objects.filter(pk=halt.pk).update(lifted_at=ClockTimestamp(), lifted_by=make_admin())
    work()
    assert (the_action().state, Grant.objects.earliest("id").halt) == ("pending_approval", halt)


def test_a_revocation_that_no_halt_made_names_none() -> None:
    desk = approved()
    halt = engage("everything")
    change_state(make_admin(), agent=desk.agent, to="suspended", reason="x")
    lift(halt)
    return_stopped()
    assert [row["state"] for row in listed(make_admin(), halt)["results"]] == ["failed"]
    other = engage("everything")
    assert listed(make_admin(), other)["count"] == 0


def test_a_held_decision_that_was_opened_again_is_listed() -> None:
    payment = make_payment()
    say(payment.ada, payment.item, hold_s=60)
    halt = engage_halt(make_admin(), scope="agent", target=payment.agent.slug, reason="odd")
    Halt.objects.filter(pk=halt.pk).update(lifted_at=ClockTimestamp(), lifted_by=make_admin())
    Escalation.objects.filter(pk=payment.item.pk).update(releases_at=ClockTimestamp() - timedelta(seconds=1))
    assert release_held() == 1
    assert Vote.objects.get().halt == halt
    reader = make_holder(*SEES, unit=payment.unit)
    shown = page(reader, halt, "?what=decisions")
    assert f"/inbox/{payment.item.pk}/" in shown
    told = listed(reader, halt, "?kind=decisions")
    assert (told["count"], told["results"][0]["id"]) == (1, str(payment.item.pk))
    assert listed(make_holder(*SEES, unit=make_unit()), halt, "?kind=decisions")["count"] == 0


def test_an_unknown_kind_is_refused() -> None:
    halt = engage("everything")
    answer = caller(make_admin()).get(f"/api/v1/halts/{halt.pk}/taken-back/?kind=all")
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["kind"])


def test_pages_go_on_by_keyset_and_cost_the_same_however_many() -> None:
    for _ in range(3):
        approved()
    halt, admin = engage("everything"), make_admin()
    first = listed(admin, halt, "?limit=2")
    assert (len(first["results"]), first["count"]) == (2, 3)
    rest = caller(admin).get(first["next"]).json()
    assert len(rest["results"]) == 1
    assert not {row["id"] for row in rest["results"]} & {row["id"] for row in first["results"]}
