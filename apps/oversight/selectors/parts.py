"""What belongs to items, read for many of them at once."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from apps.oversight.models import Escalation
from apps.oversight.models.escalations import live_delegations_of
from apps.oversight.models.groups import groups_of, live_votes_of


def read_parts(items: Sequence[Escalation]) -> None:
    """Give each its groups, live votes and live hand-overs as they stand now. Three queries for any number."""
    keys = [item.pk for item in items]
    groups, votes, handed = (_by_item(read(items=keys)) for read in (groups_of, live_votes_of, live_delegations_of))
    for item in items:
        item.take_groups(groups[item.pk])
        vars(item).update(prefetched_votes=votes[item.pk], prefetched_handed=handed[item.pk])


def _by_item(rows: Sequence[Any]) -> defaultdict[UUID, list[Any]]:
    found: defaultdict[UUID, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.escalation_id].append(row)
    return found
