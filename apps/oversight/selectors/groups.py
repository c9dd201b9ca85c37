"""Like items gathered, over the most urgent thousand of a list."""

from django.db.models import F, QuerySet

from apps.core.models import User
from apps.oversight.models import Escalation
from apps.oversight.rules import Like, Trait, asking_rule, gathered
from apps.oversight.selectors.escalations import INBOX_ORDER

WINDOW = 1_000
"""How many items are compared: beyond that, filter first."""


def likes_for(actor: User, rows: QuerySet[Escalation]) -> list[Like]:
    """The groups among ``rows`` (a list that ``actor`` got of a selector), the most urgent first. One query."""
    assert actor.is_active
    found = (
        rows.prefetch_related(None)
        .order_by(*INBOX_ORDER)
        .annotate(rules=F("verdict__rules"))
        .values_list("pk", "kind", "agent__slug", "action__operation", "workflow", "step", "risk", "rules")[:WINDOW]
    )
    return gathered(
        Trait(pk, kind, operation or f"{workflow} {step}".strip(), agent or "", asking_rule(rules), risk)
        for pk, kind, agent, operation, workflow, step, risk, rules in found
    )
