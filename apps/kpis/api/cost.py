"""The endpoint of what was spent, taken apart."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, known_params
from apps.core.models import User
from apps.core.schema import PROBLEMS
from apps.kpis.api.kpis import FILTERS, PARAMS, figure_json, seen_in
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules.definitions import DEFINITIONS
from apps.kpis.rules.figures import figure_of
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.rules.spending import CostSum
from apps.kpis.selectors import kpis_for
from apps.kpis.selectors.kpis import Answer
from apps.kpis.selectors.spending import Spending, moved_for, spending_for, told_for

EACH = DEFINITIONS["cost_per_success_minor"]


class SumSerializer(serializers.Serializer[Any]):
    """Costs together. ``minor`` is null where none of them has a price, and 0 where there are none."""

    minor = serializers.FloatField(allow_null=True, help_text="Minor units of the reporting currency.")
    costs = serializers.IntegerField()
    unpriced = serializers.IntegerField(help_text="Of these, without a price: in no sum.")


class KindsSerializer(SumSerializer):
    """Costs together, and by who was paid: human, llm, connector, agent."""

    kinds = serializers.DictField(child=SumSerializer(), help_text="By kind; a kind without costs is absent.")


class CostBucketSerializer(KindsSerializer):
    """The costs of one point."""

    bucket = serializers.CharField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()


class CostOfWorkflowSerializer(KindsSerializer):
    """The costs of a workflow; an empty name: of none."""

    workflow = serializers.CharField(allow_blank=True)
    succeeded = serializers.IntegerField()
    cost_per_success_minor = serializers.FloatField(allow_null=True)


class CostOfAgentSerializer(KindsSerializer):
    """The costs that an agent caused; an empty name: nobody's."""

    agent = serializers.CharField(allow_blank=True)


class CostOfModelSerializer(SumSerializer):
    """What calls of a model cost."""

    model = serializers.CharField(allow_blank=True)
    tokens = serializers.IntegerField()
    reasoning_tokens = serializers.IntegerField(help_text="Of these tokens.")


class ToldSerializer(serializers.Serializer[Any]):
    """What agents say that calls of a model cost, in their currency; in no sum where the price book knows the model."""

    model = serializers.CharField()
    currency = serializers.CharField()
    calls = serializers.IntegerField()
    minor = serializers.FloatField()
    of_priced_minor = serializers.FloatField(allow_null=True, help_text="Of the calls that the book priced.")
    ours_minor = serializers.FloatField(allow_null=True, help_text="What the book says of the same calls.")
    apart = serializers.FloatField(allow_null=True, help_text="Share by which theirs is above ours.")


class UnpricedCostSerializer(serializers.Serializer[Any]):
    """Costs without a price."""

    kind = serializers.CharField()
    model = serializers.CharField(allow_blank=True)
    costs = serializers.IntegerField()


class MovedSerializer(serializers.Serializer[Any]):
    """Money that agents' actions moved, in one currency; ``back``: of those that were taken back since."""

    currency = serializers.CharField()
    actions = serializers.IntegerField()
    minor = serializers.IntegerField()
    actions_back = serializers.IntegerField()
    minor_back = serializers.IntegerField()


class CostSerializer(serializers.Serializer[Any]):
    """The page on cost as an answer."""

    filter = serializers.JSONField()
    tz = serializers.CharField()
    as_of = serializers.DateTimeField()
    lag_s = serializers.FloatField()
    currency = serializers.CharField()
    spend = KindsSerializer()
    cost_per_success = serializers.JSONField(help_text="As in totals of /kpis/.")
    series = CostBucketSerializer(many=True)
    workflows = CostOfWorkflowSerializer(many=True)
    agents = CostOfAgentSerializer(many=True)
    models = CostOfModelSerializer(many=True)
    told = ToldSerializer(many=True)
    unpriced = UnpricedCostSerializer(many=True)
    moved = MovedSerializer(many=True)


def sum_json(one: CostSum) -> dict[str, Any]:
    """The sum as ``SumSerializer`` describes it."""
    none = one.items and one.items == one.unpriced
    minor = None if none else round(one.micro / micro_per_minor(reporting_currency()), 4)
    return {"minor": minor, "costs": one.items, "unpriced": one.unpriced}


def _kinds_json(kinds: dict[str, CostSum]) -> dict[str, Any]:
    every = sum(kinds.values(), CostSum())
    return {**sum_json(every), "kinds": {kind: sum_json(one) for kind, one in kinds.items()}}


def _by(spending: Spending, column: str) -> dict[str, dict[str, CostSum]]:
    """Each value of a column with its sums by kind, in the order of the page."""
    found: dict[str, dict[str, CostSum]] = {name: {} for (name,) in spending.by(column)}
    for (name, kind), one in spending.by(column, "kind").items():
        found[name][kind] = one
    return found


def _workflow_json(answer: Answer, slug: str, kinds: dict[str, CostSum]) -> dict[str, Any]:
    row = answer.workflows.get(slug) if slug else None
    figure = None if row is None else figure_of(EACH, row, reporting_currency())
    own = {"succeeded": figure.n if figure else 0, "cost_per_success_minor": figure.value if figure else None}
    return {"workflow": slug, **_kinds_json(kinds), **own}


def _model_json(model: str, one: CostSum) -> dict[str, Any]:
    return {"model": model, **sum_json(one), "tokens": one.quantity, "reasoning_tokens": one.reasoning}


def _told_json(actor: User, answer: Answer) -> list[dict[str, Any]]:
    found = []
    for one in told_for(actor, answer.asked):
        minor = micro_per_minor(one.currency)
        sums = {"minor": one.micro, "of_priced_minor": one.against_micro, "ours_minor": one.ours_micro}
        money = {name: None if micro is None else round(micro / minor, 4) for name, micro in sums.items()}
        found.append({"model": one.model, "currency": one.currency, "calls": one.calls, **money, "apart": one.apart})
    return found


def cost_json(actor: User, answer: Answer) -> dict[str, Any]:
    """The answer as ``CostSerializer`` describes it."""
    spending = spending_for(actor, answer)
    by_kind = {kind: one for (kind,), one in spending.by("kind").items()}
    by_model = spending.by("kind", "model")
    names = ("currency", "actions", "minor", "actions_back", "minor_back")
    return {
        "filter": answer.asked.described,
        "tz": answer.asked.zone.key,
        "as_of": answer.as_of,
        "lag_s": answer.lag_s,
        "currency": reporting_currency(),
        "spend": _kinds_json(by_kind),
        "cost_per_success": figure_json(answer.totals[EACH.key].figure),
        "series": [
            {"bucket": one.bucket.label, "start": one.bucket.start, "end": one.bucket.end, **_kinds_json(kinds)}
            for one, kinds in zip(answer.series, spending.by_bucket, strict=True)
        ],
        "workflows": [_workflow_json(answer, slug, kinds) for slug, kinds in _by(spending, "workflow").items()],
        "agents": [{"agent": slug, **_kinds_json(kinds)} for slug, kinds in _by(spending, "agent").items()],
        "models": [_model_json(model, one) for (kind, model), one in by_model.items() if kind == "llm"],
        "told": _told_json(actor, answer),
        "unpriced": [
            {"kind": kind, "model": model, "costs": one.unpriced}
            for (kind, model), one in by_model.items()
            if one.unpriced
        ],
        "moved": [{name: getattr(one, name) for name in names} for one in moved_for(actor, answer.asked)],
    }


class Cost(PlaneView):
    """``/kpis/cost/``."""

    @extend_schema(operation_id="get_cost", parameters=FILTERS, responses={200: CostSerializer, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """What was spent by kind, workflow, agent and model, what has no price, and the money that actions moved."""
        known_params(request, *PARAMS)
        asked = seen_in(self.actor, request.query_params.dict())
        return Response(cost_json(self.actor, kpis_for(self.actor, asked, durations=())))
