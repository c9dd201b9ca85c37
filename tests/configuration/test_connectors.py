"""Systems as documents: what they are capped by, what is read back, exported and applied again."""

import pytest

from apps.configuration.selectors import export_for
from apps.configuration.services import ConfigurationError, apply_texts
from apps.connectors.models import Connector, Operation
from apps.core.services import system_user

pytestmark = pytest.mark.django_db

BANK = """
kind: Connector
slug: bank
base_url: https://bank.example.com
limits: {concurrent: 4, per_minute: 600, response_kb: 64, errors_per_1000: 5}
---
kind: Operation
slug: bank.look
connector: bank
method: GET
path: /payments/{id}
effect: read
parameters: {type: object, required: [id], properties: {id: {type: string}}}
---
kind: Operation
slug: bank.pay
connector: bank
method: POST
path: /payments
effect: irreversible
verify: {operation: bank.look, parameters: {id: response.id}, expect: found.status == "booked", within_s: 30}
"""


def test_limits_and_what_is_read_back_are_applied_exported_and_applied_again():
    console = system_user("console")
    apply_texts(console, texts={"bank.yaml": BANK})
    assert Connector.objects.get().limits["per_minute"] == 600
    assert Operation.objects.get(slug="bank.pay").verify["within_s"] == 30
    text = export_for(console)
    assert {one.outcome for one in apply_texts(console, texts={"export.yaml": text})} == {"unchanged"}
    assert export_for(console) == text


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("concurrent: 4", "concurrent: 0"),
        ("concurrent: 4", "at_once: 4"),
        ("operation: bank.look", "operation: bank.nothing"),
        ('expect: found.status == "booked"', "expect: found.status =="),
        ("within_s: 30", "within_s: 99999"),
    ],
)
def test_what_does_not_fit_is_refused_whole(was, becomes):
    with pytest.raises(ConfigurationError):
        apply_texts(system_user("console"), texts={"bank.yaml": BANK.replace(was, becomes)})
    assert not Connector.objects.exists()
