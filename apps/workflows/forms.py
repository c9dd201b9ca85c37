"""What people may type about runs and workflows."""

from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _


class ReasonForm(forms.Form):
    """Why somebody intervenes."""

    reason = forms.CharField(label=_("Reason"), max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))


class CancelForm(ReasonForm):
    """Why a run is ended, and whether what it did is taken back."""

    compensate = forms.BooleanField(label=_("Take back what was done"), required=False, initial=True)


class RollbackForm(ReasonForm):
    """Which version goes back in force, and why."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1)


class RetryForm(ReasonForm):
    """Which runs begin anew, as they were shown, and why."""

    runs = forms.CharField(widget=forms.HiddenInput)

    def clean_runs(self) -> list[UUID]:
        """Their ids."""
        try:
            return [UUID(one) for one in self.cleaned_data["runs"].split(",")]
        except ValueError as error:
            raise forms.ValidationError(_("These are no runs.")) from error
