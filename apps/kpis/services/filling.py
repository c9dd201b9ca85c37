"""Facts of what happened before anybody wrote them down, from the rows and the ledger that are there."""

from django.db import transaction

from apps.kpis.services.incidents import fold_incidents, unfolded_incidents
from apps.kpis.services.judged import judge_actions, unjudged_actions
from apps.kpis.services.locks import hold_projection

AT_ONCE = 20_000


@transaction.atomic
def fill_acts() -> int:
    """Write the facts of actions and incidents that have none, the newest actions first, so many at once; how many."""
    hold_projection()
    return judge_actions(ids=unjudged_actions(AT_ONCE)) + fold_incidents(entries=unfolded_incidents(AT_ONCE))
