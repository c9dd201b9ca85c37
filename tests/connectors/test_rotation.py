"""Secrets that are replaced: at once or with an overlap, by whom and when, and never to be seen again."""

import json
import logging

import pytest
from django.db import connection

from apps.audit.models import Entry
from apps.connectors import services
from apps.connectors.models import ConnectorCall, ConnectorSecret
from apps.connectors.tasks import end_overlaps
from apps.core.errors import InvalidError, NotFoundError
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from tests.connectors.test_api import agent_api, person
from tests.connectors.test_effects import approved, perform
from tests.connectors.test_views import browser
from tests.factories.access import make_admin, make_user
from tests.factories.agents import make_agent
from tests.factories.connectors import make_connector

pytestmark = pytest.mark.django_db
OLD, NEW = "canary-old-5d2e/77+q", "canary-new-9a1c/31+z"
HOUR_S = 3600


@pytest.fixture
def plane():
    return system_user("plane")


@pytest.fixture
def admin():
    return make_admin()


@pytest.fixture
def bank(system, admin):
    connector = make_connector(slug="bank", name="Bank", base_url=system.url, auth={"type": "bearer"})
    services.set_secret(admin, connector=connector, secret=OLD)
    return connector


def keys_sent(system):
    return [headers["Authorization"].removeprefix("Bearer ") for _method, _path, headers, _body in system.asked]


def nowhere(*secrets):
    """Whether no table holds any of these in clear."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        tables = [row[0] for row in cursor.fetchall()]
        for table in tables:
            for secret in secrets:
                cursor.execute(f'SELECT count(*) FROM "{table}" t WHERE t::text LIKE %s', [f"%{secret}%"])
                if cursor.fetchone()[0]:
                    return False
    return True


def test_at_once_means_that_the_old_one_is_gone(plane, admin, bank, system):
    services.set_secret(admin, connector=bank, secret=NEW)
    assert [bytes(row.sealed) == b"" for row in ConnectorSecret.objects.order_by("version")] == [True, False]
    system.will(401)
    effect = perform(plane, approved(bank))
    assert (effect.state, keys_sent(system)) == ("failed", [NEW])


def test_with_an_overlap_the_old_one_stands_in_where_the_system_does_not_take_the_new_one(plane, admin, bank, system):
    services.set_secret(admin, connector=bank, secret=NEW, overlap_s=HOUR_S)
    system.will(401, echo=True)
    system.will(201, b'{"id": "p-1"}')
    action = approved(bank)
    effect = perform(plane, action)
    assert (effect.state, keys_sent(system)) == ("succeeded", [NEW, OLD])
    assert {headers["Idempotency-Key"] for _m, _p, headers, _b in system.asked} == {str(action.pk)}
    assert "the one before was tried" in ConnectorCall.objects.get().said


@pytest.mark.parametrize("status", [200, 400, 403, 500])
def test_it_stands_in_for_nothing_else(plane, admin, bank, system, status):
    services.set_secret(admin, connector=bank, secret=NEW, overlap_s=HOUR_S)
    system.will(status)
    perform(plane, approved(bank))
    assert keys_sent(system) == [NEW]


def test_when_the_overlap_is_over_it_opens_nothing_and_is_destroyed(plane, admin, bank, system):
    services.set_secret(admin, connector=bank, secret=NEW, overlap_s=HOUR_S)
    assert end_overlaps() == 0
    ConnectorSecret.objects.filter(version=1).update(stands_in_until=ClockTimestamp())
    system.will(401)
    perform(plane, approved(bank))
    assert keys_sent(system) == [NEW]
    assert end_overlaps() == 1
    old = ConnectorSecret.objects.get(version=1)
    assert (bytes(old.sealed), old.state, old.made_by) == (b"", "destroyed", admin)
    assert Entry.objects.get(name="connectorsecret.dropped").payload["version"] == 1
    assert end_overlaps() == 0


def test_a_third_one_destroys_the_first_and_lets_the_second_stand_in(admin, bank):
    services.set_secret(admin, connector=bank, secret=NEW, overlap_s=HOUR_S)
    services.set_secret(admin, connector=bank, secret="third-secret", overlap_s=HOUR_S)
    assert [row.state for row in ConnectorSecret.objects.order_by("version")] == ["destroyed", "stands_in", "in_use"]


def test_dropping_or_moving_destroys_both(admin, bank):
    services.set_secret(admin, connector=bank, secret=NEW, overlap_s=HOUR_S)
    changed = person(admin)("PATCH", "/connectors/bank/", {"base_url": "https://evil.example.com"})
    assert changed.body["secret"] is None
    assert {row.state for row in ConnectorSecret.objects.all()} == {"destroyed"}
    assert {bytes(row.sealed) for row in ConnectorSecret.objects.all()} == {b""}


def test_whoever_manages_it_destroys_the_old_one_early(admin, bank):
    with pytest.raises(NotFoundError):
        services.drop_older_secret(admin, connector=bank)
    services.set_secret(admin, connector=bank, secret=NEW, overlap_s=HOUR_S)
    assert person(admin)("DELETE", "/connectors/bank/secret/older/").status_code == 204
    assert [row.state for row in ConnectorSecret.objects.order_by("version")] == ["destroyed", "in_use"]


@pytest.mark.parametrize("overlap_s", [-1, 8 * 86_400])
def test_an_overlap_has_an_end(admin, bank, overlap_s):
    with pytest.raises(InvalidError) as refused:
        services.set_secret(admin, connector=bank, secret=NEW, overlap_s=overlap_s)
    assert list(refused.value.errors) == ["overlap_s"]
    assert ConnectorSecret.objects.get().version == 1


def test_the_page_rotates_shows_who_and_when_and_destroys(admin, bank):
    client = browser(admin)
    assert "Let it stand in for a day" in client.get("/connectors/bank/").content.decode()
    done = client.post("/connectors/bank/secret/", {"secret": NEW, "overlap_s": "86400"}, follow=True)
    page = done.content.decode()
    for shown in ("Stands in", "version 1", "Destroy it now", ConnectorSecret.objects.get(version=1).fingerprint):
        assert shown in page, shown
    assert client.post("/connectors/bank/secret/", {"secret": "x", "overlap_s": "99"}).status_code == 422
    assert client.post("/connectors/bank/secret/older/").status_code == 302
    assert "Stands in" not in client.get("/connectors/bank/").content.decode()
    assert browser(make_user()).post("/connectors/bank/secret/older/").status_code == 404


def test_the_api_lists_versions_for_people_who_manage_it(admin, bank):
    api = person(admin)
    set_now = api("PUT", "/connectors/bank/secret/", {"secret": NEW, "overlap_s": 60}).body
    assert (set_now["version"], set_now["state"], set_now["set_by"]) == (2, "in_use", admin.username)
    listed = api("GET", "/connectors/bank/secrets/").body["results"]
    assert [row["state"] for row in listed] == ["in_use", "stands_in"]
    assert NEW not in json.dumps(listed)
    assert api("PUT", "/connectors/bank/secret/", {"secret": NEW, "overlap_s": "60"}).status_code == 422
    for other in (person(make_user()), agent_api(make_agent())):
        assert other("GET", "/connectors/bank/secrets/").status_code in {403, 404}
        assert other("DELETE", "/connectors/bank/secret/older/").status_code in {403, 404}
    assert ConnectorSecret.objects.get(version=1).state == "stands_in"


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_neither_appears_anywhere(plane, admin, bank, system, caplog, status):
    caplog.set_level(logging.DEBUG)
    services.set_secret(admin, connector=bank, secret=NEW, overlap_s=HOUR_S)
    for _ in range(2):
        system.will(status, echo=True)
    effect = perform(plane, approved(bank))
    services.probe_connector(admin, connector=bank)
    assert nowhere(OLD, NEW)
    assert OLD not in caplog.text
    assert NEW not in caplog.text
    assert OLD not in repr(effect.__dict__)
    page = browser(admin).get("/connectors/bank/").content.decode()
    assert OLD not in page
    assert NEW not in page
