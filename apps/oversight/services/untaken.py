"""Asking people about what could not be taken back."""

from typing import Any

from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.core.models import User
from apps.oversight.models import Escalation
from apps.oversight.services.exceptions import one_answer, open_exception

NEXT = "next"
AGAIN, BY_HAND, LEFT = "try again", "done by hand", "left as it is"


def open_untaken_escalation(actor: User, *, action: Action, error: dict[str, Any]) -> Escalation | None:
    """Put before people that ``action`` should have been taken back and was not: how to go on.

    None where nobody can be asked.
    """
    return open_exception(
        actor,
        action=action,
        title=_("Could not be taken back: %s"),
        consequence=_("It was carried out, and what should have undone it did not. It still stands."),
        subject={"error": {name: error.get(name) for name in ("code", "message")}},
        schema=one_answer(
            NEXT,
            title=_("How to go on"),
            hint=_("“try again”: it is asked for once more. “done by hand”: you undid it in the system."),
            answers=(AGAIN, BY_HAND, LEFT),
        ),
    )
