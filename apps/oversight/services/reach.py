"""What became of the attempts to tell people of an item: reported from above, written down here."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from django.db import transaction

from apps.audit.services import Change, record_many
from apps.core.models import ClockTimestamp, User
from apps.oversight.models import Escalation
from apps.oversight.services.stops import OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How one channel did with one event of an item: how many messages were delivered, failed, are still tried.

    ``reached``: somebody has it, outside the app or before their eyes. ``unheard``: so many attempts failed that nobody
    counts as reached, though some may go on.
    """

    escalation_id: UUID
    channel: str
    event: str
    digest: bool = False
    delivered: int = 0
    failed: int = 0
    trying: int = 0
    reached: bool = False
    unheard: bool = False


@transaction.atomic
def note_reach(actor: User, *, reports: Sequence[Reach]) -> None:
    """Write down how messages fared: an entry each, and on open items since when somebody, or nobody, was reached."""
    items = Escalation.objects.select_related("unit").in_bulk({report.escalation_id for report in reports})
    changes = []
    for report in reports:
        told = {name: value for name, value in asdict(report).items() if name != "escalation_id"}
        changes.append(Change(items[report.escalation_id], "escalation.notified", told))
    record_many(actor, changes)
    for column in ("reached", "unheard"):
        ids = sorted({report.escalation_id for report in reports if getattr(report, column)})
        rows = Escalation.objects.filter(pk__in=ids, state__in=OPEN, **{f"{column}_at": None})
        if ids:
            rows.update(**{f"{column}_at": ClockTimestamp()})
