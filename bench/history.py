"""A year of simulated runs, as many as wanted."""

from apps.core.services import system_user
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.history import history_of, sample_traits
from apps.kpis.services.history import import_history
from tests.factories.access import make_unit

DAYS = 365
PER_YEAR_AT_SCALE_ONE = 23_000


def make_history(runs: int) -> int:
    """Import about ``runs`` finished runs through the fact writer; how many they are."""
    procurement, finance = make_unit(), make_unit()
    facts = Facts()
    for traits in sample_traits(procurement.pk, finance.pk):
        told = history_of(
            traits, seed=1, until=database_now(), days=DAYS, zone=reporting_zone(), scale=runs / PER_YEAR_AT_SCALE_ONE
        )
        for name in ("runs", "steps", "decisions", "costs"):
            getattr(facts, name).extend(getattr(told, name))
    return import_history(system_user("console"), facts=facts)
