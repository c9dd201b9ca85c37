"""Who is on duty: turns by days in a zone, exceptions before them; and what may be saved."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.access.models import Rota
from apps.access.rules import Turns, rota_errors, turns_of
from apps.access.selectors import on_duty_of
from apps.access.services import end_person, save_rota, swap_duty, unswap_duty
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.models import database_now
from tests.factories.access import make_admin, make_unit, make_user

BERLIN = "Europe/Berlin"
TURNS = {"timezone": BERLIN, "starts": date(2026, 3, 23), "at": "09:00", "days": 7, "people": ["ada", "ben", "carla"]}
INSTANTS = st.integers(0, 2 * 365 * 86_400).map(lambda s: datetime(2026, 3, 24, tzinfo=UTC) + timedelta(seconds=s))


def turns(**changes):
    return turns_of(**{**TURNS, "exceptions": [], **changes})


def at(text, zone=BERLIN):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("moment", "who"),
    [
        ("2026-03-23T08:59", None),
        ("2026-03-23T09:00", "ada"),
        ("2026-03-30T08:59", "ada"),  # the clocks went forward the night before
        ("2026-03-30T09:00", "ben"),
        ("2026-04-06T09:00", "carla"),
        ("2026-04-13T09:00", "ada"),
        ("2026-10-26T08:59", "ada"),  # and back: 31 weeks later
        ("2026-10-26T09:00", "ben"),
    ],
)
def test_people_take_turns_by_the_wall_clock(moment, who):
    assert turns().on_duty(at(moment)) == who


def test_exceptions_stand_before_the_turns_and_the_later_written_holds():
    exceptions = [
        {"from": "2026-03-24T09:00:00+01:00", "until": "2026-03-26T09:00:00+01:00", "user": "ben"},
        {"from": "2026-03-25T09:00:00+01:00", "until": "2026-03-25T10:00:00+01:00", "user": "carla"},
    ]
    found = turns(exceptions=exceptions)
    asked = ["2026-03-24T08:59", "2026-03-24T09:00", "2026-03-25T09:30", "2026-03-25T10:00", "2026-03-26T09:00"]
    assert [found.on_duty(at(moment)) for moment in asked] == ["ada", "ben", "carla", "ben", "ada"]


@given(INSTANTS, st.integers(1, 40), st.lists(st.sampled_from("abcdef"), min_size=1, max_size=9, unique=True))
def test_somebody_is_always_on_duty_and_it_goes_round(moment, days, people):
    found = Turns(ZoneInfo("UTC"), date(2026, 3, 23), timedelta(hours=9), days, tuple(people))
    assert found.on_duty(moment) in people
    later = moment + timedelta(days=days)
    assert people.index(found.on_duty(later)) == (people.index(found.on_duty(moment)) + 1) % len(people)


def test_a_handover_in_an_hour_that_comes_twice_happens_once_and_in_one_that_is_missing_at_the_jump():
    night = turns(at="02:30", days=1)
    fold = at("2026-10-25T02:10").replace(fold=1)  # after 02:30 was shown for the first time
    before, after = night.on_duty(at("2026-10-25T02:29")), night.on_duty(at("2026-10-25T02:30"))
    assert before != after == night.on_duty(fold)
    jump = datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert night.on_duty(jump - timedelta(seconds=1)) != night.on_duty(jump)


@given(INSTANTS, st.integers(1, 9), st.integers(1, 40), st.data())
def test_the_coming_shifts_say_what_is_asked_at_any_instant(since, days, ahead, data):
    swaps = [
        {"from": begins.isoformat(), "until": (begins + timedelta(hours=data.draw(st.integers(1, 300)))).isoformat()}
        for begins in data.draw(st.lists(INSTANTS, max_size=3))
    ]
    found = turns(days=days, exceptions=[{**swap, "user": "zoe"} for swap in swaps])
    shifts = found.shifts(since, since + timedelta(days=ahead))
    assert shifts[0].begins <= since < shifts[0].ends
    for earlier, later in pairwise(shifts):
        assert earlier.ends == later.begins
    for shift in shifts:
        inside = shift.begins + (shift.ends - shift.begins) / 2
        assert {found.on_duty(moment) for moment in (max(shift.begins, since), inside)} == {shift.person}
        assert shift.is_swapped == (shift.person == "zoe")


def test_a_turn_that_began_under_an_exception_is_told_from_where_the_exception_ended():
    found = turns(exceptions=[{"from": "2026-03-23T06:00:00Z", "until": "2026-03-23T12:00:00Z", "user": "zoe"}])
    since = datetime(2026, 3, 24, tzinfo=UTC)
    shift = found.shifts(since, since + timedelta(hours=1))[0]
    assert (shift.person, shift.is_swapped, shift.begins) == ("ada", False, datetime(2026, 3, 23, 12, tzinfo=UTC))


def test_before_the_first_turn_nobody_has_a_shift():
    found = turns().shifts(at("2026-03-01T00:00"), at("2026-03-31T00:00"))
    assert [(shift.person, shift.begins) for shift in found] == [
        ("ada", at("2026-03-23T09:00")),
        ("ben", at("2026-03-30T09:00")),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timezone", "Europe/Nowhere"),
        ("starts", "2026-03-23"),
        ("starts", None),
        ("at", "9:00"),
        ("at", "24:00"),
        ("at", None),
        ("days", 0),
        ("days", True),
        ("days", 1.0),
        ("people", []),
        ("people", [f"a{n}" for n in range(51)]),
        ("people", ["ada", "ben", "ada"]),
        ("exceptions", [{"from": "2026-12-24", "until": "2026-12-26T09:00:00Z", "user": "ben"}]),
        ("exceptions", [{"from": "2026-03-24T09:00:00+01:00", "user": "ben"}]),
        ("exceptions", [{"from": "2026-03-24T09:00:00", "until": "2026-03-25T09:00:00", "user": "ben"}]),
        ("exceptions", [{"from": "2026-03-25T09:00:00Z", "until": "2026-03-25T09:00:00Z", "user": "ben"}]),
        ("exceptions", [7]),
    ],
)
def test_what_is_wrong_is_said_at_its_field(field, value):
    assert not rota_errors(**TURNS, exceptions=[])
    errors = rota_errors(**{**TURNS, "exceptions": [], field: value})
    assert [path.split(".")[0] for path in errors] == [field]


@pytest.mark.django_db
class TestSaving:
    def test_it_is_made_changed_and_asked(self, client):
        admin, unit = make_admin(), make_unit()
        ada, ben = make_user(), make_user()
        client.force_login(admin)
        today = database_now().date()
        body = {
            "slug": "nights",
            "unit": unit.slug,
            "timezone": "UTC",
            "starts": str(today - timedelta(days=8)),
            "at": "00:00",
            "people": [ada.username, ben.username],
        }
        made = client.post("/api/v1/rotas/", body, "application/json")
        assert (made.status_code, made.json()["on_duty"]) == (201, ben.username)
        assert on_duty_of("nights") == ben
        again = client.post("/api/v1/rotas/", {**body, "days": 9}, "application/json")
        assert (again.status_code, again.json()["on_duty"]) == (200, ada.username)
        assert client.get("/api/v1/rotas/").json()["results"] == [again.json()]
        now = database_now()
        duty = {"from": (now - timedelta(hours=1)).isoformat(), "until": (now + timedelta(hours=1)).isoformat()}
        swapped = client.post(
            "/api/v1/rotas/", {**body, "days": 9, "exceptions": [{**duty, "user": ben.username}]}, "application/json"
        )
        assert (swapped.status_code, on_duty_of("nights")) == (200, ben)

    def test_times_without_an_offset_are_refused_by_every_door(self, client):
        admin, unit, ada = make_admin(), make_unit(), make_user()
        client.force_login(admin)
        body = {"slug": "r", "unit": unit.slug, "timezone": "UTC", "starts": "2026-01-01", "people": [ada.username]}
        for moments in ({"from": "2027-12-24", "until": "2027-12-26"}, {"from": "2027-12-24T09:00", "until": "x"}):
            body["exceptions"] = [{**moments, "user": ada.username}]
            refused = client.post("/api/v1/rotas/", body, "application/json")
            assert (refused.status_code, list(refused.json()["errors"])) == (422, ["exceptions.0"])
        assert not Rota.objects.exists()

    def test_a_swap_stands_before_the_turns_until_it_is_taken_back(self):
        admin, unit = make_admin(), make_unit()
        ada, ben = make_user(), make_user()
        now = database_now()
        rota, _ = save_rota(
            admin, slug="r", unit=unit, timezone="UTC", starts=now.date() - timedelta(days=1), people=[ada.username]
        )
        begins, ends = now - timedelta(hours=1), now + timedelta(hours=1)
        swap_duty(admin, rota=rota, begins=begins, ends=ends, user=ben)
        assert on_duty_of("r") == ben
        save_rota(
            admin, slug="r", unit=unit, timezone="UTC", starts=rota.starts, people=[ada.username], exceptions=None
        )
        assert on_duty_of("r") == ben
        words = {"begins": begins.isoformat(), "ends": ends.isoformat(), "username": ben.username}
        with pytest.raises(NotAllowedError):
            unswap_duty(ben, rota=rota, **words)
        unswap_duty(admin, rota=rota, **words)
        assert on_duty_of("r") == ada
        with pytest.raises(ConflictError):
            unswap_duty(admin, rota=rota, **words)
        with pytest.raises(InvalidError):
            swap_duty(admin, rota=rota, begins=ends, ends=begins, user=ben)
        assert Rota.objects.get().exceptions == []

    def test_who_left_is_not_on_duty(self):
        admin, ada = make_admin(), make_user()
        starts = database_now().date() - timedelta(days=2)
        save_rota(admin, slug="r", unit=make_unit(), timezone="UTC", starts=starts, people=[ada.username])
        assert on_duty_of("r") == ada
        end_person(admin, user=ada, reason="left")
        assert on_duty_of("r") is None
        assert on_duty_of("no-such-rota") is None

    def test_strangers_and_people_without_the_right_are_refused_and_nothing_is_kept(self):
        unit, starts = make_unit(), date(2026, 1, 1)
        with pytest.raises(InvalidError) as refused:
            save_rota(make_admin(), slug="r", unit=unit, timezone="UTC", starts=starts, people=["nobody"])
        assert list(refused.value.errors) == ["people.0"]
        ada = make_user()
        with pytest.raises(NotAllowedError):
            save_rota(ada, slug="r", unit=unit, timezone="UTC", starts=starts, people=[ada.username])
        assert not Rota.objects.exists()
