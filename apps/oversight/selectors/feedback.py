"""What people said of an agent's work, and what systems of record show otherwise, newest first."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.module_loading import import_string

from apps.agents.models import Action, Agent
from apps.agents.selectors import reference_for
from apps.classification.rules import Veil
from apps.connectors.models import Effect
from apps.connectors.rules import EffectState
from apps.core.gate import visible
from apps.core.keysets import behind, plain
from apps.core.models import User
from apps.oversight.models import Escalation
from apps.oversight.rules import DECIDED, EscalationState, Kind
from apps.oversight.rules.feedback import (
    FINDINGS,
    KIND_OF,
    MAX_FEEDBACK,
    FeedbackFilter,
    FeedbackKind,
    Said,
    fields_of,
    said_of,
    words_of,
)
from apps.oversight.rules.reviews import Judgement
from apps.oversight.selectors.eligibility import VIEW
from apps.oversight.selectors.veils import sight_of
from apps.policies.selectors.quiet import quieted_for

READ_AT_ONCE = 200
SAID_AT, SHOWN_AT = ("-ended_at", "-id"), ("-read_back_at", "-id")

OF_SAID: dict[Said, Q] = {
    Said.APPROVED: Q(kind=Kind.ACTION, state=EscalationState.APPROVED, edited=False),
    Said.EDITED: Q(kind=Kind.ACTION, state=EscalationState.APPROVED, edited=True),
    Said.REJECTED: Q(state=EscalationState.REJECTED),
    Said.CHANGES_REQUESTED: Q(state=EscalationState.CHANGES_REQUESTED),
    Said.ANSWERED: Q(kind=Kind.QUESTION, state=EscalationState.ANSWERED),
    **{Said(word): Q(kind=Kind.REVIEW) & (Q(answer=word.value) | Q(answer__verdict=word.value)) for word in Judgement},
    **{said: Q(kind=Kind.EXCEPTION) & (Q(answer=word) | Q(answer__found=word)) for word, said in FINDINGS.items()},
}


@dataclass(frozen=True, slots=True)
class Feedback:
    """One line. ``at``: when it was said, or when the system was read back; ``told``: as the API gives it."""

    at: datetime
    id: UUID
    told: dict[str, Any]


def feedback_for(
    actor: User, agent: Agent, wanted: FeedbackFilter, *, behind_of: Sequence[Any] | None = None, limit: int = 50
) -> list[Feedback]:
    """What was said of ``agent``'s work that ``actor`` may see, newest first, behind ``(at, id)``; ``limit`` at most.

    An agent reads what was said of its own work in its key's environment; people what they may see in the inbox.
    Nothing of drills, of what nobody answered, of what was approved in advance.
    """
    said, shown = _said(actor, agent, wanted), _shown(actor, agent, wanted)
    if behind_of:
        said = said.filter(behind(SAID_AT, list(behind_of)))
        shown = shown.filter(behind(SHOWN_AT, list(behind_of)))
    lines = (
        [_line(actor, item) for item in said[:limit]],
        [_mismatch(actor, effect) for effect in shown[:limit]],
    )
    return list(islice(merge(*lines, key=lambda one: (one.at, one.id), reverse=True), limit))


def all_feedback_for(actor: User, agent: Agent, wanted: FeedbackFilter) -> Iterator[Feedback]:
    """The same, page by page as it is read, ``MAX_FEEDBACK`` lines at most."""
    last: Feedback | None = None
    left = MAX_FEEDBACK
    while left > 0:
        place = (last.at, last.id) if last else None
        found = feedback_for(actor, agent, wanted, behind_of=place, limit=min(READ_AT_ONCE, left))
        yield from found
        if len(found) < min(READ_AT_ONCE, left):
            return
        left -= len(found)
        last = found[-1]


def lines_of(found: Iterable[Feedback]) -> Iterator[str]:
    """Each as one line of JSON."""
    for one in found:
        yield json.dumps(one.told, default=plain, ensure_ascii=False, separators=(",", ":")) + "\n"


def _said(actor: User, agent: Agent, wanted: FeedbackFilter) -> QuerySet[Escalation]:
    if wanted.kind == FeedbackKind.MISMATCH or wanted.said == Said.MISMATCH:
        return Escalation.objects.none()
    found = Q(answer__in=[*FINDINGS]) | Q(answer__found__in=[*FINDINGS])
    kinds = [kind for kind, told in KIND_OF.items() if wanted.kind in {None, told}]
    rows = Escalation.objects.filter(~Q(kind=Kind.EXCEPTION) | found, agent=agent, state__in=sorted(DECIDED))
    rows = rows.filter(kind__in=kinds).select_related("action__version", "action__principal", "agent__owner", "unit")
    rows = _own_or_visible(actor, agent, rows)
    if wanted.since:
        rows = rows.filter(ended_at__gte=wanted.since)
    if wanted.said:
        rows = rows.filter(OF_SAID[wanted.said])
    return _of_action(rows, wanted).order_by(*SAID_AT)


def _shown(actor: User, agent: Agent, wanted: FeedbackFilter) -> QuerySet[Effect]:
    if wanted.kind not in {None, FeedbackKind.MISMATCH} or wanted.said not in {None, Said.MISMATCH}:
        return Effect.objects.none()
    rows = Effect.objects.filter(action__agent=agent, state=EffectState.MISMATCH, read_back_at__isnull=False)
    rows = _own_or_visible(actor, agent, rows.select_related("action__version", "action__principal"))
    if wanted.since:
        rows = rows.filter(read_back_at__gte=wanted.since)
    return _of_action(rows, wanted).order_by(*SHOWN_AT)


def _own_or_visible[M: (Escalation, Effect)](actor: User, agent: Agent, rows: QuerySet[M]) -> QuerySet[M]:
    """An agent's own work, by the key it came with; what people may see."""
    if not actor.is_agent:
        return visible(actor, VIEW, rows)
    if actor.agent.pk != agent.pk:
        return rows.none()
    environment = actor.agent.environment
    own = Q(action__environment=environment)
    asked_in_tasks = Q(action=None) if environment == "live" else Q(pk__in=[])  # a test key holds no tasks
    return rows.filter(own | asked_in_tasks)


def _of_action[M: (Escalation, Effect)](rows: QuerySet[M], wanted: FeedbackFilter) -> QuerySet[M]:
    if wanted.operation:
        rows = rows.filter(action__operation=wanted.operation)
    if wanted.version is not None:
        rows = rows.filter(action__version__number=wanted.version)
    return rows


def _line(actor: User, item: Escalation) -> Feedback:
    sight, kind = sight_of(actor, item), Kind(item.kind)
    assert item.ended_at is not None
    answer = sight.answer(item.answer) if kind == Kind.QUESTION else None
    rules = quieted_for(actor, item.verdict).get("rules", []) if kind == Kind.ACTION else []
    patch = sight.patch(item.patch) if kind == Kind.ACTION else []
    told = {
        "id": item.pk,
        "kind": KIND_OF[kind],
        "said": said_of(kind, item.state, edited=item.edited, answer=item.answer),
        "at": item.ended_at,
        **_work(actor, item.action, run=item.run_id, step=item.step, task=item.task_id, workflow=item.workflow),
        "reason": sight.over(item.reason or (words_of(item.answer) if kind != Kind.QUESTION else "")),
        "reason_code": item.reason_code,
        "retry": item.retry or None,
        "patch": patch,
        "fields": fields_of(item.patch) if kind == Kind.ACTION else [],
        "rules": [{name: rule.get(name, "") for name in ("policy", "rule", "message")} for rule in rules],
        "question": sight.subject().get("question") or None if kind == Kind.QUESTION else None,
        "answer": answer,
        "expect": None,
        "erased": item.erased,
    }
    return Feedback(item.ended_at, item.pk, told)


def _mismatch(actor: User, effect: Effect) -> Feedback:
    """What was expected of the system; not what it shows, which the agent's own permission may leave out."""
    at, action = effect.read_back_at, effect.action
    assert at is not None
    read_back = effect.read_back or {}
    told = {
        "id": effect.pk,
        "kind": FeedbackKind.MISMATCH,
        "said": Said.MISMATCH,
        "at": at,
        **_work(actor, action, run=action.run_id, step=action.step, task=action.task_id, workflow=action.workflow),
        "reason": _veil_before(actor, action).text(str(read_back.get("problem") or "")),
        "reason_code": "",
        "retry": None,
        "patch": [],
        "fields": [],
        "rules": [],
        "question": None,
        "answer": None,
        "expect": str(read_back.get("expect") or "") or None,
        "erased": action.erased,
    }
    return Feedback(at, effect.pk, told)


def _veil_before(actor: User, action: Action) -> Veil:
    """Marks for what ``actor`` may not see of the action and of its run: a system's words may quote either."""
    veil = cast("Callable[[User, Action], Veil]", import_string(settings.ACTION_VEIL))
    return veil(actor, action)


def _work(actor: User, action: Any, **place: Any) -> dict[str, Any]:
    """Which work it was said of."""
    return {
        "action": action.pk if action else None,
        "operation": action.operation if action else None,
        "version": action.version.number if action and action.version else None,
        "environment": action.environment if action else "live",
        "reference": reference_for(actor, action) if action else "",
        "run": place["run"] or (action.run_id if action else None),
        "task": place["task"] or (action.task_id if action else None),
        "step": place["step"],
        "workflow": place["workflow"],
    }
