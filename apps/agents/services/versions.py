"""Commands on versions of agents: making one, making it the current one, going back."""

from typing import Any

from django.db import transaction
from django.db.models import F, Max
from django.utils.translation import gettext as _

from apps.access.services import require_manager, require_two_by_name
from apps.agents.models import Agent, AgentVersion
from apps.agents.rules import NEVER_CURRENT, TWO_PEOPLE, AgentState, Handover, VersionState
from apps.agents.services.agents import MANAGE, change_state
from apps.audit.services import advance, record
from apps.core.errors import ConflictError
from apps.core.models import User
from apps.core.rules import digest_of


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
    is_reviewed: bool = False,
    agreed_by: User | None = None,
) -> tuple[AgentVersion, str]:
    """Make the next version unless the current one says the same; active at once when ``activate``.

    ``is_reviewed``: a document says so; in production with ``agreed_by``, a second person. Otherwise nobody gives a
    high-risk agent another version alone: it is made as a draft and promoted by two, ConflictError
    ``second_person_required``.
    """
    require_manager(actor, agent.unit, MANAGE)
    # somebody may have raised its risk meanwhile
    now = Agent.objects.select_for_update(no_key=True, of=("self",)).get(pk=agent.pk)
    if now.state == AgentState.RETIRED:
        raise ConflictError(_("A retired agent stays as it is."))
    digest = digest_of({"model": model, "provider": provider, "instructions": instructions, "config": config or {}})
    current = agent.versions.filter(state=VersionState.ACTIVE).first()
    if current and current.digest == digest:
        return current, "unchanged"
    if activate and current and now.risk in TWO_PEOPLE:
        if not is_reviewed:
            raise ConflictError(
                _("It takes two people to give this agent another version: make it as a draft, then promote it."),
                code="second_person_required",
            )
        require_two_by_name(actor, agent, second=agreed_by, rights=[(MANAGE, agent.unit)], at="version")
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
def promote_version(
    actor: User, *, agent: Agent, version: AgentVersion, handover: str, reason: str = "", **told: Any
) -> AgentVersion:
    """Make ``version`` the current one, or go back to it; the agent's next request acts as it.

    What the one before holds it finishes (``drain``: it begins nothing more, and is superseded when it is through), or
    its tasks go back to the queue (``return``). A high-risk agent that gets a version which nobody tried is a pilot
    again. At once: people come through ``ask_change``. Raises ConflictError where it is the current one already.
    """
    require_manager(actor, agent.unit, MANAGE)
    before = agent.version
    if before and before.pk == version.pk:
        raise ConflictError(_("It is the current version already."))
    is_new = version.state in NEVER_CURRENT
    payload = {"number": version.number, "handover": handover, "reason": reason, **told}
    if before and before.state == VersionState.ACTIVE:
        to = VersionState.DRAINING if handover == Handover.DRAIN else VersionState.SUPERSEDED
        advance(actor, before, to, payload={"handover": handover, "by": version.number})
    advance(actor, version, VersionState.ACTIVE, payload=payload | {"rollback": not is_new})
    Agent.objects.filter(pk=agent.pk).update(version=version, epoch=F("epoch") + 1)
    agent.version = version
    if is_new and agent.risk in TWO_PEOPLE and agent.state == AgentState.ACTIVE:
        change_state(actor, agent=agent, to=AgentState.PILOT, reason=reason, why="new_version")
    return version
