"""Asking people about what a system of record shows otherwise than it was done."""

from typing import Any

from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.core.models import User
from apps.oversight.models import Escalation
from apps.oversight.services.exceptions import one_answer, open_exception

IN_ORDER, MENDED = "in order", "mended"


def open_mismatch_escalation(actor: User, *, action: Action, read_back: dict[str, Any]) -> Escalation | None:
    """Put a mismatch before people: is it in order all the same, or was it mended? None where nobody can be asked."""
    shown = ("reading", "operation", "expect", "found", "problem", "status")
    return open_exception(
        actor,
        action=action,
        title=_("Not as it was done: %s"),
        consequence=_("It was carried out, and the system shows something else. Look there, mend it, then say so."),
        subject={name: read_back.get(name) for name in shown},
        schema=one_answer(
            "found",
            title=_("What you found"),
            hint=_("“in order”: the system is right as it is. “mended”: it was wrong; it still counts as an error."),
            answers=(IN_ORDER, MENDED),
        ),
    )
