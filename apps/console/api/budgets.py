"""Endpoints of budgets: what they count lives on many floors, so their door is up here."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.console.selectors import halt_target_for
from apps.core.api import PlaneView, StrictInteger, StrictSerializer, Text, known_params, page_at_once
from apps.core.errors import InvalidError, NotFoundError
from apps.core.models import User
from apps.core.rules import MAX_INTEGER
from apps.core.schema import PROBLEMS
from apps.policies.models import Budget
from apps.policies.rules.budgets import BudgetScope, BudgetTerms, Exhausted, Measure, Period
from apps.policies.selectors.budgets import Used, budget_for, budgets_for, used_of
from apps.policies.services.budgets import end_budget, save_budget


class BudgetBody(StrictSerializer):
    """The whole of a budget; ``scope``, ``target``, ``measure``, ``currency`` and ``period`` of one never change."""

    name = Text(max_length=120, required=False)
    scope = serializers.ChoiceField([scope.value for scope in BudgetScope])
    target = Text(max_length=120)
    owner = Text(max_length=150)
    measure = serializers.ChoiceField([measure.value for measure in Measure], required=False)
    cap = StrictInteger(min_value=0, max_value=MAX_INTEGER, help_text="Minor units of the currency, or calls.")
    currency = Text(max_length=3, required=False, allow_blank=True)
    period = serializers.ChoiceField([period.value for period in Period])
    exhausted = serializers.ChoiceField([then.value for then in Exhausted], required=False)
    queue = Text(max_length=63, required=False, allow_blank=True)


class BudgetSerializer(serializers.Serializer[Any]):
    """A budget and its present day or month; minor units of the currency, or calls."""

    slug = serializers.CharField()
    name = serializers.CharField()
    scope = serializers.CharField()
    target = serializers.CharField()
    owner = serializers.CharField()
    measure = serializers.CharField()
    cap = serializers.IntegerField()
    currency = serializers.CharField()
    period = serializers.CharField()
    exhausted = serializers.CharField()
    queue = serializers.CharField()
    starts = serializers.DateField(help_text="In the zone of its unit.")
    ends = serializers.DateField(help_text="The day on which it is whole again.")
    spent = serializers.IntegerField()
    reserved = serializers.IntegerField()
    left = serializers.IntegerField()


class BudgetPage(serializers.Serializer[Any]):
    """A page of budgets."""

    results = BudgetSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def budgets_json(budgets: Sequence[Budget]) -> list[dict[str, Any]]:
    """The budgets as ``BudgetSerializer`` describes one. One query."""
    used = used_of(budgets)
    return [_budget_json(budget, used[budget.pk]) for budget in budgets]


def budget_json(budget: Budget) -> dict[str, Any]:
    """One of them."""
    return budgets_json([budget])[0]


def _budget_json(budget: Budget, used: Used) -> dict[str, Any]:
    plain = ("slug", "name", "scope", "target", "measure", "cap", "currency", "period", "exhausted", "queue")
    return {
        **{name: getattr(budget, name) for name in plain},
        "owner": budget.owner.username,
        "starts": used.starts,
        "ends": used.ends,
        "spent": used.spent,
        "reserved": used.reserved,
        "left": max(budget.cap - used.spent - used.reserved, 0),
    }


class Budgets(PlaneView):
    """``/budgets/``."""

    @extend_schema(
        operation_id="list_budgets",
        responses={200: BudgetPage, **PROBLEMS},
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
    )
    def get(self, request: Request) -> Response:
        """Budgets in force in your units."""
        known_params(request)
        return page_at_once(request, budgets_for(self.actor), budgets_json)


class BudgetDetail(PlaneView):
    """``/budgets/{slug}/``."""

    @extend_schema(operation_id="get_budget", responses={200: BudgetSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """One budget, and what is left of it."""
        return Response(budget_json(budget_for(self.actor, slug)))

    @extend_schema(
        operation_id="put_budget",
        request=BudgetBody,
        responses={200: BudgetSerializer, 201: BudgetSerializer, **PROBLEMS},
    )
    def put(self, request: Request, slug: str) -> Response:
        """Make or change a budget; it acts on the next request."""
        body = self.body(BudgetBody)
        owner = User.objects.filter(username=body.pop("owner"), kind="human", is_active=True).first()
        if owner is None:
            raise InvalidError(errors={"owner": ["There is no such person, or they have left."]})
        try:
            unit = halt_target_for(self.actor, body["scope"], body["target"])
        except NotFoundError as error:
            raise InvalidError(errors={"target": ["There is no such target."]}) from error
        about = {name: body.pop(name) for name in ("scope", "target", "name") if name in body}

        def answer() -> tuple[int, Any]:
            terms = BudgetTerms(**body)
            budget, outcome = save_budget(self.actor, slug=slug, unit=unit, owner=owner, terms=terms, **about)
            return 201 if outcome == "created" else 200, budget_json(budget)

        return self.once(answer)

    @extend_schema(operation_id="end_budget", request=None, responses={204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str) -> Response:
        """Count no more under it."""

        def answer() -> tuple[int, Any]:
            end_budget(self.actor, budget=budget_for(self.actor, slug))
            return 204, None

        return self.once(answer)
