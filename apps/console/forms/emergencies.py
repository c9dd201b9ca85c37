"""Making an account for emergencies."""

from django import forms
from django.utils.translation import gettext_lazy as _


class EmergencyAccountForm(forms.Form):
    """What it is called; a name that exists gets a new credential."""

    username = forms.CharField(
        label=_("Name of the account"),
        max_length=150,
        help_text=_("Nobody's own name, such as “break-glass-1”. People type it from paper."),
    )
