"""The inbox: a list, one item, what a person does with it."""

from apps.oversight.views.decisions import ACTS, act, comment, decide
from apps.oversight.views.inbox import inbox, item

__all__ = ["ACTS", "act", "comment", "decide", "inbox", "item"]
