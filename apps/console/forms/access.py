"""Giving and taking roles."""

import re
from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

from apps.access.models import BusinessUnit, Role
from apps.core.days import LastDayField

USERNAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._@+-]*\Z")
"""Names that an address of a page can hold and that look like no other: no letters of other alphabets."""


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


class PersonForm(forms.Form):
    """What somebody is called, and where mail for them goes."""

    name = forms.CharField(label=_("Name"), max_length=120, help_text=_("As colleagues know them."))
    email = forms.EmailField(
        label=_("E-mail"), help_text=_("Their own: by it they set a password, and single sign-on finds them.")
    )


class NewPersonForm(PersonForm):
    """Somebody who is new here, and perhaps their first role."""

    username = forms.CharField(
        label=_("User name"),
        max_length=150,
        validators=[RegexValidator(USERNAME, _("Letters, digits and . _ @ + -, beginning with a letter or a digit."))],
        help_text=_("It stays. Rules, documents and the ledger name them by it."),
    )
    role = forms.ModelChoiceField(
        Role.objects.none(), label=_("Role"), to_field_name="slug", required=False, empty_label=_("None yet")
    )
    unit = forms.ModelChoiceField(
        BusinessUnit.objects.none(), label=_("Unit"), to_field_name="slug", required=False, empty_label=_("Everywhere")
    )
    until = LastDayField(label=_("Until"), required=False, help_text=_("The role's last day. Empty: without end."))
    field_order = ("name", "email", "username", "role", "unit", "until")

    def __init__(self, *args: Any, roles: Any, units: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].queryset = roles  # type: ignore[attr-defined] # a model choice field
        self.fields["unit"].queryset = units  # type: ignore[attr-defined] # as above

    def clean(self) -> dict[str, Any]:
        """Where and until when is said of a role alone."""
        said = self.cleaned_data
        if said.get("role") is None and "role" in said and (said.get("unit") or said.get("until")):
            self.add_error("role", _("Choose the role that they hold there, or leave the unit and the day empty."))
        return said


class RevokeRoleForm(forms.Form):
    """Why a role is taken away."""

    reason = forms.CharField(label=_("Why"), max_length=500, error_messages={"required": _("Say why.")})
