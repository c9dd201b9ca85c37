"""When things happen in an invented history: by weekday, hour, month-end, holidays and growth. Pure and seeded."""

# ruff: noqa: PLR2004 - calibrated numbers stand where they are used
import math
from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from apps.kpis.rules.buckets import DAY, local_midnight

WEEKDAYS = (0.21, 0.205, 0.20, 0.195, 0.165, 0.015, 0.01)
HOURS = (1, 1, 1, 1, 1, 2, 6, 22, 58, 92, 100, 96, 62, 78, 96, 90, 76, 46, 20, 10, 7, 5, 3, 2)
"""Arrivals by local hour: 77-90 % between 9 and 17."""
HOLIDAYS = {(1, 1), (5, 1), (10, 3), (12, 24), (12, 25), (12, 26), (12, 31)}
HOLIDAY = 0.15
MONTH_END, GROWTH = 1.35, 0.0012
MOOD, MOOD_SIGMA = 0.6, 0.18
"""How far a day's mood lasts into the next, and how it varies (AR(1) of the log-intensity)."""
OUTAGE_AT, OUTAGE_H = 0.45, 6
HALT_AT, HALT_H = 0.88, 3


def seeded(seed: str) -> Random:
    """Chance that is the same for the same seed."""
    return Random(seed)  # noqa: S311 - an invention, not a secret


def usual(weekly: float, day: date, index: int) -> float:
    """How many happen on a day at the mean, whatever the mood; ``index``: days since the history began."""
    mean = weekly * WEEKDAYS[day.weekday()] * (1 + GROWTH * index)
    mean *= MONTH_END if (day + DAY * 4).month != day.month else 1.0
    return mean * (HOLIDAY if (day.month, day.day) in HOLIDAYS else 1.0)


def moment_of(random: Random, midnight: datetime) -> datetime:
    """A moment of the day that begins at ``midnight``."""
    hour = random.choices(range(24), HOURS)[0]
    return midnight + timedelta(hours=hour, seconds=random.uniform(0, 3600))


def poisson(random: Random, mean: float) -> int:
    """Knuth's method; for large means a rounded normal."""
    if mean > 60:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), random.random(), 0
    while product > limit:
        product *= random.random()
        count += 1
    return count


def outage_of(today: date, days: int, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """From when until when a system was down in the ``days`` days before ``today``: six hours of one day."""
    start = local_midnight(today - DAY * round(days * (1 - OUTAGE_AT)), zone) + timedelta(hours=10)
    return start, start + timedelta(hours=OUTAGE_H)


def halt_of(today: date, days: int, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """From when until when people had stopped an agent in the ``days`` days before ``today``: three hours at work."""
    day = today - DAY * round(days * (1 - HALT_AT))
    while day.weekday() > 4:
        day -= DAY
    start = local_midnight(day, zone) + timedelta(hours=11)
    return start, start + timedelta(hours=HALT_H)
