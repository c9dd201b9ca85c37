"""Which classes there are, and which of them somebody may not see."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from django.db.models import QuerySet

from apps.access.selectors import role_scope_for
from apps.classification.models import DataClass
from apps.classification.rules import BY_RULE, Place, data_classes_in
from apps.core.errors import NotFoundError
from apps.core.gate import holds, recall, scope_for
from apps.core.models import User

MANAGE, READ = "access.manage_access", "audit.view_entry"


def data_classes_for(actor: User) -> QuerySet[DataClass]:
    """Every class by slug, for those who manage access or read the ledger."""
    rows = DataClass.objects.order_by("slug")
    return rows if holds(actor, READ) or holds(actor, MANAGE) else rows.none()


def data_class_for(actor: User, slug: str) -> DataClass:
    """One class. Raises NotFoundError."""
    if found := data_classes_for(actor).filter(slug=slug).first():
        return found
    raise NotFoundError


def known_classes() -> frozenset[str]:
    """The slugs that a schema may name."""
    return frozenset(DataClass.objects.values_list("slug", flat=True))


def hidden_for(actor: User | None, slugs: Iterable[str], *, unit: UUID | None, place: Place) -> frozenset[str]:
    """Which of these classes ``actor`` (None: whoever reads a channel) may not see at ``place`` of something in a unit.

    No query where there are none. What is no class any more is hidden. What a rule hides, it hides everywhere but from
    those who read the ledger of that unit.
    """
    names = frozenset(slugs)
    if names == {BY_RULE}:
        return names if actor is None or not _reads_ledger(actor, unit) else frozenset()
    if not names:
        return names
    known, classes = _known(actor), data_classes_in(names)
    hidden = {name for name in classes if name not in known or _is_hidden(actor, known[name], unit, place)}
    return frozenset(hidden) | hidden_for(actor, names - set(classes), unit=unit, place=place)


def _reads_ledger(actor: User, unit: UUID | None) -> bool:
    scope = scope_for(actor, READ)
    return scope.everywhere or unit in scope.units


def _known(actor: User | None) -> Mapping[str, DataClass]:
    def ask() -> dict[str, DataClass]:
        return {each.slug: each for each in DataClass.objects.all()}

    return ask() if actor is None else recall(actor, "classification.known", ask)


def _is_hidden(actor: User | None, found: DataClass, unit: UUID | None, place: Place) -> bool:
    if place not in found.redact_in:
        return False
    if actor is None:
        return True
    scopes = (scope_for(actor, name) if "." in name else role_scope_for(actor, name) for name in found.visible_to)
    return not any(scope.everywhere or unit in scope.units for scope in scopes)
