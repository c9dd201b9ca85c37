"""What a body names: the object, or the error beside its field."""

from apps.access.models import BusinessUnit, Calendar, Role
from apps.access.selectors import unit_for
from apps.core.errors import InvalidError, NotFoundError
from apps.core.models import User


def role_named(slug: str) -> Role:
    """The role. Raises InvalidError."""
    if found := Role.objects.filter(slug=slug).first():
        return found
    raise InvalidError(errors={"role": [f"There is no role {slug}."]})


def unit_named(actor: User, slug: str | None, field: str = "unit") -> BusinessUnit | None:
    """The unit, where one is named and ``actor`` manages it. Raises InvalidError."""
    if slug is None:
        return None
    try:
        return unit_for(actor, slug)
    except NotFoundError as error:
        raise InvalidError(errors={field: [f"There is no unit {slug}."]}) from error


def calendar_named(slug: str | None) -> Calendar | None:
    """The calendar, where one is named. Raises InvalidError."""
    if slug is None:
        return None
    if found := Calendar.objects.filter(slug=slug).first():
        return found
    raise InvalidError(errors={"calendar": [f"There is no calendar {slug}."]})
