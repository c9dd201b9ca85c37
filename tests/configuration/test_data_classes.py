"""Classes of data as documents."""

import pytest

from apps.audit.models import Entry
from apps.classification.models import DataClass
from apps.configuration.selectors import export_for
from apps.configuration.services import ConfigurationError, apply_texts
from apps.connectors.models import Connector, Operation
from apps.core.services import system_user

pytestmark = pytest.mark.django_db

TEXT = """
kind: Role
slug: treasurer
permissions: []
---
kind: DataClass
slug: bank
name: Bank details
purpose: Pay whom we owe.
sensitivity: restricted
retention_days: 90
visible_to: [treasurer, audit.erase_payload]
redact_in: [inbox, export]
---
kind: Connector
slug: bank
base_url: https://bank.example
cleared: [bank]
---
kind: Operation
slug: bank.pay
connector: bank
method: POST
path: /payments
effect: irreversible
parameters: {type: object, properties: {iban: {type: string, x-data-class: bank}, sum: {type: integer}}}
"""


def apply(text: str, **more):
    return [str(each).split()[0] for each in apply_texts(system_user("console"), texts={"a.yaml": text}, **more)]


def troubles(text: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        apply(text)
    return str(refused.value)


def test_what_was_exported_is_applied_without_a_change_and_a_dry_run_changes_nothing():
    assert apply(TEXT, dry_run=True) == ["created"] * 4
    assert not DataClass.objects.exists()
    assert apply(TEXT) == ["created"] * 4
    found = DataClass.objects.get()
    assert (found.retention_days, found.visible_to, found.redact_in) == (
        90, ["audit.erase_payload", "treasurer"], ["inbox", "export"],
    )  # fmt: skip
    assert Operation.objects.get().classed == {"bank": [["iban"]]}
    assert Connector.objects.get().cleared == ["bank"]
    assert set(apply(TEXT)) == {"unchanged"}
    exported = export_for(system_user("console"), kinds=["DataClass", "Connector", "Operation"])
    assert set(apply(exported)) == {"unchanged"}
    sooner = exported.replace("retention_days: 90", "retention_days: 30")
    shown = apply_texts(system_user("console"), texts={"a.yaml": sooner}, dry_run=True)
    assert [each.fields for each in shown if each.outcome == "changed"] == [("retention_days",)]
    assert DataClass.objects.get().retention_days == 90
    assert Entry.objects.filter(name__startswith="dataclass.").count() == 1


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("x-data-class: bank", "x-data-class: bnak", "parameters.properties.iban.x-data-class"),
        (
            "{type: integer}}}", "{type: integer, x-data-class: bank}}}\namount: {path: sum, currency: EUR}",
            "amount.path",
        ),
        ("cleared: [bank]", "cleared: [bnak]", "cleared"),
        ("visible_to: [treasurer", "visible_to: [treasure", "visible_to"),
        ("retention_days: 90", "retention_days: 0", "retention_days"),
        ("redact_in: [inbox, export]", "redact_in: [inbox, exports]", "redact_in"),
        ("sensitivity: restricted", "sensitivity: secret", "sensitivity"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_at_its_place_and_nothing_is_made(was, now, said):
    assert was in TEXT
    assert said in troubles(TEXT.replace(was, now))
    assert not DataClass.objects.exists()
    assert not Operation.objects.exists()


def test_a_class_that_something_names_stays():
    apply(TEXT)
    assert "bank.pay" in troubles("kind: DataClass\nslug: bank\nstate: absent\n")
    assert DataClass.objects.exists()
    apply(TEXT.replace(", x-data-class: bank", "").replace("cleared: [bank]\n", "cleared: []\n"))
    assert apply("kind: DataClass\nslug: bank\nstate: absent\n") == ["removed"]
    assert not DataClass.objects.exists()
