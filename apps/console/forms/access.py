"""Giving and taking roles."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.access.models import BusinessUnit, Role
from apps.core.days import LastDayField


class GrantRoleForm(forms.Form):
    """A role for a person, in a unit, until a day."""

    role = forms.ModelChoiceField(Role.objects.none(), label=_("Role"), to_field_name="slug")
    unit = forms.ModelChoiceField(
        BusinessUnit.objects.none(), label=_("Unit"), to_field_name="slug", required=False, empty_label=_("Everywhere")
    )
    until = LastDayField(
        label=_("Until"),
        required=False,
        help_text=_("The last day. Empty: without end."),
    )

    def __init__(self, *args: Any, roles: Any, units: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].queryset = roles  # type: ignore[attr-defined] # a model choice field
        self.fields["unit"].queryset = units  # type: ignore[attr-defined] # as above


class RevokeRoleForm(forms.Form):
    """Why a role is taken away."""

    reason = forms.CharField(label=_("Why"), max_length=500, error_messages={"required": _("Say why.")})
