"""The only questions about permission: what may this actor see, and may they do this.

Three sources: role grants within a unit (resolved down the tree by ``settings.GATE_SCOPES``), direct grants on one
object (guardian), and nothing else. Inactive actors hold nothing; nobody is a superuser.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db.models import BooleanField, Model, Q, QuerySet
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from guardian.utils import get_user_obj_perms_model

from apps.core.errors import NotAllowedError
from apps.core.models import ClockTimestamp, ObjectGrant, User
from apps.core.prepared import Slot


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an actor holds a permission: everywhere, or in these units (children already included)."""

    everywhere: bool
    units: frozenset[UUID]


NOWHERE = Scope(everywhere=False, units=frozenset())


def carries(actor: User, perm: str) -> bool:
    """Whether ``actor`` asks with what ``perm`` comes with: a token may carry only some of its holder's rights."""
    carried: frozenset[str] | None = getattr(actor, "carries", None)
    return actor.is_active and (carried is None or perm in carried)


def scope_for(actor: User, perm: str) -> Scope:
    """The units in which ``actor`` holds ``perm`` by role."""
    if not carries(actor, perm):
        return NOWHERE
    ask = cast("Callable[[User, str], Scope]", import_string(settings.GATE_SCOPES))
    return recall(actor, perm, lambda: ask(actor, perm))


def remember(actor: User) -> None:
    """Ask for each of ``actor``'s rights once from now on.

    Only for a request that reads: a right lost meanwhile shows at the next one; what writes always asks anew.
    """
    actor.rights_remembered = {}  # type: ignore[attr-defined] # an instance lives as long as its request


@contextmanager
def remembering(actor: User) -> Iterator[None]:
    """Ask for each of ``actor``'s rights once within: around the parts of a writing request that only read.

    And around what one short transaction decides about several rows, none of which can be later than the others.
    """
    before = getattr(actor, "rights_remembered", None)
    actor.rights_remembered = {} if before is None else before  # type: ignore[attr-defined] # as above
    try:
        yield
    finally:
        actor.rights_remembered = before  # type: ignore[attr-defined] # as above


def ask_anew(actor: User) -> None:
    """Forget what was remembered of ``actor``: what is asked from now on was not asked before something was locked."""
    if getattr(actor, "rights_remembered", None) is not None:
        actor.rights_remembered = {}  # type: ignore[attr-defined] # as above


def recall[T](actor: User, right: str, ask: Callable[[], T]) -> T:
    """The answer of ``ask``, given once per request where ``actor`` is remembered."""
    known: dict[str, T] | None = getattr(actor, "rights_remembered", None)
    if known is None:
        return ask()
    if right not in known:
        known[right] = ask()
    return known[right]


def visible[M: Model](actor: User, perm: str, rows: QuerySet[M]) -> QuerySet[M]:
    """Keep the rows on which ``actor`` holds ``perm``: by role in the row's unit, or on the object itself."""
    scope = scope_for(actor, perm)
    if scope.everywhere:
        return rows
    if not carries(actor, perm):
        return rows.none()
    unit = getattr(rows.model, "UNIT", None)
    allowed = Q(pk__in=_granted(actor, perm, rows.model))
    if unit is not None and scope.units:
        path = "pk" if unit == "" else unit
        allowed |= Q(**{f"{path}__in": scope.units})
    return rows.filter(allowed)


def visible_when_read[M: Model](perm: str, rows: QuerySet[M], *, slots: str = "") -> QuerySet[M]:
    """``visible`` for a prepared read, whoever asks: its values are ``reader(actor, perm)``.

    ``slots``: what their names begin with, where a read asks for two permissions.
    """
    everywhere, who = Slot(f"{slots}everywhere", BooleanField()), Slot(f"{slots}reader")
    allowed = Q(everywhere) | Q(pk__in=_granted(who, perm, rows.model))
    unit = getattr(rows.model, "UNIT", None)
    if unit is not None:
        allowed |= Q(**{f"{unit}__pk__any_of" if unit else "pk__any_of": Slot(f"{slots}units")})
    return rows.filter(allowed)


def reader(actor: User, perm: str) -> dict[str, Any]:
    """What ``visible_when_read`` has to know of who asks."""
    scope = scope_for(actor, perm)
    return {
        "everywhere": scope.everywhere,
        "units": list(scope.units),
        "reader": actor.pk if carries(actor, perm) else None,
    }


def _granted(actor: "User | Slot", perm: str, model: type[Model]) -> "QuerySet[Model] | list[UUID]":
    """Keys of the objects granted directly and in time. Typed grant tables only: they join without casts."""
    grants: Any = get_user_obj_perms_model(model)  # type: ignore[arg-type] # guardian takes the class as well
    if grants.objects.is_generic():
        return []
    app, codename = perm.split(".", 1)
    return cast(
        "QuerySet[Model]",
        grants.objects.filter(user=actor, permission__content_type__app_label=app, permission__codename=codename)
        .filter(Q(until=None) | Q(until__gt=ClockTimestamp()))
        .values("content_object_id"),
    )


def has_direct_grants(actor: User) -> bool:
    """Whether ``actor`` was granted anything on a single object, ended or not."""
    return any(model._default_manager.filter(user=actor).exists() for model in ObjectGrant.__subclasses__())


def holds(actor: User, perm: str, row: Model | None = None) -> bool:
    """Whether ``actor`` holds ``perm``: on ``row``, or anywhere at all when no row is given."""
    if row is None:
        scope = scope_for(actor, perm)
        return scope.everywhere or bool(scope.units)
    return visible(actor, perm, type(row)._default_manager.filter(pk=row.pk)).exists()


def require(actor: User, perm: str, row: Model | None = None) -> None:
    """Raise NotAllowedError unless ``actor`` holds ``perm`` on ``row`` (anywhere, when no row is given)."""
    if not holds(actor, perm, row):
        raise NotAllowedError


def require_human(actor: User) -> None:
    """Raise NotAllowedError for agents and systems: some acts are people's alone, whatever was granted."""
    if not (actor.is_human and actor.is_active):
        raise NotAllowedError


def refuse_limited(actor: User) -> None:
    """Raise NotAllowedError for a token with only some rights: what people set up for themselves is none of them."""
    if getattr(actor, "carries", None) is not None:
        raise NotAllowedError(_("This token carries only some of your rights."))


def require_carried(actor: User, perm: str) -> None:
    """Raise NotAllowedError for a token without ``perm``: for what follows from what its holder said by that right."""
    if not carries(actor, perm):
        raise NotAllowedError(_("This token does not carry the right that this takes."))


def refuse_emergency(user: User) -> None:
    """Raise NotAllowedError for an emergency account: no token, no role, no word to others, no other way in."""
    if user.is_emergency:
        raise NotAllowedError(_("An emergency account looks and stops; it does and gets nothing else."))


def refuse_agents(actor: User) -> None:
    """Raise NotAllowedError for agents: no agent commands governance, whatever it was granted."""
    if actor.is_agent or not actor.is_active:
        raise NotAllowedError


def refuse_people(actor: User) -> None:
    """Raise NotAllowedError for people: a session or a personal token at an agents' door is a mistake or an attack."""
    if not actor.is_agent:
        raise NotAllowedError(_("This door is for agents alone; use an agent's key."))
