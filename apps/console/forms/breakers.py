"""Breakers as people type them."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from apps.core.rules import MAX_INTEGER
from apps.halts.models import Breaker
from apps.halts.rules import MAX_WINDOW_S, BreakerKind, BreakerTerms, HaltScope

KINDS = {
    BreakerKind.DENIED: gettext_lazy("Denied actions"),
    BreakerKind.REJECTED: gettext_lazy("Rejected actions"),
    BreakerKind.FAILED: gettext_lazy("Failed actions, and unknown ones"),
    BreakerKind.MISMATCH: gettext_lazy("What systems show otherwise than it was done"),
    BreakerKind.VOLUME: gettext_lazy("Times the usual most"),
    BreakerKind.SPEND: gettext_lazy("Money, in minor units"),
}
SCOPES = {
    HaltScope.AGENT: gettext_lazy("An agent"),
    HaltScope.VERSION: gettext_lazy("A version of an agent"),
    HaltScope.CONNECTOR: gettext_lazy("A system"),
}


class BreakerForm(forms.Form):
    """``breaker``: the one that is changed, which keeps its short name."""

    slug = forms.SlugField(label=gettext_lazy("Short name"), max_length=63)
    name = forms.CharField(label=gettext_lazy("Name"), max_length=120)
    kind = forms.ChoiceField(label=gettext_lazy("What is counted"), choices=list(KINDS.items()))
    scope = forms.ChoiceField(label=gettext_lazy("What is stopped"), choices=list(SCOPES.items()))
    target = forms.CharField(
        label=gettext_lazy("Its short name"),
        max_length=120,
        required=False,
        help_text=gettext_lazy("Empty: each by itself. A version is agent@number."),
    )
    threshold = forms.IntegerField(label=gettext_lazy("Opens from"), min_value=1, max_value=MAX_INTEGER)
    window_s = forms.IntegerField(label=gettext_lazy("Within seconds"), min_value=1, max_value=MAX_WINDOW_S)
    currency = forms.CharField(
        label=gettext_lazy("Currency"), max_length=3, required=False, help_text=gettext_lazy("Of money, such as EUR.")
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, breaker: Breaker | None = None) -> None:
        names = ("name", "kind", "scope", "target", "threshold", "window_s", "currency")
        super().__init__(data, initial={name: getattr(breaker, name) for name in names} if breaker else None)
        if breaker is not None:
            del self.fields["slug"]

    def terms(self) -> BreakerTerms:
        """What was typed."""
        return BreakerTerms(**{name: self.cleaned_data[name] for name in BreakerTerms.__dataclass_fields__})

    def refuse(self, errors: Mapping[str, Iterable[str]]) -> None:
        """Put what the service refused beside its field."""
        for name, texts in errors.items():
            for text in texts:
                self.add_error(name if name in self.fields else None, text)
