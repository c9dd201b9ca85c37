"""Commands on units, which form a tree."""

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import HOURLY_RATE_MINOR, BusinessUnit, Calendar
from apps.access.selectors import ancestors_for, left_by_moving
from apps.access.services.moves import LOWER, hold_tree, require_two_to_move
from apps.access.services.seconds import require_two_by_name
from apps.access.services.units import require_manager, write_if_changed
from apps.core.errors import ConflictError, InvalidError
from apps.core.models import User

ACCESS = "access.manage_access"


@transaction.atomic
def save_unit(
    actor: User,
    *,
    slug: str,
    name: str,
    parent: BusinessUnit | None = None,
    timezone: str = "UTC",
    currency: str = "EUR",
    calendar: Calendar | None = None,
    hourly_rate_minor: int = HOURLY_RATE_MINOR,
    is_reviewed: bool = False,
    agreed_by: User | None = None,
) -> tuple[BusinessUnit, str]:
    """Make or change a unit; the unit and what happened to it. Refuses a parent below itself.

    Under another parent it takes two where something that stands above would no longer hold for what is in it; another
    currency always does: whatever rule names none counts in it, now or later.
    ``is_reviewed``: a document says so, which counts as seen by two people; in production they are ``actor`` and
    ``agreed_by``.
    """
    hold_tree()
    found = BusinessUnit.objects.select_for_update(of=("self",), no_key=True).filter(slug=slug).first()
    require_manager(actor, found or parent)
    if found and found.parent_id != (parent.pk if parent else None):
        # What stands above a unit denies and decides for it: only those who manage both sides move it.
        require_manager(actor, found.parent)
        require_manager(actor, parent)
    if found and parent and found.pk in ancestors_for(None, parent.pk):
        raise InvalidError(errors={"parent": [_("A unit cannot be below itself.")]})
    if found and found.parent_id != (parent.pk if parent else None):
        _require_movable(actor, found, parent, is_reviewed=is_reviewed, agreed_by=agreed_by)
    if found and found.currency != currency:
        _require_two_for_currency(actor, found, is_reviewed=is_reviewed, agreed_by=agreed_by)
    unit = found or BusinessUnit(slug=slug)
    values = {
        "name": name,
        "parent": parent,
        "timezone": timezone,
        "currency": currency,
        "calendar": calendar,
        "hourly_rate_minor": hourly_rate_minor,
    }
    return unit, write_if_changed(actor, unit, is_new=found is None, values=values)


def _require_two_for_currency(actor: User, unit: BusinessUnit, *, is_reviewed: bool, agreed_by: User | None) -> None:
    """An amount in a rule is worth another one after it: 1,000 yen are no 1,000 euros."""
    if not is_reviewed:
        text = _(
            "It takes two people to give a unit another currency, which rules without one follow: apply it as a "
            "document that both of them agreed on."
        )
        raise ConflictError(text, code="second_person_required")
    rights = [(ACCESS, unit), (LOWER, unit)]
    require_two_by_name(actor, unit, second=agreed_by, rights=rights, at="currency")


def _require_movable(
    actor: User, unit: BusinessUnit, to: BusinessUnit | None, *, is_reviewed: bool, agreed_by: User | None
) -> None:
    require_two_to_move(
        actor,
        unit,
        left_by_moving(actor, before=unit.parent, after=to, unit=unit.slug),
        units=(unit.parent, to),
        perm=ACCESS,
        how=_("It takes two people to move this unit: apply it as a document that both of them agreed on."),
        is_reviewed=is_reviewed,
        agreed_by=agreed_by,
        at="parent",
    )
