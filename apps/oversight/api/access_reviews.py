"""Access reviews: campaigns, their rights, deciding them, the evidence."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.selectors import unit_for
from apps.connectors.rules import Money
from apps.core.api import EmptyBody, StrictInteger, StrictSerializer, Text, known_params, page_of
from apps.core.errors import InvalidError, NotFoundError
from apps.core.rules import MAX_INTEGER
from apps.core.schema import PROBLEMS
from apps.oversight import services
from apps.oversight.api.people import PersonView
from apps.oversight.models import AccessReview
from apps.oversight.rules.access_reviews import MAX_AT_ONCE, AtDue, LineState, ReviewState, RightKind, Say, Use
from apps.oversight.selectors.access_reviews import (
    Shown,
    evidence_json,
    line_for,
    lines_for,
    mine_for,
    review_for,
    reviews_for,
    reviews_waiting_for,
    shown_for,
)
from apps.oversight.services.access_reviews.deciding import Less

PAGE = [OpenApiParameter("cursor", str), OpenApiParameter("limit", int)]


def _names(length: int = 150) -> Any:
    return serializers.ListField(child=Text(max_length=length), max_length=50, required=False)


class AccessReviewBody(StrictSerializer):
    """A campaign over the rights of these kinds in a unit and below (null: everywhere)."""

    name = Text(max_length=120)
    unit = Text(max_length=63, required=False, allow_null=True)
    kinds = _names(20)
    reviewers = _names()
    due_at = serializers.DateTimeField()
    next_at = serializers.DateTimeField(required=False, allow_null=True)
    at_due = Text(max_length=10, required=False)


class ReviewLimit(StrictSerializer):
    """The most that one use may move."""

    amount_minor = StrictInteger(min_value=0, max_value=MAX_INTEGER)
    currency = Text(min_length=3, max_length=3)


class RightDecisionBody(StrictSerializer):
    """``keep``, ``narrow`` or ``revoke``; ``seen``: the right's digest as it was answered."""

    say = Text(max_length=10)
    reason = Text(max_length=500)
    seen = Text(max_length=71)
    until = serializers.DateTimeField(required=False, allow_null=True)
    fields = serializers.ListField(child=Text(max_length=200), max_length=200, allow_null=True, required=False)  # type: ignore[assignment] # its name in the interface
    limit = ReviewLimit(required=False, allow_null=True)


class TogetherBody(StrictSerializer):
    """``keep`` or ``revoke`` for all of one's rights that are ``used`` or ``unused``; at most 200 at once."""

    say = Text(max_length=10)
    use = Text(max_length=10)
    reason = Text(max_length=500)


class AccessReviewSerializer(serializers.Serializer[Any]):
    """A campaign. ``digest``: of its evidence, once it is closed; the ledger has the same."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    unit = serializers.CharField(allow_null=True)
    kinds = serializers.ListField(child=serializers.CharField())
    reviewers = serializers.ListField(child=serializers.CharField())
    due_at = serializers.DateTimeField()
    next_at = serializers.DateTimeField(allow_null=True)
    at_due = serializers.ChoiceField([each.value for each in AtDue])
    state = serializers.ChoiceField([each.value for each in ReviewState])
    opened_by = serializers.CharField()
    opened_at = serializers.DateTimeField()
    closed_by = serializers.CharField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    digest = serializers.CharField(allow_blank=True)


class AccessReviewPage(serializers.Serializer[Any]):
    """A page of campaigns."""

    results = AccessReviewSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class RightSerializer(serializers.Serializer[Any]):
    """A right as it was at the opening, the evidence of its use, and what was decided."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField([each.value for each in RightKind])
    holder = serializers.CharField()
    what = serializers.CharField()
    unit = serializers.CharField(allow_null=True)
    granted_at = serializers.DateTimeField()
    granted_by = serializers.CharField()
    until = serializers.DateTimeField(allow_null=True)
    frozen = serializers.JSONField()
    evidence = serializers.JSONField()
    use = serializers.ChoiceField([each.value for each in Use])
    state = serializers.ChoiceField([each.value for each in LineState])
    decided_by = serializers.CharField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    after = serializers.JSONField(allow_null=True)


class RightNowSerializer(RightSerializer):
    """The same, with what it is now (null: it has ended), what a decision must name, and whether one may decide it."""

    now = serializers.JSONField(allow_null=True)
    seen = serializers.CharField(allow_blank=True)
    may_decide = serializers.BooleanField()


class RightPage(serializers.Serializer[Any]):
    """A page of rights."""

    results = RightSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class TogetherLine(serializers.Serializer[Any]):
    """What became of one right; ``problem``: why it still waits."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField([each.value for each in LineState])
    problem = serializers.CharField(allow_blank=True)


class TogetherAnswer(serializers.Serializer[Any]):
    """What became of each."""

    results = TogetherLine(many=True)


def review_json(review: AccessReview) -> dict[str, Any]:
    """The campaign as ``AccessReviewSerializer`` describes it."""
    return {
        "id": review.pk,
        "name": review.name,
        "unit": review.unit.slug if review.unit else None,
        "kinds": review.kinds,
        "reviewers": review.reviewers,
        "due_at": review.due_at,
        "next_at": review.next_at,
        "at_due": review.at_due,
        "state": review.state,
        "opened_by": review.opened_by.username,
        "opened_at": review.created_at,
        "closed_by": review.closed_by.username if review.closed_by else None,
        "closed_at": review.closed_at,
        "digest": review.digest,
    }


def right_json(shown: Shown) -> dict[str, Any]:
    """The right as ``RightNowSerializer`` describes it."""
    now = shown.now.frozen if shown.now else None
    return {**evidence_json(shown.line), "now": now, "seen": shown.seen, "may_decide": shown.may_decide}


def _word(request: Request, name: str, words: type[LineState] | type[RightKind] | type[Use]) -> str:
    found = str(request.query_params.get(name, ""))
    if found and found not in set(words):
        raise InvalidError(errors={name: [f"One of: {', '.join(words)}."]})
    return found


class AccessReviews(PersonView):
    """``/access/reviews/``."""

    @extend_schema(
        operation_id="list_access_reviews",
        parameters=[
            *PAGE,
            OpenApiParameter("waiting", str, description="`true`: those in which a right waits for you."),
        ],
        responses={200: AccessReviewPage, **PROBLEMS},
    )
    def get(self, request: Request) -> Response:
        """The campaigns of which one may see a right, newest first."""
        known_params(request, "waiting")
        waiting = request.query_params.get("waiting", "false")
        if waiting not in {"true", "false"}:
            raise InvalidError(errors={"waiting": ["true or false."]})
        rows = reviews_waiting_for(self.actor) if waiting == "true" else reviews_for(self.actor)
        return page_of(request, rows, review_json)

    @extend_schema(
        operation_id="open_access_review",
        request=AccessReviewBody,
        responses={201: AccessReviewSerializer, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        """Open a campaign: the rights are listed as they are now, with their use in 90 days. Reviewers are told."""
        said = self.body(AccessReviewBody)
        slug = said.pop("unit", None)

        def answer() -> tuple[int, Any]:
            unit = self._unit(slug) if slug is not None else None
            return 201, review_json(services.open_access_review(self.actor, unit=unit, **said))

        return self.once(answer)

    def _unit(self, slug: str) -> Any:
        try:
            return unit_for(self.actor, slug)
        except NotFoundError as error:
            said = "There is none of this name, or you do not manage access there."
            raise InvalidError(errors={"unit": [said]}) from error


class AccessReviewDetail(PersonView):
    """``/access/reviews/{id}/``."""

    @extend_schema(operation_id="get_access_review", responses={200: AccessReviewSerializer, **PROBLEMS})
    def get(self, request: Request, review_id: UUID) -> Response:
        """One campaign."""
        known_params(request)
        return Response(review_json(review_for(self.actor, review_id)))


class AccessReviewRights(PersonView):
    """``/access/reviews/{id}/rights/``."""

    @extend_schema(
        operation_id="list_reviewed_rights",
        parameters=[
            *PAGE,
            OpenApiParameter("state", str, enum=list(LineState)),
            OpenApiParameter("kind", str, enum=list(RightKind)),
            OpenApiParameter("use", str, enum=list(Use)),
        ],
        responses={200: RightPage, **PROBLEMS},
    )
    def get(self, request: Request, review_id: UUID) -> Response:
        """Its rights that one may see: the evidence, and who decided what, when and why."""
        known_params(request, "state", "kind", "use")
        asked = {
            name: word
            for name, words in (("state", LineState), ("kind", RightKind), ("use", Use))
            if (word := _word(request, name, words))
        }
        rows = lines_for(self.actor, review_for(self.actor, review_id)).filter(**asked)
        return page_of(request, rows, evidence_json, order=("id",))


class ReviewedRight(PersonView):
    """``/access/reviews/{id}/rights/{right}/``."""

    @extend_schema(operation_id="get_reviewed_right", responses={200: RightNowSerializer, **PROBLEMS})
    def get(self, request: Request, review_id: UUID, line_id: UUID) -> Response:
        """One right: as it was, as it is now, and what a decision must name."""
        known_params(request)
        line = line_for(self.actor, review_for(self.actor, review_id), line_id)
        return Response(right_json(shown_for(self.actor, [line])[0]))


class RightDecision(PersonView):
    """``/access/reviews/{id}/rights/{right}/decision/``."""

    @extend_schema(
        operation_id="decide_reviewed_right",
        request=RightDecisionBody,
        responses={200: RightSerializer, **PROBLEMS},
    )
    def post(self, request: Request, review_id: UUID, line_id: UUID) -> Response:
        """Keep, narrow or revoke a right; acts at once. One that has ended meanwhile becomes ``gone``."""
        body = self.body(RightDecisionBody)
        limit = body.get("limit")
        less = Less(
            body.get("until"), body.get("fields"), Money(limit["amount_minor"], limit["currency"]) if limit else None
        )

        def answer() -> tuple[int, Any]:
            line = line_for(self.actor, review_for(self.actor, review_id), line_id)
            said = {name: body[name] for name in ("say", "reason", "seen")}
            return 200, evidence_json(services.decide_right(self.actor, line=line, less=less, **said))

        return self.once(answer)


class RightsTogether(PersonView):
    """``/access/reviews/{id}/together/``."""

    @extend_schema(
        operation_id="decide_reviewed_rights", request=TogetherBody, responses={200: TogetherAnswer, **PROBLEMS}
    )
    def post(self, request: Request, review_id: UUID) -> Response:
        """Say the same of up to 200 rights that wait for you; what was changed since the opening still waits."""
        body = self.body(TogetherBody)
        if body["use"] not in {Use.USED, Use.UNUSED}:
            raise InvalidError(errors={"use": [f"One of: {Use.USED}, {Use.UNUSED}."]})
        if body["use"] == Use.USED and body["say"] == Say.REVOKE:
            raise InvalidError(errors={"say": ["What is used is revoked one by one."]})

        def answer() -> tuple[int, Any]:
            review = review_for(self.actor, review_id)
            lines = list(mine_for(self.actor, review).filter(use=body["use"])[:MAX_AT_ONCE])
            told = services.decide_lines(self.actor, review=review, lines=lines, say=body["say"], reason=body["reason"])
            rows = [{"id": one.line.pk, "state": one.line.state, "problem": one.problem} for one in told]
            return 200, {"results": rows}

        return self.once(answer)


class AccessReviewClose(PersonView):
    """``/access/reviews/{id}/close/``."""

    @extend_schema(
        operation_id="close_access_review", request=EmptyBody, responses={200: AccessReviewSerializer, **PROBLEMS}
    )
    def post(self, request: Request, review_id: UUID) -> Response:
        """End a campaign before its due date; what nobody decided is reported as left."""
        self.body(EmptyBody)

        def answer() -> tuple[int, Any]:
            services.close_access_review(self.actor, review=review_for(self.actor, review_id))
            return 200, review_json(review_for(self.actor, review_id))

        return self.once(answer)
