"""What pages composed of several apps show."""

from apps.console.selectors.access import rights_held_by, rights_of, role_matrix_for
from apps.console.selectors.agents import gate_shown_for, in_flight_for, moves_of_two, not_permitted_for, words_for
from apps.console.selectors.duty import open_now_for, roster_for, rosters_for, sheet_for
from apps.console.selectors.halts import (
    halt_target_for,
    nameable_for,
    standing_for,
    stoppable_for,
    who_stops_everything_for,
)
from apps.console.selectors.home import health_for, home_of, permissions_held_by
from apps.console.selectors.search import found_for, places_for

__all__ = [
    "found_for",
    "gate_shown_for",
    "halt_target_for",
    "health_for",
    "home_of",
    "in_flight_for",
    "moves_of_two",
    "nameable_for",
    "not_permitted_for",
    "open_now_for",
    "permissions_held_by",
    "places_for",
    "rights_held_by",
    "rights_of",
    "role_matrix_for",
    "roster_for",
    "rosters_for",
    "sheet_for",
    "standing_for",
    "stoppable_for",
    "who_stops_everything_for",
    "words_for",
]
