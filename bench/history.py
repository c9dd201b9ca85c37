"""A year of simulated runs, as many as wanted."""

from collections.abc import Callable

from apps.core.services import system_user
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules.history import HistoryPlan, parts_of
from apps.kpis.rules.traits import sample_traits
from apps.kpis.services.history import import_history
from tests.factories.access import make_unit

DAYS = 365


def make_history(runs: int, tell: Callable[[int], None] = lambda _done: None) -> int:
    """Import about ``runs`` finished runs through the fact writer; how many they are."""
    units = (make_unit().pk for _ in range(3))
    plan = HistoryPlan(seed=1, runs=runs, days=DAYS, until=database_now())
    done = 0
    for number, (facts, is_last) in enumerate(parts_of(plan, sample_traits(*units), reporting_zone()), start=1):
        done += import_history(system_user("console"), facts=facts, plan=plan, part=number, is_last=is_last)
        tell(done)
    return done
