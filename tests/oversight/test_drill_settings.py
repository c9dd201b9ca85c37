"""Turning drills on and off over the API and by documents; the pages are in test_drills."""

import json

import pytest
from django.test import Client

from apps.access.services import create_token
from apps.audit.models import Entry
from apps.configuration.selectors import export_for
from apps.configuration.services import ConfigurationError, apply_texts
from apps.core.services import system_user
from apps.oversight.models import Drill, DrillPlan
from tests.factories.access import grant, make_admin, make_queue, make_role, make_user
from tests.factories.agents import make_key_for
from tests.factories.drills import WORDS, announced, make_drill
from tests.factories.oversight import make_payment

pytestmark = pytest.mark.django_db
BODY = {"per_week": 2, "announcement": WORDS}


def caller(person):
    return Client(headers={"Authorization": f"Bearer {create_token(person, user=person)}"})


def post(person, path, body=None):
    return caller(person).post(f"/api/v1/drills/{path}", json.dumps(body or {}), content_type="application/json")


def listed(person):
    return {row["queue"]: row for row in caller(person).get("/api/v1/drills/").json()["results"]}


def test_a_manager_turns_them_on_changes_them_and_turns_them_off():
    queue, admin = make_queue(), make_admin()
    said = post(admin, f"{queue.slug}/", BODY)
    assert said.status_code == 200, said.content
    row = said.json()
    assert (row["queue"], row["on"], row["per_week"], row["announcement"], row["critical"], row["set_by"]) == (
        queue.slug,
        True,
        2,
        WORDS,
        False,
        admin.username,
    )
    assert listed(admin)[queue.slug] == row
    assert post(admin, f"{queue.slug}/", {**BODY, "critical": True}).json()["critical"] is True
    off = post(admin, f"{queue.slug}/end/").json()
    assert (off["on"], off["per_week"], off["announcement"]) == (False, None, None)
    again = post(admin, f"{queue.slug}/end/")
    assert (again.status_code, again.json()["code"]) == (409, "no_drills")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**BODY, "per_week": 0}, "per_week"),
        ({**BODY, "per_week": 11}, "per_week"),
        ({**BODY, "per_week": True}, "per_week"),
        ({**BODY, "announcement": " "}, "announcement"),
        ({**BODY, "announcement": "x" * 501}, "announcement"),
        ({**BODY, "critical": "yes"}, "critical"),
        ({**BODY, "people": ["ada"]}, "people"),
        ({"per_week": 2}, "announcement"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field_and_changes_nothing(body, field):
    said = post(make_admin(), f"{make_queue().slug}/", body)
    assert said.status_code == 422, said.content
    assert list(said.json()["errors"]) == [field]
    assert not DrillPlan.objects.exists()


def test_whoever_serves_a_queue_sees_what_is_announced_and_changes_nothing():
    payment = make_payment()
    make_queue()
    assert listed(payment.ada) == {}
    announced(payment)
    assert list(listed(payment.ada)) == [payment.queue.slug]
    for path, body in ((f"{payment.queue.slug}/", BODY), (f"{payment.queue.slug}/end/", None)):
        assert post(payment.ada, path, body).status_code == 404
    assert DrillPlan.objects.get().is_on
    manager = make_user()
    grant(manager, make_role("access.manage_access"), payment.unit)
    assert post(manager, f"{payment.queue.slug}/end/").status_code == 200
    assert post(manager, f"{make_queue().slug}/", BODY).status_code == 404


def test_agents_learn_nothing_of_it():
    payment, drill, _person = make_drill()
    agent = Client(headers={"Authorization": f"Bearer {make_key_for(payment.agent)}"})
    assert agent.get("/api/v1/drills/").status_code == 403
    assert agent.post(f"/api/v1/drills/{payment.queue.slug}/end/").status_code == 403
    assert Drill.objects.get(pk=drill.pk).outcome == "open"


COMPANY = """
kind: BusinessUnit
slug: shop
---
kind: Role
slug: clerk
permissions: [oversight.decide_escalation]
---
kind: Queue
slug: orders
unit: shop
role: clerk
"""
DRILLS = "drills: {per_week: 3, announcement: 'Up to three a week, as agreed.', critical: true}\n"


def apply(text):
    return {each.slug: each.outcome for each in apply_texts(system_user("console"), texts={"x.yaml": text})}


def test_documents_turn_them_on_and_off_and_the_export_says_the_same():
    assert apply(COMPANY)["orders"] == "created"
    assert apply(COMPANY + DRILLS)["orders"] == "changed"
    assert apply(COMPANY + DRILLS)["orders"] == "unchanged"
    assert DrillPlan.objects.get().terms.per_week == 3
    exported = export_for(system_user("console"), kinds=["Queue"])
    assert "Up to three a week, as agreed." in exported
    before = Entry.objects.filter(name__startswith="drills.").count()
    assert set(apply(export_for(system_user("console"))).values()) == {"unchanged"}
    assert Entry.objects.filter(name__startswith="drills.").count() == before == 1
    assert apply(COMPANY)["orders"] == "changed"
    assert not DrillPlan.objects.get().is_on


@pytest.mark.parametrize(
    "drills", ["{per_week: 11, announcement: x}", "{per_week: 1}", "{per_week: 1, announcement: '  '}", "[1]", "yes"]
)
def test_a_document_that_does_not_fit_changes_nothing(drills):
    with pytest.raises(ConfigurationError) as refusal:
        apply(f"{COMPANY}drills: {drills}\n")
    assert "drills" in str(refusal.value)
    assert not DrillPlan.objects.exists()
