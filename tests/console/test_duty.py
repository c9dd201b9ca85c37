"""The pages of rotas and calendars: who sees them, what they say, what they save and refuse."""

from datetime import timedelta

import pytest

from apps.access.models import Calendar, Rota
from apps.access.selectors import on_duty_of
from apps.access.services import end_person, plan_absence, save_rota
from apps.audit.models import Entry
from apps.core.models import database_now
from tests.factories.access import make_admin, make_calendar, make_holder, make_queue, make_unit, make_user

pytestmark = pytest.mark.django_db
MANAGE = "access.manage_access"
LISTS = ["/access/rotas/", "/access/calendars/"]


def sign_in(client, person):
    client.force_login(person)
    return client


def make_rota(unit, people, **fields):
    starts = database_now().date() - timedelta(days=1)
    names = [person.username for person in people]
    return save_rota(
        make_admin(),
        **{
            "slug": "nights",
            "unit": unit,
            "timezone": "UTC",
            "starts": starts,
            "at": "00:00",
            "people": names,
            **fields,
        },
    )[0]


@pytest.mark.parametrize("url", [*LISTS, "/access/new-rota/"])
def test_the_lists_open_for_who_manages_access_alone(client, url):
    assert sign_in(client, make_holder("oversight.view_escalation")).get(url).status_code == 403
    assert sign_in(client, make_holder(MANAGE)).get(url).status_code == 200


@pytest.mark.parametrize("url", LISTS)
def test_an_empty_list_says_what_to_do(client, url):
    Calendar.objects.all().delete()
    page = sign_in(client, make_admin()).get(url).content.decode()
    assert 'class="empty"' in page
    assert "/access/new-" in page


def test_a_rota_says_who_is_on_duty_now_next_and_later_and_who_asks_it(client):
    unit = make_unit()
    ada, ben = make_user(name="Ada Now"), make_user(name="Ben Next")
    make_rota(unit, [ada, ben], days=2)
    queue = make_queue(unit=unit, name="Payments", escalation=[{"after_s": 60, "to": {"rota": "nights"}}])
    sign_in(client, make_holder(MANAGE, unit=unit))
    listed = client.get("/access/rotas/").content.decode()
    assert listed.index("Ada Now") < listed.index("Ben Next")
    page = client.get("/access/rotas/nights/").content.decode()
    assert page.count("Ada Now") > 3 < page.count("Ben Next")
    assert f"#queue-{queue.slug}" in page
    assert "/access/rotas/nights/" in client.get("/access/").content.decode()


def test_a_rota_of_another_unit_is_not_there(client):
    make_rota(make_unit(), [make_user()])
    sign_in(client, make_holder(MANAGE, unit=make_unit()))
    assert "nights" not in client.get("/access/rotas/").content.decode()
    for path in ("", "edit/"):
        assert client.get(f"/access/rotas/nights/{path}").status_code == 404
    for path in ("edit/", "swaps/", "swaps/end/"):
        assert client.post(f"/access/rotas/nights/{path}", {}).status_code == 404


def test_it_says_that_who_is_on_duty_is_away_or_has_left_and_health_says_so_too(client):
    ada, admin = make_user(name="Ada"), make_admin()
    make_rota(make_unit(), [ada])
    sign_in(client, admin)
    assert "Nobody is on duty" not in client.get("/control/").content.decode()
    now = database_now()
    plan_absence(admin, user=ada, starts_at=now, ends_at=now + timedelta(hours=1), delegate=None)
    assert "Away" in client.get("/access/rotas/nights/").content.decode()
    assert "Nobody is on duty by Nights" in client.get("/control/").content.decode()
    end_person(admin, user=ada, reason="left")
    assert ">Left<" in client.get("/access/rotas/").content.decode()
    assert "Ada has left." in client.get("/control/").content.decode()


class TestSavingRotas:
    def body(self, unit, people):
        names = "\n".join(person.username for person in people)
        today = database_now().date().isoformat()
        return {
            "slug": "nights",
            "name": "Night duty",
            "unit": unit.slug,
            "timezone": "UTC",
            "starts": today,
            "at": "00:00",
            "days": 7,
            "people": names,
        }

    def test_it_is_made_and_changed(self, client):
        unit, ada, ben = make_unit(), make_user(), make_user()
        sign_in(client, make_holder(MANAGE, unit=unit))
        made = client.post("/access/new-rota/", self.body(unit, [ada, ben]))
        assert (made.status_code, made["Location"]) == (302, "/access/rotas/nights/")
        assert on_duty_of("nights") == ada
        assert "Night duty" in client.get("/access/rotas/nights/edit/").content.decode()
        changed = client.post("/access/rotas/nights/edit/", self.body(unit, [ben, ada]))
        assert (changed.status_code, on_duty_of("nights")) == (302, ben)
        assert list(
            Entry.objects.filter(subject_id=Rota.objects.get().pk).order_by("id").values_list("name", flat=True)
        ) == ["rota.created", "rota.changed"]

    @pytest.mark.parametrize(
        ("field", "value", "said"),
        [
            ("people", "nobody-here", "Line 1: There is no active person called nobody-here."),
            ("timezone", "Mars/Base", "There is no zone"),
            ("at", "25:00", "A time of day such as 09:00 is wanted."),
            ("days", "0", "greater than or equal to 1"),
            ("people", "", "This field is required."),
            ("slug", "no spaces", "Small letters, digits and dashes only"),
        ],
    )
    def test_what_is_wrong_is_said_at_its_field_and_nothing_is_saved(self, client, field, value, said):
        unit = make_unit()
        sign_in(client, make_admin())
        answer = client.post("/access/new-rota/", {**self.body(unit, [make_user()]), field: value})
        page = answer.content.decode()
        assert answer.status_code == 422
        assert said in page
        assert f'href="#id_{field}"' in page
        assert not Rota.objects.exists()

    def test_another_units_is_refused_and_a_name_that_is_taken_too(self, client):
        mine, ada = make_unit(), make_user()
        make_rota(make_unit(), [ada])
        sign_in(client, make_holder(MANAGE, unit=mine))
        for body in (self.body(mine, [ada]), {**self.body(make_unit(), [ada]), "slug": "other"}):
            assert client.post("/access/new-rota/", body).status_code == 422
        assert Rota.objects.get().slug == "nights"

    def test_a_swap_is_put_in_and_taken_back(self, client):
        unit, ada, ben = make_unit(), make_user(), make_user(name="Ben Swap")
        make_rota(unit, [ada], timezone="Europe/Berlin")
        sign_in(client, make_admin())
        now = database_now()
        typed = {
            "begins": f"{now - timedelta(days=1):%Y-%m-%dT%H:%M}",
            "ends": f"{now + timedelta(days=1):%Y-%m-%dT%H:%M}",
            "user": ben.username,
        }
        assert client.post("/access/rotas/nights/swaps/", typed).status_code == 302
        assert on_duty_of("nights") == ben
        (swap,) = Rota.objects.get().exceptions
        assert swap["from"].endswith(("+01:00", "+02:00"))
        assert "Ben Swap" in client.get("/access/rotas/nights/").content.decode()
        words = {"begins": swap["from"], "ends": swap["until"], "username": swap["user"]}
        assert client.post("/access/rotas/nights/swaps/end/", words).status_code == 302
        assert on_duty_of("nights") == ada
        assert client.post("/access/rotas/nights/swaps/end/", words).status_code == 409
        backwards = client.post("/access/rotas/nights/swaps/", {**typed, "ends": typed["begins"]})
        assert backwards.status_code == 422
        assert "It ends before it begins." in backwards.content.decode()
        assert Rota.objects.get().exceptions == []


class TestCalendars:
    BODY = {
        "slug": "hq",
        "name": "Head office",
        "timezone": "Europe/Berlin",
        "region": "DE-BY",
        "mon": "09:00-12:00, 13:00-17:00",
        "holidays": "2027-12-24 Christmas Eve\n2027-12-31",
    }

    def test_it_is_made_shown_and_changed(self, client):
        sign_in(client, make_admin())
        assert client.post("/access/new-calendar/", self.BODY).status_code == 302
        made = Calendar.objects.get(slug="hq")
        assert made.hours == {"mon": ["09:00-12:00", "13:00-17:00"]}
        assert made.holidays == [{"date": "2027-12-24", "name": "Christmas Eve"}, {"date": "2027-12-31"}]
        form = client.get("/access/calendars/hq/edit/").content.decode()
        assert "2027-12-24 Christmas Eve" in form
        assert "09:00-12:00, 13:00-17:00" in form
        assert (
            client.post("/access/calendars/hq/edit/", {**self.BODY, "tue": "10:00-11:00", "holidays": ""}).status_code
            == 302
        )
        made.refresh_from_db()
        assert (made.hours["tue"], made.holidays) == (["10:00-11:00"], [])

    def test_it_shows_the_holidays_of_the_coming_year_its_own_and_the_regions(self, client):
        own = database_now().date() + timedelta(days=30)
        far = own + timedelta(days=400)
        days = [{"date": str(own), "name": "Works outing"}, {"date": str(far), "name": "Far away"}]
        calendar = make_calendar(region="US-NY", holidays=days)
        queue = make_queue(calendar=calendar)
        unit = make_unit(calendar=calendar)
        sign_in(client, make_admin())
        page = client.get(f"/access/calendars/{calendar.slug}/").content.decode()
        for part in ("Works outing", "Thanksgiving", queue.name, unit.name, "09:00-17:00"):
            assert part in page
        assert "Far away" not in page
        assert f"/access/calendars/{calendar.slug}/" in client.get("/access/").content.decode()

    @pytest.mark.parametrize(
        ("field", "value", "said", "place"),
        [
            ("mon", "9-17", "From and until within one day", "mon"),
            ("holidays", "2027-01-01\nsomeday", "Line 2: A day such as", "holidays"),
            ("region", "XX", "No holidays are known", "region"),
            ("timezone", "Mars/Base", "There is no zone", "timezone"),
            ("mon", "", "Name at least one time", "mon"),
        ],
    )
    def test_what_is_wrong_is_said_at_its_field_and_nothing_is_saved(self, client, field, value, said, place):
        sign_in(client, make_admin())
        before = Calendar.objects.count()
        answer = client.post("/access/new-calendar/", {**self.BODY, field: value})
        assert answer.status_code == 422
        assert said in answer.content.decode()
        assert f'href="#id_{place}"' in answer.content.decode()
        assert Calendar.objects.count() == before

    def test_who_manages_one_unit_sees_it_and_may_not_change_it(self, client):
        calendar = make_calendar()
        sign_in(client, make_holder(MANAGE, unit=make_unit()))
        page = client.get(f"/access/calendars/{calendar.slug}/")
        assert page.status_code == 200
        assert "/edit/" not in page.content.decode()
        for url in ("/access/new-calendar/", f"/access/calendars/{calendar.slug}/edit/"):
            assert client.get(url).status_code == 403
            assert client.post(url, self.BODY).status_code == 403
        assert Calendar.objects.count() == Calendar.objects.filter(name=calendar.name).count()
        sign_in(client, make_user())
        assert client.get(f"/access/calendars/{calendar.slug}/").status_code == 404


class TestRemoving:
    def test_a_rota_goes_in_two_steps_that_say_what_that_means(self, client):
        unit = make_unit()
        make_rota(unit, [make_user()])
        sign_in(client, make_holder(MANAGE, unit=unit))
        assert "/access/rotas/nights/remove/" in client.get("/access/rotas/nights/").content.decode()
        page = client.get("/access/rotas/nights/remove/").content.decode()
        assert "Nobody is on duty by it any more" in page
        assert Rota.objects.exists()
        assert client.post("/access/rotas/nights/remove/")["Location"] == "/access/rotas/"
        assert not Rota.objects.exists()
        assert Entry.objects.filter(name="rota.removed").count() == 1

    def test_what_something_uses_stays_and_the_page_and_the_api_name_it(self, client):
        unit = make_unit()
        make_rota(unit, [make_user()])
        calendar = make_calendar()
        level = [{"after_s": 60, "to": {"rota": "nights"}}]
        queues = [make_queue(unit=unit, escalation=level), make_queue(escalation=level, calendar=calendar)]
        by = make_unit(calendar=calendar)
        sign_in(client, make_admin())
        for path, users in (("rotas/nights", queues), (f"calendars/{calendar.slug}", [queues[1], by])):
            assert "Remove it" not in client.get(f"/access/{path}/remove/").content.decode()
            answer = client.post(f"/access/{path}/remove/")
            told = client.delete(f"/api/v1/{path}/")
            assert (answer.status_code, told.status_code) == (409, 409)
            for user in users:
                assert f"<code>{user.slug}</code>" in answer.content.decode()
                assert user.slug in told.json()["detail"]
        assert (Rota.objects.count(), Calendar.objects.count()) == (1, 1)

    def test_strangers_remove_nothing(self, client):
        make_rota(make_unit(), [make_user()])
        calendar = make_calendar()
        sign_in(client, make_holder(MANAGE, unit=make_unit()))
        assert client.post("/access/rotas/nights/remove/").status_code == 404
        assert client.delete("/api/v1/rotas/nights/").status_code == 404
        assert client.post(f"/access/calendars/{calendar.slug}/remove/").status_code == 403
        assert client.delete(f"/api/v1/calendars/{calendar.slug}/").status_code == 403
        assert (Rota.objects.count(), Calendar.objects.count()) == (1, 1)

    def test_the_api_removes(self, client):
        make_rota(make_unit(), [make_user()])
        calendar = make_calendar()
        sign_in(client, make_admin())
        assert client.get("/api/v1/rotas/nights/").json()["slug"] == "nights"
        assert client.delete("/api/v1/rotas/nights/").status_code == 204
        assert client.get(f"/api/v1/calendars/{calendar.slug}/").json()["slug"] == calendar.slug
        assert client.delete(f"/api/v1/calendars/{calendar.slug}/").status_code == 204
        assert not Rota.objects.exists()
        assert client.delete("/api/v1/rotas/nights/").status_code == 404
