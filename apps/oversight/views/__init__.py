"""The inbox: a list, one item, what a person does with it."""

from apps.oversight.views.decisions import comment, decide
from apps.oversight.views.inbox import inbox, item

__all__ = ["comment", "decide", "inbox", "item"]
