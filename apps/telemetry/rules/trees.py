"""How the spans of one trace stand above each other, and which of them count."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

DEEPEST = 100
"""So many spans above one are looked at."""


def above(span_id: str, parents: Mapping[str, str]) -> Iterator[str]:
    """The spans above one, nearest first, as far as they are known and ``DEEPEST`` at most."""
    return islice(_all_above(span_id, parents), DEEPEST)


def _all_above(span_id: str, parents: Mapping[str, str]) -> Iterator[str]:
    """A circle ends where it began."""
    seen, at = {span_id}, parents.get(span_id, "")
    while at in parents and at not in seen:
        yield at
        seen.add(at)
        at = parents[at]


def leaves_of(telling: Iterable[str], counted: Iterable[str], parents: Mapping[str, str]) -> set[str]:
    """Those of ``telling`` (spans that tell of tokens) that count: nothing below tells too, nothing above was counted.

    So what a model used once counts once, whether its wrapper, its client or both tell of it.
    """
    telling, counted = set(telling), set(counted)
    wrapping = {one for span_id in telling for one in above(span_id, parents)}
    return {one for one in telling - wrapping - counted if not any(higher in counted for higher in above(one, parents))}


def nearest[T](span_id: str, parents: Mapping[str, str], links: Mapping[str, T]) -> T | None:
    """What the nearest span above that has a link belongs to."""
    return next((links[one] for one in above(span_id, parents) if one in links), None)


def laid_out(parents: Mapping[str, str]) -> list[tuple[str, int]]:
    """Every span once with its depth, each right before what stands below it; in the order given beside each other.

    A span whose parent is not there begins a tree (depth 0); so does the first of those from which a circle leads up.
    """
    below: dict[str, list[str]] = {}
    for span_id, parent in parents.items():
        below.setdefault(parent, []).append(span_id)
    tops = [span_id for span_id, parent in parents.items() if parent not in parents]
    found = dict[str, int]()
    for top in (*tops, *parents):
        waiting = [(top, 0)]
        while waiting:
            at, depth = waiting.pop()
            if at not in found:
                found[at] = depth
                waiting.extend((one, depth + 1) for one in reversed(below.get(at, [])))
    return list(found.items())
