"""What a person types to say what a model costs."""

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext_lazy

from apps.kpis.models.clock import reporting_zone
from apps.kpis.rules.costs import TokenPrice

AMOUNTS = ("input_micro", "output_micro", "cache_read_micro", "cache_write_micro", "reasoning_micro")

AS_INPUT = gettext_lazy("Empty: what a token in costs.")


def _per_million(label: Any, **more: Any) -> forms.DecimalField:
    return forms.DecimalField(label=label, min_value=0, max_digits=14, decimal_places=6, **more)


class PriceForm(forms.Form):
    """Prices of a million tokens: as many whole units as millionths of a unit for one token."""

    model = forms.CharField(
        label=gettext_lazy("Model"), max_length=120, help_text=gettext_lazy("As agents report it, to the letter.")
    )
    valid_from = forms.DateField(
        label=gettext_lazy("For use from"),
        widget=forms.DateInput({"type": "date"}),
        validators=[MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2100, 1, 1))],
        help_text=gettext_lazy("A day that is past prices again what was used since then."),
    )
    currency = forms.RegexField(
        r"^[A-Z]{3}$",
        label=gettext_lazy("Currency"),
        required=False,
        help_text=gettext_lazy(
            "Empty: that of the price it changes, else the one of figures. Another needs a rate of exchange to count."
        ),
    )
    input_micro = _per_million(gettext_lazy("A million tokens in"))
    output_micro = _per_million(gettext_lazy("A million tokens out"))
    cache_read_micro = _per_million(gettext_lazy("A million read from the cache"), required=False, help_text=AS_INPUT)
    cache_write_micro = _per_million(gettext_lazy("A million written to the cache"), required=False, help_text=AS_INPUT)
    reasoning_micro = _per_million(
        gettext_lazy("A million of reasoning"), required=False, help_text=gettext_lazy("Empty: what a token out costs.")
    )

    def clean(self) -> dict[str, Any]:
        """With the beginning of the day in the reporting zone, and what was left empty."""
        found = super().clean() or {}
        if day := found.get("valid_from"):
            found["valid_from"] = datetime.combine(day, time(), reporting_zone())
        for name in AMOUNTS[2:4]:
            if found.get(name) is None:
                found[name] = found.get("input_micro", Decimal(0))
        return found

    def price(self) -> TokenPrice:
        """What a token costs, of a form that is valid."""
        return TokenPrice(**{name: self.cleaned_data[name] for name in AMOUNTS})
