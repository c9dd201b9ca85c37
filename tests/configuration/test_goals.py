"""Baselines as documents: approved by a second person by name, corrected and removed by two alone."""

from datetime import date

import pytest

from apps.audit.models import Entry
from apps.configuration.selectors import export_for
from apps.configuration.services import apply_texts
from apps.core.models import User
from apps.core.services import system_user
from apps.kpis.models import Baseline
from apps.kpis.models.goals import LIVE
from apps.kpis.services import approve_baseline, remove_baseline, save_baseline
from tests.configuration.test_two_people import apply, refused
from tests.factories.access import make_admin, make_user

pytestmark = pytest.mark.django_db
WAS = "kind: Baseline\nslug: was\nkpi: error_rate\nvalue: {value}\nfrom: 2026-01-01\nsource: Estimate\n"
TEXT, OTHER, GONE = WAS.format(value=0.05), WAS.format(value=0.2), WAS.format(value=0.05) + "state: absent\n"


def brought(by: User, text: str, second: User | None = None) -> str:
    (only,) = apply(by, text, second)
    return only.outcome


def test_one_alone_brings_what_is_marked_as_not_approved_and_corrects_or_removes_nothing_approved() -> None:
    admin = make_admin()
    assert brought(admin, TEXT) == "created"
    row = Baseline.objects.get()
    assert (row.entered_by, row.approved_at) == (admin, None)
    assert brought(admin, TEXT) == "unchanged"
    approve_baseline(make_admin(), slug="was")
    assert brought(admin, OTHER) == "proposed"
    assert brought(admin, GONE) == "proposed"
    assert Baseline.objects.filter(LIVE).get().value == row.value


def test_what_is_exported_changes_nothing_whatever_waits() -> None:
    admin = make_admin()
    brought(admin, TEXT, make_admin())
    brought(admin, OTHER)
    before = export_for(admin, kinds=["Baseline"])
    assert "0.05" in before
    entries = Entry.objects.count()
    assert brought(admin, before) == "unchanged"
    remove_baseline(admin, slug="was")
    assert brought(admin, before, make_admin()) == "unchanged"
    assert (Baseline.objects.filter(LIVE).get().removal_by, Entry.objects.count()) == (admin, entries + 1)


def test_with_a_second_person_it_is_approved_corrected_and_removed_in_their_name() -> None:
    admin, second = make_admin(), make_admin()
    assert brought(admin, TEXT, second) == "created"
    row = Baseline.objects.get()
    assert (row.entered_by, row.approved_by) == (admin, second)
    assert Entry.objects.get(name="baseline.approval_named").payload["named_by"] == admin.username
    assert brought(admin, OTHER, second) == "changed"
    assert [float(row.value) for row in Baseline.objects.filter(LIVE)] == [0.2]
    assert brought(admin, GONE, second) == "removed"
    assert not Baseline.objects.filter(LIVE).exists()


def test_who_entered_it_is_no_second_person() -> None:
    first = make_admin()
    save_baseline(first, slug="was", kpi="error_rate", value=0.05, valid_from=date(2026, 1, 1), source="Estimate")
    brought(make_admin(), TEXT, first)
    assert Baseline.objects.get().approved_at is None


def test_in_production_both_are_people_who_may_and_are_named(settings) -> None:
    settings.IN_PRODUCTION = True
    admin, second = make_admin(), make_admin()
    assert "--as" in refused(system_user("console"), TEXT, second)
    assert "another person" in refused(admin, TEXT, admin)
    assert "may not agree" in refused(admin, TEXT, make_user())
    assert not Baseline.objects.exists()
    assert brought(admin, TEXT, second) == "created"
    assert Baseline.objects.get().approved_by == second
    assert Entry.objects.filter(name="baseline.approval_named").count() == 1
    assert brought(admin, OTHER) == "proposed"


def test_a_dry_run_approves_nothing() -> None:
    admin, second = make_admin(), make_admin()
    brought(admin, TEXT)
    (told,) = apply_texts(admin, texts={"a.yaml": OTHER}, dry_run=True, approved_by=second)
    assert told.outcome == "changed"
    assert any("0.2" in line for line in told.difference)
    assert (Baseline.objects.get().approved_at, float(Baseline.objects.get().value)) == (None, 0.05)
