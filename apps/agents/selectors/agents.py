"""Agents, their keys and tokens."""

from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from apps.agents.models import AccessToken, Agent, AgentCredential
from apps.agents.rules import MAX_LIVE, TESTABLE, WORKING, AgentState, Environment, VersionState
from apps.core.errors import ConflictError, NotAllowedError, NotFoundError
from apps.core.gate import visible
from apps.core.models import ClockTimestamp, User
from apps.core.rules import digest_of


def agents_for(actor: User) -> QuerySet[Agent]:
    """Agents that ``actor`` may see; an agent sees itself."""
    rows = Agent.objects.select_related("unit", "owner", "version", "user").order_by("slug")
    if actor.is_agent:
        return rows.filter(user=actor)
    return visible(actor, "agents.view_agent", rows)


def agent_for(actor: User, slug: str, *, perm: str = "agents.view_agent") -> Agent:
    """One agent on which ``actor`` holds ``perm``. Raises NotFoundError."""
    rows = Agent.objects.select_related("unit", "owner", "version", "user").filter(slug=slug)
    if found := visible(actor, perm, rows).first():
        return found
    raise NotFoundError


def seen_of(agent: Agent) -> str:
    """Digest of what people say of an agent: whoever changes it says which they saw."""
    said = {name: getattr(agent, name) for name in ("name", "purpose", "known_limits", "risk")}
    return digest_of({**said, "owner": agent.owner.username})


def require_working_agent(actor: User, *, tests: bool = False) -> None:
    """Raise NotAllowedError ``agent_inactive`` for an agent that may not act now. People and systems pass.

    Every command that an agent's key reaches asks this: whoever is suspended may look and do nothing. ``tests``: what
    a test key may do as well; anywhere else it is refused, ``live_only``.
    """
    if actor.is_agent:
        require_working(actor.agent, tests=tests)


def require_working(agent: Agent, *, tests: bool = False) -> None:
    """The same of an agent in whose name something is about to happen. A draft may try, with a test key."""
    is_test = agent.environment == Environment.TEST
    if agent.state not in (TESTABLE if is_test else WORKING) or not agent.user.is_active:
        raise NotAllowedError(
            _("This agent is %s; only pilot and active agents act.") % agent.state, code="agent_inactive"
        )
    if not tests:
        require_live(agent)


def require_live(agent: Agent) -> None:
    """Raise NotAllowedError ``live_only`` for an agent that calls with a test key."""
    if agent.environment == Environment.TEST:
        raise NotAllowedError(
            _("A test key tries actions alone: runs, tasks, interrupts and usage are live."), code="live_only"
        )


def require_at_work(agent: Agent) -> None:
    """Raise ConflictError ``unknown_version`` where another version took over: this one begins nothing more."""
    if agent.version and agent.version.state in {VersionState.DRAINING, VersionState.SUPERSEDED}:
        raise ConflictError(
            _("Another version took over: this one finishes what it holds and begins nothing."), code="unknown_version"
        )


def credentials_for(actor: User, agent: Agent) -> QuerySet[AgentCredential]:
    """An agent's keys, newest first, for those who manage it."""
    return visible(actor, "agents.manage_agent", AgentCredential.objects.filter(agent=agent)).order_by("-id")


def refused_keys_for(actor: User) -> QuerySet[AgentCredential]:
    """Keys that were refused, dead or from elsewhere, those told last first: of the agents that ``actor`` manages."""
    rows = AgentCredential.objects.filter(refusals__gt=0).select_related("agent")
    return visible(actor, "agents.manage_agent", rows).order_by("-alarmed_at", "-id")


def may_have_another_key(actor: User, agent: Agent, *, public: bool = False) -> bool:
    """Whether a key can be made for ``agent`` now, or a public one registered: a retired one gets none; few live."""
    live = credentials_for(actor, agent).filter(AgentCredential.live(), public_key__isnull=not public)
    is_room = any(live.filter(environment=each).count() < MAX_LIVE for each in Environment)
    return agent.state != AgentState.RETIRED and is_room


def access_tokens_for(actor: User, agent: Agent) -> QuerySet[AccessToken]:
    """An agent's tokens that live, newest first, for those who manage it."""
    rows = AccessToken.objects.filter(AccessToken.live(), credential__agent=agent, credential__revoked_at=None)
    rows = rows.filter(credential__expires_at__gt=ClockTimestamp()).select_related("credential__agent__unit")
    return visible(actor, "agents.manage_agent", rows).order_by("-id")


def access_token_for(actor: User, agent: Agent, token_id: UUID) -> AccessToken:
    """One of them. Raises NotFoundError."""
    if found := access_tokens_for(actor, agent).filter(pk=token_id).first():
        return found
    raise NotFoundError
