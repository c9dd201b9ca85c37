"""Absences: who decides in whose place. Chains are followed to a person who is there; circles lead to nobody."""

from collections.abc import Mapping

MAX_CHAIN = 5
"""So many people may stand between who is away and who decides."""


def stand_in[P](away: Mapping[P, P | None], person: P) -> tuple[P, ...]:
    """Who is away, in order, from ``person`` to the last one, and then who decides for all of them.

    ``away``: everybody who is away now, with their delegate or None. Empty where ``person`` is there, where the chain
    ends with somebody who is away without a delegate, is a circle, or is longer than MAX_CHAIN.
    """
    chain = [person]
    while (at := chain[-1]) in away:
        delegate = away[at]
        if delegate is None or delegate in chain or len(chain) > MAX_CHAIN:
            return ()
        chain.append(delegate)
    return tuple(chain) if len(chain) > 1 else ()


def represented[P](away: Mapping[P, P | None], delegate: P) -> list[tuple[P, ...]]:
    """The chains that end with ``delegate``, without it: for whom they decide, and through whom."""
    chains = [stand_in(away, person) for person in away]
    return [chain[:-1] for chain in chains if chain and chain[-1] == delegate]


def closes_circle[P](delegates: Mapping[P, set[P]], person: P, delegate: P) -> bool:
    """Whether handing over from ``person`` to ``delegate`` would lead back; ``delegates``: to whom others hand over."""
    seen, waiting = set[P](), [delegate]
    while waiting:
        at = waiting.pop()
        if at == person:
            return True
        if at not in seen:
            seen.add(at)
            waiting.extend(delegates.get(at, ()))
    return False
