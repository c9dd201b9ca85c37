"""Whether somebody wants the weekly report by mail, of what, and when."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.db.models import QuerySet
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.models import BusinessUnit


class ReportForm(forms.Form):
    """On or off, the unit, the day and the hour in one's own zone."""

    is_on = forms.BooleanField(label=gettext_lazy("Send it to me every week"), required=False)
    unit = forms.ModelChoiceField(
        BusinessUnit.objects.none(), label=gettext_lazy("Unit"), to_field_name="slug", required=False
    )
    weekday = forms.TypedChoiceField(label=gettext_lazy("Day"), coerce=int, choices=list(WEEKDAYS.items()))
    hour = forms.TypedChoiceField(
        label=gettext_lazy("Hour"), coerce=int, choices=[(hour, f"{hour:02}:00") for hour in range(24)]
    )
    timezone = forms.CharField(
        label=gettext_lazy("Time zone"), max_length=60, help_text=gettext_lazy("Such as Europe/Berlin.")
    )

    def __init__(self, *args: Any, units: QuerySet[BusinessUnit], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["unit"].queryset = units  # type: ignore[attr-defined] # a model choice field
        self.fields["unit"].empty_label = _("All units")  # type: ignore[attr-defined] # as above

    def clean_timezone(self) -> str:
        """A zone that there is."""
        zone: str = self.cleaned_data["timezone"]
        if zone not in available_timezones():
            raise forms.ValidationError(_("A zone such as Europe/Berlin."))
        return zone
