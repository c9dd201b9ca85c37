"""Endpoints of breakers: what they stop lives on many floors, so their door is up here."""

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
from apps.core.rules import MAX_INTEGER, ProposalState
from apps.core.schema import PROBLEMS
from apps.halts.models import Breaker, BreakerChange
from apps.halts.rules import (
    BREAKABLE,
    MAX_REASON,
    MAX_WINDOW_S,
    BreakerChangeKind,
    BreakerKind,
    BreakerTerms,
    DenialCause,
    FailureCause,
)
from apps.halts.selectors import breaker_change_for, breaker_changes_of, breaker_for, breakers_for, opened_of
from apps.halts.services import (
    PROPOSED,
    decline_breaker_change,
    end_breaker,
    release_breaker_change,
    save_breaker,
)
from apps.policies.selectors import refuse_unknown_rule

LIFT = "halts.lift_halt"
REASON = OpenApiParameter("reason", str, description="Why it should end; who releases that reads it.")
STATUS = {"created": 201, PROPOSED: 202}


class BreakerBody(StrictSerializer):
    """The whole of a breaker."""

    name = Text(max_length=120, required=False)
    kind = serializers.ChoiceField([kind.value for kind in BreakerKind])
    scope = serializers.ChoiceField([scope.value for scope in BREAKABLE])
    target = Text(max_length=120, required=False, allow_blank=True, help_text="Empty: each by itself.")
    threshold = StrictInteger(min_value=1, max_value=MAX_INTEGER)
    window_s = StrictInteger(min_value=1, max_value=MAX_WINDOW_S)
    currency = Text(max_length=3, required=False, allow_blank=True)
    cause = Text(
        max_length=130,
        required=False,
        allow_blank=True,
        help_text=f"Of denied: policy/rule, {', '.join(DenialCause)}; of failed: {', '.join(FailureCause)}; empty: any",
    )

    reason = Text(
        max_length=MAX_REASON, required=False, allow_blank=True, help_text="Needed where it might stop less than now."
    )


class DeclineBreakerChangeBody(StrictSerializer):
    """Why a change is not released; who proposed it may take it back without a word."""

    reason = Text(max_length=MAX_REASON, required=False, allow_blank=True)


class BreakerChangeSerializer(serializers.Serializer[Any]):
    """What somebody proposes of a breaker: it changes nothing before somebody else has released it."""

    id = serializers.UUIDField()
    breaker = serializers.CharField()
    kind = serializers.ChoiceField([kind.value for kind in BreakerChangeKind])
    wanted = serializers.JSONField(help_text="{kind, scope, target, threshold, window_s, currency, cause}.")
    was = serializers.JSONField(help_text="What the breaker counted then, in the same way.")
    reason = serializers.CharField()
    state = serializers.ChoiceField([state.value for state in ProposalState])
    by = serializers.CharField()
    at = serializers.DateTimeField()
    decided_by = serializers.CharField(allow_null=True)
    answer = serializers.CharField(allow_blank=True)


class BreakerSerializer(serializers.Serializer[Any]):
    """A breaker, and how often it opened."""

    slug = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.CharField()
    scope = serializers.CharField()
    target = serializers.CharField()
    threshold = serializers.IntegerField()
    window_s = serializers.IntegerField()
    currency = serializers.CharField()
    cause = serializers.CharField(allow_blank=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    opened = serializers.IntegerField()
    changes = BreakerChangeSerializer(many=True, help_text="What waits for somebody else to release it.")


class BreakerPage(serializers.Serializer[Any]):
    """A page of breakers."""

    results = BreakerSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def breaker_change_json(change: BreakerChange) -> dict[str, Any]:
    """The change as ``BreakerChangeSerializer`` describes it."""
    return {
        "id": change.pk,
        "breaker": change.breaker.slug,
        **{name: getattr(change, name) for name in ("kind", "wanted", "was", "reason", "state", "answer")},
        "by": change.author.username,
        "at": change.created_at,
        "decided_by": change.decided_by.username if change.decided_by else None,
    }


def breakers_json(breakers: Sequence[Breaker]) -> list[dict[str, Any]]:
    """The breakers as ``BreakerSerializer`` describes one. Two queries."""
    plain = ("slug", "name", "kind", "scope", "target", "threshold", "window_s", "currency", "cause", "ended_at")
    opened, changes = opened_of(breakers), breaker_changes_of(breakers)
    return [
        {
            **{name: getattr(breaker, name) for name in plain},
            "opened": opened[breaker.pk],
            "changes": [breaker_change_json(change) for change in changes[breaker.pk]],
        }
        for breaker in breakers
    ]


def breaker_json(breaker: Breaker) -> dict[str, Any]:
    """One of them."""
    return breakers_json([breaker])[0]


class Breakers(PlaneView):
    """``/breakers/``."""

    @extend_schema(
        operation_id="list_breakers",
        responses={200: BreakerPage, **PROBLEMS},
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
    )
    def get(self, request: Request) -> Response:
        """Breakers, those that ended too."""
        known_params(request)
        return page_at_once(request, breakers_for(self.actor), breakers_json)


class BreakerDetail(PlaneView):
    """``/breakers/{slug}/``."""

    @extend_schema(operation_id="get_breaker", responses={200: BreakerSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """One breaker."""
        return Response(breaker_json(breaker_for(self.actor, slug)))

    @extend_schema(
        operation_id="put_breaker",
        request=BreakerBody,
        responses={200: BreakerSerializer, 201: BreakerSerializer, 202: BreakerSerializer, **PROBLEMS},
    )
    def put(self, request: Request, slug: str) -> Response:
        """Make or change a breaker; one that had ended counts again.

        What might stop less than now is proposed only (202, among its ``changes``), and somebody else releases it.
        """
        body = self.body(BreakerBody)
        about = {name: body.pop(name) for name in ("target", "name", "reason") if name in body}
        try:
            named = about.get("target")
            unit = halt_target_for(self.actor, body["scope"], named, perm=LIFT) if named else None
        except NotFoundError as error:
            raise InvalidError(errors={"target": ["There is no such target."]}) from error

        refuse_unknown_rule(self.actor, body.get("cause", ""))

        def answer() -> tuple[int, Any]:
            breaker, outcome = save_breaker(self.actor, slug=slug, unit=unit, terms=BreakerTerms(**body), **about)
            return STATUS.get(outcome, 200), breaker_json(breaker)

        return self.once(answer)

    @extend_schema(
        operation_id="end_breaker", parameters=[REASON], responses={202: BreakerChangeSerializer, **PROBLEMS}
    )
    def delete(self, request: Request, slug: str) -> Response:
        """Propose that it opens no more; somebody else releases that. What it stopped stays stopped."""

        def answer() -> tuple[int, Any]:
            breaker = breaker_for(self.actor, slug)
            return 202, breaker_change_json(end_breaker(self.actor, breaker=breaker, reason=reason_of(request)))

        return self.once(answer)


class BreakerChangeRelease(PlaneView):
    """``/breakers/{slug}/changes/{id}/release/``."""

    @extend_schema(
        operation_id="release_breaker_change", request=None, responses={200: BreakerChangeSerializer, **PROBLEMS}
    )
    def post(self, request: Request, slug: str, change_id: UUID) -> Response:
        """Let a change count from now on; never by who proposed it."""
        found = breaker_change_for(self.actor, slug, change_id)
        return self.once(lambda: (200, breaker_change_json(release_breaker_change(self.actor, change=found))))


class BreakerChangeDecline(PlaneView):
    """``/breakers/{slug}/changes/{id}/decline/``."""

    @extend_schema(
        operation_id="decline_breaker_change",
        request=DeclineBreakerChangeBody,
        responses={200: BreakerChangeSerializer, **PROBLEMS},
    )
    def post(self, request: Request, slug: str, change_id: UUID) -> Response:
        """End a change without a release, with the reason."""
        found = breaker_change_for(self.actor, slug, change_id)
        said: dict[str, Any] = self.body(DeclineBreakerChangeBody)
        return self.once(lambda: (200, breaker_change_json(decline_breaker_change(self.actor, change=found, **said))))
