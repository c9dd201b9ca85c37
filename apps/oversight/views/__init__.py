"""The inbox: a list, one item, what a person does with it."""

from apps.oversight.views import focus
from apps.oversight.views.decisions import ACTS, act, comment, decide
from apps.oversight.views.inbox import inbox, item
from apps.oversight.views.on_file import on_file
from apps.oversight.views.preferences import forget_view, keep_view
from apps.oversight.views.seen import evidence, seen

__all__ = [
    "ACTS",
    "act",
    "comment",
    "decide",
    "evidence",
    "focus",
    "forget_view",
    "inbox",
    "item",
    "keep_view",
    "on_file",
    "seen",
]
