"""Files that wait for their import, by who left them."""

from uuid import UUID

from apps.core.errors import NotFoundError
from apps.core.gate import require
from apps.core.models import User
from apps.kpis.models import LogUpload
from apps.kpis.selectors.definitions import VIEW


def upload_for(actor: User, upload_id: UUID) -> LogUpload:
    """A file of one's own. Raises NotFoundError, also where its hour is over."""
    require(actor, VIEW)
    found = LogUpload.objects.filter(pk=upload_id, owner=actor).first()
    if found is None:
        raise NotFoundError
    return found
