"""Commands on agents' keys."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple, NoReturn

from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from apps.access.services import require_manager
from apps.agents.models import Agent, AgentCredential, AgentVersion
from apps.agents.rules import AT_WORK, MAX_LIVE, AgentState, Environment
from apps.agents.rules.public_keys import read_public_key
from apps.agents.services.agents import MANAGE, bump_epoch
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotAuthenticatedError
from apps.core.keys import make_key, read_key
from apps.core.models import ClockTimestamp, User
from apps.core.prepared import Prepared, Slot
from apps.core.rules import MAX_NETWORKS, ValueProblem, is_within, read_networks

PREFIX = "acp_agt"
MAX_DAYS = 90
COARSE = timedelta(minutes=1)
ALARM_EVERY = timedelta(minutes=15)
"""However often a key is refused, it is recorded and told so often: who tries a found key fills no ledger."""
VERSION_DIGITS = 9


class IssuedKey(NamedTuple):
    """A new credential and its text, which is shown once."""

    credential: AgentCredential
    text: str


@transaction.atomic
def create_credential(
    actor: User, *, agent: Agent, days: int = 90, environment: str = "live", version: int | None = None,
    networks: Sequence[str] = (),
) -> IssuedKey:  # fmt: skip
    """Make a key for an agent. At most two of an environment live at once: rotation can overlap, nothing piles up.

    ``environment`` ``test``: what it asks for is judged as ever, nothing outside is called, and no figure counts it.

    ``version``: the number of the one version as which the key acts; None for whichever is current or named.
    ``networks``: from where alone it may be used.
    """
    terms = _terms(actor, agent, days, environment, version, networks, public=False)
    key = make_key(PREFIX)
    credential = AgentCredential.objects.create(**terms, key_id=key.key_id, digest=key.digest)
    return IssuedKey(_created(actor, credential, days), key.text)


@transaction.atomic
def register_public_key(
    actor: User, *, agent: Agent, public_key: object, days: int = 90, environment: str = "live",
    version: int | None = None, networks: Sequence[str] = (),
) -> AgentCredential:  # fmt: skip
    """Know a key by which an agent signs for its tokens; otherwise as ``create_credential``, with a count of its own.

    ``public_key``: PEM, or a JWK as text or as an object. Raises InvalidError for what is no public key, a private one
    first of all, and ConflictError where it was ever registered: one key is one agent's, and does not come back.
    """
    terms = _terms(actor, agent, days, environment, version, networks, public=True)
    try:
        read = read_public_key(public_key)
    except ValueProblem as problem:
        raise InvalidError(errors={"public_key": [str(problem)]}) from problem
    if AgentCredential.objects.filter(digest=read.thumbprint).exists():
        raise ConflictError(_("This key was registered before, here or with another agent: make a new one."))
    name = make_key(PREFIX).key_id
    credential = AgentCredential.objects.create(**terms, key_id=name, digest=read.thumbprint, public_key=read.jwk)
    return _created(actor, credential, days, thumbprint=read.thumbprint, algorithm=read.algorithm)


def _terms(
    actor: User, agent: Agent, days: int, environment: str, version: int | None, networks: Sequence[str], *,
    public: bool,
) -> dict[str, Any]:  # fmt: skip
    """What a new credential is made of, with the agent locked. Raises where it may not have one."""
    require_manager(actor, agent.unit, MANAGE)
    if not 1 <= days <= MAX_DAYS:
        raise InvalidError(errors={"days": [_("From 1 to %d.") % MAX_DAYS]})
    if environment not in list(Environment):
        raise InvalidError(errors={"environment": [_("One of: %s.") % ", ".join(Environment)]})
    allowed = _networks(networks)
    Agent.objects.select_for_update(no_key=True, of=("self",)).get(pk=agent.pk)
    if agent.state == AgentState.RETIRED:
        raise ConflictError(_("A retired agent gets no key."))
    alike = agent.credentials.filter(AgentCredential.live(), environment=environment, public_key__isnull=not public)
    if alike.count() >= MAX_LIVE:
        raise ConflictError(_("%d keys are live, the most there can be; revoke one first.") % MAX_LIVE)
    bound = _version_of(agent, str(version)) if version is not None else None
    if version is not None and bound is None:
        raise InvalidError(errors={"version": [_("The agent has no such version.")]})
    return {
        "agent": agent,
        "version": bound,
        "environment": environment,
        "made_by": actor,
        "networks": allowed,
        "expires_at": ClockTimestamp() + timedelta(days=days),
    }


def _created(actor: User, credential: AgentCredential, days: int, **more: str) -> AgentCredential:
    credential.refresh_from_db()
    told: dict[str, Any] = {
        "agent": credential.agent.slug,
        "key_id": credential.key_id,
        "days": days,
        "environment": credential.environment,
        **more,
    }
    if credential.networks:
        told["networks"] = credential.networks
    record(actor, credential, "created", payload=told)
    return credential


def _networks(texts: Sequence[str]) -> list[str]:
    found, odd = read_networks(texts)
    if odd:
        raise InvalidError(errors={"networks": [_("%s is no network such as 10.0.0.0/8 or 2001:db8::/32.") % odd[0]]})
    if len(found) > MAX_NETWORKS:
        raise InvalidError(errors={"networks": [_("At most %d.") % MAX_NETWORKS]})
    return found


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


def authenticate_agent(text: str, *, address: str = "") -> AgentCredential:
    """The live credential behind a key, with its agent, unit and user. Raises NotAuthenticatedError.

    Codes: ``not_authenticated`` (unknown), ``credential_revoked``, ``credential_expired``, ``network_not_allowed``
    (``address`` lies in none of the key's networks). A use of a dead key, or from elsewhere, is recorded.
    """
    key = read_key(text, PREFIX)
    found = key and _credential.first(key_id=key.key_id, digest=key.digest)
    if not found:
        raise NotAuthenticatedError
    return use_credential(found, address=address)


def use_credential(credential: Any, *, address: str) -> AgentCredential:
    """The credential, whose holder has proven to be it, and which is noted as used.

    It comes with ``is_live`` and ``is_unused``. Raises NotAuthenticatedError where it is dead, or used from elsewhere.
    """
    if not credential.is_live or (credential.networks and not is_within(address, credential.networks)):
        _refuse(credential, address)
    if credential.is_unused:  # one write a minute, not one a request
        AgentCredential.objects.filter(AgentCredential.unused_for(COARSE), pk=credential.pk).update(
            last_used_at=ClockTimestamp()
        )
    found: AgentCredential = credential
    found.agent.environment = found.environment
    return found


def act_as(credential: AgentCredential, wanted: str = "") -> None:
    """Put into ``agent.version`` who acts: the key's own version, else the one of the number, else the current one.

    Raises ConflictError ``unknown_version``, and records it, where that one is not at work.
    """
    acting = credential.version or credential.agent.version
    if wanted and not (acting and wanted == str(acting.number)):
        acting = None if credential.version else _version_of(credential.agent, wanted)
    if (wanted and acting is None) or (acting and acting.state not in AT_WORK):
        with transaction.atomic():
            payload = {"code": "unknown_version", "key_id": credential.key_id, "version": wanted[:VERSION_DIGITS]}
            record(credential.agent.user, credential, "refused", payload=payload)
        raise ConflictError(_("This version is neither pilot nor active, or not this key's."), code="unknown_version")
    credential.agent.version = acting


def _version_of(agent: Agent, number: str) -> AgentVersion | None:
    is_number = number.isascii() and number.isdigit() and len(number) <= VERSION_DIGITS
    return agent.versions.filter(number=int(number)).first() if is_number else None


REFUSALS = {
    "credential_revoked": _lazy("This key was revoked, or its agent is retired."),
    "credential_expired": _lazy("This key has expired."),
    "network_not_allowed": _lazy("This key may not be used from this address."),
}


def _refuse(credential: Any, address: str) -> NoReturn:
    """Count it; record it and tell who answers for the agent, at most once in ``ALARM_EVERY`` for each key."""
    code = "network_not_allowed" if credential.is_live else "credential_expired"
    is_over = credential.revoked_at or credential.agent.state == AgentState.RETIRED
    code = "credential_revoked" if is_over else code
    rows = AgentCredential.objects.filter(pk=credential.pk)
    with transaction.atomic():
        rows.update(refusals=F("refusals") + 1)
        if rows.filter(AgentCredential.silent_for(ALARM_EVERY)).update(alarmed_at=ClockTimestamp()):
            times = rows.values_list("refusals", flat=True)[0]
            told = {"code": code, "key_id": credential.key_id, "address": address, "times": times}
            user, agent = credential.agent.user, credential.agent
            record(user, credential, "refused", payload=told)
            record(user, agent, "agent.key_refused", payload=told)
    raise NotAuthenticatedError(REFUSALS[code], code=code)
