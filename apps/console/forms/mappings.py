"""Which group of a directory holds which role in which unit."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.access.models import BusinessUnit, Role


class GroupMappingForm(forms.Form):
    """A group by its name in the directory, a role, a unit. ``everywhere``: whether a mapping may name no unit."""

    group = forms.CharField(
        label=_("Group"),
        max_length=200,
        help_text=_("Its name in the directory, letter by letter."),
        widget=forms.TextInput(attrs={"list": "known-groups", "autocomplete": "off"}),
    )
    role = forms.ModelChoiceField(Role.objects.none(), label=_("Role"), to_field_name="slug")
    unit = forms.ModelChoiceField(
        BusinessUnit.objects.none(),
        label=_("Unit"),
        to_field_name="slug",
        help_text=_("And every unit below it."),
    )

    def __init__(self, *args: Any, roles: Any, units: Any, everywhere: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].queryset = roles  # type: ignore[attr-defined] # a model choice field
        unit: Any = self.fields["unit"]
        unit.queryset = units
        if everywhere:
            unit.required, unit.empty_label = False, _("Everywhere")
