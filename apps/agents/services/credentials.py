"""Commands on agents' keys."""

from datetime import timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from apps.access.services import require_manager
from apps.agents.models import Agent, AgentCredential, AgentVersion
from apps.agents.rules import AT_WORK, MAX_LIVE, AgentState, Environment
from apps.agents.services.agents import MANAGE, bump_epoch
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotAuthenticatedError
from apps.core.keys import make_key, read_key
from apps.core.models import ClockTimestamp, User
from apps.core.prepared import Prepared, Slot

PREFIX = "acp_agt"
MAX_DAYS = 90
COARSE = timedelta(minutes=1)
VERSION_DIGITS = 9


class IssuedKey(NamedTuple):
    """A new credential and its text, which is shown once."""

    credential: AgentCredential
    text: str


@transaction.atomic
def create_credential(
    actor: User, *, agent: Agent, days: int = 90, environment: str = "live", version: int | None = None
) -> IssuedKey:
    """Make a key for an agent. At most two of an environment live at once: rotation can overlap, nothing piles up.

    ``environment`` ``test``: what it asks for is judged as ever, nothing outside is called, and no figure counts it.

    ``version``: the number of the one version as which the key acts; None for whichever is current or named.
    """
    require_manager(actor, agent.unit, MANAGE)
    if not 1 <= days <= MAX_DAYS:
        raise InvalidError(errors={"days": [_("From 1 to %d.") % MAX_DAYS]})
    if environment not in list(Environment):
        raise InvalidError(errors={"environment": [_("One of: %s.") % ", ".join(Environment)]})
    Agent.objects.select_for_update(of=("self",)).get(pk=agent.pk)
    if agent.state == AgentState.RETIRED:
        raise ConflictError(_("A retired agent gets no key."))
    if agent.credentials.filter(AgentCredential.live(), environment=environment).count() >= MAX_LIVE:
        raise ConflictError(_("%d keys are live, the most there can be; revoke one first.") % MAX_LIVE)
    bound = _version_of(agent, str(version)) if version is not None else None
    if version is not None and bound is None:
        raise InvalidError(errors={"version": [_("The agent has no such version.")]})
    key = make_key(PREFIX)
    credential = AgentCredential.objects.create(
        agent=agent,
        version=bound,
        key_id=key.key_id,
        digest=key.digest,
        environment=environment,
        made_by=actor,
        expires_at=ClockTimestamp() + timedelta(days=days),
    )
    credential.refresh_from_db()
    told = {"agent": agent.slug, "key_id": key.key_id, "days": days, "environment": environment}
    record(actor, credential, "created", payload=told)
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


_credential: Prepared[Any] = Prepared(
    lambda: (
        AgentCredential.objects.select_related(
            "agent__user", "agent__unit", "agent__version", "agent__owner", "version"
        )
        .annotate(is_live=Q(AgentCredential.live()), is_unused=Q(AgentCredential.unused_for(COARSE)))
        .filter(key_id=Slot("key_id"), digest=Slot("digest"))
    )
)


def authenticate_agent(text: str, *, version: str = "") -> AgentCredential:
    """The live credential behind a key, with its agent, unit and user. Raises NotAuthenticatedError.

    ``agent.version`` is the one it acts as: the key's own, else the one whose number ``version`` names, else the
    agent's current one. Codes: ``not_authenticated`` (unknown), ``credential_revoked``, ``credential_expired``; and
    ConflictError ``unknown_version`` where that one is not at work. A use of a dead key or version is recorded.
    """
    key = read_key(text, PREFIX)
    found = key and _credential.first(key_id=key.key_id, digest=key.digest)
    if not found:
        raise NotAuthenticatedError
    if not found.is_live:
        _refuse_dead(found)
    if found.is_unused:  # one write a minute, not one a request
        AgentCredential.objects.filter(AgentCredential.unused_for(COARSE), pk=found.pk).update(
            last_used_at=ClockTimestamp()
        )
    credential: AgentCredential = found
    credential.agent.environment = credential.environment
    credential.agent.version = _acting_version(credential, version)
    return credential


def _acting_version(credential: AgentCredential, wanted: str) -> AgentVersion | None:
    acting = credential.version or credential.agent.version
    if wanted and not (acting and wanted == str(acting.number)):
        acting = None if credential.version else _version_of(credential.agent, wanted)
    if (wanted and acting is None) or (acting and acting.state not in AT_WORK):
        with transaction.atomic():
            payload = {"code": "unknown_version", "key_id": credential.key_id, "version": wanted[:VERSION_DIGITS]}
            record(credential.agent.user, credential, "refused", payload=payload)
        raise ConflictError(_("This version is neither pilot nor active, or not this key's."), code="unknown_version")
    return acting


def _version_of(agent: Agent, number: str) -> AgentVersion | None:
    is_number = number.isascii() and number.isdigit() and len(number) <= VERSION_DIGITS
    return agent.versions.filter(number=int(number)).first() if is_number else None


def _refuse_dead(credential: AgentCredential) -> None:
    code = "credential_revoked" if credential.revoked_at else "credential_expired"
    with transaction.atomic():
        record(credential.agent.user, credential, "refused", payload={"code": code, "key_id": credential.key_id})
    message = _("This key was revoked.") if credential.revoked_at else _("This key has expired.")
    raise NotAuthenticatedError(message, code=code)
