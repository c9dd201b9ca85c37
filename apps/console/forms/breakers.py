"""Breakers as people type them."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.console.forms.suggesting import SuggestingField, suggest
from apps.core.amounts import exponent_of
from apps.core.rules import MAX_INTEGER
from apps.halts.models import Breaker
from apps.halts.rules import MAX_REASON, MAX_WINDOW_S, BreakerKind, BreakerTerms, DenialCause, FailureCause, HaltScope

KINDS = {
    BreakerKind.DENIED: gettext_lazy("Denied actions"),
    BreakerKind.REJECTED: gettext_lazy("Rejected actions"),
    BreakerKind.FAILED: gettext_lazy("Failed actions, and unknown ones"),
    BreakerKind.MISMATCH: gettext_lazy("What systems show otherwise than it was done"),
    BreakerKind.VOLUME: gettext_lazy("Times the usual most"),
    BreakerKind.SPEND: gettext_lazy("Money"),
}
SCOPES = {
    HaltScope.AGENT: gettext_lazy("An agent"),
    HaltScope.VERSION: gettext_lazy("A version of an agent"),
    HaltScope.CONNECTOR: gettext_lazy("A system"),
}


class BreakerForm(forms.Form):
    """``breaker``: the one that is changed, which keeps its short name."""

    slug = forms.SlugField(
        label=gettext_lazy("Short name"),
        max_length=63,
        error_messages={"invalid": gettext_lazy("Small letters, digits and dashes only, such as bank-fails.")},
    )
    name = forms.CharField(label=gettext_lazy("Name"), max_length=120)
    kind = forms.ChoiceField(label=gettext_lazy("What is counted"), choices=list(KINDS.items()))
    scope = forms.ChoiceField(label=gettext_lazy("What is stopped"), choices=list(SCOPES.items()))
    target = SuggestingField(
        label=gettext_lazy("Its short name"),
        max_length=120,
        required=False,
        help_text=gettext_lazy("Empty: each by itself. A version is agent@number."),
    )
    cause = forms.CharField(
        label=gettext_lazy("Only by the cause"),
        max_length=130,
        required=False,
        help_text=gettext_lazy(
            "Empty: whatever the cause. Of denied ones a rule as policy/rule, or %(denied)s. Of failed ones %(failed)s."
        ),
    )
    threshold = forms.DecimalField(
        label=gettext_lazy("Opens from"),
        max_value=MAX_INTEGER,
        help_text=gettext_lazy("How many; of money in whole currency, such as 5000.00."),
    )
    window_s = forms.IntegerField(label=gettext_lazy("Within seconds"), min_value=1, max_value=MAX_WINDOW_S)
    currency = forms.CharField(
        label=gettext_lazy("Currency"), max_length=3, required=False, help_text=gettext_lazy("Of money, such as EUR.")
    )
    reason = forms.CharField(
        label=gettext_lazy("Why"),
        max_length=MAX_REASON,
        required=False,
        help_text=gettext_lazy("Needed where it might stop less than now: whoever releases it reads this."),
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        breaker: Breaker | None = None,
        targets: Iterable[tuple[str, str]] = (),
    ) -> None:
        super().__init__(data, initial=_of(breaker) if breaker else None)
        suggest(self, "target", targets)
        words = {"denied": ", ".join(DenialCause), "failed": ", ".join(FailureCause)}
        self.fields["cause"].help_text = str(self.fields["cause"].help_text) % words
        del self.fields["reason" if breaker is None else "slug"]

    def clean(self) -> dict[str, Any]:
        """No more digits than the currency has; counts are whole."""
        said = self.cleaned_data
        if "threshold" in said and said["threshold"].scaleb(self._exponent) % 1:
            text = _("It has more digits than the currency.") if self._exponent else _("A whole number.")
            self.add_error("threshold", text)
        return said

    @property
    def _exponent(self) -> int:
        is_money = self.cleaned_data.get("kind") == BreakerKind.SPEND
        return exponent_of(self.cleaned_data.get("currency", "")) if is_money else 0

    def terms(self) -> BreakerTerms:
        """What was typed; money in minor units."""
        said = {name: self.cleaned_data[name] for name in BreakerTerms.__dataclass_fields__}
        return BreakerTerms(**{**said, "threshold": int(said["threshold"].scaleb(self._exponent))})

    def refuse(self, errors: Mapping[str, Iterable[str]]) -> None:
        """Put what the service refused beside its field."""
        for name, texts in errors.items():
            for text in texts:
                self.add_error(name if name in self.fields else None, text)


def _of(breaker: Breaker) -> dict[str, Any]:
    names = ("name", "kind", "scope", "target", "window_s", "currency", "cause")
    exponent = exponent_of(breaker.currency) if breaker.kind == BreakerKind.SPEND else 0
    return {
        **{name: getattr(breaker, name) for name in names},
        "threshold": Decimal(breaker.threshold).scaleb(-exponent),
    }
