"""Calendars, units, roles, people, rotas, queues and chats as documents."""

from collections.abc import Iterator
from typing import Any

from apps.access.models import BusinessUnit, Calendar, GroupMapping, Queue, Role, RoleGrant, Rota
from apps.access.rules import ADMINISTRATOR, WEEKDAYS
from apps.access.selectors import live_grants
from apps.configuration.selectors.writing import Only, Written, document, listed, named, slug, time
from apps.core.models import User
from apps.notifications.models import ChatTarget
from apps.oversight.selectors import drill_plan_of


def calendars(only: Only) -> Iterator[Written]:
    """Open hours and holidays."""
    for calendar in named(Calendar.objects.order_by("slug"), only):
        yield (
            calendar.slug,
            document(
                {
                    "kind": "Calendar",
                    "slug": calendar.slug,
                    "name": calendar.name,
                    "timezone": calendar.timezone,
                    "hours": {name: calendar.hours[name] for name in WEEKDAYS if name in calendar.hours},
                    "holidays": calendar.holidays,
                    "region": calendar.region,
                }
            ),
        )


def units(only: Only) -> Iterator[Written]:
    """Business units, the older first."""
    for unit in named(BusinessUnit.objects.select_related("parent", "calendar").order_by("created_at", "slug"), only):
        yield (
            unit.slug,
            document(
                {
                    "kind": "BusinessUnit",
                    "slug": unit.slug,
                    "name": unit.name,
                    "parent": slug(unit.parent),
                    "currency": unit.currency,
                    "timezone": unit.timezone,
                    "calendar": slug(unit.calendar),
                    "hourly_rate_minor": unit.hourly_rate_minor,
                }
            ),
        )


def roles(only: Only) -> Iterator[Written]:
    """Roles; the built-in one is everywhere."""
    for role in named(Role.objects.exclude(slug=ADMINISTRATOR).order_by("slug"), only):
        head = {"kind": "Role", "slug": role.slug, "name": role.name}
        yield role.slug, document(head) + listed("permissions", role.permissions)


def users(only: Only) -> Iterator[Written]:
    """People who are here, with the roles that they hold."""
    held: dict[Any, list[dict[str, Any]]] = {}
    for grant in RoleGrant.objects.filter(live_grants()).select_related("role", "unit").order_by("role__slug", "id"):
        line = {"role": grant.role.slug, "unit": slug(grant.unit), "until": time(grant.until)}
        held.setdefault(grant.user_id, []).append({name: value for name, value in line.items() if value})
    people = User.objects.filter(kind="human", is_active=True, is_emergency=False).order_by("username")
    for user in named(people, only, "username"):
        yield (
            user.username,
            document(
                {
                    "kind": "User",
                    "username": user.username,
                    "name": user.name,
                    "email": user.email,
                    "roles": held.get(user.pk),
                }
            ),
        )


def group_mappings(only: Only) -> Iterator[Written]:
    """Which groups of a directory hold which role."""
    for row in named(GroupMapping.objects.select_related("role", "unit").order_by("slug"), only):
        unit = row.unit.slug if row.unit else None
        head = {"kind": "GroupMapping", "slug": row.slug, "group": row.group, "role": row.role.slug, "unit": unit}
        yield row.slug, document(head)


def rotas(only: Only) -> Iterator[Written]:
    """Who is on duty, without who left."""
    here = set(User.objects.filter(kind="human", is_active=True).values_list("username", flat=True))
    for rota in named(Rota.objects.select_related("unit").order_by("slug"), only):
        yield (
            rota.slug,
            document(
                {
                    "kind": "Rota",
                    "slug": rota.slug,
                    "name": rota.name,
                    "unit": rota.unit.slug,
                    "timezone": rota.timezone,
                    "starts": rota.starts.isoformat(),
                    "at": rota.at,
                    "days": rota.days,
                    "people": [name for name in rota.people if name in here] or rota.people,  # without who left
                    "exceptions": [one for one in rota.exceptions if one["user"] in here],
                }
            ),
        )


def queues(only: Only) -> Iterator[Written]:
    """Queues with their levels and drills."""
    for queue in named(Queue.objects.select_related("unit", "role", "calendar", "drill_plan").order_by("slug"), only):
        yield (
            queue.slug,
            document(
                {
                    "kind": "Queue",
                    "slug": queue.slug,
                    "name": queue.name,
                    "unit": queue.unit.slug,
                    "role": queue.role.slug,
                    "sla_s": queue.sla_s,
                    "expires_s": queue.expires_s,
                    "unseen_after_s": queue.unseen_after_s,
                    "escalation": queue.escalation,
                    "repeat": queue.repeat or None,
                    "last_resort": queue.last_resort or None,
                    "calendar": slug(queue.calendar),
                    "drills": _drills(queue),
                }
            ),
        )


def _drills(queue: Queue) -> dict[str, Any] | None:
    plan = drill_plan_of(queue)
    if plan is None:
        return None
    said = {"per_week": plan.per_week, "announcement": plan.announcement}
    return {**said, "critical": True} if plan.critical else said


def chat_targets(only: Only) -> Iterator[Written]:
    """Chats; their addresses are secrets."""
    for target in named(
        ChatTarget.objects.filter(removed_at=None).select_related("queue", "user").order_by("slug"), only
    ):
        comment = f"# its address {target.fingerprint} is not exported; url_env names where apply finds one\n"
        yield (
            target.slug,
            document(
                {
                    "kind": "ChatTarget",
                    "slug": target.slug,
                    "queue": slug(target.queue),
                    "user": target.user.username if target.user else None,
                    "allow_internal": target.allow_internal or None,
                },
                comment,
            ),
        )
