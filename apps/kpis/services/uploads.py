"""Commands on files that wait for their import: kept for as long as somebody says how to read them."""

from datetime import timedelta
from typing import BinaryIO

from django.db import transaction
from django.utils.translation import gettext_lazy

from apps.core.errors import InvalidError, NotAllowedError
from apps.core.gate import holds
from apps.core.models import ClockTimestamp, User
from apps.kpis.models import LogUpload
from apps.kpis.services.goals import MANAGE

MAX_BYTES = 20 * 1024 * 1024
TOO_LARGE = gettext_lazy("At most 20 MB here; manage.py import_event_log takes more.")
KEPT = timedelta(hours=1)
MAX_NAME = 200


@transaction.atomic
def keep_upload(actor: User, *, file: BinaryIO, name: str) -> LogUpload:
    """Keep a file for an hour, in place of the one that this person left before. Raises InvalidError: too large."""
    if not holds(actor, MANAGE) or actor.kind != "human":
        raise NotAllowedError("Only who may set baselines imports event logs.")
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise InvalidError(errors={"file": [str(TOO_LARGE)]})
    list(User.objects.select_for_update(no_key=True).filter(pk=actor.pk).values_list("pk"))  # one after the other
    LogUpload.objects.filter(owner=actor).delete()
    shown = "".join(character for character in name if character.isprintable())[:MAX_NAME]
    return LogUpload.objects.create(owner=actor, name=shown, content=content)


def forget_upload(actor: User, *, upload: LogUpload) -> None:
    """Delete a file that waits, by whoever left it."""
    LogUpload.objects.filter(pk=upload.pk, owner=actor).delete()


def sweep_uploads() -> int:
    """Delete the files that nobody imported within the hour; how many."""
    return LogUpload.objects.filter(created_at__lt=ClockTimestamp() - KEPT).delete()[0]
