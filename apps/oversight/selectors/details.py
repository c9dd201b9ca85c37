"""One item as the page and the API show it."""

from typing import Any

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.classification.rules import Place
from apps.core.differences import MASKED, is_secret
from apps.core.models import User
from apps.core.prepared import Prepared, Slot
from apps.oversight.models import Comment, Escalation, EscalationGroup, EscalationView, Grant, StandingApproval
from apps.oversight.rules import EscalationState, GrantState, Kind, VoteVerdict, is_grave
from apps.oversight.selectors.drills import drill_json, drill_of
from apps.oversight.selectors.eligibility import Standing, standing_for, still_stands_for, tally_for
from apps.oversight.selectors.escalations import winner_for
from apps.oversight.selectors.handing import successor_for
from apps.oversight.selectors.judged import verdict_for
from apps.oversight.selectors.standing import standing_approvals_of
from apps.oversight.selectors.veils import sight_of
from apps.policies.models import Proposal
from apps.policies.selectors import proposals_of_item

TIMELINE_MAX = 200
VOTES_OF_OTHERS = frozenset({"vote.cast", "vote.withdrawn", "vote.voided"})


def allowed_for(actor: User, item: Escalation, standing: Standing | None = None) -> dict[str, Any]:
    """``{approve: {restate, step_up}, ...}`` for what ``actor`` may say now; empty where they may say nothing.

    ``why_not_for`` has the reason. ``standing``: theirs, where the caller compares many items.
    """
    if why_not_for(actor, item, standing) is not None:
        return {}
    return item.sayable()


def why_not_for(actor: User, item: Escalation, standing: Standing | None = None) -> str | None:
    """Why ``actor`` may say nothing: ``ended``, ``held``, ``already_voted`` or a word of ``why_not_eligible``."""
    if item.is_drill and item.drill_for_id != actor.pk:
        return "excluded"
    if item.state == EscalationState.HELD:
        return "held"
    if item.state != EscalationState.PENDING:
        return "ended"
    if why := (standing or standing_for(actor)).why_not(item):
        return why
    return "already_voted" if _has_voted(actor, item) else None


def _has_voted(actor: User, item: Escalation) -> bool:
    return any(vote.voter_id == actor.pk or actor.username in vote.acts_for for vote in item.live_votes())


def row_for(actor: User, item: Escalation, standing: Standing | None = None) -> dict[str, Any]:
    """A list's line: the detail without parameters, verdict, timeline. ``item`` as ``escalations_for`` fetches it."""
    groups = item.group_list()
    action = item.action
    hides, sight = hides_votes_for(actor, item), sight_of(actor, item)
    votes = [] if hides else [_vote(vote) for vote in item.live_votes()]
    return {
        "id": item.pk,
        "kind": item.kind,
        "state": item.state,
        "version": item.version,
        "title": sight.text(item.title),
        "queue": groups[0].queue.slug if groups else None,
        "groups": [_group(group) for group in groups],
        "unit": item.unit.slug,
        "risk": item.risk,
        "priority": item.priority,
        "agent": item.agent.slug if item.agent else None,
        "workflow": item.workflow or None,
        "run": item.run_id,
        "step": item.step or None,
        "round": item.round,
        "task": item.task_id,
        "action": action.pk if action else None,
        "operation": action.operation if action else None,
        "amount_minor": action.amount_minor if action else None,
        "currency": (action.currency or None) if action else None,
        "target": (sight.text(action.marked_target) or None) if action else None,
        "question": sight.subject().get("question", item.title) if item.kind == Kind.QUESTION else None,
        "consequence": sight.text(item.consequence),
        "hidden": sight.hidden,
        "quorum": {"needed": sum(group.needed for group in groups), "votes": votes, "hidden": hides},
        "allowed": allowed_for(actor, item, standing),
        "why_not": why_not_for(actor, item, standing),
        "back_to": item.back_to or None,
        "attempts": item.attempts,
        "edited": item.edited,
        "supersedes": item.supersedes_id,
        "claimed_by": item.claimed_by.username if item.claimed_by else None,
        "claimed_until": item.claimed_until,
        "assigned_to": item.assigned_to.username if item.assigned_to else None,
        "delegations": [{"by": by, "to": to} for by, to in item.handed()],
        "snoozed_until": getattr(item, "own_snooze", None),
        "created_at": item.created_at,
        "due_at": item.due_at,
        "sla_paused_at": item.sla_paused_at,
        "warn_at": item.warn_at,
        "clocks_stopped_by": _stopped_by(item),
        "expires_at": item.expires_at,
        "releases_at": item.releases_at,
        "decided_by": item.decided_by.username if item.decided_by else None,
        "decided_at": item.decided_at,
        "ended_at": item.ended_at,
        "reason": item.reason,
        "reason_code": item.reason_code or None,
        "retry": item.retry or None,
        "answer": sight.answer(item.answer),
    }


def _stopped_by(item: Escalation) -> str | None:
    """Why its clocks stand still; a ``question`` stops the SLA alone."""
    causes = {"halt": item.frozen_at, "run_paused": item.paused_at, "question": item.sla_paused_at}
    return next((cause for cause, since in causes.items() if since), None)


def seen_by_for(actor: User, item: Escalation) -> list[dict[str, Any]]:
    """Who had the page of an item open, first ones first."""
    assert actor.is_active
    rows = EscalationView.objects.filter(escalation=item).select_related("person").order_by("first_at")[:TIMELINE_MAX]
    return [
        {"by": row.person.username, "first_at": row.first_at, "last_at": row.last_at, "opened": row.opened}
        for row in rows
    ]


def detail_for(actor: User, item: Escalation) -> dict[str, Any]:
    """Everything of one item, as the public interface names it. ``item`` as ``escalation_for`` fetches it."""
    sight = sight_of(actor, item)
    traced = sight_of(actor, item, place=Place.TRACE)
    return {
        **row_for(actor, item),
        "groups": _counted_groups(actor, item),
        "parameters": masked(sight.values(item.values())) if item.action else None,
        "subject": None if item.action and item.kind != Kind.EXCEPTION else masked(sight.subject()),
        "asked": masked(sight.values(item.asked["parameters"])) if item.asked else None,
        "patch": sight.patch(item.patch),
        "verdict": traced.over(verdict_for(actor, item)) or None,
        "schema": item.schema,
        "options": item.options,
        "digest": item.digest or None,
        "view_hash": item.view_hash(),
        "winner": winner_for(actor, item),
        "superseded_by": following.pk if (following := successor_for(actor, item)) else None,
        "agent_says": _agent_says(actor, item),
        "seen_by": seen_by_for(actor, item),
        "thread": thread_for(actor, item),
        "standing": [standing_json(one) for one in standing_approvals_of(actor, item)],
        "proposals": [proposed_json(proposal) for proposal in proposals_of_item(actor, item.pk)],
        "timeline": timeline_for(actor, item),
        "erased": item.erased,
        "drill": drill_json(drill_of(actor, item)),
    }


def hides_votes_for(actor: User, item: Escalation) -> bool:
    """Whether others' votes and the agent's confidence stay hidden: grave tiers, until one has voted or it ended."""
    return item.state == EscalationState.PENDING and is_grave(item.tier) and not _has_voted(actor, item)


def _agent_says(actor: User, item: Escalation) -> dict[str, Any] | None:
    """The agent's own words: unverified, apart, never mixed into what the plane renders."""
    action = item.action
    if action is None:
        return None
    return {
        "goal": action.goal,
        "reasoning": action.reasoning,
        "alternatives": action.alternatives,
        "confidence": None if hides_votes_for(actor, item) else action.confidence,
        "sources": action.sources,
        "evidence": action.evidence,
    }


def _group(group: EscalationGroup) -> dict[str, Any]:
    return {
        "queue": group.queue.slug,
        "role": group.role.slug if group.role else None,
        "needed": group.needed,
        "distinct_units": group.distinct_units,
        "stage": group.stage,
        "asked": group.is_asked,
    }


def _counted_groups(actor: User, item: Escalation) -> list[dict[str, Any]]:
    """The groups, each with how many approvals count in it; None while others' votes are hidden."""
    groups = item.group_list()
    if hides_votes_for(actor, item):
        counted: dict[str, int | None] = {group.key: None for group in groups}
    elif len(groups) == 1:
        approvals = sum(vote.verdict == VoteVerdict.APPROVE for vote in item.live_votes())
        counted = {group.key: min(approvals, group.needed) for group in groups}
    else:
        counted = {key: len(names) for key, names in tally_for(actor, item).counted.items()}
    return [{**_group(group), "counted": counted[group.key]} for group in groups]


def proposed_json(proposal: Proposal) -> dict[str, Any]:
    """A proposed change as the item it came from tells of it."""
    return {
        "id": proposal.pk,
        "policy": proposal.policy.slug,
        "version": proposal.version.number,
        "rule": proposal.rule,
        "effect": proposal.effect,
        "state": proposal.state,
        "by": proposal.version.author.username,
    }


def standing_json(approval: StandingApproval) -> dict[str, Any]:
    """An approval in advance as the item where it was given tells of it."""
    return {
        "id": approval.pk,
        "by": approval.maker.username,
        "up_to_minor": approval.up_to_minor,
        "same": approval.same,
        "times": approval.times,
        "used": approval.used,
        "until": approval.until,
        "state": approval.state,
        "end_why": approval.end_why or None,
    }


def _vote(vote: Any) -> dict[str, Any]:
    return {"by": vote.voter.username, "verdict": vote.verdict, "at": vote.created_at}


def masked(value: Any, path: str = "") -> Any:
    """``value`` with secrets masked, by the names of their paths."""
    if isinstance(value, dict):
        return {key: masked(inner, f"{path}.{key}".lstrip(".")) for key, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, f"{path}[{index}]") for index, inner in enumerate(value)]
    return MASKED if is_secret(path) else value


def timeline_for(actor: User, item: Escalation) -> list[dict[str, Any]]:
    """What happened to the item and its action, oldest first, from the ledger; what says the same again is one line."""
    subjects = [item.pk, *([item.action_id] if item.action_id else [])]
    entries = list(Entry.objects.filter(subject_id__in=subjects).select_related("actor").order_by("id")[:TIMELINE_MAX])
    if item.is_drill and item.state == EscalationState.PENDING:
        return [_as_if_real(entry, item) for entry in entries if entry.name == "drill.opened"]
    hides = hides_votes_for(actor, item)
    newest = {_sameness(entry): entry.pk for entry in entries}
    return [
        _line(entry)
        for entry in entries
        if not (hides and entry.name in VOTES_OF_OTHERS and entry.actor_id != actor.pk)
        and newest[_sameness(entry)] == entry.pk
    ]


def _as_if_real(entry: Entry, item: Escalation) -> dict[str, Any]:
    """How a drill began, as the like of it begins; the ledger itself says what it is, to whoever may read it."""
    asked = item.agent.user.username if item.agent else ""
    return {"id": entry.pk, "at": entry.occurred_at, "name": "escalation.pending", "by": asked, "kind": "agent"}


def _sameness(entry: Entry) -> object:
    """What makes entries one line, of which the newest says all: retries, and how a channel did with one event."""
    if entry.name == "escalation.attempted":
        return entry.name
    if entry.name == "escalation.notified":
        return tuple(entry.payload.get(name) for name in ("channel", "event", "digest"))
    return entry.pk


def _line(entry: Entry) -> dict[str, Any]:
    told = {name: entry.payload[name] for name in TOLD_OF_ENTRY if entry.payload.get(name) not in (None, "", [])}
    if isinstance(told.get("verdict"), dict):
        del told["verdict"]
    return {
        "id": entry.pk,
        "at": entry.occurred_at,
        "name": entry.name,
        "by": entry.actor.username,
        "kind": entry.actor.kind,
        **told,
    }


TOLD_OF_ENTRY = (
    "verdict",
    "reason",
    "reason_code",
    "retry",
    "why",
    "text",
    "attempts",
    "until",
    "taken_from",
    "voters",
    "patch",
    "stricter",
    "version",
    "decided_by",
    "to",
    "by",
    "queues",
    "extended_s",
    "channel",
    "event",
    "delivered",
    "failed",
    "trying",
)
"""What the timeline shows of an entry's payload; ``verdict`` only where it is a vote's word."""


def thread_for(actor: User, item: Escalation) -> list[dict[str, Any]]:
    """The comments below an item, oldest first; ``kind`` tells people from agents."""
    assert actor.is_active
    rows = Comment.objects.filter(escalation=item).select_related("author").order_by("id")[:TIMELINE_MAX]
    return [
        {
            "by": row.author.username,
            "kind": row.author.kind,
            "at": row.created_at,
            "text": row.text,
            "asks": row.is_question,
        }
        for row in rows
    ]


def open_question_of(actor: User, item: Escalation | None) -> dict[str, Any] | None:
    """What people asked the agent and it has not answered yet; None where nothing is open."""
    assert actor.is_active
    if item is None or item.state != EscalationState.PENDING or item.sla_paused_at is None:
        return None
    asked = item.comments.filter(is_question=True).select_related("author").order_by("-id").first()
    return {"text": asked.text, "by": asked.author.username, "at": asked.created_at} if asked else None


def waiting_item_of_action(actor: User, action: Action) -> Escalation | None:
    """What waits for people because of an action that the caller may see; None if nothing does."""
    assert actor.is_active
    rows = Escalation.objects.filter(action=action, state__in=[EscalationState.PENDING, EscalationState.HELD])
    return rows.prefetch_related("groups__queue", "groups__role").first()


def items_of_action(actor: User, action: Action) -> list[Escalation]:
    """Everything people were asked because of an action that the caller may see, oldest first."""
    assert actor.is_active
    rows = Escalation.objects.filter(action=action).select_related("unit", "decided_by").order_by("id")
    return list(rows.prefetch_related("groups__queue", "groups__role"))


def asked_digest_of_action(actor: User, action: Action) -> str:
    """The digest of what was asked first, before people edited it; the action's own where nobody did."""
    assert actor.is_active
    edited = Escalation.objects.filter(action=action, edited=True, asked__isnull=False).order_by("id")
    asked = edited.values_list("asked__digest", flat=True).first()
    return str(asked) if asked else action.digest


def fallen_approval_of(actor: User, action: Action) -> Escalation | None:
    """The item whose approval released the action's live grant, if those who gave it may not decide it any more."""
    grants = Grant.objects.select_related("escalation__agent__owner", "escalation__action__principal")
    grant = grants.filter(action=action, state=GrantState.LIVE).order_by("-id").first()
    item = grant.escalation if grant else None
    return item if item is not None and not still_stands_for(actor, item) else None


def released_for(actor: User, action: Action) -> Grant | None:
    """The newest grant of an action that the caller holds, whatever became of it; None if nothing was released."""
    assert actor.is_active
    return Grant.objects.filter(action=action).order_by("-id").first()


def is_answered_for(actor: User, action: Action) -> bool:
    """Whether a person has said what became of an action whose outcome is unknown. Exact while the action is locked."""
    assert actor.is_active
    said = [EscalationState.HELD, EscalationState.ANSWERED]
    return Escalation.objects.filter(action=action, kind=Kind.UNKNOWN, state__in=said).exists()


_live_grant = Prepared(
    lambda: Grant.objects.filter(Grant.unexpired(), action=Slot("action"), state=GrantState.LIVE).order_by("pk")[:1]
)


def grant_of_action(actor: User, action: Action) -> Grant | None:
    """The live grant of an action that the caller may see; None if there is none."""
    assert actor.is_active
    return _live_grant.first(action=action.pk)
