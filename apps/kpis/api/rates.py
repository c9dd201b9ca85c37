"""The endpoints of rates."""

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, StrictSerializer, Text, known_params, page_of
from apps.core.schema import PROBLEMS
from apps.kpis.api.goals import Number
from apps.kpis.models import Rate
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.rules.rates import NAMED, Per, RateKind
from apps.kpis.selectors.rates import ORDER, rates_for
from apps.kpis.services import save_rate, weigh_rate


class WeighedBody(StrictSerializer):
    """What would cost how much from when; ``per`` says what else is named."""

    per = serializers.ChoiceField(
        [one.value for one in Per],
        help_text="hour: of people (unit, role). task, minute: of an agent. success, call: of an operation. "
        "month: fixed cost (unit or workflow). unit: of another currency (of_currency).",
    )
    amount_minor = Number(
        min_value=0,
        help_text="Minor units of the currency, at most four digits after the point; per unit eight.",
    )
    currency = Text(max_length=3, min_length=3, required=False, help_text="The reporting one unless said.")
    unit = Text(max_length=63, required=False, allow_blank=True)
    role = Text(max_length=63, required=False, allow_blank=True)
    agent = Text(max_length=63, required=False, allow_blank=True)
    operation = Text(max_length=120, required=False, allow_blank=True)
    workflow = Text(max_length=63, required=False, allow_blank=True)
    of_currency = Text(max_length=3, required=False, allow_blank=True, help_text="What is worth so much: ISO 4217.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With ``from``, which is a word of Python."""
        return {**super().get_fields(), "from": serializers.DateTimeField(source="valid_from")}


class RateBody(WeighedBody):
    """What costs how much from when, and who says so."""

    source = Text(max_length=300, required=False, allow_blank=True, help_text="Fixed cost needs one.")  # type: ignore[assignment] # a field of ours, not DRF's attribute


class RateSerializer(serializers.Serializer[Any]):
    """A rate. The next one of the same subject ends it."""

    kind = serializers.ChoiceField([one.value for one in RateKind])
    per = serializers.CharField()
    amount_minor = serializers.FloatField()
    currency = serializers.CharField()
    unit = serializers.CharField()
    role = serializers.CharField()
    agent = serializers.CharField()
    operation = serializers.CharField()
    workflow = serializers.CharField()
    of_currency = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment] # as above

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With ``from``, which is a word of Python."""
        return {**super().get_fields(), "from": serializers.DateTimeField()}


class RatePage(serializers.Serializer[Any]):
    """A page of rates."""

    results = RateSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class RateChangeSerializer(serializers.Serializer[Any]):
    """What a rate would change of what was counted so far; of fixed cost, what its days until now come to."""

    costs = serializers.IntegerField()
    runs = serializers.IntegerField()
    unpriced = serializers.IntegerField(help_text="Of these, without a price now.")
    still_unpriced = serializers.IntegerField(help_text="Of these, without one then.")
    before_minor = serializers.FloatField()
    after_minor = serializers.FloatField()
    fixed_before_minor = serializers.FloatField(help_text="Of another currency: fixed cost by days until now.")
    fixed_after_minor = serializers.FloatField()
    currency = serializers.CharField()
    until = serializers.DateTimeField(allow_null=True, help_text="Another rate begins then.")
    replaces = RateSerializer(allow_null=True, help_text="The one that begins at the same time.")


def rate_json(row: Rate) -> dict[str, Any]:
    """The rate as ``RateSerializer`` describes it."""
    named = {name: getattr(row, name) for name in ("kind", "per", "currency", "source", *NAMED)}
    return {**named, "amount_minor": float(row.amount_minor), "from": row.valid_from}


def _exact(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "amount_minor": Decimal(str(body["amount_minor"]))}


class Rates(PlaneView):
    """``/rates/``."""

    @extend_schema(operation_id="list_rates", responses={200: RatePage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Rates by what they are about, the newest of each first."""
        known_params(request)
        return page_of(request, rates_for(self.actor).order_by(), rate_json, order=(*ORDER, "id"))

    @extend_schema(
        operation_id="set_rate", request=RateBody, responses={200: RateSerializer, 201: RateSerializer, **PROBLEMS}
    )
    def post(self, request: Request) -> Response:
        """Say what something costs from a time on (201), or say it anew (200); it is counted again within seconds."""
        body = _exact(self.body(RateBody))

        def answer() -> tuple[int, Any]:
            row, said = save_rate(self.actor, **body)
            return 201 if said == "created" else 200, rate_json(row)

        return self.once(answer)


class RatePreview(PlaneView):
    """``/rates/preview/``."""

    @extend_schema(operation_id="preview_rate", request=WeighedBody, responses={200: RateChangeSerializer, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """What a rate would change of what was counted so far. Nothing is written."""
        found = weigh_rate(self.actor, **_exact(self.body(WeighedBody)))
        minor = micro_per_minor(reporting_currency())
        names = ("costs", "runs", "unpriced", "still_unpriced", "until")
        return Response(
            {
                **{name: getattr(found, name) for name in names},
                "before_minor": round(found.before_micro / minor, 4),
                "after_minor": round(found.after_micro / minor, 4),
                "fixed_before_minor": round(found.fixed_before_micro / minor, 4),
                "fixed_after_minor": round(found.fixed_after_micro / minor, 4),
                "currency": reporting_currency(),
                "replaces": rate_json(found.instead_of) if found.instead_of else None,
            }
        )
