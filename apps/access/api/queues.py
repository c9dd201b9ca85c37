"""Endpoints of queues, rotas and calendars."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.api.named import calendar_named, role_named, unit_named
from apps.access.models import Calendar, Queue, Rota
from apps.access.rules import (
    MAX_DAYS,
    MAX_EXCEPTIONS,
    MAX_LEVELS,
    MAX_PEOPLE,
    MAX_REPEAT,
    WEEKDAYS,
    TargetKind,
    level_errors,
    target_of,
)
from apps.access.selectors import calendar_for, calendars_for, queues_for, rota_for, rotas_for
from apps.access.services import save_calendar, save_queue, save_rota
from apps.access.services.removals import remove_calendar, remove_rota
from apps.core.api import AnyJson, PlaneView, StrictInteger, StrictSerializer, Text, known_params, page_of
from apps.core.errors import InvalidError
from apps.core.models import database_now
from apps.core.schema import PROBLEMS


class HolidaySerializer(StrictSerializer):
    """A day on which nobody is there."""

    date = serializers.DateField()
    name = Text(max_length=120, required=False)


class HoursSerializer(StrictSerializer):
    """Local times from and until, by weekday; a day left out is closed."""

    mon = serializers.ListField(child=Text(max_length=11), max_length=24, required=False)
    tue = serializers.ListField(child=Text(max_length=11), max_length=24, required=False)
    wed = serializers.ListField(child=Text(max_length=11), max_length=24, required=False)
    thu = serializers.ListField(child=Text(max_length=11), max_length=24, required=False)
    fri = serializers.ListField(child=Text(max_length=11), max_length=24, required=False)
    sat = serializers.ListField(child=Text(max_length=11), max_length=24, required=False)
    sun = serializers.ListField(child=Text(max_length=11), max_length=24, required=False)


class CalendarBody(StrictSerializer):
    """When somebody is there, in local time."""

    slug = serializers.SlugField(max_length=63)
    name = Text(max_length=120)
    timezone = Text(max_length=60)
    hours = HoursSerializer()
    holidays = HolidaySerializer(many=True, required=False)
    region = Text(max_length=40, required=False, allow_blank=True)


class LevelSerializer(StrictSerializer):
    """One level of escalation: after how long, and to whom."""

    after_s = StrictInteger(min_value=1, max_value=10**8)
    to = AnyJson(help_text="A queue's slug, {queue: slug}, {role: slug}, {user: username} or {rota: slug}.")


class QueueBody(StrictSerializer):
    """A queue."""

    slug = serializers.SlugField(max_length=63)
    name = Text(max_length=120, required=False)
    unit = Text(max_length=63)
    role = Text(max_length=63)
    sla_s = StrictInteger(min_value=1, max_value=10**8, required=False)
    expires_s = StrictInteger(min_value=1, max_value=10**8, required=False)
    unseen_after_s = StrictInteger(min_value=1, max_value=10**8, required=False, allow_null=True)
    escalation = serializers.ListField(child=LevelSerializer(), max_length=MAX_LEVELS, required=False)
    repeat = StrictInteger(min_value=0, max_value=MAX_REPEAT, required=False)
    last_resort = serializers.BooleanField(required=False)
    calendar = Text(max_length=63, required=False, allow_null=True)


class ExceptionSerializer(StrictSerializer):
    """Somebody else's duty, from one instant until another."""

    user = Text(max_length=150)

    def get_fields(self) -> dict[str, Any]:
        """``from`` is a word of Python's."""
        told = "With an offset: 2027-01-31T09:00:00+01:00."
        moments = {"from": Text(max_length=40, help_text=told), "until": Text(max_length=40, help_text=told)}
        return {**moments, **super().get_fields()}


class RotaBody(StrictSerializer):
    """Who is on duty: people take turns of so many days, handing over at a local time."""

    slug = serializers.SlugField(max_length=63)
    name = Text(max_length=120, required=False)
    unit = Text(max_length=63)
    timezone = Text(max_length=60)
    starts = serializers.DateField()
    at = Text(max_length=5, required=False)
    days = StrictInteger(min_value=1, max_value=MAX_DAYS, required=False)
    people = serializers.ListField(child=Text(max_length=150), max_length=MAX_PEOPLE)
    exceptions = serializers.ListField(child=ExceptionSerializer(), max_length=MAX_EXCEPTIONS, required=False)


class RotaSerializer(RotaBody):
    """A rota, and who is on duty now; null before the first turn."""

    on_duty = Text(allow_null=True)


class RotaPage(serializers.Serializer[Any]):
    """A page of rotas."""

    results = RotaSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class QueueSerializer(QueueBody):
    """A queue."""


class CalendarSerializer(CalendarBody):
    """A calendar."""


class QueuePage(serializers.Serializer[Any]):
    """A page of queues."""

    results = QueueSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class CalendarPage(serializers.Serializer[Any]):
    """A page of calendars."""

    results = CalendarSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def calendar_json(calendar: Calendar) -> dict[str, Any]:
    """The calendar as ``CalendarSerializer`` describes it."""
    return {
        "slug": calendar.slug,
        "name": calendar.name,
        "timezone": calendar.timezone,
        "hours": {name: calendar.hours[name] for name in WEEKDAYS if name in calendar.hours},
        "holidays": calendar.holidays,
        "region": calendar.region,
    }


def rota_json(rota: Rota) -> dict[str, Any]:
    """The rota as ``RotaSerializer`` describes it."""
    return {
        "slug": rota.slug,
        "name": rota.name,
        "unit": rota.unit.slug,
        "timezone": rota.timezone,
        "starts": rota.starts,
        "at": rota.at,
        "days": rota.days,
        "people": rota.people,
        "exceptions": rota.exceptions,
        "on_duty": rota.turns().on_duty(database_now()),
    }


def queue_json(queue: Queue) -> dict[str, Any]:
    """The queue as ``QueueSerializer`` describes it."""
    return {
        "slug": queue.slug,
        "name": queue.name,
        "unit": queue.unit.slug,
        "role": queue.role.slug,
        "sla_s": queue.sla_s,
        "expires_s": queue.expires_s,
        "unseen_after_s": queue.unseen_after_s,
        "escalation": queue.escalation,
        "repeat": queue.repeat,
        "last_resort": queue.last_resort,
        "calendar": queue.calendar.slug if queue.calendar else None,
    }


def _known_levels(levels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The levels with queues that exist. Documents may name queues that come later; a request may not."""
    errors = level_errors(levels)
    for place, level in enumerate(levels if not errors else []):
        target = target_of(level["to"])
        if target.kind == TargetKind.QUEUE and not Queue.objects.filter(slug=target.name).exists():
            errors[f"escalation.{place}.to"] = [f"There is no queue {target.name}."]
    if errors:
        raise InvalidError(errors=errors)
    return levels


class Queues(PlaneView):
    """``/queues/``."""

    @extend_schema(operation_id="list_queues", responses={200: QueuePage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Queues in your units."""
        known_params(request)
        return page_of(request, queues_for(self.actor), queue_json, order=("slug",))

    @extend_schema(
        operation_id="save_queue", request=QueueBody, responses={200: QueueSerializer, 201: QueueSerializer, **PROBLEMS}
    )
    def post(self, request: Request) -> Response:
        """Make a queue, or make the one with this slug as the body says."""
        body = self.body(QueueBody)

        def answer() -> tuple[int, Any]:
            unit = unit_named(self.actor, body.pop("unit"))
            assert unit is not None, "the field is required"
            role, calendar = role_named(body.pop("role")), calendar_named(body.pop("calendar", None))
            body["escalation"] = _known_levels(body.get("escalation", []))
            queue, outcome = save_queue(self.actor, **body, unit=unit, role=role, calendar=calendar)
            return (201 if outcome == "created" else 200), queue_json(queue)

        return self.once(answer)


class Rotas(PlaneView):
    """``/rotas/``."""

    @extend_schema(operation_id="list_rotas", responses={200: RotaPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Rotas in your units."""
        known_params(request)
        return page_of(request, rotas_for(self.actor), rota_json, order=("slug",))

    @extend_schema(
        operation_id="save_rota", request=RotaBody, responses={200: RotaSerializer, 201: RotaSerializer, **PROBLEMS}
    )
    def post(self, request: Request) -> Response:
        """Make a rota, or make the one with this slug as the body says."""
        body = self.body(RotaBody)

        def answer() -> tuple[int, Any]:
            unit = unit_named(self.actor, body.pop("unit"))
            assert unit is not None, "the field is required"
            rota, outcome = save_rota(self.actor, **body, unit=unit)
            return (201 if outcome == "created" else 200), rota_json(rota)

        return self.once(answer)


class RotaDetail(PlaneView):
    """``/rotas/{slug}/``."""

    @extend_schema(operation_id="get_rota", responses={200: RotaSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """One rota."""
        return Response(rota_json(rota_for(self.actor, slug)))

    @extend_schema(operation_id="remove_rota", responses={204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str) -> Response:
        """Remove a rota that no queue asks; 409 names those that do."""
        remove_rota(self.actor, rota=rota_for(self.actor, slug))
        return Response(status=204)


class Calendars(PlaneView):
    """``/calendars/``."""

    @extend_schema(operation_id="list_calendars", responses={200: CalendarPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Calendars."""
        known_params(request)
        return page_of(request, calendars_for(self.actor), calendar_json, order=("slug",))

    @extend_schema(
        operation_id="save_calendar",
        request=CalendarBody,
        responses={200: CalendarSerializer, 201: CalendarSerializer, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        """Make a calendar, or make the one with this slug as the body says."""
        body = self.body(CalendarBody)
        days = [{**holiday, "date": holiday["date"].isoformat()} for holiday in body.pop("holidays", [])]

        def answer() -> tuple[int, Any]:
            calendar, outcome = save_calendar(self.actor, **body, holidays=days)
            return (201 if outcome == "created" else 200), calendar_json(calendar)

        return self.once(answer)


class CalendarDetail(PlaneView):
    """``/calendars/{slug}/``."""

    @extend_schema(operation_id="get_calendar", responses={200: CalendarSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """One calendar."""
        return Response(calendar_json(calendar_for(self.actor, slug)))

    @extend_schema(operation_id="remove_calendar", responses={204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str) -> Response:
        """Remove a calendar by which nothing counts; 409 names what does. For those who manage access everywhere."""
        remove_calendar(self.actor, calendar=calendar_for(self.actor, slug))
        return Response(status=204)
