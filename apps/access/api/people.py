"""Endpoints of units, roles, people and their tokens."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.api.named import calendar_named, role_named, unit_named
from apps.access.authentication import PersonalTokenAuthentication
from apps.access.models import BusinessUnit, Role, RoleGrant
from apps.access.selectors import live_grants, people_for, roles_for, units_for
from apps.access.services import save_person, save_role, save_unit, set_roles
from apps.core.api import PlaneView, StrictSerializer, Text, known_params, page_of
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
    calendar = Text(max_length=63, required=False, allow_null=True)


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


class SavedPerson(PersonBody):
    """A person; ``reinstate`` says that they come back if they have left."""

    reinstate = serializers.BooleanField(required=False)


class UnitSerializer(UnitBody):
    """A business unit."""


class RoleSerializer(RoleBody):
    """A role."""


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


def unit_json(unit: BusinessUnit) -> dict[str, Any]:
    """The unit as ``UnitSerializer`` describes it."""
    return {
        "slug": unit.slug,
        "name": unit.name,
        "parent": unit.parent.slug if unit.parent else None,
        "timezone": unit.timezone,
        "currency": unit.currency,
        "calendar": unit.calendar.slug if unit.calendar else None,
    }


def role_json(role: Role) -> dict[str, Any]:
    """The role as ``RoleSerializer`` describes it."""
    return {"slug": role.slug, "name": role.name, "permissions": role.permissions}


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


class Units(PlaneView):
    """``/business-units/``."""

    @extend_schema(operation_id="list_units", responses={200: UnitPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Units in which you manage access."""
        known_params(request)
        return page_of(request, units_for(self.actor), unit_json, order=("slug",))

    @extend_schema(
        operation_id="save_unit", request=UnitBody, responses={200: UnitSerializer, 201: UnitSerializer, **PROBLEMS}
    )
    def post(self, request: Request) -> Response:
        """Make a unit, or make the one with this slug as the body says."""
        body = self.body(UnitBody)

        def answer() -> tuple[int, Any]:
            parent = unit_named(self.actor, body.pop("parent", None), "parent")
            calendar = calendar_named(body.pop("calendar", None))
            unit, outcome = save_unit(self.actor, **body, parent=parent, calendar=calendar)
            return (201 if outcome == "created" else 200), unit_json(unit)

        return self.once(answer)


class Roles(PlaneView):
    """``/roles/``."""

    @extend_schema(operation_id="list_roles", responses={200: RolePage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Roles."""
        known_params(request)
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
        known_params(request)
        return page_of(request, people_for(self.actor), person_json, order=("username",))

    @extend_schema(
        operation_id="save_person",
        request=SavedPerson,
        responses={200: PersonSerializer, 201: PersonSerializer, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        """Make a person, or make the one with this username as the body says; people set their own passwords.

        Who has left is 409 `has_left`, unless `reinstate` is true.
        """
        body = self.body(SavedPerson)

        def answer() -> tuple[int, Any]:
            roles = body.pop("roles", None)
            person, outcome = save_person(self.actor, **body)
            if roles is not None:
                wanted = [
                    (role_named(held["role"]), unit_named(self.actor, held.get("unit")), held.get("until"))
                    for held in roles
                ]
                set_roles(self.actor, user=person, wanted=wanted)
            return (201 if outcome == "created" else 200), person_json(person)

        return self.once(answer)
