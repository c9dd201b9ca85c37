"""What follows for agents from what happened elsewhere, and what runs by the clock."""

from apps.agents import services
from apps.audit.models import Entry
from apps.audit.tasks import reaction


@reaction
def suspend_ownerless(entry: Entry) -> None:
    """A person left: nobody answers any more for the agents that they own, so these do not act."""
    services.suspend_ownerless()


def sweep_ownerless() -> int:
    """Each minute: the same, however an account was ended; how many."""
    return services.suspend_ownerless()


def forget_tokens() -> int:
    """Each hour: delete tokens and assertions that are long over; how many."""
    return services.forget_tokens()
