"""Endpoints that narrow an agent's permissions to what it uses."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.models import Agent
from apps.agents.selectors import agent_for
from apps.connectors.models import RightSizing
from apps.connectors.rules import Money
from apps.connectors.rules.sizing import SIZED_DAYS, Size
from apps.connectors.services import right_size, undo_right_sizing
from apps.connectors.services.sizing import MAX_LINES
from apps.console.selectors.sizing import Sized, right_sizing_for, right_sizings_for, sized_for
from apps.core.api import PlaneView, StrictBoolean, StrictInteger, StrictSerializer, Text, known_params
from apps.core.errors import InvalidError
from apps.core.rules import MAX_INTEGER
from apps.core.schema import PROBLEMS

SHOWN = 20


class SizeLimit(StrictSerializer):
    """The most that one use may move."""

    amount_minor = StrictInteger(min_value=0, max_value=MAX_INTEGER)
    currency = Text(min_length=3, max_length=3)


class SizeLine(StrictSerializer):
    """What is to be left of one permission: nothing (``revoke``), or these parameters (null: all) up to this limit."""

    operation = Text(max_length=120)
    revoke = StrictBoolean(required=False)
    fields = serializers.ListField(child=Text(max_length=200), max_length=200, allow_null=True, required=False)  # type: ignore[assignment] # its name in the interface
    limit = SizeLimit(required=False, allow_null=True)


class ReplayBody(StrictSerializer):
    """Sizes to be tried on the past."""

    lines = SizeLine(many=True)


class RightSizeBody(ReplayBody):
    """Sizes to be given, and why."""

    reason = Text(max_length=500)


class UndoBody(StrictSerializer):
    """Why it is taken back."""

    reason = Text(max_length=500)


class SizeSerializer(serializers.Serializer[Any]):
    """How much of an operation: nothing, or these parameters (null: all) up to this limit (null: any amount)."""

    revoke = serializers.BooleanField()
    fields = serializers.ListField(child=serializers.CharField(), allow_null=True)  # type: ignore[assignment] # as above
    limit = serializers.JSONField(allow_null=True)


class SizedSerializer(serializers.Serializer[Any]):
    """A permission: what is held, what would be enough (null: what it has), what that would have stopped in 90 days.

    ``stopped``: of ``requests``; ``needed``: of those that were let through then; ``not_replayable``: their parameters
    were erased. ``young``: it is too new to tell; ``cut``: there were more than these ``requests``, the newest, so
    nothing is proposed.
    """

    operation = serializers.CharField()
    used = serializers.IntegerField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    young = serializers.BooleanField()
    cut = serializers.BooleanField()
    held = SizeSerializer()
    proposed = SizeSerializer(allow_null=True)
    requests = serializers.IntegerField()
    stopped = serializers.IntegerField()
    needed = serializers.IntegerField()
    not_replayable = serializers.IntegerField()
    samples = serializers.ListField(child=serializers.UUIDField())


class RightSizingSerializer(serializers.Serializer[Any]):
    """A narrowing: by whom, why, what each permission was and became, whether it was taken back."""

    id = serializers.UUIDField()
    made_by = serializers.CharField()
    made_at = serializers.DateTimeField()
    reason = serializers.CharField()
    before = serializers.JSONField()
    after = serializers.JSONField()
    undone_at = serializers.DateTimeField(allow_null=True)
    undone_by = serializers.CharField(allow_null=True)
    skipped = serializers.ListField(child=serializers.CharField(), required=False)


class RightSizeAnswer(serializers.Serializer[Any]):
    """An agent's permissions by slug, and the narrowings of the past, newest first."""

    days = serializers.IntegerField()
    results = SizedSerializer(many=True)
    done = RightSizingSerializer(many=True, required=False)


def size_json(size: Size | None) -> dict[str, Any] | None:
    """The size as ``SizeSerializer`` describes it."""
    if size is None:
        return None
    limit = {"amount_minor": size.limit.minor, "currency": size.limit.currency} if size.limit else None
    return {"revoke": size.revoke, "fields": size.fields, "limit": limit}


def sized_json(line: Sized) -> dict[str, Any]:
    """The line as ``SizedSerializer`` describes it."""
    replay = line.replay
    return {
        "operation": line.use.operation.slug,
        "used": line.use.used,
        "last_used_at": line.use.last_used_at,
        "young": line.is_young,
        "cut": line.is_cut,
        "held": size_json(line.held),
        "proposed": size_json(line.size),
        "requests": replay.requests,
        "stopped": replay.stopped,
        "needed": replay.needed,
        "not_replayable": replay.not_replayable,
        "samples": list(replay.samples),
    }


def right_sizing_json(made: RightSizing) -> dict[str, Any]:
    """The narrowing as ``RightSizingSerializer`` describes it."""
    return {
        "id": made.pk,
        "made_by": made.made_by.username,
        "made_at": made.created_at,
        "reason": made.reason,
        "before": made.before,
        "after": made.after,
        "undone_at": made.undone_at,
        "undone_by": made.undone_by.username if made.undone_by else None,
    }


def sizes_of(lines: list[dict[str, Any]]) -> dict[str, Size]:
    """The sizes by slug. Raises InvalidError for none, too many, or one operation twice."""
    if not 0 < len(lines) <= MAX_LINES:
        raise InvalidError(errors={"lines": [f"From 1 to {MAX_LINES}."]})
    found: dict[str, Size] = {}
    for place, line in enumerate(lines):
        if line["operation"] in found:
            raise InvalidError(errors={f"lines.{place}.operation": ["It is named twice."]})
        limit = line.get("limit")
        money = Money(limit["amount_minor"], limit["currency"]) if limit else None
        found[line["operation"]] = Size(line.get("revoke", False), line.get("fields"), money)
    return found


class AgentRightSizing(PlaneView):
    """``/agents/{slug}/right-sizing/``."""

    @extend_schema(operation_id="get_right_sizing", responses={200: RightSizeAnswer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """What the agent uses of what it may, what would be enough, and what that would have stopped in 90 days."""
        known_params(request)
        agent = agent_for(self.actor, slug)
        done = [right_sizing_json(made) for made in right_sizings_for(self.actor, agent)[:SHOWN]]
        lines = [sized_json(line) for line in sized_for(self.actor, agent)]
        return Response({"days": SIZED_DAYS, "results": lines, "done": done})

    @extend_schema(
        operation_id="right_size_agent",
        request=RightSizeBody,
        responses={201: RightSizingSerializer, **PROBLEMS},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Narrow or revoke these together; acts on the agent's next request, and can be undone for 30 days."""
        body = self.body(RightSizeBody)
        agent, sizes = agent_for(self.actor, slug), sizes_of(body["lines"])

        def answer() -> tuple[int, Any]:
            made = right_size(self.actor, agent=agent, sizes=sizes, reason=body["reason"])
            return 201, right_sizing_json(made)

        return self.once(answer)


class AgentReplay(PlaneView):
    """``/agents/{slug}/right-sizing/replay/``."""

    @extend_schema(operation_id="replay_right_sizing", request=ReplayBody, responses={200: RightSizeAnswer, **PROBLEMS})
    def post(self, request: Request, slug: str) -> Response:
        """What these sizes would have stopped of the agent's requests in 90 days. Nothing changes."""
        agent: Agent = agent_for(self.actor, slug)
        sizes = sizes_of(self.body(ReplayBody)["lines"])
        lines = [line for line in sized_for(self.actor, agent, sizes=sizes) if line.use.operation.slug in sizes]
        if missing := sorted(sizes.keys() - {line.use.operation.slug for line in lines}):
            raise InvalidError(errors={missing[0]: ["The agent has no permission for this operation."]})
        return Response({"days": SIZED_DAYS, "results": [sized_json(line) for line in lines]})


class RightSizingUndo(PlaneView):
    """``/agents/{slug}/right-sizing/{id}/undo/``."""

    @extend_schema(
        operation_id="undo_right_sizing", request=UndoBody, responses={200: RightSizingSerializer, **PROBLEMS}
    )
    def post(self, request: Request, slug: str, sizing_id: UUID) -> Response:
        """Give back what a narrowing took; ``skipped``: what somebody changed since, or has ended, is left alone."""
        reason = self.body(UndoBody)["reason"]

        def answer() -> tuple[int, Any]:
            agent = agent_for(self.actor, slug)
            skipped = undo_right_sizing(
                self.actor, sizing=right_sizing_for(self.actor, agent, sizing_id), reason=reason
            )
            return 200, {**right_sizing_json(right_sizing_for(self.actor, agent, sizing_id)), "skipped": skipped}

        return self.once(answer)
