"""Endpoints of proposed changes: a rule because of an item, a roll-back, a retirement, and how it ended."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, StrictSerializer, Text, known_params, page_of
from apps.core.errors import InvalidError
from apps.core.models import User
from apps.core.schema import PROBLEMS
from apps.policies.models import Proposal
from apps.policies.rules import ProposalKind, ProposalState
from apps.policies.selectors import changes_of, proposal_for, proposals_for, rules_for
from apps.policies.services import decline_proposal


class DeclineBody(StrictSerializer):
    """Why it is not released; who proposed it may take it back without a word."""

    reason = Text(max_length=500, required=False, allow_blank=True)


class ProposalSerializer(serializers.Serializer[Any]):
    """A version that somebody proposes. It judges nothing before it is released.

    A ``rule`` is wished for because of an item of the inbox; ``rules`` were edited on a page; a ``rollback`` says what
    an earlier version said; to ``retire`` takes the policy out of force.
    """

    id = serializers.UUIDField()
    kind = serializers.ChoiceField([kind.value for kind in ProposalKind])
    policy = serializers.CharField()
    version = serializers.IntegerField()
    digest = serializers.CharField()
    instead_of = serializers.IntegerField(help_text="The version in force that it replaces; 0: none.")
    state = serializers.ChoiceField([state.value for state in ProposalState])
    current = serializers.BooleanField(help_text="Whether it can still be released: nothing else came into force.")
    item = serializers.UUIDField(allow_null=True)
    rule = serializers.CharField(allow_blank=True)
    effect = serializers.CharField(allow_blank=True)
    sentence = serializers.CharField(allow_blank=True)
    reason = serializers.CharField()
    by = serializers.CharField()
    at = serializers.DateTimeField()
    decided_by = serializers.CharField(allow_null=True)
    answer = serializers.CharField(allow_blank=True)
    changes = serializers.JSONField(help_text="Of what is in force: [{rule, kind, before, after}].")


class ProposalPage(serializers.Serializer[Any]):
    """A page of proposals."""

    results = ProposalSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def proposal_json(actor: User, proposal: Proposal) -> dict[str, Any]:
    """The proposal as ``ProposalSerializer`` describes it."""
    cards = {card.slug: card for card in rules_for(actor, proposal.version)}
    changes = changes_of(actor, proposal.policy, proposal.version)
    return {
        "id": proposal.pk,
        "kind": proposal.kind,
        "policy": proposal.policy.slug,
        "version": proposal.version.number,
        "digest": proposal.version.digest,
        "instead_of": proposal.base.number if proposal.base else 0,
        "state": proposal.state,
        "current": proposal.is_current,
        "item": proposal.item,
        "rule": proposal.rule,
        "effect": proposal.effect,
        "sentence": cards[proposal.rule].sentence if proposal.rule in cards else "",
        "reason": proposal.reason,
        "by": proposal.version.author.username,
        "at": proposal.created_at,
        "decided_by": proposal.decided_by.username if proposal.decided_by else None,
        "answer": proposal.answer,
        "changes": [change.as_json() for change in changes] if proposal.state == ProposalState.OPEN else [],
    }


class Proposals(PlaneView):
    """``/proposals/``."""

    @extend_schema(
        operation_id="list_proposals",
        responses={200: ProposalPage, **PROBLEMS},
        parameters=[OpenApiParameter(name, str) for name in ("state", "policy", "item", "cursor", "limit")],
    )
    def get(self, request: Request) -> Response:
        """Proposed changes of the policies that you may see, newest first; filters ``state``, ``policy``, ``item``."""
        known_params(request, "state", "policy", "item")
        rows = proposals_for(self.actor)
        for name, path in (("state", "state"), ("policy", "policy__slug")):
            if value := request.query_params.get(name):
                rows = rows.filter(**{path: value})
        if text := request.query_params.get("item"):
            rows = rows.filter(item=_uuid_of(text))
        return page_of(request, rows, lambda row: proposal_json(self.actor, row), order=("-id",))


def _uuid_of(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidError(errors={"item": ["The id of an item is wanted."]}) from error


class ProposalDetail(PlaneView):
    """``/proposals/{id}/``."""

    @extend_schema(operation_id="get_proposal", responses={200: ProposalSerializer, **PROBLEMS})
    def get(self, request: Request, proposal_id: UUID) -> Response:
        """One proposal, with what it changes of what is in force."""
        return Response(proposal_json(self.actor, proposal_for(self.actor, proposal_id)))


class ProposalDecline(PlaneView):
    """``/proposals/{id}/decline/``."""

    @extend_schema(
        operation_id="decline_proposal", request=DeclineBody, responses={200: ProposalSerializer, **PROBLEMS}
    )
    def post(self, request: Request, proposal_id: UUID) -> Response:
        """End it without a release, with the reason; releasing it is publishing its version."""
        proposal = proposal_for(self.actor, proposal_id)
        said: dict[str, Any] = self.body(DeclineBody)

        def answer() -> tuple[int, Any]:
            return 200, proposal_json(self.actor, decline_proposal(self.actor, proposal=proposal, **said))

        return self.once(answer)
