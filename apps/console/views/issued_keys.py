"""A new key on its way from the form to the page that shows it: sealed in the session, for one reading.

So that a reload makes no second key, and the text stands in no address, no log and, unsealed, in no table.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from uuid import UUID

from apps.agents.models import Agent, AgentCredential
from apps.agents.services import IssuedKey
from apps.core.envelope import master_keys, seal, unseal
from apps.core.http import Request

NAME = "issued_key"
OWN = "issued_of_ones_own"


@dataclass(frozen=True, slots=True)
class Shown:
    """A key with its text, this once."""

    credential: AgentCredential
    text: str


def keep_issued(request: Request, issued: IssuedKey) -> None:
    """Keep the key for the next reading of its agent's page in this session."""
    credential = issued.credential
    sealed = seal(master_keys()[0], issued.text, _place(request, credential.pk))
    request.session[NAME] = {"credential": str(credential.pk), "sealed": b64encode(sealed).decode()}


def take_issued(request: Request, agent: Agent) -> Shown | None:
    """The key that waits to be shown on this agent's page; afterwards it is gone."""
    kept = request.session.get(NAME)
    if kept is None or (credential := agent.credentials.filter(pk=kept["credential"]).first()) is None:
        return None
    del request.session[NAME]
    return Shown(credential, unseal(master_keys(), b64decode(kept["sealed"]), _place(request, credential.pk)))


def keep_token(request: Request, text: str, name: str = OWN) -> None:
    """Keep one's new token, or another secret by its ``name``, for the next reading of its page in this session."""
    sealed = seal(master_keys()[0], text, _place(request, request.user.pk))
    request.session[name] = b64encode(sealed).decode()


def take_token(request: Request, name: str = OWN) -> str:
    """The token, or what has this ``name``, that waits to be shown; afterwards it is gone. Empty without one."""
    kept = request.session.pop(name, "")
    return unseal(master_keys(), b64decode(kept), _place(request, request.user.pk)) if kept else ""


def _place(request: Request, credential: UUID) -> bytes:
    return f"issued key {credential} for {request.user.pk}".encode()
