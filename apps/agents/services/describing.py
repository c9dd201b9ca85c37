"""Changing what is said of an agent, by people: what takes two of them waits for the second one."""

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.services import require_manager
from apps.agents.models import Agent, ChangeRequest
from apps.agents.rules import ChangeKind
from apps.agents.selectors import seen_of
from apps.agents.services.agents import MANAGE, save_agent
from apps.agents.services.changes import ask_change
from apps.core.errors import ConflictError
from apps.core.gate import require_human
from apps.core.models import User


@transaction.atomic
def describe_agent(
    actor: User,
    *,
    agent: Agent,
    seen: str,
    name: str,
    owner: User,
    purpose: str,
    known_limits: str,
    risk: str,
    reason: str = "",
) -> ChangeRequest | None:
    """Say anew what an agent is for, who answers for it, and how much of a risk it is.

    At once, but for a risk that takes two people: that is asked for, and what was asked is returned. ``seen``: the
    digest (``seen_of``) of what the person saw. Raises ConflictError ``stale`` where somebody changed it meanwhile,
    InvalidError by field (a risk that takes two needs a ``reason``), NotAllowedError.
    """
    require_human(actor)
    require_manager(actor, agent.unit, MANAGE)
    now = (
        Agent.objects.select_for_update(no_key=True, of=("self",))
        .select_related("unit", "owner", "version")
        .get(pk=agent.pk)
    )
    if seen_of(now) != seen:
        raise ConflictError(_("Somebody changed it since you opened this page. Look at it again."), code="stale")
    save_agent(
        actor,
        slug=now.slug,
        name=name,
        unit=now.unit,
        owner=owner,
        risk=now.risk,
        purpose=purpose,
        known_limits=known_limits,
        capabilities=now.capabilities,
        limits=now.limits,
    )
    return ask_change(actor, agent=now, kind=ChangeKind.RISK, to=risk, reason=reason)
