"""The inbox: a list, one item, what a person does with it."""

from apps.oversight.views import focus
from apps.oversight.views.decisions import ACTS, act, comment, decide
from apps.oversight.views.drills import drills, end_drills, plan_drills
from apps.oversight.views.inbox import inbox, item
from apps.oversight.views.jobs import bulk, job, jobs
from apps.oversight.views.moves import MOVES, move
from apps.oversight.views.on_file import on_file
from apps.oversight.views.preferences import forget_view, keep_view
from apps.oversight.views.presence import presence
from apps.oversight.views.proposing import propose
from apps.oversight.views.seen import evidence, seen
from apps.oversight.views.standing import end_standing, standing, standing_list
from apps.oversight.views.trying import dry_run

__all__ = [
    "ACTS",
    "MOVES",
    "act",
    "bulk",
    "comment",
    "decide",
    "drills",
    "dry_run",
    "end_drills",
    "end_standing",
    "evidence",
    "focus",
    "forget_view",
    "inbox",
    "item",
    "job",
    "jobs",
    "keep_view",
    "move",
    "on_file",
    "plan_drills",
    "presence",
    "propose",
    "seen",
    "standing",
    "standing_list",
]
