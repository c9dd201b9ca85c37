"""Every cost that the ledger tells of, counted again by what holds now."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import batched

from django.db import transaction
from django.db.models import Q

from apps.audit.models import Entry
from apps.kpis.models import CostItem
from apps.kpis.rules.costs import CostKind, PricedBy
from apps.kpis.rules.facts import CostSeen, Facts
from apps.kpis.services.folding import costs_in, write_told
from apps.kpis.services.locks import hold_projection
from apps.kpis.services.rates import ACTION_ENDS

AT_ONCE = 2000
COSTING = Q(subject_kind__in=["escalation", "action", "step"]) | Q(name="usage.recorded")
"""Entries that a cost may follow from."""


def recount_costs(*, since: datetime | None = None, tell: Callable[[int], None] = lambda _n: None) -> int:
    """Count again what was incurred since then, or ever: by prices, rates and the reporting currency of now; how many.

    Where no rate holds, by what units' and operations' documents say now. So many entries at a time, newest last, each
    time in a transaction of its own: what was cut off is begun anew, and counts nothing twice.
    """
    counted, rows = 0, Entry.objects.filter(COSTING)
    if since is not None:
        rows = rows.filter(occurred_at__gte=since)
    for ids in _parts(list(rows.order_by("id").values_list("id", flat=True))):
        with transaction.atomic():
            hold_projection()
            entries = list(Entry.objects.filter(pk__in=ids).order_by("id"))
            costs = costs_in(entries)
            counted += write_told(entries=entries, facts=Facts(costs=[*costs, *_gone(entries, costs)]))
        tell(counted)
    return counted


def _gone(entries: Sequence[Entry], costs: Sequence[CostSeen]) -> list[CostSeen]:
    """Fees that were counted and that nothing asks for any more: from now on they are 0."""
    told = {one.source_id for one in costs if one.kind == CostKind.CONNECTOR}
    actions = {one.subject_id for one in entries if one.name in ACTION_ENDS} - told  # later entries ask for no fee anew
    rows = CostItem.objects.filter(kind=CostKind.CONNECTOR, source_id__in=actions, simulated=False, amount_micro__gt=0)
    return [
        CostSeen(
            kind=row.kind,
            source_id=row.source_id,
            run_id=row.run_id,
            workflow=row.workflow,
            unit_id=row.unit,
            incurred_at=row.incurred_at,
            amount_micro=0,
            quantity=row.quantity,
            priced_by=PricedBy.FEE,
            agent=row.agent,
        )
        for row in rows
    ]


def _parts(ids: list[int]) -> Iterator[tuple[int, ...]]:
    return batched(ids, AT_ONCE, strict=False)
