"""How documents look. Pure: what they refer to is looked up elsewhere."""

from apps.configuration.rules.kinds import ABSENT, KINDS, ORDER, PRESENT, look, name_key, slug_of
from apps.configuration.rules.prices import PRICES, RATE_ABOUT, price_name, rate_name, since_of, since_text
from apps.configuration.rules.shapes import Misfit, Path, Reference, day_of, moment_of

__all__ = [
    "ABSENT",
    "KINDS",
    "ORDER",
    "PRESENT",
    "PRICES",
    "RATE_ABOUT",
    "Misfit",
    "Path",
    "Reference",
    "day_of",
    "look",
    "moment_of",
    "name_key",
    "price_name",
    "rate_name",
    "since_of",
    "since_text",
    "slug_of",
]
