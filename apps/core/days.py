"""Days as people type them, in the forms of any app."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, override

from django import forms
from django.utils.translation import gettext as _


class LastDayField(forms.DateField):
    """A last day as people type it; its end as an instant, None where none was typed."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"widget": forms.DateInput({"type": "date"}, format="%Y-%m-%d"), **kwargs})

    @override
    def clean(self, value: Any) -> datetime | None:
        """The end of that day. Raises ValidationError for a day that is over, or that no instant ends."""
        day: date | None = super().clean(value)
        if day is None:
            return None
        if day == date.max:
            raise forms.ValidationError(_("This day is too far away."))
        end = datetime.combine(day, time.min, tzinfo=UTC) + timedelta(days=1)
        if end <= datetime.now(UTC):
            raise forms.ValidationError(_("This day is over."))
        return end
