"""What a person types to say what an hour, a task, a call or a month costs, or another currency is worth."""

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.amounts import exponent_of
from apps.kpis.models.clock import reporting_currency, reporting_zone
from apps.kpis.rules.rates import THINGS, Per

PERS = {
    Per.HOUR: gettext_lazy("an hour of people's time"),
    Per.TASK: gettext_lazy("a task that an agent did"),
    Per.MINUTE: gettext_lazy("a minute for which an agent held a task"),
    Per.SUCCESS: gettext_lazy("an action of an operation that succeeded"),
    Per.CALL: gettext_lazy("any call of an operation"),
    Per.MONTH: gettext_lazy("a month, whatever runs"),
    Per.UNIT: gettext_lazy("one of another currency"),
}
OF_PEOPLE = gettext_lazy("Of people's time, or of a month. Empty: everywhere.")


class RateForm(forms.Form):
    """A rate, its amount in whole units of its currency."""

    per = forms.ChoiceField(label=gettext_lazy("What costs it"), choices=[(one.value, PERS[one]) for one in Per])
    amount = forms.DecimalField(label=gettext_lazy("Amount"), min_value=0, max_digits=20, decimal_places=10)
    currency = forms.RegexField(
        r"^[A-Z]{3}$",
        label=gettext_lazy("Currency"),
        help_text=gettext_lazy(
            "Another one than figures are in counts at its rate of exchange, else as without a price."
        ),
    )
    valid_from = forms.DateField(
        label=gettext_lazy("From"),
        widget=forms.DateInput({"type": "date"}),
        validators=[MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2100, 1, 1))],
        help_text=gettext_lazy("A day that is past counts again what was done since then."),
    )
    unit = forms.ChoiceField(label=gettext_lazy("Unit"), required=False, help_text=OF_PEOPLE)
    role = forms.ChoiceField(
        label=gettext_lazy("Role"),
        required=False,
        help_text=gettext_lazy("Of people's time: of those who decide in this role. Empty: of all."),
    )
    agent = forms.ChoiceField(label=gettext_lazy("Agent"), required=False)
    operation = forms.ChoiceField(label=gettext_lazy("Operation"), required=False)
    workflow = forms.ChoiceField(
        label=gettext_lazy("Workflow"), required=False, help_text=gettext_lazy("Of a month. Empty: of all.")
    )
    of_currency = forms.RegexField(
        r"^[A-Z]{3}$",
        label=gettext_lazy("Other currency"),
        required=False,
        help_text=gettext_lazy("Which one is worth the amount, such as USD. Of nothing else."),
    )
    source = forms.CharField(
        label=gettext_lazy("Source"),
        required=False,
        max_length=300,
        help_text=gettext_lazy("A contract, a plan, an invoice. Of a month it has to be said."),
    )

    def __init__(self, *args: Any, names: Mapping[str, Mapping[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["currency"].initial = reporting_currency()
        for name in THINGS:
            self.fields[name].choices = [("", _("None")), *names[name].items()]  # type: ignore[attr-defined] # a choice field

    def clean(self) -> dict[str, Any]:
        """With the beginning of the day in the reporting zone, and the amount in minor units."""
        found = super().clean() or {}
        if day := found.get("valid_from"):
            found["valid_from"] = datetime.combine(day, time(), reporting_zone())
        if "amount" in found and "currency" in found:
            found["amount_minor"] = found["amount"].scaleb(exponent_of(found["currency"]))
        return found

    def said(self) -> dict[str, Any]:
        """What a command takes, of a form that is valid."""
        return {name: value for name, value in self.cleaned_data.items() if name != "amount"}
