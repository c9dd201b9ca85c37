"""Sealing: each entry's leaf takes its place in the tree, in the order in which projections read."""

from collections.abc import Sequence

from django.db.models import Max

from apps.audit.models import Entry, Leaf
from apps.audit.rules import leaf_of


def seal_entries(*, entries: Sequence[Entry]) -> int:
    """Append the leaves of these entries; how many. One sealer at a time: the projection's lock sees to it."""
    sealed = set(Leaf.objects.filter(entry__in=[entry.pk for entry in entries]).values_list("entry_id", flat=True))
    last = Leaf.objects.aggregate(last=Max("place"))["last"]
    first = 0 if last is None else last + 1
    new = [entry for entry in entries if entry.pk not in sealed]
    Leaf.objects.bulk_create(
        Leaf(place=place, entry=entry, hash=leaf_of(entry)) for place, entry in enumerate(new, start=first)
    )
    return len(new)
