"""What is said of an agent: who answers for it and what it is for, and what its next version says."""

import json
from collections.abc import Iterable
from typing import Any, Self

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.agents.models import Agent, AgentVersion
from apps.agents.rules.cases import Expected
from apps.agents.selectors import seen_of
from apps.connectors.rules.secrets import looks_secret
from apps.console.forms.agents import RefusingForm, person_of
from apps.console.forms.suggesting import SuggestingField, suggest
from apps.core.models import User
from apps.core.rules import Risk, ValueProblem, check_values, strict_json

MAX_TOOLS, MAX_TOOL, MAX_PARAMETERS = 200, 120, 20_000
TOOLS = "tools"
EXPECTED = {
    Expected.ALLOW: _("Allowed alone"),
    Expected.REQUIRE_APPROVAL: _("People are asked"),
    Expected.DENY: _("Denied"),
    Expected.REFUSED: _("Refused"),
}


def no_secret(text: str) -> None:
    """Raises ValidationError for what nobody should read there."""
    if looks_secret(text):
        raise forms.ValidationError(
            _("This looks like a secret. It was not kept: set it on the connector's page, and replace it soon.")
        )


class AgentForm(RefusingForm):
    """Who an agent is, who answers for it, how much of a risk it is."""

    seen = forms.CharField(widget=forms.HiddenInput)
    name = forms.CharField(label=_("Name"), max_length=120)
    owner = SuggestingField(
        label=_("Owner"),
        max_length=150,
        help_text=_("The user name of the person who answers for it: active, and with a role in the unit."),
    )
    purpose = forms.CharField(
        label=_("Purpose"), max_length=500, validators=[no_secret], widget=forms.Textarea({"rows": 2})
    )
    known_limits = forms.CharField(
        label=_("Known limits"),
        max_length=500,
        required=False,
        validators=[no_secret],
        widget=forms.Textarea({"rows": 2}),
        help_text=_("What it is known to do badly: whoever decides about it reads this."),
    )
    risk = forms.ChoiceField(label=_("Risk"), choices=[(risk.value, risk.value.capitalize()) for risk in Risk])
    reason = forms.CharField(
        label=_("Why"), max_length=500, required=False, help_text=_("Needed where the risk becomes another.")
    )

    def suggest_owners(self, people: Iterable[tuple[str, str]]) -> None:
        """Those who may be meant."""
        suggest(self, "owner", people)

    def clean_owner(self) -> User:
        """The person."""
        return person_of(self.cleaned_data["owner"])

    @classmethod
    def of(cls, agent: Agent) -> Self:
        """With what is said now."""
        said = {name: getattr(agent, name) for name in ("name", "purpose", "known_limits", "risk")}
        return cls(initial={**said, "owner": agent.owner.username, "seen": seen_of(agent)})


class VersionForm(forms.Form):
    """What the next version of an agent says. Tools and parameters together are its configuration."""

    model = forms.CharField(label=_("Model"), max_length=120, required=False)
    provider = forms.CharField(label=_("Provider"), max_length=120, required=False)
    instructions = forms.CharField(
        label=_("Instructions"),
        max_length=100_000,
        required=False,
        strip=False,
        validators=[no_secret],
        widget=forms.Textarea({"rows": 10}),
    )
    tools = forms.CharField(
        label=_("Tools"),
        max_length=20_000,
        required=False,
        widget=forms.Textarea({"rows": 4}),
        help_text=_("One name per line. What it may use of them, permissions say."),
    )
    parameters = forms.CharField(
        label=_("Parameters"),
        max_length=MAX_PARAMETERS,
        required=False,
        validators=[no_secret],
        widget=forms.Textarea({"rows": 4}),
        help_text=_('A JSON object, such as {"temperature": 0}.'),
    )
    changelog = forms.CharField(
        label=_("What changes, and why"),
        max_length=500,
        validators=[no_secret],
        error_messages={"required": _("Say what changes: whoever promotes it reads this.")},
    )

    @classmethod
    def of(cls, version: AgentVersion | None) -> Self:
        """With what the present version says."""
        if version is None:
            return cls()
        said = {name: getattr(version, name) for name in ("model", "provider", "instructions")}
        rest, tools = dict(version.config), ""
        if are_names(rest.get(TOOLS)):
            tools = "\n".join(rest.pop(TOOLS))
        parameters = json.dumps(rest, ensure_ascii=False, indent=2) if rest else ""
        return cls(initial={**said, "tools": tools, "parameters": parameters})

    def clean_instructions(self) -> str:
        """Lines end as they do everywhere but in forms."""
        return str(self.cleaned_data["instructions"]).replace("\r\n", "\n")

    def clean_tools(self) -> list[str]:
        """The names, each once, in their order."""
        names = list(dict.fromkeys(line.strip() for line in str(self.cleaned_data["tools"]).splitlines()))
        found = [name for name in names if name]
        if len(found) > MAX_TOOLS or any(len(name) > MAX_TOOL for name in found):
            raise forms.ValidationError(_("At most 200 names of at most 120 characters."))
        return found

    def clean_parameters(self) -> dict[str, Any]:
        """The object."""
        return object_of(str(self.cleaned_data["parameters"]))

    def clean(self) -> dict[str, Any]:
        """``config``: both together."""
        found = super().clean() or self.cleaned_data
        tools, parameters = found.pop("tools", []), found.pop("parameters", {})
        if tools and TOOLS in parameters:
            self.add_error("parameters", _("The tools have a field of their own: leave them out here."))
        found["config"] = {**parameters, **({TOOLS: tools} if tools else {})}
        return found


def object_of(text: str) -> dict[str, Any]:
    """The JSON object that somebody typed; of nothing an empty one. Raises ValidationError."""
    try:
        found = strict_json(text.strip().encode(errors="surrogatepass")) if text.strip() else {}
        check_values(found)
    except ValueProblem as problem:
        raise forms.ValidationError(str(problem)) from problem
    if not isinstance(found, dict):
        raise forms.ValidationError(_("An object is wanted, such as %s.") % '{"temperature": 0}')
    return found


class CaseForm(RefusingForm):
    """What an agent would ask, and what it should be told."""

    name = forms.CharField(label=_("Name"), max_length=80)
    operation = forms.CharField(label=_("Operation"), max_length=120, help_text=_("Such as bank.pay."))
    expect = forms.ChoiceField(
        label=_("Expected"),
        choices=[(one.value, EXPECTED[one]) for one in Expected],
        help_text=_("Refused is what does not come to the rules: without permission, or with bad input."),
    )
    parameters = forms.CharField(
        label=_("Parameters"),
        max_length=MAX_PARAMETERS,
        required=False,
        validators=[no_secret],
        widget=forms.Textarea({"rows": 4}),
        help_text=_('A JSON object, such as {"amount_minor": 5000}.'),
    )

    def clean_parameters(self) -> dict[str, Any]:
        """The object."""
        return object_of(str(self.cleaned_data["parameters"]))


def are_names(value: object) -> bool:
    """Whether the form can show them line by line, and gives back the same."""
    return (
        isinstance(value, list)
        and bool(value)
        and len(value) == len({str(each) for each in value})
        and all(
            isinstance(each, str) and each == each.strip() and each and len(each.splitlines()) == 1 for each in value
        )
    )
