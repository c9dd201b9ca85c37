"""A system that moves to another unit: whoever allows its inside address manages systems in both."""

from typing import Any

import pytest

from apps.access.models import BusinessUnit
from apps.connectors import services
from apps.connectors.models import Connector
from apps.core.errors import NotAllowedError
from apps.core.models import User
from apps.core.services import system_user
from tests.connectors.test_api import person
from tests.connectors.test_inside import host
from tests.connectors.test_views import browser
from tests.factories.access import grant, make_admin, make_role, make_unit, make_user
from tests.factories.connectors import make_connector

pytestmark = pytest.mark.django_db
MANAGE = ("connectors.manage_connector", "connectors.use_operation")


def manager_of(*units: BusinessUnit) -> User:
    found = make_user()
    for unit in units:
        grant(found, make_role(*MANAGE), unit)
    return found


@pytest.fixture
def here() -> BusinessUnit:
    return make_unit()


@pytest.fixture
def there() -> BusinessUnit:
    return make_unit()


@pytest.fixture
def bank(here: BusinessUnit, system: Any) -> Connector:
    return make_connector(slug="bank", base_url=system.url, unit=here)


def allow(actor: User, system: Any, environment: str = "live") -> Any:
    body = {"answer": "allow", "host": host(system), "environment": environment}
    return person(actor)("POST", "/connectors/bank/inside/", body)


def moved(actor: User, unit: BusinessUnit, **changes: Any) -> Any:
    return person(actor)("PATCH", "/connectors/bank/", {"unit": unit.slug, **changes})


def test_what_was_allowed_in_one_unit_is_asked_for_anew_in_another(
    bank: Connector, here: BusinessUnit, there: BusinessUnit, system: Any
) -> None:
    mover = manager_of(here, there)
    answer = moved(mover, there).body
    assert (answer["unit"], answer["allow_internal"], answer["inside_asked_by"]) == (there.slug, False, mover.username)
    assert allow(manager_of(there), system).status_code == 403
    assert allow(manager_of(here), system).status_code == 404
    assert allow(mover, system).status_code == 403
    bank.refresh_from_db()
    assert not bank.allow_internal
    assert allow(manager_of(here, there), system).body["allow_internal"]
    bank.refresh_from_db()
    assert (bank.allow_internal, bank.left_units) == (True, [])


def test_another_name_in_the_same_unit_asks_nobody(bank: Connector, here: BusinessUnit) -> None:
    assert moved(manager_of(here), here, name="Their bank").body["allow_internal"]


def test_neither_a_move_before_the_address_nor_two_moves_ask_fewer(
    here: BusinessUnit, there: BusinessUnit, system: Any
) -> None:
    third = make_unit()
    make_connector(slug="bank", base_url="https://bank.example.com", allow_internal=False, unit=here)
    mover = manager_of(here, there, third)
    moved(mover, there)
    moved(mover, third)
    answer = moved(mover, third, base_url=system.url, allow_internal=True).body
    assert (answer["allow_internal"], answer["inside_asked_by"]) == (False, mover.username)
    for units in ((third,), (here, third), (there, third)):
        assert allow(manager_of(*units), system).status_code == 403
    assert allow(manager_of(here, there, third), system).body["allow_internal"]


def test_what_all_shared_is_allowed_by_who_manages_everywhere(there: BusinessUnit, system: Any) -> None:
    make_connector(slug="bank", base_url=system.url, unit=None)
    moved(make_admin(), there)
    assert allow(manager_of(there), system).status_code == 403
    assert allow(make_admin(), system).body["allow_internal"]


def test_the_address_for_tests_is_allowed_by_itself(here: BusinessUnit, there: BusinessUnit, system: Any) -> None:
    places = {"base_url": "https://bank.example.com", "test_base_url": system.url, "test_allow_internal": True}
    make_connector(slug="bank", unit=here, **{"allow_internal": False, **places})
    mover = manager_of(here, there)
    assert moved(mover, there).body["test_inside_asked_by"] == mover.username
    assert allow(manager_of(there), system, "test").status_code == 403
    assert allow(manager_of(here, there), system, "test").body["test_allow_internal"]
    assert Connector.objects.get().left_units == [str(here.pk)]


def test_its_page_offers_it_to_those_alone(
    bank: Connector, here: BusinessUnit, there: BusinessUnit, system: Any
) -> None:
    moved(manager_of(here, there), there)
    theirs = browser(manager_of(there)).get("/connectors/bank/").content.decode()
    assert f"Allow {host(system)}" not in theirs
    assert "It stood in another unit" in theirs
    assert f"Allow {host(system)}" in browser(manager_of(here, there)).get("/connectors/bank/").content.decode()


def test_in_production_the_second_of_a_document_answers_for_both(
    bank: Connector, here: BusinessUnit, there: BusinessUnit, system: Any, settings: Any
) -> None:
    settings.IN_PRODUCTION = True
    about = {"slug": "bank", "name": "Bank", "base_url": system.url, "allow_internal": True, "unit": there}
    mover = manager_of(here, there)
    with pytest.raises(NotAllowedError):
        services.save_connector(mover, agreed_by=manager_of(there), **about)
    bank.refresh_from_db()
    assert bank.unit == here
    services.save_connector(mover, agreed_by=manager_of(here, there), **about)
    bank.refresh_from_db()
    assert (bank.unit, bank.allow_internal, bank.left_units) == (there, True, [])


def test_outside_production_documents_count_as_reviewed(bank: Connector, there: BusinessUnit, system: Any) -> None:
    about = {"slug": "bank", "name": "Bank", "base_url": system.url, "allow_internal": True, "unit": there}
    services.save_connector(system_user("console"), **about)
    bank.refresh_from_db()
    assert (bank.unit, bank.allow_internal, bank.left_units) == (there, True, [])
