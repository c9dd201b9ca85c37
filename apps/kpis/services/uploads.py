"""Commands on files that wait for their import: kept for as long as somebody says how to read them."""

from datetime import timedelta
from typing import BinaryIO

from django.db import transaction
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.gate import holds
from apps.core.models import ClockTimestamp, User
from apps.kpis.models import LogUpload
from apps.kpis.rules.imports import ImportState
from apps.kpis.services.goals import MANAGE

MAX_BYTES = 20 * 1024 * 1024
TOO_LARGE = gettext_lazy("At most 20 MB here; manage.py import_event_log takes more.")
KEPT = timedelta(hours=1)
MAX_NAME = 200


@transaction.atomic
def keep_upload(actor: User, *, file: BinaryIO, name: str) -> LogUpload:
    """Keep a file for an hour, in place of the one that this person left before.

    Raises InvalidError: too large; ConflictError while that one is being imported.
    """
    if not holds(actor, MANAGE) or actor.kind != "human":
        raise NotAllowedError("Only who may set baselines imports event logs.")
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise InvalidError(errors={"file": [str(TOO_LARGE)]})
    list(User.objects.select_for_update(no_key=True).filter(pk=actor.pk).values_list("pk"))  # one after the other
    LogUpload.objects.filter(owner=actor).exclude(state=ImportState.RUNNING).delete()
    if LogUpload.objects.filter(owner=actor).exists():
        raise ConflictError(_("Your last file is still being imported. Wait for it, or cancel it."))
    shown = "".join(character for character in name if character.isprintable())[:MAX_NAME]
    return LogUpload.objects.create(owner=actor, name=shown, content=content)


def forget_upload(actor: User, *, upload: LogUpload) -> None:
    """Delete a file that waits, by whoever left it; where it is being imported, nothing comes of that."""
    LogUpload.objects.filter(pk=upload.pk, owner=actor).delete()


def sweep_uploads() -> int:
    """Delete the files that nobody imported within an hour, or within one of the last try; how many.

    Not those that are being imported: these end, one way or the other.
    """
    rows = LogUpload.objects.exclude(state=ImportState.RUNNING).alias(since=Coalesce("finished_at", "created_at"))
    return rows.filter(since__lt=ClockTimestamp() - KEPT).delete()[0]
