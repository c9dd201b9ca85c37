"""Several people answer for one baseline at the same time."""

from datetime import date
from functools import partial

import pytest

from apps.core.errors import ConflictError
from apps.kpis.models import Baseline
from apps.kpis.models.goals import LIVE
from apps.kpis.services import approve_baseline, decline_baseline, remove_baseline, save_baseline
from tests.factories.access import make_admin
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
