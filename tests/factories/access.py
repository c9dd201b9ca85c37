"""Units, people, roles, queues."""

from itertools import count
from typing import Any

from apps.access.models import BusinessUnit, Calendar, Queue, Role, RoleGrant
from apps.access.rules import WEEKDAYS
from apps.core.models import User
from apps.core.services import system_user

_n = count(1)


def make_unit(**fields: Any) -> BusinessUnit:
    number = next(_n)
    return BusinessUnit.objects.create(**{"slug": f"unit{number}", "name": f"Unit {number}", **fields})


def make_calendar(**fields: Any) -> Calendar:
    """Open on every day from 09:00 to 17:00 in Berlin, unless said otherwise."""
    number = next(_n)
    week = {day: ["09:00-17:00"] for day in WEEKDAYS}
    return Calendar.objects.create(
        **{
            "slug": f"calendar{number}",
            "name": f"Calendar {number}",
            "timezone": "Europe/Berlin",
            "hours": week,
            **fields,
        }
    )


def make_user(**fields: Any) -> User:
    """A person who holds nothing."""
    number = next(_n)
    password = fields.pop("password", None)
    user = User(**{"username": f"user{number}", "name": f"User {number}", "password": "!", **fields})
    if password:
        user.set_password(password)
    user.save(force_insert=True)
    return user


def make_role(*permissions: str, **fields: Any) -> Role:
    number = next(_n)
    return Role.objects.create(
        **{"slug": f"role{number}", "name": f"Role {number}", "permissions": sorted(permissions), **fields}
    )


def grant(user: User, role: Role, unit: BusinessUnit | None = None, **fields: Any) -> RoleGrant:
    """Give ``user`` a role, without asking anybody."""
    return RoleGrant.objects.create(user=user, role=role, unit=unit, granted_by=system_user("console"), **fields)


def make_holder(*permissions: str, unit: BusinessUnit | None = None, **fields: Any) -> User:
    """A person who holds ``permissions`` in ``unit`` (everywhere without one)."""
    user = make_user(**fields)
    grant(user, make_role(*permissions), unit)
    return user


def make_admin(**fields: Any) -> User:
    """A person with the built-in role, everywhere."""
    user = make_user(**fields)
    grant(user, Role.objects.get(slug="administrator"))
    return user


def make_queue(**fields: Any) -> Queue:
    number = next(_n)
    unit = fields.pop("unit", None) or make_unit()
    role = fields.pop("role", None) or make_role("oversight.view_escalation", "oversight.decide_escalation")
    return Queue.objects.create(
        **{"slug": f"queue{number}", "name": f"Queue {number}", "unit": unit, "role": role, **fields}
    )


def make_approver(queue: Queue, **fields: Any) -> User:
    """A person who serves ``queue``."""
    user = make_user(**fields)
    grant(user, queue.role, queue.unit)
    return user
