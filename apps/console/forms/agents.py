"""Permissions, keys and states of agents."""

from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.agents.rules import AgentState, Handover
from apps.connectors.models import Operation
from apps.console.forms.days import end_of


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(label=_("Why"), max_length=500, error_messages={"required": _("Say why.")})


class PermissionForm(ReasonForm):
    """What of an operation an agent may use, and until when."""

    operation = forms.ModelChoiceField(Operation.objects.none(), label=_("Operation"), to_field_name="slug")
    fields_text = forms.CharField(
        label=_("Only these parameters"),
        required=False,
        max_length=1000,
        help_text=_("Names divided by commas or spaces. Empty: all of them."),
    )
    until = forms.DateField(
        label=_("Until"),
        required=False,
        help_text=_("The last day. Empty: without end."),
        widget=forms.DateInput({"type": "date"}),
    )

    field_order = ["operation", "fields_text", "until", "reason"]

    def __init__(self, *args: Any, operations: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["operation"].queryset = operations  # type: ignore[attr-defined] # a model choice field

    def clean_fields_text(self) -> list[str] | None:
        """The names; None for all parameters."""
        names = str(self.cleaned_data.get("fields_text", "")).replace(",", " ").split()
        return names or None

    def clean_until(self) -> datetime | None:
        """The end of that day, as an instant; a past one is refused."""
        return end_of(self.cleaned_data.get("until"))


class CredentialForm(forms.Form):
    """How long a new key lives."""

    days = forms.IntegerField(label=_("Days until it expires"), min_value=1, max_value=90, initial=90)


class StateForm(forms.Form):
    """Where an agent's life goes on."""

    state = forms.ChoiceField(label=_("State"), choices=[(state.value, state.value) for state in AgentState])
    reason = forms.CharField(label=_("Why"), max_length=500, error_messages={"required": _("Say why.")})
    override = forms.BooleanField(
        label=_("Active although the gate says no"),
        required=False,
        help_text=_("Somebody else has to agree, and the reason stays."),
    )


class PromoteForm(ReasonForm):
    """What becomes of what the present version holds, and why another takes over."""

    handover = forms.ChoiceField(
        label=_("What the present version holds"),
        choices=[
            (Handover.DRAIN.value, _("It finishes its tasks and what waits for people; it begins nothing more")),
            (Handover.RETURN.value, _("Its tasks go back to the queue, and what waits for people ends")),
        ],
        initial=Handover.DRAIN.value,
        widget=forms.RadioSelect,
    )

    field_order = ["handover", "reason"]
