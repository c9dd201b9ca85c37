"""A projection that fails stops no other."""

from uuid import uuid4

import pytest
from django.db import transaction

from apps.audit.models import Cursor
from apps.audit.services import record
from apps.audit.tasks import fold_projections
from tests.conftest import let_the_horizon_pass
from tests.factories.access import make_unit, make_user

read: list[int] = []


def fail(entries: list[object]) -> None:
    raise ValueError("broken")


def keep(entries: list[object]) -> None:
    read.append(len(entries))


def test_a_projection_that_fails_stops_no_other(real_db, settings):
    settings.PROJECTIONS = {"broken": f"{__name__}.fail", "sound": f"{__name__}.keep"}
    read.clear()
    with transaction.atomic():
        record(make_user(), make_unit(), "test.happened", trail=uuid4())
    let_the_horizon_pass()
    with pytest.raises(ValueError, match="broken"):
        fold_projections()
    assert read
    assert set(Cursor.objects.values_list("projection", flat=True)) == {"sound"}
