"""Endpoints of budgets: what they count lives on many floors, so their door is up here."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.console.selectors import halt_target_for
from apps.core.api import (
    PlaneView,
    StrictInteger,
    StrictSerializer,
    Text,
    known_params,
    page_at_once,
    reason_of,
)
from apps.core.errors import InvalidError, NotFoundError
from apps.core.models import User
from apps.core.rules import MAX_INTEGER
from apps.core.schema import PROBLEMS
from apps.policies.models import Budget, BudgetChange
from apps.policies.rules import ProposalState
from apps.policies.rules.budgets import BudgetScope, BudgetTerms, ChangeKind, Exhausted, Measure, Period
from apps.policies.selectors.budgets import (
    By,
    Used,
    Waiting,
    budget_for,
    budgets_for,
    change_for,
    open_changes_for,
    used_of,
    waiting_of,
)
from apps.policies.services.budgets import PROPOSED, end_budget, return_spent, save_budget
from apps.policies.services.changes import decline_change, release_change

PUBLISH = "policies.publish_policy"
REASON = OpenApiParameter("reason", str, description="Why it should end; who releases that reads it.")
STATUS = {"created": 201, PROPOSED: 202}


class WaitingSerializer(serializers.Serializer[Any]):
    """What waits for people holds: one agent's actions, or those of what ``by`` says, and ``agent`` is null."""

    by = serializers.ChoiceField(
        [by.value for by in By],
        help_text="`other_agents`: of units that you do not see; `workflows`: what no agent does, but a workflow.",
    )
    agent = serializers.CharField(allow_null=True)
    amount = serializers.IntegerField()
    actions = serializers.IntegerField()


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
    reason = Text(
        max_length=500, required=False, allow_blank=True, help_text="Needed where more would be let through than now."
    )


class DeclineChangeBody(StrictSerializer):
    """Why a change is not released; who proposed it may take it back without a word."""

    reason = Text(max_length=500, required=False, allow_blank=True)


class ReturnBody(StrictSerializer):
    """What is to be given back, and why: whoever releases it reads that."""

    action = serializers.UUIDField(help_text="Carried out by its agent, which says that it failed.")
    reason = Text(max_length=500)


class BudgetChangeSerializer(serializers.Serializer[Any]):
    """What somebody proposes of a budget: it changes nothing before somebody else has released it."""

    id = serializers.UUIDField()
    budget = serializers.CharField()
    kind = serializers.ChoiceField([kind.value for kind in ChangeKind])
    cap = serializers.IntegerField()
    exhausted = serializers.CharField()
    queue = serializers.CharField(allow_blank=True)
    was = serializers.JSONField(help_text="What the budget said then: {cap, exhausted, queue}.")
    action = serializers.UUIDField(allow_null=True, help_text="Of a `return`: which counts as spent no more.")
    amount = serializers.IntegerField(allow_null=True, help_text="Of a `return`: minor units, or calls.")
    reason = serializers.CharField()
    state = serializers.ChoiceField([state.value for state in ProposalState])
    by = serializers.CharField()
    at = serializers.DateTimeField()
    decided_by = serializers.CharField(allow_null=True)
    answer = serializers.CharField(allow_blank=True)


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
    counted_since = serializers.DateTimeField(
        allow_null=True, help_text="Made in the middle of this day or month: what was spent before is not in it."
    )
    spent = serializers.IntegerField()
    reserved = serializers.IntegerField()
    left = serializers.IntegerField()
    waiting = WaitingSerializer(many=True, help_text="Of what is reserved: what only waits for people, by whose it is.")
    changes = BudgetChangeSerializer(many=True, help_text="What waits for somebody else to release it.")


class BudgetPage(serializers.Serializer[Any]):
    """A page of budgets."""

    results = BudgetSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def change_json(change: BudgetChange) -> dict[str, Any]:
    """The change as ``BudgetChangeSerializer`` describes it."""
    plain = ("kind", "cap", "exhausted", "queue", "reason", "state", "answer")
    return {
        "id": change.pk,
        "budget": change.budget.slug,
        **{name: getattr(change, name) for name in plain},
        "action": change.reservation and change.reservation.action_id,
        "amount": change.reservation and change.reservation.amount,
        "was": {name: getattr(change, f"was_{name}") for name in ("cap", "exhausted", "queue")},
        "by": change.author.username,
        "at": change.created_at,
        "decided_by": change.decided_by.username if change.decided_by else None,
    }


def budgets_json(actor: User, budgets: Sequence[Budget]) -> list[dict[str, Any]]:
    """The budgets as ``BudgetSerializer`` describes one."""
    used, changes = used_of(budgets), open_changes_for(actor, budgets)
    waiting = waiting_of(actor, used)
    return [_budget_json(row, used[row.pk], waiting[row.pk], changes[row.pk]) for row in budgets]


def budget_json(actor: User, budget: Budget) -> dict[str, Any]:
    """One of them."""
    return budgets_json(actor, [budget])[0]


def _budget_json(
    budget: Budget, used: Used, waiting: Sequence[Waiting], changes: Sequence[BudgetChange]
) -> dict[str, Any]:
    plain = ("slug", "name", "scope", "target", "measure", "cap", "currency", "period", "exhausted", "queue")
    return {
        **{name: getattr(budget, name) for name in plain},
        "owner": budget.owner.username,
        "starts": used.starts,
        "ends": used.ends,
        "counted_since": used.since,
        "spent": used.spent,
        "reserved": used.reserved,
        "left": max(budget.cap - used.spent - used.reserved, 0),
        "waiting": [
            {"by": one.by, "agent": one.agent or None, "amount": one.amount, "actions": one.actions} for one in waiting
        ],
        "changes": [change_json(change) for change in changes],
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
        return page_at_once(request, budgets_for(self.actor), lambda rows: budgets_json(self.actor, rows))


class BudgetDetail(PlaneView):
    """``/budgets/{slug}/``."""

    @extend_schema(operation_id="get_budget", responses={200: BudgetSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """One budget, and what is left of it."""
        return Response(budget_json(self.actor, budget_for(self.actor, slug)))

    @extend_schema(
        operation_id="put_budget",
        request=BudgetBody,
        responses={200: BudgetSerializer, 201: BudgetSerializer, 202: BudgetSerializer, **PROBLEMS},
    )
    def put(self, request: Request, slug: str) -> Response:
        """Make or change a budget; it acts on the next request.

        What would let more through is proposed only (202, among its ``changes``), and somebody else releases it.
        """
        body = self.body(BudgetBody)
        owner = User.objects.filter(username=body.pop("owner"), kind="human", is_active=True).first()
        if owner is None:
            raise InvalidError(errors={"owner": ["There is no such person, or they have left."]})
        try:
            unit = halt_target_for(self.actor, body["scope"], body["target"], perm=PUBLISH)
        except NotFoundError as error:
            raise InvalidError(errors={"target": ["There is no such target."]}) from error
        about = {name: body.pop(name) for name in ("scope", "target", "name", "reason") if name in body}

        def answer() -> tuple[int, Any]:
            terms = BudgetTerms(**body)
            budget, outcome = save_budget(self.actor, slug=slug, unit=unit, owner=owner, terms=terms, **about)
            return STATUS.get(outcome, 200), budget_json(self.actor, budget)

        return self.once(answer)

    @extend_schema(operation_id="end_budget", parameters=[REASON], responses={202: BudgetChangeSerializer, **PROBLEMS})
    def delete(self, request: Request, slug: str) -> Response:
        """Propose to count no more under it; somebody else releases that."""

        def answer() -> tuple[int, Any]:
            budget = budget_for(self.actor, slug)
            return 202, change_json(end_budget(self.actor, budget=budget, reason=reason_of(request)))

        return self.once(answer)


class BudgetReturns(PlaneView):
    """``/budgets/{slug}/returns/``."""

    @extend_schema(operation_id="return_spent", request=ReturnBody, responses={202: BudgetChangeSerializer, **PROBLEMS})
    def post(self, request: Request, slug: str) -> Response:
        """Propose that what its agent says has failed counts as spent no more; somebody else releases it."""
        found = budget_for(self.actor, slug)
        said: dict[str, Any] = self.body(ReturnBody)

        def answer() -> tuple[int, Any]:
            about = {"action_id": said["action"], "reason": said["reason"]}
            return 202, change_json(return_spent(self.actor, budget=found, **about))

        return self.once(answer)


class BudgetChangeRelease(PlaneView):
    """``/budgets/{slug}/changes/{id}/release/``."""

    @extend_schema(
        operation_id="release_budget_change", request=None, responses={200: BudgetChangeSerializer, **PROBLEMS}
    )
    def post(self, request: Request, slug: str, change_id: UUID) -> Response:
        """Let a change act from the next request on; never by who proposed it."""
        found = change_for(self.actor, slug, change_id)
        return self.once(lambda: (200, change_json(release_change(self.actor, change=found))))


class BudgetChangeDecline(PlaneView):
    """``/budgets/{slug}/changes/{id}/decline/``."""

    @extend_schema(
        operation_id="decline_budget_change",
        request=DeclineChangeBody,
        responses={200: BudgetChangeSerializer, **PROBLEMS},
    )
    def post(self, request: Request, slug: str, change_id: UUID) -> Response:
        """End a change without a release, with the reason."""
        found = change_for(self.actor, slug, change_id)
        said: dict[str, Any] = self.body(DeclineChangeBody)
        return self.once(lambda: (200, change_json(decline_change(self.actor, change=found, **said))))
