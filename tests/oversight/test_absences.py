"""Being away: whoever stands in decides under their own name, once for both, and never what either may not."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.access.models import Absence
from apps.access.rules import MAX_CHAIN, closes_circle, represented, stand_in
from apps.access.services import end_absence, plan_absence, sweep_absences
from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.models import ClockTimestamp, database_now
from apps.oversight.models import Escalation, Vote
from apps.oversight.selectors import eligible_for, inbox_for, standing_for
from tests.factories.access import grant, make_admin, make_approver, make_queue, make_role, make_user
from tests.factories.oversight import make_escalation, make_payment, nothing_happens, say

PEOPLE = list("abcdefgh")
HOUR = timedelta(hours=1)
maps = st.dictionaries(st.sampled_from(PEOPLE), st.none() | st.sampled_from(PEOPLE))


@given(maps, st.sampled_from(PEOPLE))
def test_a_chain_ends_with_somebody_who_is_there_and_nobody_is_in_it_twice(away, person):
    chain = stand_in(away, person)
    assert len(set(chain)) == len(chain) <= MAX_CHAIN + 1
    if chain:
        assert (chain[0], chain[-1] not in away) == (person, True)
        assert chain[:-1] in represented(away, chain[-1])


@given(maps, st.sampled_from(PEOPLE), st.sampled_from(PEOPLE))
def test_what_closes_no_circle_leaves_a_chain_that_ends(away, person, delegate):
    handed = {giver: {taker} for giver, taker in away.items() if taker and giver != person}
    if not closes_circle(handed, person, delegate):
        seen, at = {person}, delegate
        while at in handed and at not in seen:
            seen.add(at)
            at = next(iter(handed[at]))
        assert at != person


def decider(queue, **fields):
    """Somebody who may decide in the queue's unit, and serves none of its queues."""
    user = make_user(**fields)
    grant(user, make_role("oversight.view_escalation", "oversight.decide_escalation"), queue.unit)
    return user


def away(user, delegate=None, *, since=-HOUR, until=HOUR):
    """``user`` is away now."""
    now = database_now()
    return Absence.objects.create(
        user=user, delegate=delegate, starts_at=now + since, ends_at=now + until, planned_by=user
    )


def over(absence):
    Absence.objects.filter(pk=absence.pk).update(ends_at=ClockTimestamp())


@pytest.mark.django_db
class TestStandingIn:
    def test_the_inbox_shows_it_while_the_window_is_open_and_not_a_moment_longer(self):
        payment = make_payment()
        cleo = decider(payment.queue)
        assert not inbox_for(cleo).exists()
        with nothing_happens(), pytest.raises(NotAllowedError):
            say(cleo, payment.item)
        window = away(payment.ada, cleo)
        assert list(inbox_for(cleo)) == [payment.item]
        Absence.objects.update(starts_at=ClockTimestamp() + HOUR, ends_at=ClockTimestamp() + 2 * HOUR)
        assert not inbox_for(cleo).exists()
        Absence.objects.update(starts_at=ClockTimestamp() - HOUR)
        over(window)
        assert not inbox_for(cleo).exists()

    def test_it_is_decided_under_one_s_own_name_for_somebody_else(self):
        payment = make_payment()
        cleo = decider(payment.queue)
        away(payment.ada, cleo)
        assert say(cleo, payment.item).state == "approved"
        assert (payment.now().decided_by, Vote.objects.get().acts_for) == (cleo, [payment.ada.username])
        assert Entry.objects.get(name="vote.cast").payload["acts_for"] == [payment.ada.username]

    def test_without_the_permission_nobody_stands_in(self):
        payment = make_payment()
        looker = make_user()
        grant(looker, make_role("oversight.view_escalation"), payment.unit)
        away(payment.ada, looker)
        assert not inbox_for(looker).exists()
        assert standing_for(looker).why_not(payment.item) == "no_permission"

    def test_both_are_one_vote_whoever_comes_first(self):
        for absent_first in (True, False):
            payment = make_payment(quorum=2)
            cleo = decider(payment.queue)
            away(payment.ada, cleo)
            first, second = (payment.ada, cleo) if absent_first else (cleo, payment.ada)
            assert say(first, payment.item).state == "pending"
            assert payment.item not in inbox_for(second)
            with nothing_happens(), pytest.raises(ConflictError) as refused:
                say(second, payment.item)
            assert refused.value.code == "already_voted"
            assert say(payment.ben, payment.item).state == "approved"

    def test_who_serves_the_queue_has_a_vote_of_their_own(self):
        payment = make_payment(quorum=2)
        away(payment.ada, payment.ben)
        assert say(payment.ada, payment.item).state == "pending"
        assert say(payment.ben, payment.item).state == "approved"
        assert Vote.objects.get(voter=payment.ben).acts_for == []

    def test_who_may_not_decide_does_not_through_somebody_else(self):
        for excluded in ("ada", "cleo", "dan"):
            queue = make_queue()
            ada, cleo, dan = make_approver(queue), decider(queue), decider(queue)
            names = {"ada": ada, "cleo": cleo, "dan": dan}
            item = make_escalation(queue=queue, exclude=[names[excluded].username])
            away(ada, dan)
            away(dan, cleo)
            assert not inbox_for(cleo).exists()
            with nothing_happens(), pytest.raises(NotAllowedError):
                say(cleo, item)

    def test_a_chain_is_followed_and_a_circle_leads_to_nobody(self):
        payment = make_payment()
        cleo, dan = decider(payment.queue), decider(payment.queue)
        away(payment.ada, dan)
        assert list(inbox_for(dan)) == [payment.item]
        back = away(dan, cleo)
        assert (list(inbox_for(dan)), list(inbox_for(cleo))) == ([], [payment.item])
        assert eligible_for(cleo, payment.item)[payment.queue.slug] == sorted(
            [payment.ben, cleo], key=lambda user: user.username
        )
        Absence.objects.filter(pk=back.pk).update(delegate=payment.ada)
        assert not inbox_for(cleo).exists()
        assert not inbox_for(dan).exists()
        assert eligible_for(cleo, payment.item)[payment.queue.slug] == [payment.ben]

    def test_a_vote_in_somebody_s_place_ends_with_the_window(self):
        payment = make_payment(quorum=2)
        cleo = decider(payment.queue)
        window = away(payment.ada, cleo)
        sweep_absences()
        say(cleo, payment.item)
        over(window)
        assert sweep_absences() == 1
        deliver_reactions()
        assert Vote.objects.get(voter=cleo).void_why == "absence_over"
        assert say(payment.ada, payment.item).state == "pending"
        assert say(payment.ben, payment.item).state == "approved"

    def test_a_vote_counted_after_the_window_is_void_at_the_count(self):
        payment = make_payment(quorum=2)
        cleo = decider(payment.queue)
        window = away(payment.ada, cleo)
        say(cleo, payment.item)
        over(window)
        assert say(payment.ben, payment.item).state == "pending"
        assert Vote.objects.get(voter=cleo).voided_at is not None

    def test_who_left_takes_nobody_s_place(self):
        payment = make_payment()
        cleo = decider(payment.queue)
        away(payment.ada, cleo)
        cleo.is_active = False
        cleo.save(update_fields=["is_active"])
        assert payment.queue.slug in eligible_for(payment.ben, payment.item)
        assert cleo not in eligible_for(payment.ben, payment.item)[payment.queue.slug]

    def test_when_everybody_is_away_the_item_goes_up_at_once(self):
        heads = make_queue(slug="heads")
        queue = make_queue(unit=heads.unit, escalation=[{"after_s": 600, "to": "heads"}])
        make_approver(heads)
        only = make_approver(queue)
        item = make_escalation(queue=queue)
        deliver_reactions()
        assert Escalation.objects.get(pk=item.pk).version == 1
        away(only)
        assert sweep_absences() == 1
        deliver_reactions()
        assert [group.queue for group in Escalation.objects.get(pk=item.pk).group_list()] == [heads]
        assert [entry.name for entry in Entry.objects.filter(name__startswith="absence.")] == ["absence.opened"]


@pytest.mark.django_db
class TestPlanning:
    def test_one_s_own_and_by_an_admin_and_by_nobody_else(self):
        queue = make_queue()
        ada, cleo = make_approver(queue), decider(queue)
        now = database_now()
        window = {"starts_at": now, "ends_at": now + HOUR}
        found = plan_absence(ada, user=ada, delegate=cleo, **window)
        assert Entry.objects.get(name="absence.planned").payload["delegate"] == cleo.username
        end_absence(make_admin(), absence=found)
        assert Absence.objects.get().ends_at < now + HOUR
        with pytest.raises(NotAllowedError):
            plan_absence(cleo, user=ada, **window)
        later = plan_absence(make_admin(), user=ada, starts_at=now + HOUR, ends_at=now + 2 * HOUR)
        end_absence(ada, absence=later)
        assert not Absence.objects.filter(pk=later.pk).exists()
        assert Entry.objects.filter(name="absence.cancelled").count() == 1

    def test_what_does_not_fit_is_said_at_its_field_and_changes_nothing(self):
        queue = make_queue()
        ada, cleo = make_approver(queue), decider(queue)
        stranger = make_user()
        now = database_now()
        plan_absence(cleo, user=cleo, delegate=ada, starts_at=now, ends_at=now + 3 * HOUR)
        wrong = [
            ("ends_at", {"starts_at": now + HOUR, "ends_at": now}),
            ("ends_at", {"starts_at": now - 2 * HOUR, "ends_at": now - HOUR}),
            ("delegate", {"starts_at": now, "ends_at": now + HOUR, "delegate": ada}),
            ("delegate", {"starts_at": now, "ends_at": now + HOUR, "delegate": stranger}),
            ("delegate", {"starts_at": now, "ends_at": now + HOUR, "delegate": cleo}),
        ]
        for field, said in wrong:
            with nothing_happens(), pytest.raises(InvalidError) as refused:
                plan_absence(ada, user=ada, **said)
            assert list(refused.value.errors) == [field]
        with pytest.raises(InvalidError) as refused:
            plan_absence(cleo, user=cleo, starts_at=now + HOUR, ends_at=now + 9 * HOUR)
        assert list(refused.value.errors) == ["starts_at"]
        half_open = plan_absence(cleo, user=cleo, starts_at=now + 3 * HOUR, ends_at=now + 4 * HOUR)
        assert half_open.starts_at == now + 3 * HOUR

    def test_by_the_api(self, client):
        queue = make_queue()
        ada, cleo = make_approver(queue), decider(queue)
        client.force_login(ada)
        now = database_now()
        body = {"starts_at": now.isoformat(), "ends_at": (now + HOUR).isoformat(), "delegate": cleo.username}
        made = client.post("/api/v1/me/absences/", body, "application/json")
        assert (made.status_code, made.json()["delegate"]) == (201, cleo.username)
        assert [row["id"] for row in client.get("/api/v1/me/absences/").json()["results"]] == [made.json()["id"]]
        for unknown in ("nobody", ada.username):
            refused = client.post("/api/v1/me/absences/", {**body, "delegate": unknown}, "application/json")
            assert (refused.status_code, "delegate" in refused.json()["errors"]) == (422, True)
        address = f"/api/v1/absences/{made.json()['id']}/end/"
        client.force_login(cleo)
        assert client.post(address, {}, "application/json").status_code == 404
        assert client.post(f"/api/v1/users/{ada.username}/absences/", body, "application/json").status_code == 404
        client.force_login(ada)
        assert client.post(address, {}, "application/json").status_code == 204
        assert client.get("/api/v1/me/absences/").json()["results"] == []
        client.force_login(make_admin())
        assert client.post(f"/api/v1/users/{ada.username}/absences/", body, "application/json").status_code == 201

    def test_on_one_s_own_page_and_by_an_admin(self, client):
        queue = make_queue()
        ada, cleo = make_approver(queue), decider(queue)
        day = database_now().date()
        typed = {"first": day.isoformat(), "last": day.isoformat(), "delegate": cleo.username}
        client.force_login(ada)
        assert cleo.name in client.get("/settings/absences/").content.decode()
        assert client.post("/settings/absences/", typed).status_code == 302
        absence = Absence.objects.get()
        assert (absence.delegate, absence.ends_at - absence.starts_at) == (cleo, timedelta(days=1))
        refused = client.post("/settings/absences/", {**typed, "last": (day - timedelta(days=9)).isoformat()})
        assert (refused.status_code, cleo.username in refused.content.decode()) == (422, True)
        assert client.post(f"/absences/{absence.pk}/end/").status_code == 302
        client.force_login(make_admin())
        assert "Away" in client.get(f"/access/people/{ada.username}/").content.decode()
        assert client.post(f"/access/people/{ada.username}/absences/", typed).status_code == 302
        assert Absence.objects.count() == 2
