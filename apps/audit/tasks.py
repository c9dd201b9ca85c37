"""The two readers of the ledger: reactions, once per entry, and projections, in order behind the horizon."""

from collections.abc import Callable
from contextlib import ExitStack

from django.conf import settings

from apps.audit import services
from apps.audit.models import Entry
from apps.core.turns import gives_way


def reaction(handle: Callable[[Entry], None]) -> Callable[[Entry], None]:
    """Mark a handler as a reaction: called once per entry, in one transaction with the mark that it was done."""
    handle.is_reaction = True  # type: ignore[attr-defined] # tests/test_house.py asks for it
    return handle


def deliver_reactions(limit: int = 500) -> int:
    """Deliver what is due, one transaction each; how many. An error ends this round; the next one goes on behind it."""
    done = 0
    while done < limit and not gives_way("reactions") and (delivery_id := services.claim_delivery()) is not None:
        services.deliver(delivery_id=delivery_id)
        done += 1
    return done


def seal_entries(entries: list[Entry]) -> None:
    """The projection ``leaves``: the tree grows in the transaction that moves its cursor."""
    services.seal_entries(entries=entries)


def fold_projections() -> int:
    """Let every projection read on to the horizon; how many entries were folded."""
    done: list[int] = []

    def fold(name: str) -> None:
        while count := services.read_on(projection=name):
            done.append(count)

    with ExitStack() as each:  # one that fails is heard of when the others have read on
        for name in reversed(list(settings.PROJECTIONS)):
            each.callback(fold, name)
    return sum(done)


def retry_stumbles() -> int:
    """Try again what projections stepped around; how many went this time."""
    return sum(services.retry_stumbles(projection=name) for name in settings.PROJECTIONS)
