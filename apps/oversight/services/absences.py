"""What follows from an absence for what waits: votes that rested on it, items that nobody there can decide."""

from django.db import transaction

from apps.access.selectors import queues_served_by
from apps.core.models import User
from apps.core.services import one_by_one
from apps.oversight.models import EscalationGroup, Vote
from apps.oversight.rules import EscalationState
from apps.oversight.selectors import standing_for
from apps.oversight.services.decisions import lock_item, void_votes
from apps.oversight.services.ladders import escalate_unreachable

BATCH = 500


def resolve_absence(actor: User, *, user: User) -> int:
    """An absence of ``user`` began, changed or is over: how many votes became void and how many items went up.

    Who may decide needs no change: it is computed when asked. A vote cast in somebody's place stands only as long as
    the place was to be taken; and what nobody who is there can decide goes up at once.
    """
    done = _void_votes_for(actor, user)
    groups = EscalationGroup.objects.filter(
        queue__in=queues_served_by(user).values("pk"),
        is_open=True,
        escalation__state=EscalationState.PENDING,
        escalation__drill_for=None,
    )
    ids = groups.order_by("escalation_id").values_list("escalation_id", flat=True)[:BATCH]
    return done + one_by_one(lambda pk: escalate_unreachable(actor, escalation_id=pk), dict.fromkeys(ids))


@transaction.atomic
def _void_votes_for(actor: User, user: User) -> int:
    votes = Vote.objects.filter(
        voided_at=None, escalation__state=EscalationState.PENDING, acts_for__contains=[user.username]
    )
    done = 0
    for vote in votes.select_related("voter").order_by("escalation_id", "id"):
        item = lock_item(vote.escalation_id)
        if item.state == EscalationState.PENDING and standing_for(vote.voter).why_void(item, vote):
            done += void_votes(actor, item, why="absence_over", voter=vote.voter)
    return done
