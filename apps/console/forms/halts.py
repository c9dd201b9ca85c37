"""Stopping, letting go on, and practising it."""

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.halts.models import HaltDrill
from apps.halts.rules import HaltScope


class EngageForm(forms.Form):
    """What to stop, and why."""

    scope = forms.ChoiceField(
        label=_("What"), choices=[(scope.value, scope.value) for scope in HaltScope], widget=forms.HiddenInput
    )
    target = forms.CharField(label=_("Target"), max_length=120, required=False, widget=forms.HiddenInput)
    reason = forms.CharField(label=_("Why"), max_length=500, error_messages={"required": _("Say why.")})


class LiftForm(forms.Form):
    """Why it may go on."""

    reason = forms.CharField(label=_("Why may it go on?"), max_length=500, error_messages={"required": _("Say why.")})


class DrillForm(forms.Form):
    """What kind of halt to practise, and why."""

    scope = forms.ChoiceField(
        label=_("Kind of halt"),
        choices=HaltDrill._meta.get_field("scope").choices or (),
        help_text=_("What it names is made up for the drill."),
    )
    reason = forms.CharField(
        label=_("Why"),
        max_length=500,
        error_messages={"required": _("Say why.")},
        help_text=_("Such as: quarterly drill."),
    )
