"""Drills of queues: what is announced where, turning them on and off."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.models import Queue
from apps.core.api import EmptyBody, StrictInteger, StrictSerializer, Text, known_params, page_of
from apps.core.errors import NotFoundError
from apps.core.schema import PROBLEMS
from apps.oversight.api.people import PersonView
from apps.oversight.rules import MAX_ANNOUNCEMENT, MAX_PER_WEEK
from apps.oversight.selectors import drill_plan_of, drill_queues_for, queues_with_drills_for
from apps.oversight.services import end_drills, plan_drills


class DrillsBody(StrictSerializer):
    """How many a week at most, what people read beforehand, and whether items of critical risk are copied too."""

    per_week = StrictInteger(min_value=1, max_value=MAX_PER_WEEK)
    announcement = Text(max_length=MAX_ANNOUNCEMENT)
    critical = serializers.BooleanField(required=False)

    def validate_critical(self, value: bool) -> bool:
        """True or false, not text that looks like it."""
        if not isinstance(self.initial_data.get("critical"), bool):
            raise serializers.ValidationError("True or false.")
        return value


class DrillsSerializer(serializers.Serializer[Any]):
    """A queue, and the drills that are announced in it; all but ``queue`` and ``on`` are null where there are none."""

    queue = serializers.CharField()
    on = serializers.BooleanField()
    per_week = serializers.IntegerField(allow_null=True)
    announcement = serializers.CharField(allow_null=True)
    critical = serializers.BooleanField(allow_null=True)
    announced_at = serializers.DateTimeField(allow_null=True)
    set_by = serializers.CharField(allow_null=True)


class DrillsPage(serializers.Serializer[Any]):
    """A page of queues."""

    results = DrillsSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def drills_json(queue: Queue) -> dict[str, Any]:
    """The queue as ``DrillsSerializer`` describes it. When the next one comes is told nobody."""
    plan = drill_plan_of(queue)
    return {
        "queue": queue.slug,
        "on": plan is not None,
        "per_week": plan.per_week if plan else None,
        "announcement": plan.announcement if plan else None,
        "critical": plan.critical if plan else None,
        "announced_at": plan.announced_at if plan else None,
        "set_by": plan.set_by.username if plan else None,
    }


class Drills(PersonView):
    """``/drills/``."""

    @extend_schema(
        operation_id="list_drills",
        responses={200: DrillsPage, **PROBLEMS},
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
    )
    def get(self, request: Request) -> Response:
        """The queues that you serve and that have drills, and every queue whose drills you may turn on."""
        known_params(request)
        return page_of(request, queues_with_drills_for(self.actor), drills_json, order=("slug",))


class DrillsOfQueue(PersonView):
    """``/drills/{queue}/``."""

    @extend_schema(operation_id="announce_drills", request=DrillsBody, responses={200: DrillsSerializer, **PROBLEMS})
    def post(self, request: Request, queue: str) -> Response:
        """Announce drills in a queue, or change them: none comes before this has stood for a day."""
        said = self.body(DrillsBody)

        def answer() -> tuple[int, Any]:
            found = self.managed(queue)
            plan_drills(self.actor, queue=found, **said)
            return 200, drills_json(self.managed(queue))

        return self.once(answer)

    def managed(self, slug: str) -> Queue:
        """A queue whose drills the caller may turn on and off. Raises NotFoundError."""
        if found := drill_queues_for(self.actor).filter(slug=slug).first():
            return found
        raise NotFoundError


class EndDrills(DrillsOfQueue):
    """``/drills/{queue}/end/``."""

    @extend_schema(operation_id="end_drills", request=EmptyBody, responses={200: DrillsSerializer, **PROBLEMS})
    def post(self, request: Request, queue: str) -> Response:
        """Turn them off; those that wait are gone at once."""
        self.body(EmptyBody)

        def answer() -> tuple[int, Any]:
            end_drills(self.actor, queue=self.managed(queue))
            return 200, drills_json(self.managed(queue))

        return self.once(answer)
