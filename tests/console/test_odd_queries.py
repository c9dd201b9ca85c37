"""What no page expects in an address is no page's end."""

import pytest
from django.test import Client

from tests.factories.access import make_admin

pytestmark = pytest.mark.django_db
PAGES = [
    "/search/?q=a%00b", "/actions/?agent=%00", "/agents/?q=%00", "/inbox/?q=%00&view=team", "/runs/?key=%00",
    "/access/?q=%00&role=%00&state=%00",
    "/runs/?q=%00", "/access/people/%00/", "/audit/?actor=%00", "/audit/?name=%00", "/dashboards/overview/?range=%00",
    "/workflows/?q=%00", "/policies/?q=%00", "/actions/?before=00000000-0000-0000-0000-000000000000",
    "/inbox/?after=%00", "/runs/?after=x", "/audit/?before=99999999999999999999", "/inbox/?since=2026-99-99T00:00:00Z",
]  # fmt: skip


@pytest.mark.parametrize("url", PAGES)
def test_odd_characters_in_an_address_are_no_error_of_ours(url):
    client = Client(raise_request_exception=False)
    client.force_login(make_admin())
    assert client.get(url).status_code < 500


@pytest.mark.parametrize("header", [{}, {"HX-Request": "true", "HX-Target": "arrivals"}])
def test_an_impossible_time_is_no_error_of_ours(header):
    client = Client(raise_request_exception=False)
    client.force_login(make_admin())
    assert client.get("/inbox/?since=2026-99-99T00:00:00Z", headers=header).status_code < 500
