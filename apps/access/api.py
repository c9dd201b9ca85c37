"""Endpoints of units, roles, people, their tokens, and queues."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.authentication import PersonalTokenAuthentication
from apps.access.models import BusinessUnit, Queue, Role, RoleGrant
from apps.access.selectors import live_grants, people_for, queues_for, roles_for, unit_for, units_for
from apps.access.services import save_person, save_queue, save_role, save_unit, set_roles
from apps.core.api import PlaneView, StrictInteger, StrictSerializer, Text, page_of
from apps.core.errors import InvalidError, NotFoundError
from apps.core.models import User
from apps.core.schema import PROBLEMS


class PersonalTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # drf-spectacular's registry
    """How the schema names it."""

    target_class = PersonalTokenAuthentication
    name = "personalToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """A bearer token."""
        return {"type": "http", "scheme": "bearer", "description": "acp_pat_..."}


class UnitBody(StrictSerializer):
    """A business unit."""

    slug = serializers.SlugField(max_length=63)
    name = Text(max_length=120)
    parent = Text(  # type: ignore[assignment] # the unit above it; DRF uses the word for nesting
        max_length=63, required=False, allow_null=True
    )
    timezone = Text(max_length=60, required=False)
    currency = Text(max_length=3, min_length=3, required=False)


class RoleBody(StrictSerializer):
    """A role."""

    slug = serializers.SlugField(max_length=63)
    name = Text(max_length=120)
    permissions = serializers.ListField(child=Text(max_length=80), max_length=100)


class HeldRole(StrictSerializer):
    """A role that somebody holds."""

    role = Text(max_length=63)
    unit = Text(max_length=63, required=False, allow_null=True)
    until = serializers.DateTimeField(required=False, allow_null=True)


class PersonBody(StrictSerializer):
    """A person; ``roles`` is the whole of what they hold, and stays when it is left out."""

    username = Text(max_length=150)
    name = Text(max_length=120)
    email = serializers.EmailField()
    roles = HeldRole(many=True, required=False)


class QueueBody(StrictSerializer):
    """A queue."""

    slug = serializers.SlugField(max_length=63)
    name = Text(max_length=120, required=False)
    unit = Text(max_length=63)
    role = Text(max_length=63)
    sla_s = StrictInteger(min_value=1, max_value=10**8, required=False)
    expires_s = StrictInteger(min_value=1, max_value=10**8, required=False)


class UnitSerializer(UnitBody):
    """A business unit."""


class RoleSerializer(RoleBody):
    """A role."""


class QueueSerializer(QueueBody):
    """A queue."""


class PersonSerializer(PersonBody):
    """A person."""

    is_active = serializers.BooleanField()


class UnitPage(serializers.Serializer[Any]):
    """A page of units."""

    results = UnitSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class RolePage(serializers.Serializer[Any]):
    """A page of roles."""

    results = RoleSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class PersonPage(serializers.Serializer[Any]):
    """A page of people."""

    results = PersonSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class QueuePage(serializers.Serializer[Any]):
    """A page of queues."""

    results = QueueSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def unit_json(unit: BusinessUnit) -> dict[str, Any]:
    """The unit as ``UnitSerializer`` describes it."""
    return {
        "slug": unit.slug,
        "name": unit.name,
        "parent": unit.parent.slug if unit.parent else None,
        "timezone": unit.timezone,
        "currency": unit.currency,
    }


def role_json(role: Role) -> dict[str, Any]:
    """The role as ``RoleSerializer`` describes it."""
    return {"slug": role.slug, "name": role.name, "permissions": role.permissions}


def queue_json(queue: Queue) -> dict[str, Any]:
    """The queue as ``QueueSerializer`` describes it."""
    return {
        "slug": queue.slug,
        "name": queue.name,
        "unit": queue.unit.slug,
        "role": queue.role.slug,
        "sla_s": queue.sla_s,
        "expires_s": queue.expires_s,
    }


def person_json(person: User) -> dict[str, Any]:
    """The person as ``PersonSerializer`` describes it."""
    held = RoleGrant.objects.filter(live_grants(), user=person).select_related("role", "unit").order_by("role__slug")
    return {
        "username": person.username,
        "name": person.name,
        "email": person.email,
        "is_active": person.is_active,
        "roles": [
            {"role": grant.role.slug, "unit": grant.unit.slug if grant.unit else None, "until": grant.until}
            for grant in held
        ],
    }


def _role(slug: str) -> Role:
    if found := Role.objects.filter(slug=slug).first():
        return found
    raise InvalidError(errors={"role": [f"There is no role {slug}."]})


def _unit(actor: User, slug: str | None, field: str = "unit") -> BusinessUnit | None:
    if slug is None:
        return None
    try:
        return unit_for(actor, slug)
    except NotFoundError as error:
        raise InvalidError(errors={field: [f"There is no unit {slug}."]}) from error


class Units(PlaneView):
    """``/business-units/``."""

    @extend_schema(operation_id="list_units", responses={200: UnitPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Units in which you manage access."""
        return page_of(request, units_for(self.actor), unit_json, order=("slug",))

    @extend_schema(
        operation_id="save_unit", request=UnitBody, responses={200: UnitSerializer, 201: UnitSerializer, **PROBLEMS}
    )
    def post(self, request: Request) -> Response:
        """Make a unit, or make the one with this slug as the body says."""
        body = self.body(UnitBody)

        def answer() -> tuple[int, Any]:
            parent = _unit(self.actor, body.pop("parent", None), "parent")
            unit, outcome = save_unit(self.actor, **body, parent=parent)
            return (201 if outcome == "created" else 200), unit_json(unit)

        return self.once(answer)


class Roles(PlaneView):
    """``/roles/``."""

    @extend_schema(operation_id="list_roles", responses={200: RolePage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Roles."""
        return page_of(request, roles_for(self.actor), role_json, order=("slug",))

    @extend_schema(
        operation_id="save_role", request=RoleBody, responses={200: RoleSerializer, 201: RoleSerializer, **PROBLEMS}
    )
    def post(self, request: Request) -> Response:
        """Make a role, or make the one with this slug as the body says."""
        body = self.body(RoleBody)

        def answer() -> tuple[int, Any]:
            role, outcome = save_role(self.actor, **body)
            return (201 if outcome == "created" else 200), role_json(role)

        return self.once(answer)


class People(PlaneView):
    """``/users/``."""

    @extend_schema(operation_id="list_people", responses={200: PersonPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """People whose access you manage."""
        return page_of(request, people_for(self.actor), person_json, order=("username",))

    @extend_schema(
        operation_id="save_person",
        request=PersonBody,
        responses={200: PersonSerializer, 201: PersonSerializer, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        """Make a person, or make the one with this username as the body says; people set their own passwords."""
        body = self.body(PersonBody)

        def answer() -> tuple[int, Any]:
            roles = body.pop("roles", None)
            person, outcome = save_person(self.actor, **body)
            if roles is not None:
                wanted = [
                    (_role(held["role"]), _unit(self.actor, held.get("unit")), held.get("until")) for held in roles
                ]
                set_roles(self.actor, user=person, wanted=wanted)
            return (201 if outcome == "created" else 200), person_json(person)

        return self.once(answer)


class Queues(PlaneView):
    """``/queues/``."""

    @extend_schema(operation_id="list_queues", responses={200: QueuePage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Queues in your units."""
        return page_of(request, queues_for(self.actor), queue_json, order=("slug",))

    @extend_schema(
        operation_id="save_queue", request=QueueBody, responses={200: QueueSerializer, 201: QueueSerializer, **PROBLEMS}
    )
    def post(self, request: Request) -> Response:
        """Make a queue, or make the one with this slug as the body says."""
        body = self.body(QueueBody)

        def answer() -> tuple[int, Any]:
            unit = _unit(self.actor, body.pop("unit"))
            assert unit is not None, "the field is required"
            role = _role(body.pop("role"))
            queue, outcome = save_queue(self.actor, **body, unit=unit, role=role)
            return (201 if outcome == "created" else 200), queue_json(queue)

        return self.once(answer)
