"""The endpoint on how far the figures can be trusted."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, known_params
from apps.core.schema import PROBLEMS
from apps.kpis.rules.quality import Share
from apps.kpis.selectors.data_quality import DataQuality, Reported, data_quality_for


class ShareSerializer(serializers.Serializer[Any]):
    """``part`` of ``n``; value and 95 % Wilson interval from 0 to 1, null over nothing."""

    part = serializers.IntegerField()
    n = serializers.IntegerField()
    value = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class UnpricedSerializer(serializers.Serializer[Any]):
    """What one model used that nobody has a price for."""

    model = serializers.CharField()
    calls = serializers.IntegerField()
    tokens = serializers.IntegerField()
    last_at = serializers.DateTimeField()


class ReportedSerializer(serializers.Serializer[Any]):
    """What is known of the agents' own reports."""

    spans_not_taken = ShareSerializer()
    spans_unlinked = serializers.IntegerField(help_text="Of seven days: they may still be linked by hand.")
    clocks_ahead = ShareSerializer()
    coverage = ShareSerializer(help_text="Governed calls of tools of all that were seen, 30 days.")


class DataQualitySerializer(serializers.Serializer[Any]):
    """How late the figures are, and what is missing from them."""

    lag_s = serializers.FloatField()
    outbox_rows = serializers.IntegerField()
    durations_clamped = ShareSerializer()
    unpriced = UnpricedSerializer(many=True)
    costs_in_other_currencies = serializers.IntegerField(
        help_text="People's time, fees and agents' own words in another currency than the reporting one: in no sum."
    )
    reconciled_at = serializers.DateTimeField(
        allow_null=True, help_text="When what is kept of each day was last held against the facts."
    )
    mended = serializers.IntegerField(help_text="Of how many buckets it differed then, and was mended.")
    reported = ReportedSerializer(allow_null=True, help_text="Null for whoever may see no agents.")


def share_json(share: Share) -> dict[str, Any]:
    """The share as ``ShareSerializer`` describes it."""
    low, high = share.interval or (None, None)
    return {"part": share.part, "n": share.whole, "value": share.value, "low": low, "high": high}


def _reported(found: Reported) -> dict[str, Any]:
    return {
        "spans_not_taken": share_json(found.not_taken),
        "spans_unlinked": found.loose,
        "clocks_ahead": share_json(found.ahead),
        "coverage": share_json(Share(found.coverage.governed, found.coverage.seen)),
    }


def data_quality_json(found: DataQuality) -> dict[str, Any]:
    """The figures as ``DataQualitySerializer`` describes them."""
    names = ("model", "calls", "tokens", "last_at")
    return {
        "lag_s": found.lag_s,
        "outbox_rows": found.outbox_rows,
        "durations_clamped": share_json(found.clamped),
        "unpriced": [{name: getattr(one, name) for name in names} for one in found.unpriced],
        "costs_in_other_currencies": found.abroad,
        "reconciled_at": found.reconciled.at if found.reconciled else None,
        "mended": found.reconciled.mended if found.reconciled else 0,
        "reported": _reported(found.reported) if found.reported else None,
    }


class DataQualityDetail(PlaneView):
    """``/data-quality/``."""

    @extend_schema(operation_id="get_data_quality", responses={200: DataQualitySerializer, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """How far the figures can be trusted, as things stand now."""
        known_params(request)
        return Response(data_quality_json(data_quality_for(self.actor)))
