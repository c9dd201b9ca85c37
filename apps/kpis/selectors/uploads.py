"""Files that wait for their import, and imports under way, by who left them."""

from uuid import UUID

from django.db.models import QuerySet

from apps.core.errors import NotFoundError
from apps.core.gate import require
from apps.core.models import User
from apps.kpis.models import LogUpload
from apps.kpis.rules.imports import ImportState
from apps.kpis.selectors.definitions import VIEW


def upload_for(actor: User, upload_id: UUID) -> LogUpload:
    """A file of one's own; what is in it is read once it is asked for. Raises NotFoundError, also after its hour."""
    found = _own(actor).filter(pk=upload_id).first()
    if found is None:
        raise NotFoundError
    return found


def left_upload_for(actor: User) -> LogUpload | None:
    """The file that one left and that was not imported yet."""
    return _own(actor).exclude(state=ImportState.DONE).first()


def _own(actor: User) -> QuerySet[LogUpload]:
    require(actor, VIEW)
    return LogUpload.objects.filter(owner=actor).select_related("log").defer("content")
