"""Endpoints of breakers: what they stop lives on many floors, so their door is up here."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.console.selectors import halt_target_for
from apps.core.api import PlaneView, StrictInteger, StrictSerializer, Text, known_params, page_at_once
from apps.core.errors import InvalidError, NotFoundError
from apps.core.rules import MAX_INTEGER
from apps.core.schema import PROBLEMS
from apps.halts.models import Breaker
from apps.halts.rules import BREAKABLE, MAX_WINDOW_S, BreakerKind, BreakerTerms, DenialCause, FailureCause
from apps.halts.selectors import breaker_for, breakers_for, opened_of
from apps.halts.services import end_breaker, save_breaker
from apps.policies.selectors import refuse_unknown_rule


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


class BreakerPage(serializers.Serializer[Any]):
    """A page of breakers."""

    results = BreakerSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def breakers_json(breakers: Sequence[Breaker]) -> list[dict[str, Any]]:
    """The breakers as ``BreakerSerializer`` describes one. One query."""
    plain = ("slug", "name", "kind", "scope", "target", "threshold", "window_s", "currency", "cause", "ended_at")
    opened = opened_of(breakers)
    return [{**{name: getattr(breaker, name) for name in plain}, "opened": opened[breaker.pk]} for breaker in breakers]


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
        responses={200: BreakerSerializer, 201: BreakerSerializer, **PROBLEMS},
    )
    def put(self, request: Request, slug: str) -> Response:
        """Make or change a breaker; one that had ended counts again."""
        body = self.body(BreakerBody)
        about = {name: body.pop(name) for name in ("target", "name") if name in body}
        try:
            unit = halt_target_for(self.actor, body["scope"], about["target"]) if about.get("target") else None
        except NotFoundError as error:
            raise InvalidError(errors={"target": ["There is no such target."]}) from error

        refuse_unknown_rule(self.actor, body.get("cause", ""))

        def answer() -> tuple[int, Any]:
            breaker, outcome = save_breaker(self.actor, slug=slug, unit=unit, terms=BreakerTerms(**body), **about)
            return 201 if outcome == "created" else 200, breaker_json(breaker)

        return self.once(answer)

    @extend_schema(operation_id="end_breaker", request=None, responses={204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str) -> Response:
        """It opens no more; what it stopped stays stopped."""

        def answer() -> tuple[int, Any]:
            end_breaker(self.actor, breaker=breaker_for(self.actor, slug))
            return 204, None

        return self.once(answer)
