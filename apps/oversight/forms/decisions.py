"""A decision, a comment."""

from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.oversight.rules import MAX_COMMENT, MAX_REASON, REASON_NEEDED, VoteVerdict
from apps.oversight.selectors.words import REASONS

RETRY = (
    ("after_change", _("Yes, if it changes something")),
    ("in_a_day", _("Yes, from tomorrow")),
    ("never", _("No, never this")),
)


class DecisionForm(forms.Form):
    """What a person says of an item. ``version`` and ``view_hash`` tell which state of it they saw."""

    verdict = forms.ChoiceField(
        choices=[(verdict.value, verdict.name) for verdict in VoteVerdict], widget=forms.HiddenInput
    )
    version = forms.IntegerField(min_value=1, widget=forms.HiddenInput)
    view_hash = forms.CharField(max_length=71, required=False, widget=forms.HiddenInput)
    reason = forms.CharField(max_length=MAX_REASON, required=False, label=_("Reason"))
    reason_code = forms.ChoiceField(choices=REASONS, required=False, label=_("Why"))
    retry = forms.ChoiceField(choices=RETRY, required=False, label=_("May it try again?"))
    restated = forms.CharField(max_length=300, required=False, label=_("Repeat the value"))
    edit = forms.BooleanField(required=False)
    confirmed = forms.CharField(max_length=71, required=False, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        """A rejection or a request for changes says why, in words or by a preset."""
        cleaned = super().clean() or {}
        if cleaned.get("retry") == "in_a_day":
            cleaned["retry"] = f"after:{(timezone.now() + timedelta(days=1)).isoformat()}"
        told = cleaned.get("reason", "").strip() or cleaned.get("reason_code", "") not in {"", "other"}
        if cleaned.get("verdict") in REASON_NEEDED and not told:
            self.add_error("reason", _("Give a reason: the agent learns from it."))
        return cleaned


class CommentForm(forms.Form):
    """A word below an item."""

    ask = forms.BooleanField(required=False, widget=forms.HiddenInput)
    text = forms.CharField(max_length=MAX_COMMENT, label=_("Comment"), widget=forms.Textarea(attrs={"rows": 2}))
