"""Being away."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.core.days import LastDayField
from apps.core.models import User


class AbsenceForm(forms.Form):
    """From the first to the last day, and who decides meanwhile."""

    first = forms.DateField(label=_("First day"), widget=forms.DateInput({"type": "date"}))
    last = LastDayField(label=_("Last day"))
    delegate = forms.ModelChoiceField(
        User.objects.none(),
        label=_("Who decides meanwhile"),
        to_field_name="username",
        required=False,
        empty_label=_("Nobody"),
    )

    def __init__(self, *args: Any, delegates: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["delegate"].queryset = delegates  # type: ignore[attr-defined] # a model choice field
