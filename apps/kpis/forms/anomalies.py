"""What a person types to be told no more of something unusual."""

from django import forms
from django.utils.translation import gettext_lazy as _


class MuteForm(forms.Form):
    """Until when, and why."""

    until = forms.DateField(label=_("Until"), widget=forms.DateInput(attrs={"type": "date"}))
    reason = forms.CharField(label=_("Why"), max_length=500, widget=forms.Textarea(attrs={"rows": 2}))
