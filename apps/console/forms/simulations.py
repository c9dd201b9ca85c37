"""What a person may type to try rules on the past."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.rules import MAX_INTEGER
from apps.policies.models import PolicyVersion
from apps.policies.rules.levers import Lever

DAYS = {
    7: gettext_lazy("the last 7 days"),
    30: gettext_lazy("the last 30 days"),
    90: gettext_lazy("the last 90 days"),
    365: gettext_lazy("the last 365 days"),
}


class SimulationForm(forms.Form):
    """What to try, a version or one amount at several steps, and on which past."""

    what = forms.ChoiceField(label=gettext_lazy("What to try"))
    days = forms.TypedChoiceField(label=gettext_lazy("On"), choices=list(DAYS.items()), coerce=int, initial=30)

    def __init__(
        self, data: Any = None, *, versions: list[PolicyVersion], levers: list[tuple[Lever, str]], **more: Any
    ) -> None:
        super().__init__(data, **more)
        choices: list[tuple[Any, Any]] = [
            (f"version:{one.number}", _("Version %(n)s by %(who)s") % {"n": one.number, "who": one.author})
            for one in versions
        ]
        turning = [(f"lever:{lever.name}", words) for lever, words in levers]
        if turning:
            choices.append((_("Turn one amount that is in force"), turning))
        self.fields["what"].choices = choices  # type: ignore[attr-defined] # a ChoiceField, as declared above

    def chosen(self) -> tuple[int, str]:
        """The number of the version, or 0; the rule whose amount is turned, or nothing."""
        kind, _colon, name = self.cleaned_data["what"].partition(":")
        return (int(name), "") if kind == "version" else (0, name)


class StepForm(forms.Form):
    """At which step of the lever to look."""

    step = forms.IntegerField(min_value=0, max_value=100, required=False)


class TurnForm(forms.Form):
    """Which amount is proposed, and why."""

    amount_minor = forms.IntegerField(min_value=0, max_value=MAX_INTEGER, widget=forms.HiddenInput)
    reason = forms.CharField(
        label=gettext_lazy("Reason"), max_length=500, help_text=gettext_lazy("Who releases it reads this.")
    )
