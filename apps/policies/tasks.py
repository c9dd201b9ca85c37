"""What policies follow in the ledger."""

from apps.audit.models import Entry
from apps.policies.services import count_entries
from apps.policies.services.health import note_health
from apps.policies.services.reserving import settle_reservations
from apps.policies.services.simulations import judge_on
from apps.policies.services.waivers import expire_waivers, warn_of_ends


def fold_entries(entries: list[Entry]) -> None:
    """The projection ``policies``: entries in order, in the transaction that moves its cursor."""
    count_entries(entries=entries)
    note_health(entries=entries)


def settle_budgets() -> int:
    """Settle what budgets hold for actions that ended; how much."""
    return settle_reservations()


def judge_past() -> int:
    """Judge some more of the past for a simulation that waits for it; how many actions were looked at."""
    return judge_on()


def end_waivers() -> int:
    """End the waivers whose time is over, and say of others that it soon is; how many."""
    return expire_waivers() + warn_of_ends()
