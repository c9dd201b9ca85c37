"""Days as people type them."""

from datetime import UTC, date, datetime, time, timedelta

from django import forms
from django.utils.translation import gettext as _


def end_of(day: date | None) -> datetime | None:
    """The end of a last day, as an instant; None for no end. Raises ValidationError for a day that is over."""
    if day is None:
        return None
    if day == date.max:
        raise forms.ValidationError(_("This day is too far away."))
    end = datetime.combine(day, time.min, tzinfo=UTC) + timedelta(days=1)
    if end <= datetime.now(UTC):
        raise forms.ValidationError(_("This day is over."))
    return end
