"""What a person may type to approve the like of an item in advance."""

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.core.amounts import exponent_of
from apps.core.values import AmountField, amount_problem
from apps.oversight.models import Escalation
from apps.policies.rules import StandingLimit


class StandingForm(forms.Form):
    """For how many days, how often, up to which amount each; never more than the rule lets."""

    amount = AmountField(label=_("Up to"))
    days = forms.IntegerField(min_value=1, label=_("Days"))
    times = forms.IntegerField(min_value=1, label=_("Times"))
    version = forms.IntegerField(min_value=1, widget=forms.HiddenInput())

    def __init__(self, item: Escalation, limit: StandingLimit, data: Any = None) -> None:
        action = item.action
        currency = action.currency if action else ""
        self._exponent = exponent_of(currency)
        most = limit.up_to_minor
        super().__init__(
            data,
            initial={
                "amount": None if most is None else Decimal(most).scaleb(-self._exponent),
                "days": min(7, limit.days),
                "times": min(20, limit.times),
                "version": item.version,
            },
        )
        self.fields["days"].help_text = _("At most %d.") % limit.days
        self.fields["times"].help_text = _("At most %d.") % limit.times
        if action is None or action.amount_minor is None:
            del self.fields["amount"]
        else:
            self.fields["amount"].label = _("Up to, %s") % currency if currency else _("Up to")

    def clean_amount(self) -> Decimal:
        """Not finer than the currency."""
        amount: Decimal = self.cleaned_data["amount"]
        if amount.scaleb(self._exponent) % 1:
            raise forms.ValidationError(_("At most %d decimals.") % self._exponent)
        if problem := amount_problem(amount, self._exponent):
            raise forms.ValidationError(problem)
        return amount

    @property
    def wish(self) -> dict[str, Any]:
        """What the service takes."""
        said = self.cleaned_data
        amount = said.get("amount")
        return {
            "version": said["version"],
            "days": said["days"],
            "times": said["times"],
            "up_to_minor": None if amount is None else int(amount.scaleb(self._exponent)),
        }

    def place(self, errors: dict[str, list[str]]) -> None:
        """Put a service's findings where the person typed."""
        for path, texts in errors.items():
            name = "amount" if path == "up_to_minor" else path
            for text in texts:
                self.add_error(name if name in self.fields else None, text)
