"""The graph of a workflow's steps: order, what comes before, what a rework reopens."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Graph:
    """``needs`` of each step, in the order of the document; unknown names are left out."""

    needs: Mapping[str, tuple[str, ...]]

    @staticmethod
    def of(needs: Mapping[str, Iterable[str]]) -> "Graph":
        """A graph that ignores edges from steps that do not exist."""
        return Graph({name: tuple(dict.fromkeys(n for n in before if n in needs)) for name, before in needs.items()})

    @cached_property
    def feeds(self) -> Mapping[str, tuple[str, ...]]:
        """The steps that each step leads to directly."""
        found: dict[str, list[str]] = {name: [] for name in self.needs}
        for name, before in self.needs.items():
            for source in before:
                found[source].append(name)
        return {name: tuple(after) for name, after in found.items()}

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Steps so that each comes after all it needs, otherwise as written; steps on a cycle are absent."""
        left = {name: len(before) for name, before in self.needs.items()}
        place = {name: index for index, name in enumerate(self.needs)}
        ready = [name for name, count in left.items() if count == 0]
        found: list[str] = []
        while ready:
            ready.sort(key=place.__getitem__, reverse=True)
            name = ready.pop()
            found.append(name)
            for after in self.feeds[name]:
                left[after] -= 1
                if left[after] == 0:
                    ready.append(after)
        return tuple(found)

    @cached_property
    def before(self) -> Mapping[str, frozenset[str]]:
        """Everything that comes before each step; only for steps in ``order``."""
        found: dict[str, frozenset[str]] = {}
        for name in self.order:
            found[name] = frozenset(self.needs[name]).union(*(found[source] for source in self.needs[name]))
        return found

    def region(self, start: str) -> frozenset[str]:
        """``start`` and everything after it: what a rework from ``start`` reopens."""
        found, todo = {start}, [start]
        while todo:
            for after in self.feeds[todo.pop()]:
                if after not in found:
                    found.add(after)
                    todo.append(after)
        return frozenset(found)

    @cached_property
    def last(self) -> tuple[str, ...]:
        """Steps that lead nowhere."""
        return tuple(name for name, after in self.feeds.items() if not after)

    def cycle(self) -> tuple[str, ...]:
        """One cycle, first step repeated at its end; empty when there is none."""
        stuck = set(self.needs) - set(self.order)
        if not stuck:
            return ()
        # Every stuck step needs a stuck step: walking backwards must meet itself.
        name = next(step for step in self.needs if step in stuck)
        seen: list[str] = []
        while name not in seen:
            seen.append(name)
            name = next(source for source in self.needs[name] if source in stuck)
        loop = seen[seen.index(name) :]
        return (*reversed(loop), loop[-1])
