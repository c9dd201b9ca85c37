"""What is stopped already is not offered to be stopped."""

import pytest

from apps.halts.services import engage_halt, lift_halt
from tests.factories.access import make_admin
from tests.workflows.actions import make_desk, the_item

pytestmark = pytest.mark.django_db


def test_the_page_of_kill_switches_offers_what_goes_on(client):
    desk, other = make_desk(), make_desk()
    admin = make_admin()
    client.force_login(admin)
    offered = 'name="target" value="{}"'
    halt = engage_halt(admin, scope="agent", target=desk.agent.slug, unit=desk.agent.unit, reason="Odd.")
    page = client.get("/halts/").content.decode()
    assert offered.format(desk.agent.slug) not in page
    assert offered.format(other.agent.slug) in page
    lift_halt(make_admin(), halt_id=halt.pk, reason="Fine.")
    assert offered.format(desk.agent.slug) in client.get("/halts/").content.decode()


def test_when_everything_is_stopped_nobody_is_told_that_they_may_not_stop_it(client):
    admin = make_admin()
    client.force_login(admin)
    assert "Stop everything" in client.get("/halts/").content.decode()
    engage_halt(admin, scope="everything", reason="Odd.")
    page = client.get("/halts/").content.decode()
    assert "Stop everything" not in page
    assert "not everything at once" not in page


def test_an_item_of_a_stopped_agent_offers_no_halt_of_it(client):
    desk = make_desk()
    admin = make_admin()
    client.force_login(admin)
    desk.ask(250_000)
    page = f"/inbox/{the_item().pk}/?decide=more"
    offered = f'value="agent:{desk.agent.slug}"'
    assert offered in client.get(page).content.decode()
    engage_halt(admin, scope="agent", target=desk.agent.slug, unit=desk.agent.unit, reason="Odd.")
    assert offered not in client.get(page).content.decode()
