"""Many imported operations confirmed on one page; and who is told when one that was in use is quarantined."""

import json
from copy import deepcopy
from typing import Any

import pytest

from apps.connectors import services
from apps.connectors.models import Connector, Operation, OperationPin
from apps.core.services import system_user
from apps.notifications.models import Delivery, Notice
from apps.notifications.selectors import notices_for
from tests.connectors.test_views import browser
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.connectors import make_connector
from tests.factories.openapi import BANK
from tests.notifications.conftest import tell
from tests.notifications.test_in_app import signed_in

pytestmark = pytest.mark.django_db
HERE = "/connectors/bank/review/"
MANAGE = "connectors.manage_connector"


@pytest.fixture
def bank() -> Connector:
    return make_connector(slug="bank", name="Bank", base_url="https://bank.example")


def brought_in(bank: Connector, **paths: str) -> dict[str, OperationPin]:
    """Three operations: one guessed to read, one to write, one that nobody takes back."""
    say = {"responses": {"200": {"description": "Done"}}}
    document: dict[str, Any] = {
        **{name: BANK[name] for name in ("openapi", "info")},
        "servers": [{"url": bank.base_url}],
        "paths": {
            "/accounts": {"get": {"operationId": "list", "summary": "List accounts", **say}},
            "/labels": {"put": {"operationId": "label", "summary": "Update a label", **say}},
            "/all": {"delete": {"operationId": "drop", "summary": "Delete all", **say}},
        },
    }
    services.import_openapi(system_user("console"), connector=bank, text=json.dumps(document))
    rows = OperationPin.objects.select_related("operation__connector__unit")
    return {pin.operation.slug.removeprefix("bank."): pin for pin in rows}


def said(pins: dict[str, OperationPin], **more: str) -> dict[str, str]:
    """The form as it stands, nothing ticked."""
    found = {f"effect-{pin.pk}": pin.operation.effect for pin in pins.values()}
    return {**found, **{f"seen-{pin.pk}": pin.seen for pin in pins.values()}, **more}


def states() -> dict[str, str]:
    return {slug.removeprefix("bank."): state for slug, state in Operation.objects.values_list("slug", "state")}


class TestConfirming:
    def test_the_guesses_are_what_this_test_thinks(self, bank: Connector) -> None:
        pins = brought_in(bank)
        assert {slug: pin.guess["effect"] for slug, pin in pins.items()} == {
            "list": "read",
            "label": "write",
            "drop": "irreversible",
        }

    def test_all_at_once_leaves_out_what_nobody_takes_back(self, bank: Connector) -> None:
        pins, page = brought_in(bank), browser(make_admin())
        shown = page.get(HERE).content.decode()
        assert all(pin.operation.name in shown for pin in pins.values())
        assert page.post(HERE, said(pins, rest="on")).status_code == 302
        assert states() == {"list": "active", "label": "active", "drop": "disabled"}

    def test_it_is_ticked_by_itself(self, bank: Connector) -> None:
        pins, page = brought_in(bank), browser(make_admin())
        assert page.post(HERE, said(pins, **{f"tick-{pins['drop'].pk}": "on"})).status_code == 302
        assert states() == {"list": "disabled", "label": "disabled", "drop": "active"}

    def test_an_effect_is_changed_and_a_milder_one_needs_a_reason(self, bank: Connector) -> None:
        pins, page = brought_in(bank), browser(make_admin())
        drop, label = pins["drop"].pk, pins["label"].pk
        given = said(
            pins, **{f"tick-{drop}": "on", f"effect-{drop}": "write", "rest": "on", f"effect-{label}": "irreversible"}
        )
        refused = page.post(HERE, given)
        assert (refused.status_code, set(states().values())) == (422, {"disabled"})
        assert 'role="alert"' in refused.content.decode()
        assert page.post(HERE, {**given, "reason": "It is kept for 30 days."}).status_code == 302
        assert states() == {"list": "active", "label": "disabled", "drop": "active"}
        assert Operation.objects.get(slug="bank.drop").effect == "write"

    def test_what_changed_since_is_not_confirmed_and_nothing_else_either(self, bank: Connector) -> None:
        pins, page = brought_in(bank), browser(make_admin())
        given = said(pins, rest="on", **{f"seen-{pins['list'].pk}": "sha256:other"})
        assert page.post(HERE, given).status_code == 409
        assert set(states().values()) == {"disabled"}
        gone = said(pins, **{f"tick-{pins['drop'].pk}": "on"})
        services.change_operation_state(system_user("console"), operation=pins["drop"].operation, to="retired")
        assert page.post(HERE, gone).status_code == 409

    def test_nothing_ticked_is_said(self, bank: Connector) -> None:
        refused = browser(make_admin()).post(HERE, said(brought_in(bank)))
        assert (refused.status_code, "Tick what you confirm." in refused.content.decode()) == (422, True)

    def test_whoever_does_not_manage_it_may_not(self, bank: Connector) -> None:
        pins = brought_in(bank)
        assert browser(make_user()).post(HERE, said(pins, rest="on")).status_code in {403, 404}
        assert set(states().values()) == {"disabled"}

    def test_with_nothing_waiting_the_page_says_so(self, bank: Connector) -> None:
        assert "Nothing to confirm" in browser(make_admin()).get(HERE).content.decode()


class TestTelling:
    def test_whoever_manages_the_system_is_told_once_of_each_quarantine(self) -> None:
        unit = make_unit()
        bank = make_connector(slug="bank", name="Bank", base_url="https://bank.example", unit=unit)
        here, admin = make_holder(MANAGE, unit=unit), make_admin()
        make_holder(MANAGE, unit=make_unit())
        services.import_openapi(admin, connector=bank, text=json.dumps(BANK))
        pin = OperationPin.objects.select_related("operation__connector__unit").get(
            operation__slug="bank.create_payment"
        )
        services.review_operation(admin, operation=pin.operation, seen=pin.seen)
        tell()
        assert not Notice.objects.filter(event="quarantine").exists()
        changed = deepcopy(BANK)
        changed["components"]["schemas"]["Payment"]["properties"]["note"] = {"type": "string", "maxLength": 77}
        for _ in range(2):  # the same document again says nothing new
            services.import_openapi(admin, connector=bank, text=json.dumps(changed))
            tell()
        assert Notice.objects.filter(event="quarantine").count() == 1
        told = Delivery.objects.filter(notice__event="quarantine", channel="in_app")
        assert {row.recipient for row in told} == {here}  # but for the person who imported it
        (row,) = notices_for(here)
        assert signed_in(here).get(f"/notifications/{row.pk}/")["Location"] == "/connectors/bank/"
        (line,) = signed_in(here).get("/api/v1/notifications/").json()["results"]
        assert (line["event"], line["connector"], line["risk"]) == ("quarantine", "bank", "high")
        assert "Bank" in signed_in(here).get("/notifications/").content.decode()

    def test_once_it_was_looked_at_nobody_is_told_any_more(self) -> None:
        bank = make_connector(slug="bank", name="Bank", base_url="https://bank.example")
        admin = make_admin()
        services.import_openapi(admin, connector=bank, text=json.dumps(BANK))
        pin = OperationPin.objects.select_related("operation__connector__unit").get(
            operation__slug="bank.create_payment"
        )
        services.review_operation(admin, operation=pin.operation, seen=pin.seen)
        changed = deepcopy(BANK)
        changed["components"]["schemas"]["Payment"]["properties"]["note"] = {"type": "string", "maxLength": 77}
        services.import_openapi(system_user("console"), connector=bank, text=json.dumps(changed))
        pin.refresh_from_db()
        services.review_operation(admin, operation=pin.operation, seen=pin.seen)
        tell()
        assert not Delivery.objects.filter(notice__event="quarantine").exists()
