"""Asking: one transaction stores the action, its verdict, its escalation if any, and the entries of it all."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Case, F, Q, QuerySet, When
from django.db.models.fields.json import KT
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from apps.agents.models import Action, Agent
from apps.agents.rules import ActionState, Execution
from apps.agents.selectors import require_at_work
from apps.agents.services import cancel_action, propose_action
from apps.audit.services import record
from apps.classification.rules import Veil
from apps.connectors.services import prepare_effect
from apps.core.errors import ConflictError
from apps.core.models import ClockTimestamp, User
from apps.core.prepared import Prepared, Slot
from apps.core.queue import ring
from apps.core.rules import highest_risk
from apps.halts.selectors import take_fence
from apps.oversight.models import Escalation, StandingApproval
from apps.oversight.rules import EscalationState
from apps.oversight.selectors import asked_digest_of_action
from apps.oversight.services import attempt_again, open_action_escalation, release_grant, supersede_escalation
from apps.policies.rules import Effect, Verdict
from apps.policies.rules.quiet import quieted
from apps.policies.services import evaluate_action
from apps.policies.services.waivers import use_waivers
from apps.workflows.services.actions.ahead import approved_ahead, let_run, told_of
from apps.workflows.services.actions.budgets import weighed_against_budgets, within_budgets
from apps.workflows.services.actions.pipeline import OUTSIDE, Ask, Place, Weighed, hiding, weigh
from apps.workflows.services.actions.waived import within_waivers

REMEMBERED = timedelta(hours=24)
LOOKED_AT = 10
SAME = frozenset(
    {
        ActionState.PROPOSED,
        ActionState.PENDING_APPROVAL,
        ActionState.APPROVED,
        ActionState.EXECUTING,
        ActionState.UNKNOWN,
        ActionState.SUCCEEDED,
        ActionState.COMPENSATED,
    }
)
"""States in which asking again for the same thing is a retry, not a new request."""
WAITING = frozenset({ActionState.PENDING_APPROVAL})


@transaction.atomic
def check_action(actor: User, *, ask: Ask, place: Place = OUTSIDE) -> tuple[Weighed, Verdict, bool | None]:
    """The verdict that this request would get, and whether it fits its budgets now (None: they are not asked).

    Nothing runs, nothing is reserved, nobody is asked; one line in the ledger.
    """
    weighed = weigh(actor, ask, place)
    verdict = evaluate_action(actor, facts=weighed.facts, is_fresh=True)
    before = _named(weighed.agent, ask).first() if weighed.agent and ask.reference else None
    counted = before is not None and (before.state in WAITING or _is_same(actor, before, weighed.digest))
    verdict, fits = weighed_against_budgets(
        actor, verdict, weighed, place, instead_of=before.pk if before and counted else None
    )
    subject = weighed.agent or weighed.unit
    record(
        actor,
        subject,
        "action.checked",
        unit=weighed.unit.pk,
        payload={"operation": ask.operation, "digest": weighed.digest, "effect": verdict.effect.value},
    )
    return weighed, verdict, fits


@transaction.atomic(savepoint=False)
def submit_action(actor: User, *, ask: Ask, place: Place = OUTSIDE) -> Action:
    """Take a request past halts, permission, policy and budgets. Returns the action in the state that follows.

    The same ``reference`` with the same parameters is the same action (``attempts`` + 1); with others it is a
    successor that supersedes what still waits. Raises ConflictError ``previously_rejected`` within the time that a
    rejection is remembered, and whatever ``weigh`` raises.
    """
    take_fence()
    weighed = weigh(actor, ask, place)
    before: Action | None = None
    if weighed.agent and place.purpose == "act":
        if place.task_id is None:
            require_at_work(weighed.agent)
        _one_at_a_time(weighed.agent, ask)
        _refuse_rejected(weighed.agent, ask, weighed.digest)
        before = _referred(weighed.agent, ask)
    if before is not None and before.state in SAME and _is_same(actor, before, weighed.digest):
        return _again(actor, before)
    action_id = uuid7()
    if before is not None and before.state in WAITING:
        supersede_escalation(actor, action=before, successor=action_id)
        before = cancel_action(actor, action=before, reason="superseded")
    facts = replace(weighed.facts, action_id=action_id)

    def write(verdict: Verdict) -> Action:
        approval = approved_ahead(actor, ask, weighed, place, verdict)
        told = hiding(weighed, ask, verdict)
        action = _propose(actor, ask, place, told, verdict, approval, pk=action_id)
        use_waivers(actor, action=action, verdict=verdict)
        if approval is not None:
            return let_run(actor, action, approval)
        return _follow(actor, action, weighed, place, verdict, predecessor=before)

    return within_waivers(
        lambda over: evaluate_action(actor, facts=facts, is_fresh=True, but=over),
        lambda verdict: within_budgets(verdict, weighed, place, write),
    )


def _is_same(actor: User, before: Action, digest: str) -> bool:
    """Whether this is what was asked then, even if a person edited it since."""
    return digest in {before.digest, asked_digest_of_action(actor, before)}


def _one_at_a_time(agent: Agent, ask: Ask) -> None:
    """Requests of one agent for one thing take turns, so that ten retries at once are one action."""
    if ask.reference:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", [f"{agent.pk}:{ask.operation}:{ask.reference}"]
            )


def _referred(agent: Agent, ask: Ask) -> Action | None:
    if not ask.reference:
        return None
    return _named(agent, ask).select_for_update(of=("self",)).first()


def _named(agent: Agent, ask: Ask) -> QuerySet[Action]:
    """What an agent asked for by this reference, the latest first."""
    about = {"environment": agent.environment, "operation": ask.operation, "reference": ask.reference}
    return Action.objects.filter(agent=agent, **about).order_by("-id")


def _refused(which: Q) -> QuerySet[Action]:
    """What people rejected of one agent's requests for one operation: a "never" first, then the latest."""
    rows = Action.objects.filter(which, agent=Slot("agent"), operation=Slot("operation"), state=ActionState.REJECTED)
    rows = rows.filter(refusal__isnull=False, environment=Slot("environment"))
    never_first = Case(When(refusal__retry="never", then=0), default=1)
    return rows.only("digest", "refusal", "finished_at").order_by(never_first, "-id")[:LOOKED_AT]


_rejected = Prepared(lambda: _refused(Q(digest=Slot("digest")) | Q(reference=Slot("reference")) & ~Q(reference="")))
_edited_and_rejected = Prepared(
    lambda: _refused(
        Q(
            pk__in=Escalation.objects.alias(asked_digest=KT("asked__digest"))
            .filter(agent=Slot("agent"), state=EscalationState.REJECTED, edited=True, asked_digest=Slot("digest"))
            .values("action")
        )
    )
)


def _refuse_rejected(agent: Agent, ask: Ask, digest: str) -> None:
    """Raise ``previously_rejected`` while a person's no is remembered: by its retry hint, else for 24 hours."""
    asked = {"agent": agent.pk, "environment": agent.environment, "operation": ask.operation, "digest": digest}
    edited = {last.pk: last for last in _edited_and_rejected(**asked)}
    found = edited | {last.pk: last for last in _rejected(**asked, reference=ask.reference)}
    for last in sorted(found.values(), key=lambda last: (_retry_of(last) == "never", last.pk), reverse=True):
        if _is_remembered(last, is_same=last.digest == digest or last.pk in edited):
            raise ConflictError(
                _("A person rejected this."),
                code="previously_rejected",
                reason=(last.refusal or {}).get("reason", ""),
                retry=_retry_of(last) or None,
                action=str(last.pk),
            )


def _retry_of(last: Action) -> str:
    return str((last.refusal or {}).get("retry") or "")


def _is_remembered(last: Action, *, is_same: bool) -> bool:
    retry = _retry_of(last)
    if retry in {"never", "after_change"}:
        return retry == "never" or is_same
    if retry.startswith("after:"):
        return not _is_past(retry.removeprefix("after:"))
    recent = Q(finished_at__gt=ClockTimestamp() - REMEMBERED)
    return Action.objects.filter(recent, pk=last.pk).exists()


def _is_past(text: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s < clock_timestamp()", [datetime.fromisoformat(text)])
        return bool(cursor.fetchone()[0])


def _again(actor: User, action: Action) -> Action:
    Action.objects.filter(pk=action.pk).update(attempts=F("attempts") + 1)
    action.refresh_from_db(fields=["attempts"])
    record(actor, action, "action.asked_again", payload={"attempts": action.attempts})
    if action.state in WAITING:
        attempt_again(actor, action=action)
    return action


STATE_AFTER = {
    Effect.ALLOW: ActionState.APPROVED,
    Effect.DENY: ActionState.DENIED,
    Effect.REQUIRE_APPROVAL: ActionState.PENDING_APPROVAL,
}


QUOTING = ("goal", "reasoning", "alternatives", "sources", "evidence")
"""Words of an agent that may quote its parameters: what carries a class is kept in these alone."""


def _propose(
    actor: User,
    ask: Ask,
    place: Place,
    weighed: Weighed,
    verdict: Verdict,
    approval: StandingApproval | None,
    **more: Any,
) -> Action:
    operation = weighed.permitted.operation
    words: dict[str, Any] = {
        name: getattr(ask, name)
        for name in ("goal", "reasoning", "alternatives", "confidence", "sources", "evidence", "reference", "execution")
    }
    if weighed.classed:
        veil = Veil([(weighed.classed, ask.parameters)])
        words |= {name: veil.over(words[name]) for name in QUOTING}
    answers: dict[str, Any] = {"cannot_take": sorted(ask.cannot_take), "together": ask.together}
    spot: dict[str, Any] = {
        name: getattr(place, name) for name in ("workflow", "run_id", "step", "round", "item", "task_id", "purpose")
    } | {"compensates_id": place.compensates}
    told: dict[str, Any] = {
        "effect": verdict.effect.value,
        "release": verdict.release,
        "rules": quieted(verdict.public_json())["rules"],
    }
    stored = verdict.as_json()
    if approval is not None:
        told |= {"standing": approval.pk, "escalation": approval.item_id}
        stored["standing"] = told_of(approval)
    if verdict.effect is Effect.DENY:
        told |= {"reason": verdict.reason}
        more |= {"finished_at": ClockTimestamp()}
    return propose_action(
        actor,
        agent=weighed.agent,
        unit=weighed.unit,
        state=ActionState.APPROVED if approval else STATE_AFTER[verdict.effect],
        told=told,
        verdict=stored,
        release_number=verdict.release,
        on_behalf_of=weighed.on_behalf_of,
        operation=operation.slug,
        connector=operation.connector.slug,
        effect=operation.effect,
        parameters=ask.parameters,
        classed=weighed.classed,
        digest=weighed.digest,
        definition_digest=operation.definition_digest,
        amount_minor=weighed.money.minor if weighed.money else None,
        currency=weighed.money.currency if weighed.money else "",
        target=weighed.target,
        consequence=weighed.consequence,
        environment=weighed.facts.environment,
        **words,
        **answers,
        **spot,
        **more,
    )


def _follow(
    actor: User, action: Action, weighed: Weighed, place: Place, verdict: Verdict, *, predecessor: Action | None
) -> Action:
    """What the verdict leads to: an item for people, a grant for the agent, or an effect of the plane's own."""
    if verdict.effect is Effect.REQUIRE_APPROVAL:
        open_action_escalation(
            actor,
            action=action,
            verdict=verdict,
            risk=highest_risk(weighed.facts.agent.risk, verdict.risk),
            run_starter=place.started_by,
            run_unit_id=place.run_unit_id,
            supersedes=predecessor,
        )
    elif verdict.effect is Effect.ALLOW and action.execution == Execution.AGENT:
        release_grant(actor, action=action)
    elif verdict.effect is Effect.ALLOW:
        prepare_effect(actor, action=action)
        ring("effects")
    return action
