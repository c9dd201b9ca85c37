"""The people of the sample company, as its sign-in page shows them."""

import os
from collections.abc import Sequence

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.access.selectors import queues_served_by
from apps.core.models import User
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.rules import EscalationState

PASSWORD = "demo-demo"  # noqa: S105 - the demo prints it
USERNAMES = ("ada", "ben", "cleo", "eve", "admin", "olga", "aud")


def people_for(actor: User | None = None) -> Sequence[dict[str, str]]:
    """username, password, name, role and what to try, for each person of the sample company that exists.

    Nobody where another password was chosen: a button must not give it away. ``actor`` is whoever looks, not signed in.
    """
    if (os.environ.get("ACP_DEMO_PASSWORD") or PASSWORD) != PASSWORD:
        return []
    found = User.objects.filter(username__in=USERNAMES, is_active=True).in_bulk(field_name="username")
    return [
        {"username": name, "password": PASSWORD, "name": found[name].name, "role": role, "try": text}
        for name, (role, text) in _words(found).items()
        if name in found
    ]


def _words(people: dict[str, User]) -> dict[str, tuple[str, str]]:
    return {
        "ada": (_("approver, finance"), _waiting(people.get("ada"))),
        "ben": (_("approver, finance"), _waiting(people.get("ben"))),
        "cleo": (_("approver, operations"), _waiting(people.get("cleo"))),
        "eve": (_("executive"), _("See what autonomy costs and saves, against how it was before.")),
        "admin": (_("administrator"), _("Narrow what an agent may do; it is refused on its next request.")),
        "olga": (_("operator"), _("Follow a run, stop an agent, lift what the administrator stopped.")),
        "aud": (_("auditor"), _("Read the whole story of one payment on one page.")),
    }


def _waiting(person: User | None) -> str:
    """What waits for this person now, in words."""
    if person is None:
        return ""
    waiting = Escalation.objects.filter(
        pk__in=EscalationGroup.objects.filter(queue__in=queues_served_by(person)).values("escalation"),
        state=EscalationState.PENDING,
    )
    payments = _up_to_100(waiting.filter(action__operation="erp.pay_invoice"))
    others = _up_to_100(waiting.exclude(action__operation="erp.pay_invoice"))
    kinds = [
        ngettext("%d payment", "%d payments", payments) % payments if payments else "",
        ngettext("%d other item", "%d other items", others) % others if others else "",
    ]
    if not any(kinds):
        return _("Nothing waits right now; the next request will.")
    return _("Waiting for you: %s.") % ", ".join(filter(None, kinds))


def _up_to_100(rows: QuerySet[Escalation]) -> int:
    return len(rows.values_list("pk", flat=True)[:100])
