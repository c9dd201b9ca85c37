"""Rights as they are now, whatever their kind, and the evidence of their use."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, cast
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Max, Q
from django.utils.module_loading import import_string

from apps.access.models import BusinessUnit, PersonalToken, RoleGrant
from apps.access.selectors import live_grants
from apps.agents.models import Action, AgentCredential
from apps.agents.rules import AgentState, Environment
from apps.audit.models import Entry
from apps.connectors.models import OperationPermission
from apps.connectors.rules.sizing import NOT_NEEDED
from apps.core.models import User
from apps.core.rules import digest_of
from apps.oversight.models import Vote
from apps.oversight.rules.access_reviews import EVIDENCE_DAYS, Evidence, RightKind, traced, window

DECIDE = "oversight.decide_escalation"
type Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Right:
    """One right that is held now. ``frozen``: what of it a decision is about; ``row``: where it stands."""

    kind: RightKind
    key: str
    unit_id: UUID | None
    holder: User
    what: str
    granted_at: datetime
    granted_by: str
    until: datetime | None
    frozen: dict[str, Any]
    row: Any

    @property
    def seen(self) -> str:
        """Digest of what a decision is about."""
        return digest_of(self.frozen)


def rights_now(wanted: Mapping[str, Collection[str]]) -> dict[Key, Right]:
    """Which of these rights (by kind, their keys) are still held, and what they are now. One query per kind."""
    found: list[Right] = []
    if keys := wanted.get(RightKind.ROLE):
        found += _roles(Q(pk__in=[UUID(key) for key in keys]))
    if keys := wanted.get(RightKind.OPERATION):
        found += _operations(Q(pk__in=[int(key) for key in keys]))
    if keys := wanted.get(RightKind.KEY):
        found += _keys(Q(pk__in=[UUID(key) for key in keys]))
    if keys := wanted.get(RightKind.WORKFLOW):
        found += workflow_rights().held(Q(pk__in=[int(key) for key in keys]))
    if keys := wanted.get(RightKind.TOKEN):
        found += _tokens(Q(pk__in=[UUID(key) for key in keys]))
    return {(right.kind, right.key): right for right in found}


def rights_within(kinds: Iterable[str], units: Sequence[UUID] | None) -> list[Right]:
    """Every right of these kinds that is held in these units; None: everywhere, with tokens, which are of no unit."""
    found: list[Right] = []
    for kind, (read, path) in READERS.items():
        if kind in kinds:
            found += read(Q() if units is None else Q(**{f"{path}__in": units}))
    if RightKind.WORKFLOW in kinds:
        found += workflow_rights().held(Q() if units is None else Q(user__agent__unit__in=units))
    if RightKind.TOKEN in kinds and units is None:
        found += _tokens(Q())
    return found


class ForeignRights(Protocol):
    """Rights of a floor above: how they are read, measured, ended and taken away."""

    def held(self, where: Q) -> list[Right]:
        """Those that are held now."""

    def evidence_of(self, rights: Sequence[Right], since: datetime, now: datetime) -> dict[Key, Evidence]:
        """How each was used."""

    def revoke(self, actor: User, right: Right, *, reason: str) -> None:
        """Take it away."""

    def end_at(self, actor: User, right: Right, *, until: datetime | None, reason: str) -> None:
        """Give it an end."""


def workflow_rights() -> ForeignRights:
    """The workflows in which agents may work (``settings.WORKFLOW_RIGHTS``)."""
    return cast("ForeignRights", import_string(settings.WORKFLOW_RIGHTS))


def _tokens(where: Q) -> list[Right]:
    rows = PersonalToken.objects.filter(PersonalToken.live(), where, user__is_active=True, user__kind="human")
    return [
        Right(
            RightKind.TOKEN, str(row.pk), None, row.user, row.name or row.key_id, row.created_at, str(row.user),
            row.expires_at,
            {"until": _iso(row.expires_at), "permissions": row.permissions, "read_only": row.read_only}, row,
        )
        for row in rows.select_related("user").order_by("pk")
    ]  # fmt: skip


def _roles(where: Q) -> list[Right]:
    rows = RoleGrant.objects.filter(live_grants(), where, user__is_active=True, user__kind="human")
    return [
        Right(
            RightKind.ROLE, str(row.pk), row.unit_id, row.user, row.role.slug, row.created_at, str(row.granted_by),
            row.until, {"until": _iso(row.until), "permissions": sorted(row.role.permissions)}, row,
        )
        for row in rows.select_related("user", "role", "unit", "granted_by").order_by("pk")
    ]  # fmt: skip


def _operations(where: Q) -> list[Right]:
    rows = OperationPermission.objects.filter(OperationPermission.live(), where, user__kind="agent")
    rows = rows.exclude(user__agent__state=AgentState.RETIRED)
    return [
        Right(
            RightKind.OPERATION, str(row.pk), row.user.agent.unit_id, row.user, row.content_object.slug,
            row.granted_at, str(row.granted_by or ""), row.until,
            {
                "until": _iso(row.until),
                "fields": row.fields,
                "limit": {"amount_minor": row.limit.minor, "currency": row.limit.currency} if row.limit else None,
            },
            row,
        )
        for row in rows.select_related("user__agent", "content_object__connector", "granted_by").order_by("pk")
    ]  # fmt: skip


def _keys(where: Q) -> list[Right]:
    rows = AgentCredential.objects.filter(AgentCredential.live(), where)
    return [
        Right(
            RightKind.KEY, str(row.pk), row.agent.unit_id, row.agent.user, row.key_id, row.created_at,
            str(row.made_by), row.expires_at,
            {"until": _iso(row.expires_at), "environment": row.environment, "networks": row.networks}, row,
        )
        for row in rows.select_related("agent__user", "agent__unit", "made_by").order_by("pk")
    ]  # fmt: skip


READERS: Mapping[RightKind, tuple[Any, str]] = {
    RightKind.ROLE: (_roles, "unit"),
    RightKind.OPERATION: (_operations, "user__agent__unit"),
    RightKind.KEY: (_keys, "agent__unit"),
}


def _iso(when: datetime | None) -> str | None:
    return when.isoformat() if when else None


def evidence_of(rights: Sequence[Right], now: datetime) -> dict[Key, Evidence]:
    """How each was used in the window that ends ``now``; as many queries for one right as for thousands."""
    since = now - timedelta(days=EVIDENCE_DAYS)
    by_kind: dict[str, list[Right]] = defaultdict(list)
    for right in rights:
        by_kind[right.kind].append(right)
    return (
        _of_roles(by_kind[RightKind.ROLE], since, now)
        | _of_operations(by_kind[RightKind.OPERATION], since, now)
        | _of_keys([*by_kind[RightKind.KEY], *by_kind[RightKind.TOKEN]], now)
        | workflow_rights().evidence_of(by_kind[RightKind.WORKFLOW], since, now)
    )


def _of_roles(rights: list[Right], since: datetime, now: datetime) -> dict[Key, Evidence]:
    """What people did that left a line in the ledger, in the units of their role."""
    if not rights:
        return {}
    people = {right.holder.pk for right in rights}
    rows = Entry.objects.filter(actor__in=people, occurred_at__gt=since).order_by()
    done: dict[UUID, list[tuple[str, UUID | None, int, datetime]]] = defaultdict(list)
    for actor, *rest in rows.values_list("actor", "name", "unit").annotate(n=Count("id"), last=Max("occurred_at")):
        done[actor].append(tuple(rest))
    most = _decided(people, since)
    below = _below({right.unit_id for right in rights if right.unit_id})
    found: dict[Key, Evidence] = {}
    for right in rights:
        permissions = right.frozen["permissions"]
        begins, unseen = traced(permissions)
        units = below.get(right.unit_id) if right.unit_id else None
        seen = [
            (n, last) for name, unit, n, last in done[right.holder.pk]
            if begins and name.startswith(begins) and (units is None or unit in units)
        ]  # fmt: skip
        largest: dict[str, int] = {}
        for unit, currency, minor in most[right.holder.pk] if DECIDE in permissions else ():
            if units is None or unit in units:
                largest[currency] = max(minor, largest.get(currency, minor))
        from_when, is_whole = window(right.granted_at, now)
        uses, last = sum(n for n, _ in seen) if begins else None, max((last for _, last in seen), default=None)
        found[right.kind, right.key] = Evidence(
            from_when, is_whole, uses, last, _amounts(largest), unseen, is_measured=bool(begins)
        )
    return found


def _decided(people: Collection[UUID], since: datetime) -> dict[UUID, list[tuple[UUID, str, int]]]:
    """The largest amounts on which people voted, by unit and currency."""
    rows = Vote.objects.filter(voter__in=people, created_at__gt=since, escalation__action__amount_minor__isnull=False)
    groups = rows.order_by().values_list("voter", "escalation__unit", "escalation__action__currency")
    found: dict[UUID, list[tuple[UUID, str, int]]] = defaultdict(list)
    for voter, unit, currency, minor in groups.annotate(most=Max("escalation__action__amount_minor")):
        found[voter].append((unit, currency, minor))
    return found


def _of_operations(rights: list[Right], since: datetime, now: datetime) -> dict[Key, Evidence]:
    """What agents asked for live that came to something."""
    if not rights:
        return {}
    rows = Action.objects.filter(
        principal__in={right.holder.pk for right in rights}, created_at__gt=since, environment=Environment.LIVE
    ).exclude(state__in=NOT_NEEDED)
    used: dict[tuple[UUID, str], list[tuple[str, int, datetime, int | None]]] = defaultdict(list)
    groups = rows.order_by().values_list("principal", "operation", "currency")
    for agent, operation, *rest in groups.annotate(n=Count("id"), last=Max("created_at"), most=Max("amount_minor")):
        used[agent, operation].append(tuple(rest))
    found: dict[Key, Evidence] = {}
    for right in rights:
        seen = used[right.holder.pk, right.what]
        from_when, is_whole = window(right.granted_at, now)
        found[right.kind, right.key] = Evidence(
            from_when, is_whole, sum(n for _, n, _, _ in seen), max((last for _, _, last, _ in seen), default=None),
            _amounts({currency: minor for currency, _, _, minor in seen if minor is not None}),
        )  # fmt: skip
    return found


def _of_keys(rights: list[Right], now: datetime) -> dict[Key, Evidence]:
    """When a key or a token was used last, to the minute; how often is not counted."""
    found: dict[Key, Evidence] = {}
    for right in rights:
        from_when, is_whole = window(right.granted_at, now)
        found[right.kind, right.key] = Evidence(from_when, is_whole, None, right.row.last_used_at)
    return found


def _amounts(largest: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"amount_minor": minor, "currency": currency} for currency, minor in sorted(largest.items())]


def _below(units: Collection[UUID]) -> dict[UUID, set[UUID]]:
    """Each of these units with everything below it; one query."""
    children: dict[UUID | None, list[UUID]] = defaultdict(list)
    for pk, parent in BusinessUnit.objects.values_list("pk", "parent_id") if units else ():
        children[parent].append(pk)
    found = {}
    for unit in units:
        walk = [unit]
        for each in walk:  # grows while it is walked
            walk.extend(children[each])
        found[unit] = set(walk)
    return found
