"""The list that an address asks for."""

from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext

from django.db.models import QuerySet

from apps.core.models import User
from apps.core.walking import along_an_index
from apps.oversight.forms import InboxFilter
from apps.oversight.models import Escalation
from apps.oversight.rules import InboxView
from apps.oversight.selectors import condition_of, inbox_for, likes_for

VIEW = "oversight.view_escalation"
LONG = frozenset({InboxView.MINE, InboxView.TEAM, InboxView.UNASSIGNED, InboxView.DECIDED})


def rows_of(actor: User, filters: InboxFilter, *, without: Collection[str] = ()) -> QuerySet[Escalation]:
    """The list that the filters ask for, but for those named in ``without``."""
    passed = {"group", "fate", "pick", *without}
    wanted = {name: value for name, value in filters.wanted.items() if name not in passed}
    view = wanted.pop("view")
    rows = inbox_for(actor, view=view, **wanted)
    if view == InboxView.DECIDED and (fate := filters.wanted.get("fate")):
        rows = rows.filter(condition_of(fate))
    if key := filters.group_key:
        rows = rows.filter(pk__in=next((like.ids for like in likes_for(actor, rows) if like.key == key), ()))
    return rows


def reading(filters: InboxFilter) -> AbstractContextManager[None]:
    """How the list is to be read: along the inbox's index where most of what waits is in it."""
    is_long = filters.wanted["view"] in LONG and not filters.is_filtered
    return along_an_index() if is_long else nullcontext()
