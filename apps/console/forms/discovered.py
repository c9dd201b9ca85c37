"""What people say of a name that belongs to no known agent."""

from enum import StrEnum
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.agents.models import Agent
from apps.console.forms.agents import RefusingForm, person_of
from apps.core.days import LastDayField
from apps.telemetry.rules.discovered import DiscoveredState


class DiscoveredAct(StrEnum):
    """What can be done about it."""

    BELONGS = "belongs"
    NEW = "new"
    IGNORE = "ignore"
    BLOCK = "block"


ACTS = {
    DiscoveredAct.BELONGS: _("It is an agent that there is"),
    DiscoveredAct.NEW: _("It is an agent that nobody has made yet: make a draft of it, without a key"),
    DiscoveredAct.IGNORE: _("Let it be until a day"),
    DiscoveredAct.BLOCK: _("Block it: take no more spans and logs under this name"),
}
WANTED = {
    DiscoveredAct.BELONGS: ("agent",),
    DiscoveredAct.NEW: ("slug", "name", "owner"),
    DiscoveredAct.IGNORE: ("until",),
    DiscoveredAct.BLOCK: (),
}


class DiscoveredForm(RefusingForm):
    """Adopt, ignore or block, and why; ``seen``: the state that the page showed."""

    seen = forms.ChoiceField(choices=[(state.value, state) for state in DiscoveredState], widget=forms.HiddenInput)
    act = forms.ChoiceField(
        label=_("What is it?"), choices=[(act.value, text) for act, text in ACTS.items()], widget=forms.RadioSelect,
        error_messages={"required": _("Choose one.")},
    )  # fmt: skip
    agent = forms.ModelChoiceField(
        Agent.objects.none(), label=_("Which agent"), required=False, to_field_name="slug",
        help_text=_("For an agent that there is: one that you manage."),
    )  # fmt: skip
    slug = forms.SlugField(
        label=_("Short name"), max_length=63, required=False,
        help_text=_("For a new agent. Small letters, digits and dashes. It stays."),
    )  # fmt: skip
    name = forms.CharField(label=_("Name"), max_length=120, required=False, help_text=_("For a new agent."))
    owner = forms.CharField(
        label=_("Owner"), max_length=150, required=False,
        help_text=_("For a new agent: the user name of the person who answers for it."),
    )  # fmt: skip
    until = LastDayField(label=_("Until"), required=False, help_text=_("To let it be: the last day, within a year."))
    reason = forms.CharField(label=_("Why"), max_length=500, error_messages={"required": _("Say why.")})

    def __init__(self, *args: Any, agents: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["agent"].queryset = agents  # type: ignore[attr-defined] # a model choice field

    def clean(self) -> dict[str, Any]:
        """What the chosen act wants is there."""
        said: dict[str, Any] = super().clean() or self.cleaned_data
        act = said.get("act")
        for field in WANTED[DiscoveredAct(act)] if act else ():
            if not said.get(field) and field not in self.errors:
                self.add_error(field, _("This is wanted for what you chose."))
        if act == DiscoveredAct.NEW and said.get("owner"):
            try:
                said["owner"] = person_of(said["owner"])
            except forms.ValidationError as error:
                self.add_error("owner", error)
        return said
