"""A person's own views, and how long their decisions are held."""

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.gate import refuse_limited, require_human
from apps.core.models import User
from apps.oversight.models import DecidingHabit, SavedView
from apps.oversight.rules import MAX_HOLD_S
from apps.oversight.selectors import own_hold_for, saved_views_for

MAX_VIEWS = 20
MAX_NAME, MAX_QUERY = 40, 600


@transaction.atomic
def set_own_hold(actor: User, *, hold_s: int) -> int:
    """How many seconds (0 to 60) one's own decisions are held from now on. Raises InvalidError."""
    require_human(actor)
    refuse_limited(actor)
    if not 0 <= hold_s <= MAX_HOLD_S:
        raise InvalidError(errors={"hold_s": [_("From 0 to %d seconds.") % MAX_HOLD_S]})
    if hold_s != own_hold_for(actor):
        habit, _new = DecidingHabit.objects.update_or_create(person=actor, defaults={"hold_s": hold_s})
        record(actor, habit, "decidinghabit.changed", payload={"hold_s": hold_s})
    return hold_s


@transaction.atomic
def save_view(actor: User, *, name: str, query: str) -> SavedView:
    """Keep the filters of an address under a name; under a name that is taken, instead of what it stood for.

    Raises InvalidError (``name``, ``query``), ConflictError when there are twenty already.
    """
    require_human(actor)
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME:
        raise InvalidError(errors={"name": [_("From 1 to %d characters.") % MAX_NAME]})
    if not 1 <= len(query) <= MAX_QUERY:
        raise InvalidError(errors={"query": [_("Filter first: there is nothing to keep yet.")]})
    User.objects.select_for_update(no_key=True).get(pk=actor.pk)  # two tabs at once
    if found := saved_views_for(actor).filter(name__iexact=name).first():
        SavedView.objects.filter(pk=found.pk).update(name=name, query=query)
        found.refresh_from_db()
        return found
    if saved_views_for(actor).count() >= MAX_VIEWS:
        raise ConflictError(_("You have %d views; delete one first.") % MAX_VIEWS)
    return SavedView.objects.create(owner=actor, name=name, query=query)


@transaction.atomic
def delete_view(actor: User, *, view_id: UUID) -> None:
    """Forget one of one's own views. Raises NotFoundError."""
    if not saved_views_for(actor).filter(pk=view_id).delete()[0]:
        raise NotFoundError
