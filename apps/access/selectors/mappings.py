"""Which groups of a directory hold which role, and what follows for whom where that changes."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, QuerySet

from apps.access.models import BusinessUnit, DirectoryGroup, GroupMapping, Role, RoleGrant
from apps.access.rules.mappings import roles_moved
from apps.access.selectors.scopes import live_grants
from apps.core.errors import NotFoundError
from apps.core.gate import scope_for, visible
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


def people_in_groups(names: Iterable[str]) -> dict[str, int]:
    """How many are in each of these groups; a group that the directory has not brought is absent."""
    rows = DirectoryGroup.objects.filter(name__in=set(names)).annotate(people=Count("members"))
    return dict(rows.values_list("name", "people"))


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

    The same reckoning as when it is saved. Of units that ``actor`` does not manage nothing changes.
    """
    names = {each.group for each in (mapping, change) if each}
    others = GroupMapping.objects.exclude(pk__in=[mapping.pk] if mapping else [])
    rows: list[GroupMapping | Change] = [*others.select_related("role", "unit"), *([change] if change else [])]
    gains: list[Follows] = []
    losses: list[Follows] = []
    for person in User.objects.filter(directory_groups__name__in=names, is_active=True).distinct().order_by("username"):
        groups = set(person.directory_groups.values_list("name", flat=True))
        wanted = {_key(row): Follows(person, row.role, row.unit) for row in rows if row.group in groups}
        grants = list(RoleGrant.objects.filter(live_grants(), user=person).select_related("role", "unit"))
        held = {_key(grant): Follows(person, grant.role, grant.unit) for grant in grants}
        moved = roles_moved(wanted, {_key(grant): grant.provisioned for grant in grants})
        gains += [wanted[key] for key in wanted if key in moved.gained]
        losses += [held[key] for key in held if key in moved.lost]
    return gains, losses


def _key(row: "GroupMapping | RoleGrant | Change") -> Held:
    return row.role.pk, row.unit.pk if row.unit else None
