"""The endpoint of one's own weekly report by mail."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, StrictInteger, StrictSerializer, Text, known_params
from apps.core.gate import require_human
from apps.core.models import User
from apps.core.schema import PROBLEMS
from apps.notifications.selectors.reports import reported_unit_for, subscription_for
from apps.notifications.services import end_subscription, save_subscription


class WeeklyReportBody(StrictSerializer):
    """Of which unit (null: all that you see), on which day (0 is Monday) and at which full hour of your own zone."""

    unit = Text(max_length=63, required=False, allow_null=True)
    weekday = StrictInteger(min_value=0, max_value=6)
    hour = StrictInteger(min_value=0, max_value=23)
    timezone = Text(max_length=60, help_text="Such as Europe/Berlin.")


class WeeklyReportSerializer(serializers.Serializer[Any]):
    """Whether you get it, of what and when, as you chose last; without a choice all but ``on`` is null."""

    on = serializers.BooleanField()
    unit = serializers.CharField(allow_null=True)
    weekday = serializers.IntegerField(allow_null=True)
    hour = serializers.IntegerField(allow_null=True)
    timezone = serializers.CharField(allow_null=True)
    next_at = serializers.DateTimeField(allow_null=True, help_text="When the next one leaves; null where none does.")


def weekly_report_json(actor: User) -> dict[str, Any]:
    """What ``actor`` chose, as ``WeeklyReportSerializer`` describes it."""
    found = subscription_for(actor)
    if found is None:
        return dict.fromkeys(("unit", "weekday", "hour", "timezone", "next_at"), None) | {"on": False}
    named = {name: getattr(found, name) for name in ("weekday", "hour", "timezone")}
    is_on = found.is_on and not found.is_of_removed_unit
    unit = found.unit.slug if found.unit else None
    return {"on": is_on, "unit": unit, **named, "next_at": found.next_at if is_on else None}


class MyWeeklyReport(PlaneView):
    """``/me/weekly-report/``."""

    @extend_schema(operation_id="get_my_weekly_report", responses={200: WeeklyReportSerializer, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Whether you get the weekly report by mail, of what and when."""
        require_human(self.actor)
        known_params(request)
        return Response(weekly_report_json(self.actor))

    @extend_schema(
        operation_id="set_my_weekly_report",
        request=WeeklyReportBody,
        responses={200: WeeklyReportSerializer, **PROBLEMS},
    )
    def put(self, request: Request) -> Response:
        """Get it every week; the first one is about the week that ends next."""
        require_human(self.actor)
        body = self.body(WeeklyReportBody)

        def answer() -> tuple[int, Any]:
            unit = reported_unit_for(self.actor, body.pop("unit", None))
            save_subscription(self.actor, is_on=True, unit=unit, **body)
            return 200, weekly_report_json(self.actor)

        return self.once(answer)

    @extend_schema(operation_id="end_my_weekly_report", responses={204: None, **PROBLEMS})
    def delete(self, request: Request) -> Response:
        """Get it no more. What was chosen stays for the next time."""

        def answer() -> tuple[int, Any]:
            end_subscription(self.actor)
            return 204, None

        return self.once(answer)
