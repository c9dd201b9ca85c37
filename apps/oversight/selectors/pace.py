"""How long a person's decisions take, by the gaps between their votes."""

from django.db import connection

from apps.core.gate import recall
from apps.core.models import User
from apps.oversight.rules import ASSUMED_S, Pace

ENOUGH = 5
"""So many gaps say something of a person."""
GAPS = """
(SELECT {place} AS place, percentile_cont(0.5) WITHIN GROUP (ORDER BY gap_s), count(*) FROM (
    SELECT extract(epoch FROM created_at - lag(created_at) OVER (PARTITION BY voter_id ORDER BY id)) AS gap_s
    FROM (SELECT id, voter_id, created_at FROM oversight_vote {whose} ORDER BY id DESC LIMIT {last}) AS last
) AS gaps WHERE gap_s BETWEEN 1 AND 600)
"""
"""A vote within ten minutes of the one before it was given in one sitting: the gap is what it took."""
OWN = GAPS.format(place=1, whose="WHERE voter_id = %s", last=200)
ANYBODY = GAPS.format(place=2, whose="", last=1_000)
MEASURED = f"{OWN} UNION ALL {ANYBODY} ORDER BY place"


def pace_for(actor: User) -> Pace:
    """The median of ``actor``'s last votes; of everybody's where those are too few; else what is assumed."""
    return recall(actor, "oversight.pace", lambda: _pace(actor))


def _pace(actor: User) -> Pace:
    with connection.cursor() as cursor:
        cursor.execute(MEASURED, [actor.pk])
        measured = cursor.fetchall()
    for source, (_, seconds, gaps) in zip(("own", "others"), measured, strict=True):
        if gaps >= ENOUGH:
            return Pace(float(seconds), source)
    return Pace(ASSUMED_S, "assumed")
