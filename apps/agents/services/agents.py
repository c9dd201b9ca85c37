"""Commands on agents."""

from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.services import require_manager, require_two_by_name, take_along
from apps.access.services.units import write_if_changed
from apps.agents.models import Agent
from apps.agents.rules import OWNER_LEFT, WORKING, AgentState, ChangeKind, limit_problems, needs_second_person
from apps.agents.services.moving import require_movable, require_owner
from apps.audit.services import advance, record
from apps.core.errors import ConflictError, InvalidError
from apps.core.models import User
from apps.core.rules import UserKind
from apps.core.services import system_user

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
    is_reviewed: bool = False,
    agreed_by: User | None = None,
) -> tuple[Agent, str]:
    """Make an agent (a draft) or change one; the agent and ``created``, ``changed`` or ``unchanged``.

    ``is_reviewed``: a document says so, which counts as seen by two people; in production they are ``actor`` and
    ``agreed_by``. Otherwise nobody changes a tier that takes two, or takes it out from under rules and budgets of
    its unit, alone: ConflictError ``second_person_required``. Nobody takes one out from under an engaged halt.
    """
    require_manager(actor, unit, MANAGE)
    found = Agent.objects.select_for_update(no_key=True, of=("self",)).filter(slug=slug).first()
    if found:
        require_manager(actor, found.unit, MANAGE)
    if found is None or (found.owner_id, found.unit_id) != (owner.pk, unit.pk) or not owner.is_active:
        require_owner(owner, unit)
    if wrong := limit_problems(limits or {}):
        raise InvalidError(errors={f"limits.{field}": [problem] for field, problem in wrong.items()})
    if found:
        _require_changeable(actor, found, unit, risk, is_reviewed=is_reviewed, agreed_by=agreed_by)
    moves = found is not None and found.unit_id != unit.pk
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
    if moves:
        take_along(actor, to=unit, agent=slug)
    return agent, outcome


@transaction.atomic
def create_agent(actor: User, *, slug: str, **about: Any) -> Agent:
    """Make an agent and change none; ``about`` as ``save_agent`` takes it.

    Raises InvalidError at ``slug`` where it is taken, also by somebody who came between the question and the answer.
    """
    taken = InvalidError(errors={"slug": [_("An agent with this short name exists.")]})
    if _is_taken(slug):
        raise taken
    agent, outcome = save_agent(actor, slug=slug, **about)
    if outcome != "created":
        raise taken
    return agent


def _is_taken(slug: str) -> bool:
    return Agent.objects.filter(slug=slug).exists()


def _require_changeable(
    actor: User, agent: Agent, unit: BusinessUnit, risk: str, *, is_reviewed: bool, agreed_by: User | None
) -> None:
    if agent.state == AgentState.RETIRED:
        raise ConflictError(_("A retired agent stays as it is."))
    if needs_second_person(ChangeKind.RISK, risk=agent.risk, state=agent.state, before=agent.risk, to=risk):
        if not is_reviewed:
            raise ConflictError(
                _("It takes two people to put this agent into that tier: ask for the change of its risk."),
                code="second_person_required",
            )
        require_two_by_name(actor, agent, second=agreed_by, rights=[(MANAGE, agent.unit)], at="risk")
    require_movable(actor, agent, unit, is_reviewed=is_reviewed, agreed_by=agreed_by)


def _principal(slug: str, name: str) -> User:
    username = f"agent:{slug}"
    user, _made = User.objects.get_or_create(
        username=username, defaults={"kind": UserKind.AGENT, "name": name, "password": "!"}
    )
    return user


@transaction.atomic
def change_state(actor: User, *, agent: Agent, to: str, reason: str = "", **told: Any) -> Agent:
    """Move an agent along its life; it acts on the agent's next request. A retired agent stays retired.

    At once, for documents and for what somebody agreed to: people come through ``ask_change``, which knows what takes
    two of them. ``told``: what else the entry says. Nobody puts an agent to work whose owner has left.
    """
    require_manager(actor, agent.unit, MANAGE)
    if agent.state == to:
        return agent
    if to in {AgentState.SUSPENDED, AgentState.RETIRED} and not reason.strip() and actor.is_human:
        raise InvalidError(errors={"reason": [_("Say why.")]})
    if to in WORKING and not agent.owner.is_active:
        raise ConflictError(_("%s, who owns it, has left: give it another owner first.") % agent.owner)
    advance(actor, agent, to, payload={"reason": reason, **told}, epoch=F("epoch") + 1)
    return agent


@transaction.atomic
def change_risk(actor: User, *, agent: Agent, to: str, reason: str, **told: Any) -> Agent:
    """Put an agent into another risk tier; rules that read it judge so from its next request on."""
    require_manager(actor, agent.unit, MANAGE)
    before = agent.risk
    if Agent.objects.filter(pk=agent.pk, risk=before).update(risk=to, epoch=F("epoch") + 1) != 1:
        raise ConflictError
    agent.risk = to
    record(actor, agent, "agent.changed", payload={"from": before, "to": to, "risk": to, "reason": reason, **told})
    return agent


def suspend_ownerless() -> int:
    """Suspend the working agents whose owner has left, one transaction each; how many. Nobody answers for them."""
    plane = system_user("plane")
    rows = Agent.objects.select_related("owner", "unit").filter(state__in=WORKING, owner__is_active=False)
    return sum(_suspend_ownerless(plane, agent) for agent in rows)


@transaction.atomic
def _suspend_ownerless(plane: User, agent: Agent) -> bool:
    try:
        with transaction.atomic():
            told = {"why": OWNER_LEFT, "owner": agent.owner.username}
            has_left = Q(owner__in=User.objects.filter(pk=agent.owner_id, is_active=False))
            advance(plane, agent, AgentState.SUSPENDED, where=has_left, payload=told, epoch=F("epoch") + 1)
    except ConflictError:
        return False  # somebody moved it, or gave it to somebody else, at the same time
    return True
