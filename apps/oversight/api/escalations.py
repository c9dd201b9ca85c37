"""Items: the list and one of them. Agents are turned away, and the ledger says that they tried."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import ErasedMark, PlaneView, known_params, page_of, wait_params
from apps.core.errors import InvalidError
from apps.core.gate import refuse_agents, remembering
from apps.core.rules import Risk
from apps.core.schema import PROBLEMS, WAIT
from apps.oversight.rules import EscalationState, Kind, VoteVerdict
from apps.oversight.selectors import (
    INBOX_ORDER,
    detail_for,
    escalation_for,
    escalations_for,
    filtered,
    row_for,
    standing_for,
    votes_for,
)

FILTERS = ("state", "queue", "risk", "agent", "kind", "operation", "workflow", "run", "q")
WORDS: dict[str, list[str]] = {"state": list(EscalationState), "risk": list(Risk), "kind": list(Kind)}


class VoteSerializer(serializers.Serializer[Any]):
    """One person's say."""

    by = serializers.CharField()
    verdict = serializers.ChoiceField([verdict.value for verdict in VoteVerdict])
    at = serializers.DateTimeField()


class HiddenSerializer(serializers.Serializer[Any]):
    """A class of data that you may not see here, and the fields that carry it."""

    data_class = serializers.CharField()
    paths = serializers.ListField(child=serializers.CharField())


class QuorumSerializer(serializers.Serializer[Any]):
    """How many must approve, and who said what; hidden on high tiers until one has voted."""

    needed = serializers.IntegerField()
    votes = VoteSerializer(many=True)
    hidden = serializers.BooleanField()


class GroupSerializer(serializers.Serializer[Any]):
    """People who must agree."""

    queue = serializers.CharField()
    role = serializers.CharField(allow_null=True)
    needed = serializers.IntegerField()
    distinct_units = serializers.BooleanField()
    stage = serializers.IntegerField(help_text="They are asked once every group of a lower stage is complete.")
    asked = serializers.BooleanField(help_text="Whether their turn has come.")
    counted = serializers.IntegerField(
        required=False, allow_null=True, help_text="Approvals that count here, each in one group; null while hidden."
    )


class HandedSerializer(serializers.Serializer[Any]):
    """Who handed the item to whom."""

    by = serializers.CharField()
    to = serializers.CharField()


class EscalationRow(serializers.Serializer[Any]):
    """An item in a list."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField([kind.value for kind in Kind])
    state = serializers.ChoiceField([state.value for state in EscalationState])
    version = serializers.IntegerField()
    title = serializers.CharField()
    queue = serializers.CharField(allow_null=True)
    groups = GroupSerializer(many=True)
    unit = serializers.CharField()
    risk = serializers.ChoiceField([risk.value for risk in Risk])
    priority = serializers.IntegerField()
    agent = serializers.CharField(allow_null=True)
    workflow = serializers.CharField(allow_null=True)
    run = serializers.UUIDField(allow_null=True)
    step = serializers.CharField(allow_null=True)
    round = serializers.IntegerField(allow_null=True)
    task = serializers.UUIDField(allow_null=True)
    action = serializers.UUIDField(allow_null=True)
    operation = serializers.CharField(allow_null=True)
    amount_minor = serializers.IntegerField(allow_null=True)
    currency = serializers.CharField(allow_null=True)
    target = serializers.CharField(allow_null=True)
    question = serializers.CharField(allow_null=True)
    consequence = serializers.CharField(allow_blank=True)
    hidden = HiddenSerializer(many=True, help_text="Marks such as `[bank/iban hidden]` stand where you may not see.")
    quorum = QuorumSerializer()
    allowed = serializers.JSONField(help_text="What you may say now, and what it takes: {approve: {restate, step_up}}.")
    why_not = serializers.CharField(allow_null=True, help_text="Why `allowed` is empty.")
    back_to = serializers.CharField(
        allow_null=True, help_text="The step to which the run goes back if changes are requested of an approval step."
    )
    attempts = serializers.IntegerField()
    edited = serializers.BooleanField()
    supersedes = serializers.UUIDField(allow_null=True)
    claimed_by = serializers.CharField(allow_null=True)
    claimed_until = serializers.DateTimeField(allow_null=True)
    assigned_to = serializers.CharField(allow_null=True)
    delegations = HandedSerializer(many=True)
    snoozed_until = serializers.DateTimeField(allow_null=True, help_text="Until when you put it aside.")
    created_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    sla_paused_at = serializers.DateTimeField(allow_null=True, help_text="Since when a question to the agent is open.")
    warn_at = serializers.DateTimeField(allow_null=True, help_text="When four fifths of its time are over.")
    clocks_stopped_by = serializers.ChoiceField(
        ["halt", "run_paused", "question"], allow_null=True, help_text="A question stops the SLA, not the expiry."
    )
    expires_at = serializers.DateTimeField(allow_null=True)
    releases_at = serializers.DateTimeField(allow_null=True)
    decided_by = serializers.CharField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    reason_code = serializers.CharField(allow_null=True)
    retry = serializers.CharField(allow_null=True)
    answer = serializers.JSONField(allow_null=True)


class SeenVoteSerializer(VoteSerializer):
    """A vote, what it was bound to, and what its voter saw; also those that became void."""

    id = serializers.UUIDField()
    version = serializers.IntegerField()
    digest = serializers.CharField(allow_null=True)
    view_hash = serializers.CharField(allow_null=True)
    seen = serializers.JSONField(allow_null=True, help_text="The view with this digest; null if none was sent.")
    voided_at = serializers.DateTimeField(allow_null=True)
    void_why = serializers.CharField(allow_null=True)


class EscalationSerializer(EscalationRow):
    """One item, whole."""

    votes = SeenVoteSerializer(many=True)

    parameters = serializers.JSONField(allow_null=True)
    subject = serializers.JSONField(allow_null=True)
    asked = serializers.JSONField(allow_null=True, help_text="The parameters before they were edited.")
    patch = serializers.JSONField(help_text="What the edit changed, as a JSON Patch.")
    verdict = serializers.JSONField(allow_null=True)
    schema = serializers.JSONField(allow_null=True)
    options = serializers.JSONField()
    digest = serializers.CharField(allow_null=True)
    view_hash = serializers.CharField()
    winner = serializers.JSONField(allow_null=True)
    superseded_by = serializers.UUIDField(allow_null=True, help_text="The item that took its place.")
    agent_says = serializers.JSONField(allow_null=True, help_text="The agent's own words, not verified.")
    seen_by = serializers.JSONField(help_text="Who had its page open: [{by, first_at, last_at, opened}].")
    thread = serializers.JSONField()
    standing = serializers.JSONField(help_text="Approvals in advance of the like: [{id, by, used, times, until, ...}].")
    proposals = serializers.JSONField(help_text="Rules that were proposed because of it: [{id, policy, version, ...}].")
    timeline = serializers.JSONField()
    erased = ErasedMark(allow_null=True)
    drill = serializers.JSONField(
        allow_null=True, help_text="An exercise that is over, or any for auditors: {outcome, fault, path, source}."
    )


class EscalationPage(serializers.Serializer[Any]):
    """A page of items."""

    results = EscalationRow(many=True)
    next = serializers.CharField(allow_null=True)


class Escalations(PlaneView):
    """``/escalations/``."""

    @extend_schema(
        operation_id="list_escalations",
        responses={200: EscalationPage, **PROBLEMS},
        parameters=[OpenApiParameter(name, str) for name in (*FILTERS, "cursor", "limit")],
    )
    def get(self, request: Request) -> Response:
        """Items that you may see: newest first; with `state=pending` by due date."""
        known_params(request, *FILTERS)
        wanted = {name: request.query_params[name] for name in FILTERS if request.query_params.get(name)}
        _require_words(wanted)
        rows = filtered(self.actor, escalations_for(self.actor), **wanted)
        standing = standing_for(self.actor)
        order = INBOX_ORDER if wanted.get("state") == EscalationState.PENDING else ("-id",)
        with remembering(self.actor):
            return page_of(request, rows, lambda item: row_for(self.actor, item, standing), order=order)


def _require_words(wanted: dict[str, str]) -> None:
    errors = {
        name: [f"One of: {', '.join(words)}."]
        for name, words in WORDS.items()
        if name in wanted and wanted[name] not in words
    }
    if run := wanted.get("run"):
        try:
            UUID(run)
        except ValueError:
            errors["run"] = ["This is not an id."]
    if errors:
        raise InvalidError(errors=errors)


class EscalationDetail(PlaneView):
    """``/escalations/{id}/``."""

    @extend_schema(operation_id="get_escalation", responses={200: EscalationSerializer, **PROBLEMS}, parameters=WAIT)
    def get(self, request: Request, escalation_id: UUID) -> Response:
        """One item, with everything that its page shows."""
        wait_params(request)
        refuse_agents(self.actor)
        item = escalation_for(self.actor, escalation_id)
        return Response({**detail_for(self.actor, item), "votes": votes_for(self.actor, item)})
