"""What a person may type on a policy's page."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _


class PublishForm(forms.Form):
    """Which version comes into force, and what the person saw: its digest, the version that it replaces."""

    version = forms.IntegerField(min_value=1, widget=forms.HiddenInput)
    digest = forms.CharField(max_length=71, required=False, widget=forms.HiddenInput)
    instead_of = forms.IntegerField(min_value=0, required=False, widget=forms.HiddenInput)


class DeclineForm(forms.Form):
    """Why a proposal is not released."""

    proposal = forms.UUIDField(widget=forms.HiddenInput)
    reason = forms.CharField(label=_("Reason"), max_length=500, required=False)


class RetireForm(forms.Form):
    """Why a policy goes out of force."""

    reason = forms.CharField(label=_("Reason"), max_length=500, help_text=_("Who releases it reads this."))


class RollBackForm(RetireForm):
    """Which earlier version should hold again, and why."""

    version = forms.IntegerField(min_value=1, widget=forms.HiddenInput)


class VersionForm(forms.Form):
    """Which version to look at."""

    version = forms.IntegerField(min_value=1, required=False)


class DiffForm(forms.Form):
    """Which two versions to compare; left out, the latest with the one before."""

    def __init__(self, *args: Any, numbers: Sequence[int], **kwargs: Any) -> None:
        """``numbers``: the versions that there are, newest first."""
        super().__init__(*args, **kwargs)
        choices = [(number, _("Version %d") % number) for number in numbers]
        for name, label in (("from", _("From")), ("to", _("To"))):
            self.fields[name] = forms.TypedChoiceField(label=label, choices=choices, coerce=int, required=False)
