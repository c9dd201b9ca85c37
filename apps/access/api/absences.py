"""Endpoints of absences: one's own, and, for admins of everything, anybody's."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.models import Absence
from apps.access.selectors import absence_for, absences_for, person_for
from apps.access.services import end_absence, plan_absence
from apps.core.api import PlaneView, StrictSerializer, Text, known_params, page_of
from apps.core.errors import InvalidError
from apps.core.gate import require_human
from apps.core.models import User
from apps.core.schema import PROBLEMS


class AbsenceBody(StrictSerializer):
    """From when until just before when, and who decides in your place meanwhile."""

    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    delegate = Text(max_length=150, required=False, allow_null=True)


class AbsenceSerializer(AbsenceBody):
    """An absence."""

    id = serializers.UUIDField()
    user = serializers.CharField()


class AbsencePage(serializers.Serializer[Any]):
    """A page of absences."""

    results = AbsenceSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class EndBody(StrictSerializer):
    """Nothing is said with it."""


def absence_json(absence: Absence) -> dict[str, Any]:
    """The absence as ``AbsenceSerializer`` describes it."""
    return {
        "id": absence.pk,
        "user": absence.user.username,
        "starts_at": absence.starts_at,
        "ends_at": absence.ends_at,
        "delegate": absence.delegate.username if absence.delegate else None,
    }


class AbsencesView(PlaneView):
    """The absences of one person that are not over."""

    def check_permissions(self, request: Request) -> None:
        """Agents and systems are never away."""
        super().check_permissions(request)
        require_human(self.actor)

    def listed(self, request: Request, user: User) -> Response:
        """A page of them."""
        known_params(request)
        return page_of(request, absences_for(self.actor, user), absence_json, order=("starts_at", "id"))

    def planned(self, user: User) -> Response:
        """One more."""
        body = self.body(AbsenceBody)

        def answer() -> tuple[int, Any]:
            delegate = None
            if name := body.pop("delegate", None):
                delegate = User.objects.filter(username=name, kind="human", is_active=True).first()
                if delegate is None:
                    raise InvalidError(errors={"delegate": ["Nobody of this name may decide where they do."]})
            return 201, absence_json(plan_absence(self.actor, user=user, delegate=delegate, **body))

        return self.once(answer)


class OwnAbsences(AbsencesView):
    """``/me/absences/``."""

    @extend_schema(operation_id="list_own_absences", responses={200: AbsencePage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """When you are away."""
        return self.listed(request, self.actor)

    @extend_schema(operation_id="plan_own_absence", request=AbsenceBody, responses={201: AbsenceSerializer, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """Say that you are away, and who decides in your place."""
        return self.planned(self.actor)


class AbsencesOf(AbsencesView):
    """``/users/{username}/absences/``."""

    @extend_schema(operation_id="list_absences", responses={200: AbsencePage, **PROBLEMS})
    def get(self, request: Request, username: str) -> Response:
        """When a person is away whose access you manage."""
        return self.listed(request, person_for(self.actor, username))

    @extend_schema(operation_id="plan_absence", request=AbsenceBody, responses={201: AbsenceSerializer, **PROBLEMS})
    def post(self, request: Request, username: str) -> Response:
        """Say it for somebody else: takes managing access everywhere."""
        return self.planned(person_for(self.actor, username))


class AbsenceEnd(AbsencesView):
    """``/absences/{id}/end/``."""

    @extend_schema(operation_id="end_absence", request=EndBody, responses={204: None, **PROBLEMS})
    def post(self, request: Request, absence_id: UUID) -> Response:
        """Back early, or not away at all."""
        self.body(EndBody)
        end_absence(self.actor, absence=absence_for(self.actor, absence_id))
        return Response(status=204)
