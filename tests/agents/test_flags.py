"""Flags: who sees them, who dismisses them with a reason, and what is counted afterwards."""

from typing import Any

import pytest
from django.test import Client

from apps.agents.models import Repetition
from apps.agents.rules import REPEATS_FLAGGED
from apps.agents.services import erase_actions
from apps.audit.models import Entry
from apps.core.errors import ConflictError
from apps.oversight.models import Escalation
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.agents import make_action
from tests.oversight.edge_cases.census import only
from tests.oversight.test_api import caller, nothing_but_a_note, post
from tests.workflows.actions import Desk, make_desk

pytestmark = pytest.mark.django_db
VIEW, MANAGE = "agents.view_agent", "agents.manage_agent"


def rejected(desk: Desk, reference: str = "inv-1") -> None:
    desk.ask(250_000, reference=reference)
    item = Escalation.objects.get(state="pending")
    body = {"verdict": "reject", "version": item.version, "reason": "Wrong supplier."}
    assert post(caller(desk.approver), f"/api/v1/escalations/{item.pk}/decision/", body).status_code == 200


def flagged(reference: str = "inv-1") -> tuple[Desk, Repetition]:
    desk = make_desk()
    rejected(desk, reference)
    for _ in range(REPEATS_FLAGGED):
        desk.ask(250_000, reference=reference)
    return desk, Repetition.objects.get()


def signed_in(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client


def dismiss(person: Any, flag: Repetition, reason: str = "The agent was mended.") -> Any:
    return post(caller(person), f"/api/v1/flags/{flag.pk}/dismiss/", {"reason": reason})


def test_the_api_says_who_was_flagged_why_and_when() -> None:
    desk, flag = flagged()
    reader = make_holder(VIEW, unit=desk.agent.unit)
    (told,) = caller(reader).get("/api/v1/flags/").json()["results"]
    assert (told["agent"], told["why"], told["state"]) == (desk.agent.slug, "previously_rejected", "open")
    assert (told["operation"], told["reference"], told["times"]) == (desk.operation.slug, "inv-1", REPEATS_FLAGGED)
    assert told["action"] == str(flag.rejected_id)
    assert told["flagged_at"] is not None
    assert told["dismissed_at"] is None
    assert told["may_dismiss"] is False
    assert caller(desk.agent.owner).get("/api/v1/flags/").json()["results"][0]["may_dismiss"] is True


@pytest.mark.parametrize(
    ("query", "count"),
    [("state=open", 1), ("state=dismissed", 0), ("agent=nobody", 0), ("agent=nobody&state=open", 0)],
)
def test_filters_narrow_the_list(query: str, count: int) -> None:
    flagged()
    assert len(caller(make_admin()).get(f"/api/v1/flags/?{query}").json()["results"]) == count


def test_what_is_no_filter_is_refused() -> None:
    answer = caller(make_admin()).get("/api/v1/flags/?state=maybe")
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["state"])


def test_strangers_see_none_and_dismiss_none() -> None:
    _desk, flag = flagged()
    for stranger in (make_user(), make_holder(VIEW, MANAGE, unit=make_unit())):
        assert caller(stranger).get("/api/v1/flags/").json()["results"] == []
        with nothing_but_a_note():
            assert dismiss(stranger, flag).status_code == 404
        assert signed_in(stranger).get("/flags/").status_code in {200, 403}
        assert flag.rejected.operation not in signed_in(stranger).get("/flags/").content.decode()
    assert signed_in(make_user()).get("/flags/").status_code == 403


def test_who_only_sees_does_not_dismiss_and_the_agent_neither() -> None:
    desk, flag = flagged()
    with nothing_but_a_note():
        assert dismiss(make_holder(VIEW, unit=desk.agent.unit), flag).status_code == 403
    listed = desk.get("flags/").json()["results"]
    assert [row["may_dismiss"] for row in listed] == [False]
    with only("+1 entry request.refused"):
        answer = desk.post(f"flags/{flag.pk}/dismiss/", {"reason": "I am fine."})
    assert answer.status_code == 403
    flag.refresh_from_db()
    assert flag.is_open


def test_why_it_was_dismissed_is_for_people_and_the_agent_is_not_told() -> None:
    desk, flag = flagged()
    dismiss(desk.agent.owner, flag, reason="Its owner was away; canary-7.")
    (told,) = caller(make_holder(VIEW, unit=desk.agent.unit)).get("/api/v1/flags/").json()["results"]
    assert told["reason"] == "Its owner was away; canary-7."
    answer = desk.get("flags/")
    assert [row["state"] for row in answer.json()["results"]] == ["dismissed"]
    assert "canary-7" not in answer.content.decode()


@pytest.mark.parametrize("who", ["owner", "manager"])
def test_its_owner_and_who_may_suspend_it_dismiss_it_with_a_reason_in_the_ledger(who: str) -> None:
    desk, flag = flagged()
    person = desk.agent.owner if who == "owner" else make_holder(VIEW, MANAGE, unit=desk.agent.unit)
    with nothing_but_a_note():
        assert list(dismiss(person, flag, "  ").json()["errors"]) == ["reason"]
    client, body = caller(person), {"reason": "The agent was mended."}
    with only("+1 entry agent.flag_dismissed"):
        answer = post(client, f"/api/v1/flags/{flag.pk}/dismiss/", body)
    told = answer.json()
    assert (answer.status_code, told["state"], told["dismissed_by"]) == (200, "dismissed", person.username)
    assert (told["reason"], told["may_dismiss"]) == ("The agent was mended.", False)
    entry = Entry.objects.get(name="agent.flag_dismissed")
    assert (entry.actor, entry.subject_id) == (person, desk.agent.pk)
    assert entry.payload["reason"] == "The agent was mended."
    assert entry.payload["rejected"] == str(flag.rejected_id)


def test_a_second_dismissal_names_who_was_quicker() -> None:
    desk, flag = flagged()
    dismiss(desk.agent.owner, flag)
    with nothing_but_a_note():
        answer = dismiss(make_admin(), flag, "I too.")
    assert answer.status_code == 409
    assert str(desk.agent.owner) in answer.json()["detail"]
    assert ConflictError.code == answer.json()["code"]


def test_after_a_dismissal_it_counts_from_anew_and_is_flagged_again() -> None:
    desk, flag = flagged()
    dismiss(desk.agent.owner, flag)
    with only(f"+{REPEATS_FLAGGED - 1} entry request.refused"):
        for _ in range(REPEATS_FLAGGED - 1):
            desk.ask(250_000, reference="inv-1")
    flag.refresh_from_db()
    assert not flag.is_open
    with only("+1 entry request.refused", "+1 entry agent.flagged"):
        desk.ask(250_000, reference="inv-1")
    flag.refresh_from_db()
    assert (flag.is_open, flag.times, flag.dismissed_by, flag.dismiss_reason) == (True, REPEATS_FLAGGED, None, "")


class TestPages:
    def test_lists_agent_page_and_health_show_what_stands_and_link_to_it(self) -> None:
        desk, _flag = flagged("<b>inv-1")
        admin = signed_in(make_admin())
        assert f"/flags/?agent={desk.agent.slug}" in admin.get("/agents/").content.decode()
        for url in ("/flags/", f"/agents/{desk.agent.slug}/"):
            page = admin.get(url).content.decode()
            assert "Keeps asking for what was rejected" in page
            assert "&lt;b&gt;inv-1" in page
            assert "Why does it say nothing any more?" in page
        assert "1 flag of an agent stands" in admin.get("/control/").content.decode()
        reader = signed_in(make_holder(VIEW, unit=desk.agent.unit))
        assert "Why does it say nothing any more?" not in reader.get("/flags/").content.decode()

    def test_it_is_dismissed_from_the_agent_s_page_and_stays_in_its_history(self) -> None:
        desk, flag = flagged()
        admin = signed_in(make_admin())
        url = f"/flags/{flag.pk}/dismiss/?agent={desk.agent.slug}"
        refused = admin.post(url, {"agent": "1", "reason": ""})
        assert refused.status_code == 422
        assert "Say why." in refused.content.decode()
        done = admin.post(url, {"agent": "1", "reason": "Mended <i>it</i>."})
        assert (done.status_code, done["Location"]) == (302, f"/agents/{desk.agent.slug}/")
        page = admin.get(f"/agents/{desk.agent.slug}/").content.decode()
        assert "Keeps asking" not in page
        assert "All its flags" in page
        assert "No flag stands" in admin.get("/flags/").content.decode()
        every = admin.get(f"/flags/?agent={desk.agent.slug}&state=all").content.decode()
        assert "Mended &lt;i&gt;it&lt;/i&gt;." in every

    def test_an_owner_without_any_role_sees_and_dismisses_their_own(self) -> None:
        desk, flag = flagged()
        owner = signed_in(desk.agent.owner)
        assert "Keeps asking" in owner.get("/flags/").content.decode()
        assert owner.post(f"/flags/{flag.pk}/dismiss/", {"reason": "Mended."})["Location"] == "/flags/"

    def test_the_list_goes_on_by_keyset(self) -> None:
        desk, flag = flagged()
        rows = [
            Repetition(rejected=action, agent=desk.agent, last_at=flag.last_at, flagged_at=flag.flagged_at, times=3)
            for action in more_actions(desk, 26)
        ]
        Repetition.objects.bulk_create(rows)
        page = signed_in(make_admin()).get("/flags/").content.decode()
        assert page.count("Keeps asking for what was rejected") == 25
        following = page.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
        rest = signed_in(make_admin()).get(following).content.decode()
        assert rest.count("Keeps asking for what was rejected") == 2


def more_actions(desk: Desk, count: int) -> list[Any]:
    return [make_action(agent=desk.agent, operation=desk.operation.slug) for _ in range(count)]


def test_erasing_the_rejected_action_erases_why_its_flag_was_dismissed() -> None:
    desk, flag = flagged()
    dismiss(desk.agent.owner, flag)
    erase_actions(desk.agent.owner, ids=[flag.rejected_id])
    flag.refresh_from_db()
    assert (flag.dismiss_reason, flag.dismissed_by) == ("", desk.agent.owner)
