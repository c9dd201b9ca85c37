"""Classes of data by their pages, their endpoints and their file."""

import csv
import json

import pytest

from apps.classification.models import DataClass
from tests.factories.access import make_admin, make_holder, make_role
from tests.factories.classification import classify, make_data_class
from tests.oversight.edge_cases.doors import Person
from tests.workflows.actions import make_desk

pytestmark = pytest.mark.django_db
FORM = {"slug": "bank", "name": "Bank", "sensitivity": "restricted", "redact_in": ["inbox"], "retention_days": "30"}


def test_a_class_is_made_and_changed_on_its_pages():
    make_role(slug="treasurer")
    admin = Person(make_admin())
    assert "No data class yet" in admin.page("/data-classes/")
    wrong = admin.pages.post("/new-data-class/", {**FORM, "slug": "", "sensitivity": "secret"})
    assert (wrong.status_code, DataClass.objects.count()) == (422, 0)
    assert "error-summary" in wrong.content.decode() or 'role="alert"' in wrong.content.decode()
    made = admin.pages.post("/new-data-class/", {**FORM, "visible_to": ["treasurer", "audit.view_entry"]})
    assert made["Location"] == "/data-classes/bank/"
    found = DataClass.objects.get()
    assert (found.retention_days, found.visible_to, found.redact_in) == (
        30, ["audit.view_entry", "treasurer"], ["inbox"],
    )  # fmt: skip
    assert admin.pages.post("/new-data-class/", FORM).status_code == 422
    assert "No action is kept" in admin.page("/data-classes/bank/")
    changed = admin.pages.post("/data-classes/bank/", {**FORM, "retention_days": ""})
    assert changed.status_code == 302
    assert DataClass.objects.get().retention_days is None


def test_the_report_says_the_same_on_the_page_in_the_api_and_in_the_file():
    desk = make_desk()
    make_data_class(slug="bank", name="=Bank", purpose="To pay.", retention_days=30)
    desk.operation = classify(desk.operation, iban="bank")
    desk.ask(250_000)
    auditor = Person(make_holder("audit.view_entry", unit=desk.agent.unit))
    (told,) = auditor.get("/data-classes/").json()["results"]
    assert (told["kept"], told["open"], told["due"], told["operations"]) == (1, 1, 0, [desk.operation.slug])
    assert told["runs"] == {"kept": 0, "open": 0, "due": 0, "erased": 0, "by_retention": 0}
    assert auditor.get("/data-classes/bank/").json() == told
    page = auditor.page("/data-classes/bank/")
    assert "To pay." in page
    assert desk.operation.slug in page
    assert "DE0017" not in page
    rows = list(csv.DictReader(auditor.pages.get("/data-classes/report.csv").content.decode().splitlines()))
    assert [(row["class"], row["name"], row["kept"], row["purpose"]) for row in rows] == [
        ("bank", "'=Bank", "1", "To pay.")
    ]


def test_who_may_not_sees_and_changes_nothing():
    make_data_class(slug="bank")
    stranger, auditor = Person(make_holder("agents.view_agent")), Person(make_holder("audit.view_entry"))
    manager = Person(make_holder("access.manage_access", unit=make_desk().agent.unit))
    assert stranger.pages.get("/data-classes/").status_code == 403
    assert stranger.pages.get("/data-classes/report.csv").status_code == 403
    assert stranger.get("/data-classes/").json() == {"results": []}
    assert stranger.get("/data-classes/bank/").status_code == 404
    body = {"name": "B", "sensitivity": "internal", "retention_days": 1}
    for person in (stranger, auditor, manager):
        said = person.api.put(
            "/api/v1/data-classes/bank/", json.dumps(body), content_type="application/json",
            headers={"Idempotency-Key": f"k-{person.user.pk}"},
        )  # fmt: skip
        assert said.status_code == 403
        assert person.pages.post("/new-data-class/", {**FORM, "slug": "other"}).status_code == 403
    assert auditor.pages.post("/data-classes/bank/", FORM).status_code == 403
    assert DataClass.objects.get().retention_days is None


def test_an_endpoint_makes_and_changes_a_class_and_says_what_does_not_fit():
    admin = Person(make_admin())

    def put(key, **more):
        body = {"name": "Bank", "sensitivity": "restricted", **more}
        return admin.api.put(
            "/api/v1/data-classes/bank/", json.dumps(body), content_type="application/json",
            headers={"Idempotency-Key": key},
        )  # fmt: skip

    wrong = put("a", visible_to=["nobody"])
    assert (wrong.status_code, list(wrong.json()["errors"])) == (422, ["visible_to"])
    assert not DataClass.objects.exists()
    made = put("b", retention_days=30)
    assert (made.status_code, made.json()["redact_in"]) == (201, ["inbox", "notification", "trace", "export"])
    assert put("c", redact_in=["inbox"]).json()["retention_days"] is None
