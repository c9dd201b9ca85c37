"""Erasing what agents wrote in their actions."""

from collections.abc import Sequence
from uuid import UUID

from apps.agents.models import Action, Repetition
from apps.agents.selectors import target_digests
from apps.core.models import ClockTimestamp, User
from apps.core.services import blank_answers


def erase_actions(actor: User, *, ids: Sequence[UUID]) -> int:
    """Take words and parameters out of actions that have ended; how many. The caller locked them and records it.

    Digests, states, verdicts, amounts, the agent's reference and who and when stay; of the target a keyed digest does.
    """
    rows = Action.objects.filter(pk__in=ids, erased_at=None)
    for action in rows:
        Action.objects.filter(pk=action.pk).update(
            parameters={},
            target="",
            erased_target=target_digests(action.target)[0] if action.target else "",
            consequence="",
            exclusive="",
            goal="",
            reasoning="",
            alternatives=[],
            sources=[],
            evidence=[],
            result=None,
            verdict={name: value for name, value in action.verdict.items() if name != "facts"},
            error=without_words(action.error),
            refusal=without_words(action.refusal),
            erased_at=ClockTimestamp(),
            erased_by=actor.username,
        )
    flags = Repetition.objects.filter(rejected__in=ids)
    flags.update(dismiss_reason="")
    blank_answers(ids=list(flags.values_list("pk", flat=True)))
    return len(rows)


def without_words(error: dict[str, object] | None) -> dict[str, object] | None:
    """An error or a refusal as its codes and ids say it; None where there was none."""
    if error is None:
        return None
    return {name: "" if name in {"message", "reason"} else value for name, value in error.items() if name in KEPT}


KEPT = frozenset({"code", "message", "reason", "retry", "by", "escalation"})
