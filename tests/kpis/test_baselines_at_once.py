"""Several people answer for one baseline at the same time."""

from datetime import date
from functools import partial

import psycopg
import pytest
from django.db import OperationalError, connection

from apps.core.errors import ConflictError
from apps.kpis.models import Baseline, Kpi
from apps.kpis.models.goals import LIVE
from apps.kpis.services import approve_baseline, decline_baseline, remove_baseline, save_baseline, save_kpi
from tests.factories.access import make_admin, make_unit
from tests.factories.workflows import make_workflow
from tests.together import at_once

pytestmark = pytest.mark.usefixtures("real_db")


def save(value: float) -> None:
    about = {"slug": "was", "kpi": "error_rate", "source": "Estimate", "reason": "Counted anew."}
    save_baseline(make_admin(), value=value, valid_from=date(2026, 1, 1), **about)


def test_a_correction_is_answered_once() -> None:
    save(0.1)
    approve_baseline(make_admin(), slug="was")
    save(0.2)
    people = [make_admin() for _ in range(4)]
    answers = [partial(approve_baseline, one, slug="was") for one in people[:2]]
    said = at_once(*answers, *[partial(decline_baseline, one, slug="was") for one in people[2:]])
    assert sum(isinstance(one, ConflictError) for one in said) == 3, said
    live = Baseline.objects.get(LIVE)
    assert live.approved_at is not None
    assert not live.corrections.filter(ended_at=None).exists()


def test_what_is_approved_while_others_change_or_remove_it_stays_as_approved() -> None:
    save(0.1)
    approver, remover = make_admin(), make_admin()
    at_once(
        partial(approve_baseline, approver, slug="was", number=1),
        partial(save, 0.3),
        partial(remove_baseline, remover, slug="was"),
    )
    for row in Baseline.objects.filter(approved_at__isnull=False):
        assert (float(row.value), row.number) == (0.1, 1)
    assert Baseline.objects.filter(LIVE).count() <= 1


def test_a_figure_is_approved_or_defined_anew_and_never_both() -> None:
    flow = make_workflow({"steps": {"check": {"agent": "order.check"}}}, unit=make_unit().slug)
    about = {"slug": "stars", "name": "Stars", "workflow": flow.slug, "aggregate": "mean", "direction": "up"}
    save_kpi(make_admin(), value="1.0", **about)
    day = date(2026, 1, 1)
    for slug, since in (("was", day), ("later", date(2026, 2, 1))):
        entered = {"workflow": flow.slug, "kpi": "stars", "value": 4, "source": "Estimate", "valid_from": since}
        save_baseline(make_admin(), slug=slug, **entered)
    define = partial(save_kpi, make_admin(), value="2.0", **about)
    approve = [partial(approve_baseline, make_admin(), slug=slug, number=1) for slug in ("was", "later")]
    at_once(define, *approve)
    assert not Baseline.objects.filter(approved_at__isnull=False, ended_at__isnull=False).exists()
    live = Baseline.objects.filter(LIVE)
    if Kpi.objects.get().value == "2.0":
        assert not live.filter(approved_at__isnull=False).exists()
        assert {row.number for row in live} == {2}
    else:
        assert live.filter(approved_at__isnull=False, number=1).exists()


def test_whoever_approves_waits_for_who_defines_the_figure_anew(real_db: str) -> None:
    flow = make_workflow({"steps": {"check": {"agent": "order.check"}}}, unit=make_unit().slug)
    about = {"slug": "stars", "name": "Stars", "workflow": flow.slug, "aggregate": "mean", "direction": "up"}
    save_kpi(make_admin(), value="1.0", **about)
    entered = {"workflow": flow.slug, "kpi": "stars", "value": 4, "source": "Estimate", "valid_from": date(2026, 1, 1)}
    save_baseline(make_admin(), slug="was", **entered)
    with psycopg.connect(real_db) as defining:
        defining.execute("SELECT id FROM kpis_kpi FOR UPDATE")
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
        with pytest.raises(OperationalError, match="lock timeout"):
            approve_baseline(make_admin(), slug="was")
        with pytest.raises(OperationalError, match="lock timeout"):
            save_baseline(make_admin(), slug="other", **{**entered, "valid_from": date(2026, 2, 1)})
        defining.rollback()
    approve_baseline(make_admin(), slug="was")
