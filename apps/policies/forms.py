"""What a person may type on a policy's page."""

from django import forms
from django.utils.translation import gettext_lazy as _


class PublishForm(forms.Form):
    """Which version comes into force: the number that the person saw."""

    version = forms.IntegerField(min_value=1, widget=forms.HiddenInput)


class RetireForm(forms.Form):
    """Why a policy goes out of force."""

    reason = forms.CharField(label=_("Reason"), max_length=500)


class VersionForm(forms.Form):
    """Which version to look at."""

    version = forms.IntegerField(min_value=1, required=False)
