"""Names under which agents send and that belong to no agent that is known: noted, adopted, ignored or blocked."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from apps.access.services import require_manager
from apps.agents.models import Agent
from apps.agents.services import create_agent
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError
from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User, database_now
from apps.core.services import system_user
from apps.telemetry.models import DiscoveredAgent
from apps.telemetry.rules.discovered import (
    LONGEST_NAME,
    MOST_IGNORED_DAYS,
    MOST_OPEN,
    MOST_OPEN_OF_SENDER,
    DiscoveredState,
    is_known,
)

MANAGE = "agents.manage_agent"
TOLD = 20
"""Names that an entry holds at most."""


def service_of(attributes: Mapping[str, Any]) -> str:
    """The name that a sender has for itself, as it is kept; empty for none."""
    said = attributes.get("service.name")
    return said[:LONGEST_NAME] if isinstance(said, str) else ""


def strangers_of(agent: Agent, services: Iterable[str]) -> set[str]:
    """Of these names those that are not ``agent``'s own."""
    names = (agent.slug, agent.name)
    return {service for service in set(services) if not is_known(service, names)}


def blocked_of(agent: Agent, services: Iterable[str]) -> set[str]:
    """Of these names those under which nothing of ``agent`` is taken, also where one became its own since."""
    named = {service for service in services if service}
    if not named:
        return set()
    rows = DiscoveredAgent.objects.filter(sender=agent, state=DiscoveredState.BLOCKED, service__in=named)
    return set(rows.values_list("service", flat=True))


def note_strangers(agent: Agent, came: Mapping[str, int]) -> None:
    """Count spans that came under names which are not the agent's own; what is new is noted, as far as there is room.

    What was ignored until now is open again first, those before whose time was over first. The owner is told where
    nothing of the agent was open before, so that it is once. Whoever calls holds the agent's lock of spans.
    """
    if not came:
        return
    rows = DiscoveredAgent.objects.filter(sender=agent)
    was_open = rows.filter(state=DiscoveredState.OPEN).count()
    known = set(rows.filter(service__in=came).values_list("service", flat=True))
    for service in known:
        rows.filter(service=service).update(spans=F("spans") + came[service], last_at=ClockTimestamp())
    fresh = sorted(came.keys() - known)
    over = rows.filter(service__in=known, state=DiscoveredState.IGNORED, until__lte=ClockTimestamp())
    waiting = list(over.order_by("until", "service").values_list("service", flat=True))
    room = _room(was_open) if waiting or fresh else 0
    again = waiting[:room]
    over.filter(service__in=again).update(
        state=DiscoveredState.OPEN, until=None, decided_by=None, decided_at=None, reason=""
    )
    new = fresh[: room - len(again)]
    now = database_now()
    DiscoveredAgent.objects.bulk_create(
        [DiscoveredAgent(sender=agent, service=name, spans=came[name], last_at=now) for name in new]
    )
    if (new or again) and not was_open:
        told = {"services": (new or sorted(again))[:TOLD], "spans": sum(came.values())}
        record(system_user("plane"), agent, "agent.discovered", payload=told)


def _room(of_sender: int) -> int:
    """How many more names of a sender of which so many are open may be open."""
    room = MOST_OPEN_OF_SENDER - of_sender
    if room > 0:
        room = min(room, MOST_OPEN - DiscoveredAgent.objects.filter(state=DiscoveredState.OPEN).count())
    return max(0, room)


@transaction.atomic
def adopt_discovered(
    actor: User, *, found: DiscoveredAgent, seen: str, agent: Agent, reason: str = ""
) -> DiscoveredAgent:
    """Say that it is ``agent``, which ``actor`` manages too: under this name nothing of the sender is unknown any more.

    What came and comes stays with the agent whose key it was sent with.
    """
    require_manager(actor, agent.unit, MANAGE)
    told = {"agent": agent.slug if agent.unit_id == found.sender.unit_id else ""}  # another unit's is its own affair
    return _decide(actor, found, seen, DiscoveredState.ADOPTED, reason=reason, told=told, adopted_as=agent)


@transaction.atomic
def adopt_as_new(
    actor: User, *, found: DiscoveredAgent, seen: str, slug: str, name: str, owner: User, reason: str = "", **about: Any
) -> Agent:
    """Make a draft of it in the sender's unit, without a key. ``about``: what else ``create_agent`` takes."""
    require_manager(actor, found.sender.unit, MANAGE)
    made = create_agent(actor, slug=slug, name=name, unit=found.sender.unit, owner=owner, **about)
    adopt_discovered(actor, found=found, seen=seen, agent=made, reason=reason)
    return made


@transaction.atomic
def ignore_discovered(
    actor: User, *, found: DiscoveredAgent, seen: str, until: datetime, reason: str
) -> DiscoveredAgent:
    """Let it be until then; what comes is kept and counted. If it comes afterwards, it is open again."""
    now = database_now()
    if not now < until <= now + timedelta(days=MOST_IGNORED_DAYS):
        raise InvalidError(errors={"until": [_("A time to come, within %d days.") % MOST_IGNORED_DAYS]})
    told = {"until": until}
    return _decide(actor, found, seen, DiscoveredState.IGNORED, reason=_said(reason), told=told, until=until)


@transaction.atomic
def block_discovered(actor: User, *, found: DiscoveredAgent, seen: str, reason: str) -> DiscoveredAgent:
    """Take no spans and logs of the sender under this name from its next request on; the sender is told how many."""
    return _decide(actor, found, seen, DiscoveredState.BLOCKED, reason=_said(reason), told={})


def _said(reason: str) -> str:
    if not reason.strip():
        raise InvalidError(errors={"reason": [_("Say why.")]})
    return reason.strip()


def _decide(
    actor: User, found: DiscoveredAgent, seen: str, to: DiscoveredState, *, reason: str, told: dict[str, Any],
    **values: Any,
) -> DiscoveredAgent:  # fmt: skip
    """Write it where it still is what the person saw. What was adopted stays so. Raises ConflictError."""
    require_human(actor)
    require_manager(actor, found.sender.unit, MANAGE)
    rows = DiscoveredAgent.objects.filter(pk=found.pk, state=seen).exclude(state=DiscoveredState.ADOPTED)
    done = {"state": to, "decided_by": actor, "decided_at": ClockTimestamp(), "reason": reason}
    changed = rows.update(**{"until": None, "adopted_as": None, **done, **values})
    found.refresh_from_db()
    if not changed:
        raise ConflictError(_("%s decided about it before.") % (found.decided_by or _("Somebody")))
    payload = {"service": found.service, "discovered": found.pk, "reason": reason, **told}
    record(actor, found.sender, f"agent.discovery_{to.value}", payload=payload)
    return found
