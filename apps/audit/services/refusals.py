"""What was tried in vain, as the ledger says it."""

from django.db import transaction

from apps.audit.rules import REFUSED
from apps.audit.services.entries import record
from apps.core.models import User
from apps.core.noting import is_worth_a_line
from apps.core.rules import OF_OTHERS, SECRET
from apps.core.services import system_user

STRANGER_EVERY_S = 60
"""However often one address comes with what opens nothing, the ledger says so once in this time."""
STRANGERS_AT_MOST = 60
"""And of all addresses together so often in that time: who guesses fills no ledger."""
COMMAND_EVERY_S, COMMANDS_AT_MOST = 60, 60
PATH_MAX, ADDRESS_MAX = 200, 45


@transaction.atomic
def record_refusal(actor: User, *, code: str, status: int, method: str, path: str, request_id: str) -> None:
    """Somebody tried something and was refused: who, what door, why; never what they sent.

    It belongs to the agent's unit. People belong to none: whoever may read the ledger anywhere sees their refusals.
    """
    payload = {"code": code, "status": status, "method": method, "path": _shown(path), "request_id": request_id}
    agent = getattr(actor, "agent", None) if actor.is_agent else None
    record(actor, actor, REFUSED, trail=actor.pk, unit=agent.unit_id if agent else None, payload=payload)


@transaction.atomic
def record_stranger(*, address: str, code: str, status: int, method: str, path: str, request_id: str) -> None:
    """Somebody whom the plane does not know came with a key that opens nothing, or with a form of another site.

    The entry is the plane's own, since there is nobody to name: from where, at what door; never the key. At most one
    in a minute for each address and code, and sixty in a minute in all.
    """
    who = f"{code}:{address}"
    if not is_worth_a_line("stranger", who, every_s=STRANGER_EVERY_S, at_most=STRANGERS_AT_MOST):
        return
    plane = system_user("plane")
    told = {"code": code, "status": status, "method": method, "path": _shown(path), "request_id": request_id}
    record(plane, plane, REFUSED, payload={**told, "address": address[:ADDRESS_MAX]})


@transaction.atomic
def record_unfit_command(actor: User, *, command: str, code: str, status: int) -> None:
    """What ``manage.py`` was given was refused: by whom, which command, why; never what it was given.

    At most one in a minute for each of them, command and code.
    """
    if is_worth_a_line("command", f"{actor.pk}:{command}:{code}", every_s=COMMAND_EVERY_S, at_most=COMMANDS_AT_MOST):
        payload = {"code": code, "status": status, "method": "manage.py", "path": command, "request_id": ""}
        record(actor, actor, REFUSED, trail=actor.pk, payload=payload)


def _shown(path: str) -> str:
    """The address as the ledger keeps it: whatever somebody put into it, no key and no character that is not kept."""
    return OF_OTHERS.sub("\u2026", SECRET.sub("\u2026", path))[:PATH_MAX].replace("\x00", "\ufffd")
