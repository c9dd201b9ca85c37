"""The agents that want looking at: unused, owned by nobody who could manage them, about to lose something, too free."""

from datetime import timedelta
from enum import StrEnum

from django.db.models import BooleanField, Exists, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext_lazy as _

from apps.agents.models import Action, Agent, AgentCredential
from apps.agents.rules import AgentState, Environment
from apps.agents.selectors import agents_for
from apps.connectors.models import OperationPermission
from apps.core.models import ClockTimestamp, User

STALE_DAYS = 90
"""What was not used for so long is not needed."""
EXPIRING_DAYS = 14
"""What ends within so many days wants a decision now."""


class Stale(StrEnum):
    """Why an agent wants looking at."""

    UNUSED = "unused"
    OWNERLESS = "ownerless"
    UNMANAGED = "unmanaged"
    EXPIRING = "expiring"
    OVER_PRIVILEGED = "over_privileged"


WORDS = {
    Stale.UNUSED: _("Unused"),
    Stale.OWNERLESS: _("Ownerless"),
    Stale.UNMANAGED: _("Owner cannot manage it"),
    Stale.EXPIRING: _("Expiring"),
    Stale.OVER_PRIVILEGED: _("Over-privileged"),
}
MEANINGS = {
    Stale.UNUSED: _("Asked for nothing and used no key in 90 days, and is older than that."),
    Stale.OWNERLESS: _("Its owner has left, or holds no role in its unit any more."),
    Stale.UNMANAGED: _("Its owner answers for it and may not suspend it, narrow it or end its keys: give them a role."),
    Stale.EXPIRING: _("Its last key or a permission ends within 14 days."),
    Stale.OVER_PRIVILEGED: _("Has had a permission for 90 days that it did not use in that time."),
}
OWNER_HOLDS = """
EXISTS (
    WITH RECURSIVE up AS (
        SELECT b.id, b.parent_id FROM access_businessunit b WHERE b.id = agents_agent.unit_id
        UNION ALL SELECT b.id, b.parent_id FROM access_businessunit b JOIN up ON b.id = up.parent_id
    )
    SELECT 1 FROM access_rolegrant g JOIN access_role r ON r.id = g.role_id
    WHERE g.user_id = agents_agent.owner_id AND g.revoked_at IS NULL
      AND (g.until IS NULL OR g.until > clock_timestamp()) AND (g.unit_id IS NULL OR g.unit_id IN (SELECT id FROM up))
      AND (%s = '' OR r.permissions ? %s)
)
"""
"""Whether its owner holds this permission in its unit; an empty one: any role."""
MANAGE = "agents.manage_agent"


def inventory_for(actor: User, *, stale: str = "") -> QuerySet[Agent]:
    """Agents that ``actor`` may see, each with ``is_<stale>`` for every reason to look at it; those of one reason."""
    rows = agents_for(actor).annotate(is_in_unit=_owner_holds(""), is_managed=_owner_holds(MANAGE))
    rows = rows.annotate(
        is_unused=_is_there() & Q(created_at__lt=_ago(STALE_DAYS)) & ~Exists(_acted()) & ~Exists(_called()),
        is_ownerless=_is_there() & (Q(owner__is_active=False) | Q(is_in_unit=False)),
        is_unmanaged=_is_there() & Q(owner__is_active=True, is_in_unit=True, is_managed=False),
        is_expiring=_is_there() & (Exists(_ending()) | (Exists(_keys()) & ~Exists(_lasting()))),
        is_over_privileged=_is_there() & Exists(_unneeded()),
    )
    return rows.filter(**{f"is_{stale}": True}) if stale in list(Stale) else rows


def why_of(agent: Agent) -> list[tuple[Stale, str, str]]:
    """Each reason with its word and its meaning."""
    return [(reason, str(WORDS[reason]), str(MEANINGS[reason])) for reason in reasons_of(agent)]


def reasons_of(agent: Agent) -> list[Stale]:
    """Why an agent of ``inventory_for`` wants looking at."""
    return [reason for reason in Stale if getattr(agent, f"is_{reason}")]


def _owner_holds(permission: str) -> RawSQL:
    return RawSQL(OWNER_HOLDS, [permission, permission], output_field=BooleanField())  # noqa: S611 - only parameters


def _is_there() -> Q:
    return ~Q(state=AgentState.RETIRED)


def _ago(days: int) -> ClockTimestamp:
    return ClockTimestamp() - timedelta(days=days)  # type: ignore[return-value] # an expression all the same


def _acted() -> QuerySet[Action]:
    return Action.objects.filter(agent=OuterRef("pk"), created_at__gt=_ago(STALE_DAYS))


def _called() -> QuerySet[AgentCredential]:
    return AgentCredential.objects.filter(agent=OuterRef("pk"), last_used_at__gt=_ago(STALE_DAYS))


def _keys() -> QuerySet[AgentCredential]:
    return AgentCredential.objects.filter(AgentCredential.live(), agent=OuterRef("pk"))


def _lasting() -> QuerySet[AgentCredential]:
    return _keys().filter(expires_at__gt=ClockTimestamp() + timedelta(days=EXPIRING_DAYS))


def _ending() -> QuerySet[OperationPermission]:
    soon = ClockTimestamp() + timedelta(days=EXPIRING_DAYS)
    return OperationPermission.objects.filter(user=OuterRef("user"), until__gt=ClockTimestamp(), until__lt=soon)


def _unneeded() -> QuerySet[OperationPermission]:
    used = Action.objects.filter(
        principal=OuterRef("user"),
        operation=OuterRef("content_object__slug"),
        created_at__gt=_ago(STALE_DAYS),
        environment=Environment.LIVE,
    )
    held = OperationPermission.objects.filter(OperationPermission.live(), user=OuterRef("user"))
    return held.filter(~Exists(used), granted_at__lt=_ago(STALE_DAYS))
