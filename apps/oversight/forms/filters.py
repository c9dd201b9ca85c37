"""The filters of the inbox; all of them live in the address."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.core.rules import Risk
from apps.oversight.rules import Kind

VIEWS = (("mine", _("Mine")), ("team", _("Team")), ("decided", _("Decided")))
RISKS = (
    ("", _("Any risk")),
    (Risk.CRITICAL.value, _("Critical")),
    (Risk.HIGH.value, _("High")),
    (Risk.MEDIUM.value, _("Medium")),
    (Risk.LOW.value, _("Low")),
)
KINDS = (
    ("", _("Any kind")),
    (Kind.ACTION.value, _("Actions")),
    (Kind.APPROVAL.value, _("Approval steps")),
    (Kind.FORM.value, _("Forms")),
    (Kind.QUESTION.value, _("Questions")),
    (Kind.EXCEPTION.value, _("Exceptions")),
    (Kind.UNKNOWN.value, _("What happened?")),
    (Kind.REVIEW.value, _("Reviews")),
)


class InboxFilter(forms.Form):
    """Views and filters; what does not fit is ignored, so that an old link still opens."""

    view = forms.ChoiceField(choices=VIEWS, required=False)
    q = forms.CharField(
        max_length=120, required=False, label=_("Search"),
        widget=forms.TextInput(attrs={"type": "search", "placeholder": _("Filter"), "data-key": "/"}),
    )  # fmt: skip
    risk = forms.ChoiceField(
        choices=RISKS, required=False, label=_("Risk"), widget=forms.Select(attrs={"data-submit-on-change": True})
    )
    kind = forms.ChoiceField(
        choices=KINDS, required=False, label=_("Kind"), widget=forms.Select(attrs={"data-submit-on-change": True})
    )
    agent = forms.SlugField(required=False, widget=forms.HiddenInput)
    workflow = forms.SlugField(required=False, widget=forms.HiddenInput)

    @property
    def wanted(self) -> dict[str, Any]:
        """What was asked for and fits; ``view`` is always there."""
        self.is_valid()
        found = {name: value for name, value in self.cleaned_data.items() if value}
        return {"view": "mine", **found}

    @property
    def is_filtered(self) -> bool:
        """Whether anything but the view narrows the list."""
        return bool(self.wanted.keys() - {"view"})
