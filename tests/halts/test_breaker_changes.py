"""What lets more through a breaker is proposed by one person and released by another; what tightens takes one."""

import json
from dataclasses import replace

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.configuration.selectors import export_for
from apps.configuration.services import ConfigurationError, apply_texts
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.services import system_user
from apps.halts.models import Breaker, BreakerChange
from apps.halts.rules import BreakerTerms, BreakerWatch
from apps.halts.selectors import waiting_breaker_changes_for
from apps.halts.services import decline_breaker_change, end_breaker, release_breaker_change, save_breaker
from apps.notifications.models import Delivery
from apps.notifications.services import spread_notices
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.agents import make_agent

pytestmark = pytest.mark.django_db
LIFT, LOWER, ENGAGE = "halts.lift_halt", "policies.lower_enforcement", "halts.engage_halt"
BASE = BreakerWatch("failed", "agent", 10, 300, "", "timeout", "teller")

watches = st.builds(
    BreakerWatch,
    kind=st.sampled_from(["failed", "denied", "spend", "volume"]),
    scope=st.sampled_from(["agent", "version"]),
    threshold=st.integers(1, 3),
    window_s=st.integers(1, 3),
    currency=st.sampled_from(["", "EUR"]),
    cause=st.sampled_from(["", "timeout", "unknown"]),
    target=st.sampled_from(["", "a", "b"]),
)


@pytest.fixture
def breaker():
    agent = make_agent(slug="teller")
    terms = BreakerTerms("failed", "agent", 10, 300, "", "timeout")
    return save_breaker(make_admin(), slug="mine", name="Mine", terms=terms, target="teller", unit=agent.unit)[0]


def save(actor, breaker, **terms):
    wanted = replace(breaker.watch, **{name: terms.pop(name) for name in [*terms] if hasattr(BASE, name)})
    named = {name: getattr(wanted, name) for name in BreakerTerms.__dataclass_fields__}
    about = {"name": breaker.name, "reason": "It opens for nothing.", "target": wanted.target, "unit": breaker.unit}
    return save_breaker(actor, slug=breaker.slug, terms=BreakerTerms(**named), **{**about, **terms})[1]


def proposed(actor, breaker, **terms) -> BreakerChange:
    assert save(actor, breaker, **terms) == "proposed"
    return BreakerChange.objects.filter(breaker=breaker).latest("id")


class TestWhatLoosens:
    @pytest.mark.parametrize(
        "terms",
        [
            {"threshold": 9},
            {"window_s": 301},
            {"cause": ""},
            {"target": ""},
            {"threshold": 1, "window_s": 900, "cause": "", "target": ""},
            {},
        ],
    )
    def test_what_only_tightens(self, terms):
        assert not replace(BASE, **terms).loosens(BASE)

    @pytest.mark.parametrize(
        "terms",
        [
            {"threshold": 11},
            {"window_s": 299},
            {"cause": "server_error"},
            {"target": "other"},
            {"scope": "version"},
            {"scope": "connector", "target": ""},
            {"kind": "denied", "cause": ""},
            {"threshold": 1, "window_s": 299},
            {"threshold": 11, "window_s": 900},
        ],
    )
    def test_what_might_let_more_through(self, terms):
        assert replace(BASE, **terms).loosens(BASE)

    def test_every_cause_or_target_is_narrowed_to_one(self):
        anything = replace(BASE, cause="", target="")
        assert replace(anything, cause="timeout").loosens(anything)
        assert replace(anything, target="teller").loosens(anything)

    @pytest.mark.parametrize("window_s", [59, 61])
    def test_how_much_more_than_usual_depends_on_the_window_both_ways(self, window_s):
        usual = BreakerWatch("volume", "agent", 10, 60)
        assert replace(usual, window_s=window_s).loosens(usual)
        assert not replace(usual, threshold=5).loosens(usual)

    @given(one=watches, other=watches)
    def test_of_two_that_differ_one_at_least_loosens_the_other(self, one, other):
        assert not one.loosens(one)
        if one != other:
            assert one.loosens(other) or other.loosens(one)

    @given(one=watches, other=watches, third=watches)
    def test_in_steps_that_tighten_nothing_is_loosened(self, one, other, third):
        if not other.loosens(one) and not third.loosens(other):
            assert not third.loosens(one)


def test_more_waits_for_a_second_person_and_less_for_nobody(breaker):
    admin, second = make_admin(), make_admin()
    assert save(admin, breaker, threshold=8) == "changed"
    breaker.refresh_from_db()
    change = proposed(admin, breaker, threshold=50, name="Patient")
    breaker.refresh_from_db()
    assert (breaker.threshold, breaker.name) == (8, "Patient")  # what it is called lets nothing through
    release_breaker_change(second, change=change)
    breaker.refresh_from_db()
    assert breaker.threshold == 50
    entries = Entry.objects.filter(subject_id__in=[change.pk, breaker.pk]).order_by("id")
    named = [(entry.name, entry.actor) for entry in entries]
    assert named[-3:] == [
        ("breakerchange.open", admin),
        ("breakerchange.released", second),
        ("breaker.changed", second),
    ]
    assert entries.last().payload["by"] == admin.username


def test_another_target_takes_its_unit_along(breaker):
    other = make_agent(slug="other", unit=make_unit())
    change = proposed(make_admin(), breaker, target="other", unit=other.unit)
    release_breaker_change(make_admin(), change=change)
    breaker.refresh_from_db()
    assert (breaker.target, breaker.unit) == ("other", other.unit)


def test_to_end_a_breaker_waits_too(breaker):
    admin = make_admin()
    change = end_breaker(admin, breaker=breaker, reason="Not needed.")
    breaker.refresh_from_db()
    assert breaker.ended_at is None
    assert end_breaker(make_admin(), breaker=breaker, reason="Again.") == change  # the same is not proposed twice
    release_breaker_change(make_admin(), change=change)
    breaker.refresh_from_db()
    assert breaker.ended_at is not None
    assert Entry.objects.get(name="breaker.ended").payload["by"] == admin.username
    with pytest.raises(ConflictError):
        end_breaker(admin, breaker=breaker, reason="Again.")
    assert save(admin, breaker, threshold=10**9) == "changed"  # off, it stopped nothing at all
    breaker.refresh_from_db()
    assert breaker.ended_at is None


def test_who_proposed_it_an_agent_and_who_may_not_lower_release_nothing(breaker):
    admin = make_admin()
    change = proposed(admin, breaker, threshold=20)
    may = make_holder(LIFT, LOWER, unit=breaker.unit)
    lifter = make_holder(LIFT, unit=breaker.unit)
    for actor, why in ((admin, "requester"), (lifter, "lowers_enforcement")):
        with pytest.raises(NotAllowedError) as refused:
            release_breaker_change(actor, change=change)
        assert (refused.value.code, refused.value.members["why"]) == ("not_eligible", why)
        assert may.username in refused.value.members["may"]
    elsewhere = make_holder(LIFT, LOWER, unit=make_unit())
    for actor in (elsewhere, make_holder(ENGAGE), make_holder(LOWER), make_agent().user, system_user("console")):
        with pytest.raises(NotAllowedError):
            release_breaker_change(actor, change=change)
    breaker.refresh_from_db()
    assert breaker.threshold == 10
    assert BreakerChange.objects.get().state == "open"
    release_breaker_change(may, change=change)
    with pytest.raises(ConflictError):
        release_breaker_change(make_admin(), change=change)


def test_an_agent_and_who_only_stops_things_propose_and_decline_nothing(breaker):
    change = proposed(make_admin(), breaker, threshold=20)
    for actor in (make_agent().user, make_holder(ENGAGE), make_holder(LIFT, unit=make_unit())):
        for act in (
            lambda actor=actor: save(actor, breaker, threshold=10**6),
            lambda actor=actor: end_breaker(actor, breaker=breaker, reason="Faster."),
            lambda actor=actor: decline_breaker_change(actor, change=change, reason="No."),
        ):
            with pytest.raises(NotAllowedError):
                act()
    assert BreakerChange.objects.get().state == "open"


def test_postgresql_itself_refuses_a_release_by_its_author(breaker):
    admin = make_admin()
    change = proposed(admin, breaker, threshold=20)
    with pytest.raises(IntegrityError, match="breaker_change_by_two_people"), transaction.atomic():
        BreakerChange.objects.filter(pk=change.pk).update(state="released", decided_by=admin)


def test_more_needs_a_reason_and_the_same_is_proposed_once(breaker):
    admin = make_admin()
    for reason in (" ", "x" * 501):
        with pytest.raises(InvalidError) as refused:
            save(admin, breaker, threshold=20, reason=reason)
        assert set(refused.value.errors) == {"reason"}
    assert not BreakerChange.objects.exists()
    first = proposed(admin, breaker, threshold=20)
    assert proposed(make_admin(), breaker, threshold=20) == first
    assert proposed(make_admin(), breaker, threshold=30) != first


def test_what_changes_meanwhile_ends_what_was_proposed_on_it(breaker):
    admin, second = make_admin(), make_admin()
    change = proposed(admin, breaker, threshold=20)
    other = end_breaker(admin, breaker=breaker, reason="Off.")
    assert save(second, breaker, threshold=5) == "changed"
    assert set(BreakerChange.objects.values_list("state", flat=True)) == {"superseded"}
    with pytest.raises(ConflictError):
        release_breaker_change(second, change=change)
    breaker.refresh_from_db()
    assert (breaker.threshold, breaker.ended_at) == (5, None)
    fresh = proposed(admin, breaker, threshold=30)
    assert save(admin, breaker, name="Other") == "changed"  # a name changes nothing that was judged
    Breaker.objects.filter(pk=breaker.pk).update(threshold=4)
    with pytest.raises(ConflictError) as stale:
        release_breaker_change(second, change=fresh)
    assert stale.value.code == "stale"
    Breaker.objects.filter(pk=breaker.pk).update(threshold=5)
    release_breaker_change(second, change=fresh)
    assert BreakerChange.objects.get(pk=other.pk).state == "superseded"


def test_it_is_declined_with_a_reason_or_taken_back_without(breaker):
    admin, second = make_admin(), make_admin()
    change = proposed(admin, breaker, threshold=20)
    with pytest.raises(InvalidError):
        decline_breaker_change(second, change=change)
    assert decline_breaker_change(second, change=change, reason="Not now.").answer == "Not now."
    own = proposed(admin, breaker, threshold=20)
    assert decline_breaker_change(admin, change=own).state == "declined"
    breaker.refresh_from_db()
    assert breaker.threshold == 10


def test_who_may_release_it_is_told_until_it_is_decided(breaker):
    admin, second = make_admin(), make_admin()
    lifter = make_holder(LIFT, unit=breaker.unit)
    change = proposed(admin, breaker, threshold=20)
    deliver_reactions()
    spread_notices()
    rows = Delivery.objects.filter(channel="in_app")
    recipients = set(rows.values_list("recipient", flat=True))
    assert second.pk in recipients
    assert not recipients & {admin.pk, lifter.pk}
    told = rows.get(recipient=second)
    assert (told.notice.url, told.closed_at) == ("/breakers/mine/", None)
    assert breaker.name in told.notice.title
    assert [waiting_breaker_changes_for(each).count() for each in (admin, second, lifter)] == [0, 1, 0]
    decline_breaker_change(second, change=change, reason="No.")
    deliver_reactions()
    told.refresh_from_db()
    assert told.closed_at is not None
    assert not waiting_breaker_changes_for(second).exists()


def client_of(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_over_the_api_it_is_accepted_and_released_by_somebody_else(breaker):
    admin, second, stranger = (
        client_of(one) for one in (make_admin(), make_admin(), make_holder(LIFT, unit=make_unit()))
    )
    path = "/api/v1/breakers/mine/"
    body = {
        "kind": "failed", "scope": "agent", "target": "teller", "threshold": 20, "window_s": 300, "cause": "timeout",
    }  # fmt: skip

    def put(**more):
        return admin.put(path, json.dumps({**body, **more}), content_type="application/json")

    assert put().json()["errors"].keys() == {"reason"}
    answer = put(reason="It opens for nothing.")
    assert (answer.status_code, answer.json()["threshold"]) == (202, 10)
    (change,) = answer.json()["changes"]
    assert (change["wanted"]["threshold"], change["was"]["threshold"], change["state"]) == (20, 10, "open")
    door = f"{path}changes/{change['id']}/"
    assert stranger.post(f"{door}release/").status_code == 404
    assert (admin.post(f"{door}release/").status_code, admin.post(f"{door}release/").json()["why"]) == (
        403,
        "requester",
    )
    released = second.post(f"{door}release/")
    assert (released.status_code, released.json()["state"]) == (200, "released")
    assert admin.get(path).json()["threshold"] == 20
    assert admin.delete(path).json()["errors"].keys() == {"reason"}
    asked = admin.delete(f"{path}?reason=Off.")
    assert (asked.status_code, asked.json()["kind"]) == (202, "end")
    declined = second.post(
        f"{path}changes/{asked.json()['id']}/decline/", json.dumps({"reason": "No."}), content_type="application/json"
    )
    assert (declined.status_code, declined.json()["answer"]) == (200, "No.")
    assert admin.get(path).json()["changes"] == []


def test_on_pages_it_is_proposed_shown_and_released_by_somebody_else(breaker):
    first, other = make_admin(name="Ada First"), make_admin(name="Ben Second")
    admin, second = client_of(first), client_of(other)
    typed = {
        "name": "Mine", "kind": "failed", "scope": "agent", "target": "teller", "threshold": 20, "window_s": 300,
        "currency": "", "cause": "timeout",
    }  # fmt: skip
    assert admin.post("/breakers/mine/", typed).status_code == 422
    said = admin.post("/breakers/mine/", {**typed, "reason": "It opens for nothing."}, follow=True).content.decode()
    assert "nothing changes until somebody else has released it" in said
    assert "A change waits" in said
    change = BreakerChange.objects.get()
    page = admin.get("/breakers/mine/").content.decode()
    assert "Take it back" in page
    assert "Ben Second" in page
    door = f"/breakers/mine/changes/{change.pk}/"
    assert f"{door}release/" not in page
    assert "One change of a breaker waits" in second.get("/control/").content.decode()
    page = second.get("/breakers/mine/").content.decode()
    assert f"{door}release/" in page
    assert "It opens for nothing." in page
    assert second.post(f"{door}release/").status_code == 302
    breaker.refresh_from_db()
    assert breaker.threshold == 20
    assert "It is released" in second.post(f"{door}decline/", {"reason": "Late."}, follow=True).content.decode()
    admin.post("/breakers/mine/end/", {"reason": ""})
    assert not BreakerChange.objects.filter(kind="end").exists()
    admin.post("/breakers/mine/end/", {"reason": "Off."})
    second.post(f"/breakers/mine/changes/{BreakerChange.objects.get(kind='end').pk}/release/")
    breaker.refresh_from_db()
    assert breaker.ended_at is not None


class TestDocuments:
    TEXT = (
        "kind: Breaker\nslug: mine\nname: Mine\ncounts: failed\nscope: agent\ntarget: teller\ncause: timeout\n"
        "threshold: {threshold}\nwindow_s: 300\n"
    )

    def outcome(self, actor, text, **more):
        return apply_texts(actor, texts={"b.yaml": text}, **more)[0].outcome

    def test_more_is_proposed_only_or_released_in_the_name_of_a_second(self, breaker):
        console, second = system_user("console"), make_admin()
        assert self.outcome(console, self.TEXT.format(threshold=20)) == "proposed"
        breaker.refresh_from_db()
        assert breaker.threshold == 10
        assert self.outcome(console, self.TEXT.format(threshold=20), approved_by=second) == "changed"
        breaker.refresh_from_db()
        assert breaker.threshold == 20
        assert Entry.objects.get(name="breaker.approval_named").payload["approved_by"] == second.username
        exported = export_for(console, kinds=["Breaker"])
        assert {each.outcome for each in apply_texts(console, texts={"out.yaml": exported})} == {"unchanged"}
        gone = "kind: Breaker\nslug: mine\nstate: absent\n"
        assert self.outcome(console, gone) == "proposed"
        assert self.outcome(console, gone, approved_by=make_holder(LIFT, LOWER)) == "removed"
        breaker.refresh_from_db()
        assert breaker.ended_at is not None

    def test_in_production_it_takes_two_people_by_name(self, breaker, settings):
        settings.IN_PRODUCTION = True
        first, second, text = make_admin(), make_admin(), self.TEXT.format(threshold=20)
        for actor, more in (
            (system_user("console"), {}),
            (system_user("console"), {"approved_by": second}),
            (first, {"approved_by": first}),
            (first, {"approved_by": make_holder(LIFT)}),
        ):
            with pytest.raises(ConfigurationError):
                self.outcome(actor, text, **more)
        breaker.refresh_from_db()
        assert breaker.threshold == 10
        assert not BreakerChange.objects.exists()
        assert self.outcome(first, text) == "proposed"
        assert self.outcome(first, text, approved_by=second) == "changed"
        assert self.outcome(first, self.TEXT.format(threshold=3)) == "changed"
