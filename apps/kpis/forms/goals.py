"""What a person types to say how a KPI was, and how it should be."""

from typing import Any

from django import forms
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules import Definition, Direction, Unit
from apps.kpis.rules.typed import typed_value

SUCH_AS = gettext_lazy("Such as 4.2 d, 3 h, 5 %, 52.00.")
WRONG = {
    Unit.SECONDS: gettext_lazy("This KPI is a time: a number with s, min, h, d or w behind it."),
    Unit.RATIO: gettext_lazy("This KPI is a share: a number, with % behind it or nothing."),
    Unit.MINOR: gettext_lazy("This KPI is money: a number, with the currency behind it or nothing."),
}
NO_NUMBER = gettext_lazy("This KPI is a number, without anything behind it.")


class GoalForm(forms.Form):
    """A KPI of a workflow and its value."""

    workflow = forms.ChoiceField(label=gettext_lazy("Workflow"), required=False)
    kpi = forms.ChoiceField(label=gettext_lazy("KPI"))
    value = forms.CharField(label=gettext_lazy("Value"), max_length=40, help_text=SUCH_AS)

    def __init__(self, *args: Any, workflows: dict[str, str], known: dict[str, Definition], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known = known
        kpis = [(key, _(one.label)) for key, one in known.items()]
        self.fields["kpi"].choices = kpis  # type: ignore[attr-defined] # a choice field
        self.fields["workflow"].choices = [("", _("All workflows")), *workflows.items()]  # type: ignore[attr-defined] # as above

    def clean(self) -> dict[str, Any]:
        """With the value in the KPI's own unit, and a slug that says what it is."""
        found = super().clean() or {}
        if "kpi" in found and "value" in found:
            self._read("value", found)
            found["slug"] = slugify(f"{found.get('workflow') or 'all'}-{found['kpi']}")
        return found

    def _read(self, name: str, found: dict[str, Any]) -> None:
        try:
            found[name] = typed_value(self.known[found["kpi"]], found[name], reporting_currency())
        except ValueError:
            self.add_error(name, WRONG.get(self.known[found["kpi"]].unit, NO_NUMBER))


class BaselineForm(GoalForm):
    """How it was before agents did it."""

    valid_from = forms.DateField(
        label=gettext_lazy("For runs that start from"), widget=forms.DateInput({"type": "date"})
    )
    source = forms.CharField(
        label=gettext_lazy("Source"),
        max_length=300,
        help_text=gettext_lazy("An event log, a contract, an estimate: whoever reads the savings will ask."),
    )
    n = forms.IntegerField(label=gettext_lazy("Number of cases"), required=False, min_value=1, max_value=2**31 - 1)
    period = forms.CharField(
        label=gettext_lazy("Period"), required=False, max_length=80, help_text=gettext_lazy("Such as May 2026.")
    )
    reason = forms.CharField(
        label=gettext_lazy("Why it is corrected"),
        required=False,
        max_length=300,
        help_text=gettext_lazy("Where one was approved for these days already: weeks that are over change with it."),
    )

    def clean(self) -> dict[str, Any]:
        """A baseline of another day is another one."""
        found = super().clean()
        if "slug" in found and found.get("valid_from"):
            found["slug"] = f"{found['slug']}-{found['valid_from']:%Y%m%d}"
        return found


class TargetForm(GoalForm):
    """How it should be, and how far beside that it may lie."""

    tolerance = forms.CharField(
        label=gettext_lazy("Tolerance"),
        required=False,
        max_length=40,
        help_text=gettext_lazy("Still met if it lies no further on the worse side than this. Nothing: not at all."),
    )
    direction = forms.ChoiceField(
        label=gettext_lazy("Better is"),
        required=False,
        choices=[
            ("", gettext_lazy("as usual for this KPI")),
            (Direction.UP, gettext_lazy("higher")),
            (Direction.DOWN, gettext_lazy("lower")),
        ],
    )

    def clean(self) -> dict[str, Any]:
        """With the tolerance in the KPI's own unit."""
        found = super().clean()
        found["tolerance"] = found.get("tolerance") or "0"
        if "kpi" in found:
            self._read("tolerance", found)
        return found
