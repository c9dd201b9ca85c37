"""Commands on agents and their versions."""

from typing import Any

from django.db import transaction
from django.db.models import F, Max
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.services import require_manager
from apps.access.services.units import write_if_changed
from apps.agents.models import Agent, AgentVersion
from apps.agents.rules import AgentState, VersionState
from apps.audit.services import advance, record
from apps.core.errors import ConflictError, InvalidError
from apps.core.models import User
from apps.core.rules import UserKind, digest_of

MANAGE = "agents.manage_agent"


def bump_epoch(agent: Agent) -> None:
    """Whatever was cached about the agent is void from its next request on."""
    Agent.objects.filter(pk=agent.pk).update(epoch=F("epoch") + 1)


@transaction.atomic
def save_agent(
    actor: User,
    *,
    slug: str,
    name: str,
    unit: BusinessUnit,
    owner: User,
    risk: str = "medium",
    purpose: str = "",
    known_limits: str = "",
    capabilities: list[str] | None = None,
    limits: dict[str, Any] | None = None,
) -> tuple[Agent, str]:
    """Make an agent (a draft) or change one; the agent and ``created``, ``changed`` or ``unchanged``."""
    require_manager(actor, unit, MANAGE)
    found = Agent.objects.select_for_update(of=("self",)).filter(slug=slug).first()
    if found:
        require_manager(actor, found.unit, MANAGE)
    if not owner.is_human or not owner.is_active:
        raise InvalidError(errors={"owner": [_("An agent's owner is a person who is active.")]})
    if found and found.state == AgentState.RETIRED:
        raise ConflictError(_("A retired agent stays as it is."))
    agent = found or Agent(slug=slug, user=_principal(slug, name))
    values = {
        "name": name,
        "purpose": purpose,
        "known_limits": known_limits,
        "unit": unit,
        "owner": owner,
        "risk": risk,
        "capabilities": sorted(set(capabilities or [])),
        "limits": limits or {},
    }
    outcome = write_if_changed(actor, agent, is_new=found is None, values=values)
    if outcome == "changed":
        bump_epoch(agent)
    return agent, outcome


def _principal(slug: str, name: str) -> User:
    username = f"agent:{slug}"
    user, _made = User.objects.get_or_create(
        username=username, defaults={"kind": UserKind.AGENT, "name": name, "password": "!"}
    )
    return user


@transaction.atomic
def save_version(
    actor: User,
    *,
    agent: Agent,
    model: str = "",
    provider: str = "",
    instructions: str = "",
    config: dict[str, Any] | None = None,
    changelog: str = "",
    activate: bool = True,
) -> tuple[AgentVersion, str]:
    """Make the next version unless the current one says the same; active at once when ``activate``."""
    require_manager(actor, agent.unit, MANAGE)
    Agent.objects.select_for_update(of=("self",)).get(pk=agent.pk)
    digest = digest_of({"model": model, "provider": provider, "instructions": instructions, "config": config or {}})
    current = agent.versions.filter(state=VersionState.ACTIVE).first()
    if current and current.digest == digest:
        return current, "unchanged"
    number = (agent.versions.aggregate(top=Max("number"))["top"] or 0) + 1
    version = AgentVersion.objects.create(
        agent=agent,
        number=number,
        model=model,
        provider=provider,
        instructions=instructions,
        config=config or {},
        changelog=changelog,
        digest=digest,
        made_by=actor,
    )
    record(actor, version, "created", payload={"number": number, "digest": digest, "model": model})
    if activate:
        if current:
            advance(actor, current, VersionState.SUPERSEDED)
        advance(actor, version, VersionState.ACTIVE)
        Agent.objects.filter(pk=agent.pk).update(version=version, epoch=F("epoch") + 1)
        agent.version = version
    return version, "created"


@transaction.atomic
def change_state(actor: User, *, agent: Agent, to: str, reason: str = "") -> Agent:
    """Move an agent along its life; it acts on the agent's next request. A retired agent stays retired."""
    require_manager(actor, agent.unit, MANAGE)
    if agent.state == to:
        return agent
    if to in {AgentState.SUSPENDED, AgentState.RETIRED} and not reason.strip() and actor.is_human:
        raise InvalidError(errors={"reason": [_("Say why.")]})
    advance(actor, agent, to, payload={"reason": reason}, epoch=F("epoch") + 1)
    return agent
