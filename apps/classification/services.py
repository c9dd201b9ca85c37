"""Commands on classes of data."""

from collections.abc import Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import Role
from apps.access.rules import is_permission
from apps.access.services import require_manager
from apps.access.services.units import write_if_changed
from apps.audit.services import record
from apps.classification.models import DataClass
from apps.classification.rules import MAX_RETENTION_DAYS, SLUG, Place, Sensitivity
from apps.classification.selectors import MANAGE
from apps.core.errors import InvalidError
from apps.core.models import User

NAME_MAX, PURPOSE_MAX = 120, 500


@transaction.atomic
def save_data_class(
    actor: User,
    *,
    slug: str,
    name: str,
    sensitivity: str,
    purpose: str = "",
    retention_days: int | None = None,
    visible_to: Sequence[str] = (),
    redact_in: Sequence[str] = tuple(Place),
) -> tuple[DataClass, str]:
    """Make or change a class; it and ``created``, ``changed`` or ``unchanged``. It acts on the next request.

    ``visible_to``: names of permissions and slugs of roles. Classes hold everywhere, so only who manages access
    everywhere may. Raises InvalidError.
    """
    require_manager(actor, None, MANAGE)
    roles = set(Role.objects.filter(slug__in=visible_to).values_list("slug", flat=True))
    unknown = [each for each in visible_to if not (is_permission(each) or each in roles)]
    checks = {
        "slug": "" if SLUG.fullmatch(slug) else _("Small letters, digits, “-” and “_”, at most 63."),
        "name": "" if 1 <= len(name.strip()) <= NAME_MAX else _("From 1 to 120 characters."),
        "purpose": "" if len(purpose) <= PURPOSE_MAX else _("At most %d characters.") % PURPOSE_MAX,
        "sensitivity": "" if sensitivity in set(Sensitivity) else _("One of: %s.") % ", ".join(Sensitivity),
        "retention_days": ""
        if retention_days is None or 1 <= retention_days <= MAX_RETENTION_DAYS
        else _("From 1 to %d days.") % MAX_RETENTION_DAYS,
        "visible_to": _("There is no permission and no role %s.") % ", ".join(unknown) if unknown else "",
        "redact_in": "" if set(redact_in) <= set(Place) else _("Any of: %s.") % ", ".join(Place),
    }
    if errors := {field: [problem] for field, problem in checks.items() if problem}:
        raise InvalidError(errors=errors)
    found = DataClass.objects.select_for_update(no_key=True).filter(slug=slug).first()
    values = {
        "name": name.strip(),
        "purpose": purpose.strip(),
        "sensitivity": sensitivity,
        "retention_days": retention_days,
        "visible_to": sorted(set(visible_to)),
        "redact_in": [str(place) for place in Place if place in redact_in],
    }
    row = found or DataClass(slug=slug)
    return row, write_if_changed(actor, row, is_new=found is None, values=values)


@transaction.atomic
def remove_data_class(actor: User, *, data_class: DataClass) -> DataClass:
    """Remove a class. The caller answers for its not being in use: what still carries it is hidden from everybody."""
    require_manager(actor, None, MANAGE)
    record(actor, data_class, "removed", payload={"slug": data_class.slug})
    DataClass.objects.filter(pk=data_class.pk).delete()
    return data_class
