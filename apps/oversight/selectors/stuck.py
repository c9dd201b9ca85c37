"""Items that the people who may decide are too few for."""

from apps.audit.models import Entry
from apps.core.gate import visible
from apps.core.models import User
from apps.oversight.models import Escalation
from apps.oversight.rules import EscalationState
from apps.oversight.selectors.eligibility import unreachable_for

LOOKED_AT = 20
"""So many of them are looked at anew, the oldest first: a page of an administrator stays light."""


def stuck_for(actor: User) -> list[Escalation]:
    """Open items where ``actor`` manages access that no quorum can be reached for, as roles are given now."""
    noted = Entry.objects.filter(name="escalation.unreachable").values("subject_id")
    rows = Escalation.objects.filter(state=EscalationState.PENDING, pk__in=noted).select_related("unit").order_by("pk")
    return [item for item in visible(actor, "access.manage_access", rows)[:LOOKED_AT] if unreachable_for(actor, item)]
