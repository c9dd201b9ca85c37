"""Waivers as people ask for them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from apps.policies.rules.waivers import MAX_DAYS, MAX_TIMES, WaiverScope

SCOPES = {
    WaiverScope.AGENT: gettext_lazy("An agent"),
    WaiverScope.OPERATION: gettext_lazy("An operation"),
    WaiverScope.UNIT: gettext_lazy("A unit, with all below it"),
    WaiverScope.WORKFLOW: gettext_lazy("A workflow"),
}


class WaiverForm(forms.Form):
    """``rules``: the rules of the policy that can be lifted."""

    rule = forms.ChoiceField(label=gettext_lazy("The rule that should have no say"))
    scope = forms.ChoiceField(label=gettext_lazy("For what"), choices=list(SCOPES.items()))
    target = forms.CharField(label=gettext_lazy("Its short name"), max_length=120)
    days = forms.IntegerField(
        label=gettext_lazy("For how many days"),
        min_value=1,
        max_value=MAX_DAYS,
        initial=7,
        help_text=gettext_lazy("From its approval on, at most 30."),
    )
    times = forms.IntegerField(label=gettext_lazy("How often at most"), min_value=1, max_value=MAX_TIMES, initial=1)
    reason = forms.CharField(
        label=gettext_lazy("Why"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("Who approves it reads this."),
    )
    anyway = forms.BooleanField(
        label=gettext_lazy("Ask for it all the same: a rule that lets it through is to follow"), required=False
    )

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, rules: Sequence[str], initial: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(data, initial=dict(initial or {}))
        self.fields["rule"].choices = [(slug, slug) for slug in rules]  # type: ignore[attr-defined]
        self._anyway = self.fields["anyway"]
        if "anyway" not in (data or {}):
            del self.fields["anyway"]  # nobody asked yet whether it is meant

    def is_meant(self, doubt: str) -> bool:
        """Whether it is asked for whatever ``doubt`` there is; else this is said, and may be answered."""
        if not doubt or self.cleaned_data.pop("anyway", False):
            return True
        self.fields["anyway"] = self._anyway
        self.add_error("anyway", doubt)
        return False

    def refuse(self, errors: Mapping[str, Iterable[str]]) -> None:
        """Put what the service refused beside its field."""
        for name, texts in errors.items():
            for text in texts:
                self.add_error(name if name in self.fields else None, text)


class WaiverAnswerForm(forms.Form):
    """Why a waiver is declined or ended."""

    reason = forms.CharField(label=gettext_lazy("Why"), max_length=500, required=False)
