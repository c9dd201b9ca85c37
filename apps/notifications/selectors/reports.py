"""Who gets the weekly report by mail."""

from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.core.errors import InvalidError
from apps.core.gate import holds, visible
from apps.core.models import User
from apps.notifications.models import ReportSubscription

VIEW_KPI = "kpis.view_kpi"


def subscription_for(actor: User) -> ReportSubscription | None:
    """What ``actor`` chose last, be it on or off; None of who never chose."""
    return ReportSubscription.objects.select_related("unit").filter(user=actor).first()


def reported_unit_for(actor: User, slug: str | None) -> BusinessUnit | None:
    """A unit of which ``actor`` sees figures; None for all that they see. Raises InvalidError for any other."""
    if slug is None:
        return None
    found: BusinessUnit | None = visible(actor, VIEW_KPI, BusinessUnit.objects.filter(slug=slug)).first()
    if found is None:
        raise InvalidError(errors={"unit": [_("There is no such unit of which you see figures.")]})
    return found


def may_have_report(wanted: ReportSubscription) -> bool:
    """Whether the person still wants it, and may see the figures that it is about now."""
    if not (wanted.is_on and wanted.user.is_active) or wanted.is_of_removed_unit:
        return False
    return holds(wanted.user, VIEW_KPI, wanted.unit)
