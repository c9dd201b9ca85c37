"""Classes that people gave what a document describes: kept over the next import, or lost before their eyes."""

from copy import deepcopy

import pytest

from apps.connectors.models import Operation, OperationPin
from tests.connectors.test_importing import admin, bank, changed_bank, confirm, in_use, take
from tests.factories.classification import classify, make_data_class
from tests.factories.openapi import classed_bank

__all__ = ["admin", "bank", "in_use"]
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_class_that_people_gave_a_parameter_survives_a_change_of_the_document(admin, bank, confirmed):
    make_data_class(slug="bank-details")
    take(admin, bank)
    if confirmed:
        confirm(admin, "bank.create_payment")
    classified = classify(Operation.objects.get(slug="bank.create_payment"), iban="bank-details")
    assert classified.classed == {"bank-details": [["iban"]]}
    assert "bank.create_payment" in take(admin, bank).same
    take(admin, bank, changed_bank())
    taken = confirm(admin, "bank.create_payment")
    assert taken.classed == {"bank-details": [["iban"]]}
    assert "note" in taken.parameters["properties"]


def test_a_parameter_that_loses_its_class_with_the_document_shows_it_to_who_confirms(admin, bank, in_use):
    make_data_class(slug="bank-details")
    make_data_class(slug="personal")
    classify(in_use, iban="personal")
    take(admin, bank, classed_bank())
    pin = OperationPin.objects.select_related("operation").get(operation=in_use)
    seen = [shown["parameters"]["properties"]["iban"]["x-data-class"] for shown in (pin.now, pin.taken)]
    assert seen == ["personal", "bank-details"]
    gone = deepcopy(classed_bank())
    schema = gone["components"]["schemas"]["Payment"]
    del schema["properties"]["iban"]
    schema["required"] = [name for name in schema["required"] if name != "iban"]
    take(admin, bank, gone)
    pin = OperationPin.objects.select_related("operation").get(operation=in_use)
    assert (pin.waiting, Operation.objects.get(pk=in_use.pk).classed) == ("changed", {"personal": [["iban"]]})
    assert "iban" not in pin.taken["parameters"]["properties"]
