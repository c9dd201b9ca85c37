"""Budgets as people type them."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy

from apps.access.models import Queue
from apps.console.forms.suggesting import SuggestingField, suggest
from apps.core.amounts import exponent_of
from apps.core.models import User
from apps.core.values import AmountField, amount_problem
from apps.policies.models import Budget
from apps.policies.rules.budgets import BudgetScope, BudgetTerms, Exhausted, Measure, Period

SCOPES = {
    BudgetScope.AGENT: gettext_lazy("An agent"),
    BudgetScope.UNIT: gettext_lazy("A unit, with all below it"),
    BudgetScope.WORKFLOW: gettext_lazy("A workflow"),
    BudgetScope.CONNECTOR: gettext_lazy("A system"),
}
MEASURES = {Measure.MONEY: gettext_lazy("Money"), Measure.CALLS: gettext_lazy("Calls")}
PERIODS = {Period.DAY: gettext_lazy("Day"), Period.MONTH: gettext_lazy("Month")}
THEN = {Exhausted.DENY: gettext_lazy("Deny"), Exhausted.ESCALATE: gettext_lazy("Ask people")}
FIXED = ("slug", "scope", "target", "measure", "currency", "period")


class BudgetForm(forms.Form):
    """``budget``: the one that is changed; what makes it the one it is stays then. ``queues``: who may be asked."""

    slug = forms.SlugField(
        label=gettext_lazy("Short name"),
        max_length=63,
        help_text=gettext_lazy("Small letters, digits and dashes. It stays, whatever the name becomes."),
        error_messages={"invalid": gettext_lazy("Small letters, digits and dashes only, such as large-payments.")},
    )
    name = forms.CharField(label=gettext_lazy("Name"), max_length=120)
    scope = forms.ChoiceField(label=gettext_lazy("Whose actions"), choices=list(SCOPES.items()))
    target = SuggestingField(label=gettext_lazy("Its short name"), max_length=120)
    measure = forms.ChoiceField(label=gettext_lazy("What is counted"), choices=list(MEASURES.items()))
    amount = AmountField(
        label=gettext_lazy("At most"),
        help_text=gettext_lazy("In whole currency, such as 500.00; of calls, how many."),
    )
    currency = forms.CharField(
        label=gettext_lazy("Currency"),
        max_length=3,
        required=False,
        help_text=gettext_lazy("Such as EUR. What is asked in another does not fit. Of calls: none."),
    )
    period = forms.ChoiceField(label=gettext_lazy("In each"), choices=list(PERIODS.items()))
    exhausted = forms.ChoiceField(label=gettext_lazy("What does not fit"), choices=list(THEN.items()))
    queue = forms.ModelChoiceField(
        Queue.objects.none(),
        label=gettext_lazy("Whom to ask"),
        to_field_name="slug",
        required=False,
        empty_label=gettext_lazy("Nobody"),
    )
    owner = forms.ModelChoiceField(
        User.objects.filter(kind="human", is_active=True).order_by("username"),
        label=gettext_lazy("Owner"),
        to_field_name="username",
        empty_label=gettext_lazy("Choose one"),
        help_text=gettext_lazy("Is told when 80% are used."),
    )
    reason = forms.CharField(
        label=gettext_lazy("Why"),
        max_length=500,
        required=False,
        help_text=gettext_lazy("Needed where it lets more through than now: whoever releases it reads this."),
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        queues: QuerySet[Queue],
        targets: Iterable[tuple[str, str]] = (),
        budget: Budget | None = None,
    ) -> None:
        super().__init__(data, initial=_of(budget) if budget else None)
        suggest(self, "target", targets)
        self._budget = budget
        asked = Queue.objects.filter(slug=budget.queue if budget else "")
        self.fields["queue"].queryset = queues | asked  # type: ignore[attr-defined] # a ModelChoiceField
        for name in FIXED if budget is not None else ("reason",):
            del self.fields[name]

    def clean(self) -> dict[str, Any]:
        """No more digits than the currency has; calls are whole."""
        said = self.cleaned_data
        if "amount" in said and (problem := amount_problem(said["amount"], self._exponent)):
            self.add_error("amount", problem)
        return said

    @property
    def _exponent(self) -> int:
        if self._said("measure") == Measure.CALLS:
            return 0
        return exponent_of(self._said("currency"))

    def _said(self, name: str) -> str:
        return str(getattr(self._budget, name) if self._budget else self.cleaned_data.get(name, ""))

    def terms(self) -> BudgetTerms:
        """What was typed, in minor units."""
        said = self.cleaned_data
        return BudgetTerms(
            cap=int(said["amount"].scaleb(self._exponent)),
            period=self._said("period"),
            measure=self._said("measure"),
            currency=self._said("currency"),
            exhausted=said["exhausted"],
            queue=said["queue"].slug if said["queue"] else "",
        )

    def refuse(self, errors: Mapping[str, Iterable[str]]) -> None:
        """Put what the service refused beside its field."""
        for path, texts in errors.items():
            name = "amount" if path == "cap" else path
            for text in texts:
                self.add_error(name if name in self.fields else None, text)


def _of(budget: Budget) -> dict[str, Any]:
    exponent = exponent_of(budget.currency) if budget.measure == Measure.MONEY else 0
    return {
        "name": budget.name,
        "amount": Decimal(budget.cap).scaleb(-exponent),
        "exhausted": budget.exhausted,
        "queue": budget.queue,
        "owner": budget.owner.username,
    }
