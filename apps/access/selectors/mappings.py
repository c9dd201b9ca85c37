"""Which groups of a directory hold which role, and what follows for whom where that changes."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from apps.access.models import BusinessUnit, DirectoryGroup, GroupMapping, Role, RoleGrant
from apps.access.rules.mappings import roles_moved
from apps.access.selectors.scopes import live_grants, people_for
from apps.core.errors import NotFoundError
from apps.core.gate import Scope, scope_for, visible
from apps.core.models import User

MANAGE = "access.manage_access"

type Held = tuple[UUID, UUID | None]
"""A role and the unit in which it is held; None: everywhere."""


def mappings_for(actor: User) -> QuerySet[GroupMapping]:
    """The mappings to units in which ``actor`` manages access; those to everywhere for who manages it there."""
    rows = GroupMapping.objects.select_related("role", "unit").order_by("group", "role__slug", "slug")
    return visible(actor, MANAGE, rows)


def mapping_for(actor: User, slug: str) -> GroupMapping:
    """One of them. Raises NotFoundError."""
    if found := mappings_for(actor).filter(slug=slug).first():
        return found
    raise NotFoundError


def known_groups_for(actor: User) -> list[tuple[str, int]]:
    """The groups that the directory brought, each with how many are in it, for who manages access everywhere."""
    if not scope_for(actor, MANAGE).everywhere:
        return []
    rows = DirectoryGroup.objects.annotate(people=Count("members")).order_by("name")
    return list(rows.values_list("name", "people"))


def sees_whole_groups(actor: User) -> bool:
    """Whether ``actor`` may know who is in any group: who manages access in some units sees the people there alone."""
    return scope_for(actor, MANAGE).everywhere


def people_in_groups_for(actor: User, names: Iterable[str]) -> dict[str, int]:
    """How many are in each of these groups, of those whom ``actor`` may see.

    A group that the directory has not brought is absent for who sees whole groups. For others each is there: that a
    group exists is the directory's to tell.
    """
    wanted = set(names)
    seen = Count("members", filter=Q(members__in=people_for(actor)), distinct=True)
    found = dict(DirectoryGroup.objects.filter(name__in=wanted).annotate(people=seen).values_list("name", "people"))
    return found if sees_whole_groups(actor) else dict.fromkeys(wanted, 0) | found


@dataclass(frozen=True, slots=True)
class Follows:
    """One person who gains or loses one role."""

    person: User
    role: Role
    unit: BusinessUnit | None


@dataclass(frozen=True, slots=True)
class Change:
    """A mapping as it would be: which group holds which role where."""

    group: str
    role: Role
    unit: BusinessUnit | None


def consequences_of(
    actor: User, *, mapping: GroupMapping | None, change: Change | None
) -> tuple[list[Follows], list[Follows]]:
    """Who would gain and who would lose what at once if ``mapping`` (None: a new one) became ``change`` (None: ended).

    The same reckoning as when it is saved, of the people whom ``actor`` may see and the units in which they manage
    access: a group that somebody only names tells them neither who is in it nor what anybody holds elsewhere.
    """
    scope = scope_for(actor, MANAGE)
    names = {each.group for each in (mapping, change) if each}
    others = GroupMapping.objects.exclude(pk__in=[mapping.pk] if mapping else [])
    rows: list[GroupMapping | Change] = [*others.select_related("role", "unit"), *([change] if change else [])]
    gains: list[Follows] = []
    losses: list[Follows] = []
    for person in people_for(actor).filter(directory_groups__name__in=names, is_active=True).distinct():
        groups = set(person.directory_groups.values_list("name", flat=True))
        wanted = {_key(row): Follows(person, row.role, row.unit) for row in rows if row.group in groups}
        grants = list(RoleGrant.objects.filter(live_grants(), user=person).select_related("role", "unit"))
        held = {_key(grant): Follows(person, grant.role, grant.unit) for grant in grants}
        moved = roles_moved(wanted, {_key(grant): grant.provisioned for grant in grants})
        gains += [wanted[key] for key in wanted if key in moved.gained and _is_within(scope, key)]
        losses += [held[key] for key in held if key in moved.lost and _is_within(scope, key)]
    return gains, losses


def _is_within(scope: Scope, held: Held) -> bool:
    return scope.everywhere or held[1] in scope.units


def _key(row: "GroupMapping | RoleGrant | Change") -> Held:
    return row.role.pk, row.unit.pk if row.unit else None
