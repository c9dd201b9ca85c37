"""Endpoints of the ledger."""

from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.audit.models import Entry
from apps.audit.selectors import entries_for, entry_for
from apps.core.api import PlaneView, known_params, page_of, uuid_param
from apps.core.errors import InvalidError
from apps.core.schema import PROBLEMS

FILTERS = ("trail", "actor", "subject", "name", "from", "to")


class ErasedSerializer(serializers.Serializer[Any]):
    """That what was written was erased; ``kept``: states, times, amounts and ids of it."""

    at = serializers.DateTimeField()
    by = serializers.CharField()
    entry = serializers.IntegerField(help_text="The entry that says why.")
    kept = serializers.JSONField()


class EntrySerializer(serializers.Serializer[Any]):
    """One line of the ledger."""

    id = serializers.IntegerField()
    occurred_at = serializers.DateTimeField()
    name = serializers.CharField()
    actor = serializers.CharField()
    on_behalf_of = serializers.CharField(allow_null=True)
    subject_kind = serializers.CharField()
    subject_id = serializers.UUIDField()
    subject = serializers.CharField()
    trail = serializers.UUIDField()
    payload = serializers.JSONField(allow_null=True, help_text="Null once it is erased.")
    commitment = serializers.CharField(help_text="HMAC-SHA-256 of what was written, in hex; stays when that is erased.")
    erased = ErasedSerializer(allow_null=True)


class EntryPage(serializers.Serializer[Any]):
    """A page of entries."""

    results = EntrySerializer(many=True)
    next = serializers.CharField(allow_null=True)


def entry_json(entry: Entry) -> dict[str, Any]:
    """The entry as ``EntrySerializer`` describes it."""
    gone = entry.erased
    return {
        "id": entry.pk,
        "occurred_at": entry.occurred_at,
        "name": entry.name,
        "actor": entry.actor_label,
        "on_behalf_of": entry.on_behalf_of.username if entry.on_behalf_of else None,
        "subject_kind": entry.subject_kind,
        "subject_id": entry.subject_id,
        "subject": entry.subject_label,
        "trail": entry.trail_id,
        "payload": None if gone else entry.payload,
        "commitment": bytes(entry.commitment).hex(),
        "erased": {"at": gone.at, "by": gone.by, "entry": gone.because_id, "kept": gone.kept} if gone else None,
    }


def time_param(request: Request, name: str) -> datetime | None:
    """The query parameter as an instant with an offset. Raises InvalidError."""
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        found = parse_datetime(text.replace(" ", "+"))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InvalidError(errors={name: ["A time such as 2026-01-31T09:00:00Z."]})
    return found


class Entries(PlaneView):
    """``/audit/entries/``."""

    @extend_schema(
        operation_id="list_entries",
        responses={200: EntryPage, **PROBLEMS},
        parameters=[OpenApiParameter(name, str) for name in (*FILTERS, "cursor", "limit")],
    )
    def get(self, request: Request) -> Response:
        """Entries that you may read, newest first."""
        known_params(request, *FILTERS)
        rows = entries_for(
            self.actor,
            trail=uuid_param(request, "trail"),
            actor_name=request.query_params.get("actor", ""),
            subject=request.query_params.get("subject", ""),
            name=request.query_params.get("name", ""),
            since=time_param(request, "from"),
            until=time_param(request, "to"),
        )
        return page_of(request, rows, entry_json)


class EntryDetail(PlaneView):
    """``/audit/entries/{id}/``."""

    @extend_schema(operation_id="get_entry", responses={200: EntrySerializer, **PROBLEMS})
    def get(self, request: Request, entry_id: int) -> Response:
        """One entry."""
        return Response(entry_json(entry_for(self.actor, entry_id)))
