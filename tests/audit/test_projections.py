"""A projection that fails stops no other, and one entry that cannot be folded stops no projection."""

from uuid import uuid4

import pytest
from django.db import OperationalError, transaction

from apps.audit.models import Cursor, Entry, Stumble
from apps.audit.services import projections, record
from apps.audit.tasks import fold_projections, retry_stumbles
from apps.console.selectors import health_for
from tests.conftest import let_the_horizon_pass
from tests.factories.access import make_holder, make_unit, make_user

read: list[str] = []


def lost(entries: list[Entry]) -> None:
    raise OperationalError("the connection is gone")


def keep(entries: list[Entry]) -> None:
    read.extend(entry.name for entry in entries)


def picky(entries: list[Entry]) -> None:
    if any(entry.payload.get("odd") for entry in entries):
        raise OverflowError("a secret of the payload")
    keep(entries)


def leave(*entries: bool) -> None:
    read.clear()
    with transaction.atomic():
        actor, unit = make_user(), make_unit()
        for number, odd in enumerate(entries):
            record(actor, unit, f"test.happened{number}", trail=uuid4(), payload={"odd": odd})
    let_the_horizon_pass()


def told() -> list[str]:
    return [name for name in read if name.startswith("test.")]


def test_a_projection_that_fails_stops_no_other(real_db, settings):
    settings.PROJECTIONS = {"broken": f"{__name__}.lost", "sound": f"{__name__}.keep"}
    leave(False)
    with pytest.raises(OperationalError, match="gone"):
        fold_projections()
    assert told() == ["test.happened0"]
    assert set(Cursor.objects.values_list("projection", flat=True)) == {"sound"}
    assert not Stumble.objects.exists()


def test_an_entry_that_cannot_be_folded_is_stepped_around_and_seen(real_db, settings):
    settings.PROJECTIONS = {"picky": f"{__name__}.picky"}
    leave(False, False, True, False)
    fold_projections()
    assert told() == ["test.happened0", "test.happened1", "test.happened3"]
    stumble = Stumble.objects.select_related("entry").get()
    assert (stumble.projection, stumble.entry.name, stumble.error) == ("picky", "test.happened2", "OverflowError")
    finding = next(one for one in health_for(make_holder("audit.view_entry")) if str(stumble.entry_id) in one.detail)
    assert finding.tone == "bad"
    assert fold_projections() == 0 or told() == ["test.happened0", "test.happened1", "test.happened3"]


def test_what_was_stepped_around_is_tried_again_and_forgotten_once_it_goes(real_db, settings, monkeypatch):
    settings.PROJECTIONS = {"picky": f"{__name__}.picky"}
    leave(True)
    fold_projections()
    assert retry_stumbles() == 0  # not before its hour
    monkeypatch.setattr(projections, "RETRY", projections.RETRY * 0)
    assert retry_stumbles() == 0
    assert Stumble.objects.get().tries == 2
    settings.PROJECTIONS = {"picky": f"{__name__}.keep"}
    assert retry_stumbles() == 1
    assert told() == ["test.happened0"]
    assert Stumble.objects.get().mended_at
    assert retry_stumbles() == 0


def test_a_projection_that_can_fold_nothing_stands_still(real_db, settings, monkeypatch):
    settings.PROJECTIONS = {"picky": f"{__name__}.picky"}
    monkeypatch.setattr(projections, "MAX_STUMBLES", 2)
    leave(True, True, True, False)
    with pytest.raises(OverflowError):
        fold_projections()
    assert not Stumble.objects.exists()
    assert not Cursor.objects.filter(entry_id__gt=0).exists()
