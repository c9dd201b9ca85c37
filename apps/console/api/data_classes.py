"""Endpoints of classes of data: what is kept of each lives on higher floors, so their door is up here."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.classification.models import DataClass
from apps.classification.rules import MAX_RETENTION_DAYS, Place, Sensitivity
from apps.classification.selectors import data_class_for
from apps.classification.services import save_data_class
from apps.core.api import PlaneView, StrictInteger, StrictSerializer, Text, known_params
from apps.core.models import User, database_now
from apps.core.schema import PROBLEMS
from apps.workflows.selectors.retention import Kept, kept_of, report_for


class DataClassBody(StrictSerializer):
    """The whole of a class."""

    name = Text(max_length=120)
    purpose = Text(max_length=500, required=False, allow_blank=True)
    sensitivity = serializers.ChoiceField([each.value for each in Sensitivity])
    retention_days = StrictInteger(min_value=1, max_value=MAX_RETENTION_DAYS, required=False, allow_null=True)
    visible_to = serializers.ListField(
        child=Text(max_length=80), max_length=50, required=False, help_text="Names of permissions and slugs of roles."
    )
    redact_in = serializers.ListField(
        child=serializers.ChoiceField([place.value for place in Place]), max_length=len(Place), required=False
    )


class HeldRuns(serializers.Serializer[Any]):
    """Runs that hold values of a class: by what went in, what came out, and what people answered."""

    kept = serializers.IntegerField()
    open = serializers.IntegerField()
    due = serializers.IntegerField()
    erased = serializers.IntegerField()
    by_retention = serializers.IntegerField()


class DataClassSerializer(serializers.Serializer[Any]):
    """A class, and what is kept of it in your units."""

    slug = serializers.CharField()
    name = serializers.CharField()
    purpose = serializers.CharField(help_text="Why it is kept.")
    sensitivity = serializers.CharField()
    retention_days = serializers.IntegerField(allow_null=True, help_text="Null: without end.")
    visible_to = serializers.ListField(child=serializers.CharField())
    redact_in = serializers.ListField(child=serializers.CharField())
    operations = serializers.ListField(child=serializers.CharField(), help_text="Whose parameters can carry it.")
    systems = serializers.ListField(child=serializers.CharField(), help_text="Cleared for it.")
    kept = serializers.IntegerField(help_text="Actions that still hold values of it.")
    open = serializers.IntegerField(help_text="Of them, under way: their time has not begun.")
    due = serializers.IntegerField(help_text="Of them, over their time: erased within minutes.")
    oldest_at = serializers.DateTimeField(allow_null=True)
    next_at = serializers.DateTimeField(allow_null=True, help_text="When the next one is erased, action or run.")
    erased = serializers.IntegerField(help_text="Actions that held values of it.")
    by_retention = serializers.IntegerField(help_text="Of them, because their time was up.")
    erased_at = serializers.DateTimeField(allow_null=True)
    runs = HeldRuns()


class DataClassPage(serializers.Serializer[Any]):
    """All classes."""

    results = DataClassSerializer(many=True)


OF_CLASS = ("slug", "name", "purpose", "sensitivity", "retention_days", "visible_to", "redact_in")
OF_KEPT = ("operations", "systems", "oldest_at", "next_at", "erased_at")
OF_HELD = ("kept", "open", "due", "erased", "by_retention")


def kept_json(kept: Kept) -> dict[str, Any]:
    """The class as ``DataClassSerializer`` describes it."""
    about = {name: getattr(kept.data_class, name) for name in OF_CLASS}
    actions, runs = ({name: getattr(held, name) for name in OF_HELD} for held in (kept.actions, kept.runs))
    return about | {name: getattr(kept, name) for name in OF_KEPT} | actions | {"runs": runs}


def _json(actor: User, found: DataClass) -> dict[str, Any]:
    return kept_json(kept_of(actor, found, now=database_now()))


class DataClasses(PlaneView):
    """``/data-classes/``."""

    @extend_schema(operation_id="list_data_classes", responses={200: DataClassPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Every class: what is kept of it, why, until when, what is due, what was erased."""
        known_params(request)
        return Response({"results": [kept_json(kept) for kept in report_for(self.actor)]})


class DataClassDetail(PlaneView):
    """``/data-classes/{slug}/``."""

    @extend_schema(operation_id="get_data_class", responses={200: DataClassSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """One class."""
        return Response(_json(self.actor, data_class_for(self.actor, slug)))

    @extend_schema(
        operation_id="put_data_class",
        request=DataClassBody,
        responses={200: DataClassSerializer, 201: DataClassSerializer, **PROBLEMS},
    )
    def put(self, request: Request, slug: str) -> Response:
        """Make or change a class; it acts on the next request."""
        body = self.body(DataClassBody)

        def answer() -> tuple[int, Any]:
            found, outcome = save_data_class(self.actor, slug=slug, **body)
            return 201 if outcome == "created" else 200, _json(self.actor, found)

        return self.once(answer)
