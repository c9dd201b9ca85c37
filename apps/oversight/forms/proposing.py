"""What a person may type to propose a rule because of an item."""

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.core.amounts import exponent_of
from apps.core.rules import MAX_INTEGER
from apps.core.values import AmountField
from apps.oversight.models import Escalation
from apps.policies.rules import MAX_QUORUM, Effect

EFFECTS = (
    (Effect.ALLOW.value, _("Allow it: nobody is asked up to this amount")),
    (Effect.REQUIRE_APPROVAL.value, _("Ask for more people above this amount")),
    (Effect.DENY.value, _("Deny it above this amount")),
)


class ProposeForm(forms.Form):
    """What should hold for the like of an item. Without an amount: whatever the amount."""

    effect = forms.ChoiceField(choices=EFFECTS, widget=forms.RadioSelect, label=_("What should hold"))
    amount = AmountField(required=False, label=_("Amount"))
    same_agent = forms.BooleanField(required=False, initial=True, label=_("Only for this agent"))
    same_target = forms.BooleanField(required=False, initial=True, label=_("Only for this target"))
    people = forms.IntegerField(
        min_value=1, max_value=MAX_QUORUM, initial=2, label=_("How many people"), help_text=_("Where more are asked.")
    )
    policy = forms.ChoiceField(label=_("Policy"))
    reason = forms.CharField(
        max_length=500,
        label=_("Why"),
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Who releases it reads this."),
    )

    def __init__(self, item: Escalation, policies: list[str], data: Any = None) -> None:
        action = item.action
        self._exponent = exponent_of(action.currency) if action else 0
        amount = action.amount_minor if action else None
        super().__init__(
            data,
            initial={
                "effect": Effect.ALLOW.value,
                "amount": None if amount is None else Decimal(amount).scaleb(-self._exponent),
                "policy": policies[0],
            },
        )
        names = self.fields
        names["policy"].choices = [(slug, slug) for slug in policies]  # type: ignore[attr-defined] # a ChoiceField
        if len(policies) == 1:
            names["policy"].required = False
            names["policy"].widget = forms.HiddenInput()
        if amount is None:
            del names["amount"]
        else:
            names["amount"].label = _("Amount, %s") % action.currency if action and action.currency else _("Amount")
        if action is None or not action.target or action.marked_target != action.target:
            del names["same_target"]
        if item.agent is None:
            del names["same_agent"]

    def clean_amount(self) -> Decimal | None:
        """Not finer than the currency, and no more than a whole number of it can say."""
        amount: Decimal | None = self.cleaned_data["amount"]
        if amount is not None and amount.scaleb(self._exponent) % 1:
            raise forms.ValidationError(_("At most %d decimals.") % self._exponent)
        if amount is not None and amount.scaleb(self._exponent) > MAX_INTEGER:
            raise forms.ValidationError(_("This is too much."))
        return amount

    @property
    def wish(self) -> dict[str, Any]:
        """What the service takes."""
        said = self.cleaned_data
        amount = said.get("amount")
        return {
            "effect": said["effect"],
            "amount_minor": None if amount is None else int(amount.scaleb(self._exponent)),
            "people": said["people"],
            "same_agent": said.get("same_agent", False),
            "same_target": said.get("same_target", False),
            "policy": said["policy"],
            "reason": said["reason"],
        }

    def place(self, errors: dict[str, list[str]]) -> None:
        """Put a service's findings where the person typed."""
        for path, texts in errors.items():
            name = "amount" if path == "amount_minor" else path
            for text in texts:
                self.add_error(name if name in self.fields else None, text)
