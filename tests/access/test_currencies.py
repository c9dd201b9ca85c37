"""Rules without a currency follow their unit's: another one takes two people."""

import json
from typing import Any

import pytest
from django.test import Client

from apps.access.models import BusinessUnit
from apps.access.services import save_unit
from apps.audit.models import Entry
from apps.configuration.services import ConfigurationError, apply_texts
from apps.core.errors import ConflictError
from tests.factories.access import make_admin, make_holder, make_unit

pytestmark = pytest.mark.django_db
ACCESS, LOWER = "access.manage_access", "policies.lower_enforcement"


@pytest.fixture
def unit() -> BusinessUnit:
    return make_unit(slug="sales", name="Sales", currency="EUR")


def currency() -> str:
    return str(BusinessUnit.objects.get(slug="sales").currency)


def test_one_person_changes_everything_of_a_unit_but_its_currency(unit: BusinessUnit) -> None:
    client = Client()
    client.force_login(make_admin())

    def post(**body: Any) -> Any:
        path = "/api/v1/business-units/"
        return client.post(path, json.dumps({"slug": "sales", **body}), content_type="application/json")

    refused = post(name="Trade", currency="JPY")
    assert (refused.status_code, refused.json()["code"]) == (409, "second_person_required")
    unit.refresh_from_db()
    assert (unit.currency, unit.name) == ("EUR", "Sales")
    assert not Entry.objects.filter(subject_id=unit.pk).exists()
    assert post(name="Trade", currency="EUR").status_code == 200


def test_a_new_unit_has_whichever_its_maker_says() -> None:
    made, outcome = save_unit(make_admin(), slug="new", name="New", currency="JPY")
    assert (made.currency, outcome) == ("JPY", "created")
    with pytest.raises(ConflictError):
        save_unit(make_admin(), slug="new", name="New")  # what is not said is the usual one


def test_a_document_of_two_gives_it_another_one(unit: BusinessUnit, settings: Any) -> None:
    settings.IN_PRODUCTION = True
    texts = {"a.yaml": "kind: BusinessUnit\nslug: sales\nname: Sales\ncurrency: JPY\n"}
    first, second = make_admin(), make_holder(ACCESS, LOWER, unit=unit)
    for other in (None, first, make_holder(ACCESS, unit=unit), make_holder(ACCESS, LOWER, unit=make_unit())):
        with pytest.raises(ConfigurationError):
            apply_texts(first, texts=texts, approved_by=other)
        assert currency() == "EUR"
    apply_texts(first, texts=texts, approved_by=second)
    assert currency() == "JPY"
    named = Entry.objects.get(subject_id=unit.pk, name__endswith="approval_named")
    assert (named.payload["approved_by"], named.payload["of"]) == (second.username, "currency")
