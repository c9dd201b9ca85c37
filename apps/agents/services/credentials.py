"""Commands on agents' keys."""

from datetime import timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from apps.access.services import require_manager
from apps.agents.models import Agent, AgentCredential
from apps.agents.rules import MAX_LIVE, AgentState
from apps.agents.services.agents import MANAGE, bump_epoch
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotAuthenticatedError
from apps.core.keys import make_key, read_key
from apps.core.models import ClockTimestamp, User

PREFIX = "acp_agt"
MAX_DAYS = 90
COARSE = timedelta(minutes=1)


class IssuedKey(NamedTuple):
    """A new credential and its text, which is shown once."""

    credential: AgentCredential
    text: str


@transaction.atomic
def create_credential(actor: User, *, agent: Agent, days: int = 90, environment: str = "live") -> IssuedKey:
    """Make a key for an agent. At most two live at once, so that rotation can overlap and nothing piles up."""
    require_manager(actor, agent.unit, MANAGE)
    if not 1 <= days <= MAX_DAYS:
        raise InvalidError(errors={"days": [_("From 1 to %d.") % MAX_DAYS]})
    Agent.objects.select_for_update(of=("self",)).get(pk=agent.pk)
    if agent.state == AgentState.RETIRED:
        raise ConflictError(_("A retired agent gets no key."))
    if agent.credentials.filter(AgentCredential.live()).count() >= MAX_LIVE:
        raise ConflictError(_("%d keys are live, the most there can be; revoke one first.") % MAX_LIVE)
    key = make_key(PREFIX)
    credential = AgentCredential.objects.create(
        agent=agent,
        key_id=key.key_id,
        digest=key.digest,
        environment=environment,
        made_by=actor,
        expires_at=ClockTimestamp() + timedelta(days=days),
    )
    credential.refresh_from_db()
    record(actor, credential, "created", payload={"agent": agent.slug, "key_id": key.key_id, "days": days})
    return IssuedKey(credential, key.text)


@transaction.atomic
def revoke_credential(actor: User, *, credential: AgentCredential, reason: str = "") -> None:
    """End a key; it acts on the next request."""
    require_manager(actor, credential.agent.unit, MANAGE)
    if AgentCredential.objects.filter(pk=credential.pk, revoked_at=None).update(revoked_at=ClockTimestamp()) != 1:
        raise ConflictError(_("It was revoked already."))
    bump_epoch(credential.agent)
    record(
        actor,
        credential,
        "revoked",
        payload={"agent": credential.agent.slug, "key_id": credential.key_id, "reason": reason},
    )


def authenticate_agent(text: str) -> AgentCredential:
    """The live credential behind a key, with its agent, unit, version and user. Raises NotAuthenticatedError.

    Codes: ``not_authenticated`` (unknown), ``credential_revoked``, ``credential_expired``; a use of a dead key is
    recorded.
    """
    key = read_key(text, PREFIX)
    found = key and (
        AgentCredential.objects.select_related("agent__user", "agent__unit", "agent__version", "agent__owner")
        .annotate(is_live=Q(AgentCredential.live()), is_unused=Q(AgentCredential.unused_for(COARSE)))
        .filter(key_id=key.key_id, digest=key.digest)
        .first()
    )
    if not found:
        raise NotAuthenticatedError
    if not found.is_live:
        _refuse_dead(found)
    if found.is_unused:  # one write a minute, not one a request
        AgentCredential.objects.filter(AgentCredential.unused_for(COARSE), pk=found.pk).update(
            last_used_at=ClockTimestamp()
        )
    return found


def _refuse_dead(credential: AgentCredential) -> None:
    code = "credential_revoked" if credential.revoked_at else "credential_expired"
    with transaction.atomic():
        record(credential.agent.user, credential, "refused", payload={"code": code, "key_id": credential.key_id})
    message = _("This key was revoked.") if credential.revoked_at else _("This key has expired.")
    raise NotAuthenticatedError(message, code=code)
