"""One test of a policy as people edit it: what is asked, by whom, after what, and what should come of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.models import BusinessUnit
from apps.agents.rules import AgentState, EffectClass, Environment
from apps.console.forms.describing import object_of
from apps.console.forms.rule_words import RISK_WORDS
from apps.console.forms.rules import EFFECTS, Choices
from apps.core.amounts import exponent_of
from apps.core.rules import MAX_INTEGER
from apps.core.values import ABSENT, AmountField, JsonNumber, field_of, kept_value
from apps.policies.rules.case_sheets import (
    NUMBERS,
    Question,
    answer_in,
    case_document,
    filled_case,
    parameters_in,
    shown_amount,
)
from apps.policies.rules.cases import EXPECTED, MAX_NAME
from apps.policies.rules.sheets import RISKS

MAIN = ("name", "expect", "rule")
ASKED = ("amount", "currency", "target", "reference", "environment")
ABOUT = ("effect", "connector", "is_compensable", "confidence", "data_classes")
AGENT = ("agent_slug", "agent_unit", "agent_risk", "agent_state", "agent_version", "agent_owner", "agent_capabilities")
AROUND = ("run_workflow", "run_step", "run_started_by", "run_key", "on_behalf_of", "now")
PARAMETER, PAST = "p-", "past-"
FIELD_OF = {
    "action.amount_minor": "amount",
    "on_behalf_of": "on_behalf_of",
    **{f"action.{name}": name for name in ("operation", *ASKED[1:], *ABOUT)},
    **{name.replace("_", ".", 1): name for name in (*AGENT, *AROUND[:4])},
}
"""By which field what is wrong at a path of the test is mended; the others by their own name."""


@dataclass(frozen=True, slots=True)
class CaseChoices:
    """What a test may name: parameter schemas by operation, rules, units, what the rules ask of the past; currency.

    ``said_above``: the parameters that are the amount and its currency, which have fields of their own.
    """

    schemas: Mapping[str, Mapping[str, Any]]
    rules: Sequence[str]
    units: Mapping[str, str]
    questions: Sequence[Question]
    currency: str
    said_above: Sequence[str]

    @classmethod
    def of(
        cls,
        choices: Choices,
        schemas: Mapping[str, Mapping[str, Any]],
        rules: Sequence[Mapping[str, Any]],
        questions: Sequence[Question],
        said_above: Sequence[str],
    ) -> "CaseChoices":
        """Those there are now."""
        slugs = [str(rule.get("slug", "")) for rule in rules]
        units = dict(BusinessUnit.objects.order_by("name", "slug").values_list("slug", "name"))
        return cls(schemas, slugs, units, questions, choices.currency, said_above)


def _text(label: Any, *, size: int = 300, hint: Any = "") -> forms.CharField:
    return forms.CharField(label=label, required=False, max_length=size, help_text=hint)


def _choice(label: Any, values: Sequence[tuple[str, Any]] = (), hint: Any = "") -> forms.ChoiceField:
    return forms.ChoiceField(label=label, required=False, choices=[("", "—"), *values], help_text=hint)


class PolicyCaseForm(forms.Form):
    """``p-<name>``: the parameters that the operation's schema or the test knows; ``past-<place>``: what was before."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=MAX_NAME)
    expect = forms.ChoiceField(
        label=gettext_lazy("What should come of it"), choices=[(one.value, EFFECTS[one]) for one in EXPECTED]
    )
    rule = _choice(gettext_lazy("By the rule"), hint=gettext_lazy("Left out: by any rule of that effect."))
    operation = forms.CharField(
        label=gettext_lazy("Operation"),
        max_length=120,
        widget=forms.TextInput({"list": "known-operations", "autocomplete": "off"}),
    )
    amount = AmountField(
        label=gettext_lazy("Amount"),
        required=False,
        help_text=gettext_lazy("In whole currency, such as 500.00."),
    )
    currency = _text(gettext_lazy("Currency"), size=3)
    target = _text(gettext_lazy("Target"))
    reference = _text(gettext_lazy("Reference"))
    environment = _choice(
        gettext_lazy("Environment"), [(one.value, one.value) for one in Environment], gettext_lazy("Left out: live.")
    )
    effect = _choice(gettext_lazy("Effect of the operation"), [(one.value, one.value) for one in EffectClass])
    connector = _text(gettext_lazy("System"), size=63)
    is_compensable = _choice(gettext_lazy("Can be undone"), [("yes", gettext_lazy("Yes")), ("no", gettext_lazy("No"))])
    confidence = JsonNumber(
        whole=False,
        label=gettext_lazy("The agent's confidence"),
        required=False,
        help_text=gettext_lazy("From 0 to 1."),
    )
    data_classes = _text(gettext_lazy("Data classes"), size=2_000, hint=gettext_lazy("With commas between them."))
    agent_slug = _text(gettext_lazy("Agent"), size=63)
    agent_unit = _choice(gettext_lazy("In the unit"), hint=gettext_lazy("Left out: that of the policy."))
    agent_risk = _choice(gettext_lazy("Its risk"), [(risk, RISK_WORDS[risk]) for risk in RISKS])
    agent_state = _choice(gettext_lazy("Its state"), [(one.value, one.value) for one in AgentState])
    agent_version = JsonNumber(whole=True, label=gettext_lazy("Its version"), required=False)
    agent_owner = _text(gettext_lazy("Its owner"), size=150, hint=gettext_lazy("A user name."))
    agent_capabilities = _text(
        gettext_lazy("What it can do"), size=2_000, hint=gettext_lazy("With commas between them.")
    )
    run_workflow = _text(gettext_lazy("Workflow"), size=63)
    run_step = _text(gettext_lazy("Step"), size=63)
    run_started_by = _text(gettext_lazy("Who started the run"), size=150, hint=gettext_lazy("A user name."))
    run_key = _text(gettext_lazy("The run's key"))
    on_behalf_of = _text(gettext_lazy("On whose behalf"), size=150, hint=gettext_lazy("A user name."))
    now = _text(gettext_lazy("When"), size=40, hint=gettext_lazy("With its zone, such as 2027-01-31T09:00:00Z."))
    more = forms.CharField(
        label=gettext_lazy("Other parameters"),
        required=False,
        max_length=4_096,
        widget=forms.Textarea({"rows": 3, "spellcheck": "false"}),
        help_text=gettext_lazy('A JSON object, such as {"iban": "DE00"}.'),
    )

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, choices: CaseChoices, before: Mapping[str, Any]
    ) -> None:
        self._choices, self._before = choices, before
        self._parameters = parameters_in(before)
        typed = data.get("case-currency", "") if data is not None else ""
        before_currency = filled_case(before, digits=0)["currency"]
        self.digits = exponent_of(str(typed if data is not None else before_currency).strip() or choices.currency)
        super().__init__(data, prefix="case", initial=self._initial())
        shown = self.initial
        self._offer("rule", {slug: slug for slug in choices.rules}, shown["rule"])
        units = {slug: f"{name} ({slug})" for slug, name in choices.units.items()}
        self._offer("agent_unit", units, shown["agent_unit"])
        for name in ("expect", "environment", "effect", "agent_risk", "agent_state"):
            self._offer(name, {}, shown[name])
        self._add_parameters()
        for place, question in enumerate(choices.questions):
            self.fields[f"{PAST}{place}"] = forms.DecimalField(
                label=question.source, required=False, min_value=0, max_value=MAX_INTEGER
            )

    def _initial(self) -> dict[str, Any]:
        shown = filled_case(self._before, digits=self.digits)
        parameters = {f"{PARAMETER}{name}": value for name, value in self._parameters.items()}
        past = {
            f"{PAST}{place}": shown_amount(answer_in(self._before, question), self.digits if question.is_money else 0)
            for place, question in enumerate(self._choices.questions)
        }
        return {"expect": EXPECTED[0].value, **shown, **parameters, **past}

    def _offer(self, name: str, words: Mapping[str, str], said: Any) -> None:
        """What is gone, or was never there, stays on offer, so that the form says what the test says."""
        field = self.fields[name]
        known = dict(field.choices) | dict(words)  # type: ignore[attr-defined]
        field.choices = list({**known, **({} if said in known else {said: said})}.items())  # type: ignore[attr-defined]

    def _add_parameters(self) -> None:
        schema = self._choices.schemas.get(str(self.initial["operation"])) or {}
        described = schema.get("properties") or {}
        for name in dict.fromkeys([*described, *self._parameters]):
            part, value = described.get(name) or {}, self._parameters.get(name, ABSENT)
            if value is ABSENT and name in self._choices.said_above:
                continue
            if value is not ABSENT and isinstance(part.get("enum"), list) and value not in part["enum"]:
                part = {**part, "enum": [*part["enum"], value]}
            self.fields[f"{PARAMETER}{name}"] = field_of(part, value, label=name, required=False)
            if name in self._choices.said_above:
                self.fields[f"{PARAMETER}{name}"].help_text = _(
                    "As a parameter. What rules say of the amount is about the field above."
                )

    @property
    def main(self) -> list[forms.BoundField]:
        """Its name, and what should come of it."""
        return [self[name] for name in MAIN]

    @property
    def asked(self) -> list[forms.BoundField]:
        """What is asked besides the parameters."""
        return [self[name] for name in ASKED]

    @property
    def parameters(self) -> list[forms.BoundField]:
        """The parameters, each with the input of its type."""
        return [self[name] for name in self.fields if name.startswith(PARAMETER)]

    @property
    def past(self) -> list[forms.BoundField]:
        """What the rules ask of the past."""
        return [self[name] for name in self.fields if name.startswith(PAST)]

    @property
    def folded(self) -> list[tuple[str, list[forms.BoundField], bool]]:
        """What most tests leave out, under a heading each; whether anything is said there."""
        parts = [
            (_("Who asks"), AGENT),
            (_("In which run, for whom, when"), AROUND),
            (_("The operation itself"), ABOUT),
        ]
        found = [(title, [self[name] for name in names]) for title, names in parts]
        return [(title, fields, any(one.value() or one.errors for one in fields)) for title, fields in found]

    def clean(self) -> dict[str, Any]:
        """Amounts that the currency can say; parameters as one object."""
        said = self.cleaned_data
        for name in self.fields:
            is_amount = name == "amount" or name.startswith(PAST)
            if is_amount and said.get(name) is not None and said[name].scaleb(self._digits_of(name)) % 1:
                self.add_error(name, _("It has more digits than it may have."))
        for name in NUMBERS:
            said[name] = None if said.get(name) is ABSENT else said.get(name)
        said["parameters"] = self._said_parameters(said.get("more") or "")
        return said

    def _digits_of(self, name: str) -> int:
        if name == "amount":
            return self.digits
        return self.digits if self._choices.questions[int(name.removeprefix(PAST))].is_money else 0

    def _said_parameters(self, more: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in [name.removeprefix(PARAMETER) for name in self.fields if name.startswith(PARAMETER)]:
            value = kept_value(self, f"{PARAMETER}{name}", self._parameters.get(name, ABSENT))
            if value is not ABSENT:
                found[name] = value
        try:
            return {**found, **object_of(more)}
        except forms.ValidationError as error:
            self.add_error("more", error)
            return found

    def document(self) -> dict[str, Any]:
        """The test as a document; call once the form is valid."""
        said = self.cleaned_data
        answers = []
        for place, question in enumerate(self._choices.questions):
            value: Decimal | None = said[f"{PAST}{place}"]
            answers.append((question, None if value is None else int(value.scaleb(self._digits_of(f"{PAST}{place}")))))
        return case_document(
            said, digits=self.digits, before=self._before, parameters=said["parameters"], answers=answers
        )

    def refuse(self, path: str, text: str) -> None:
        """Put what is wrong at ``path`` of the test beside its field."""
        name = FIELD_OF.get(path, path)
        self.add_error(name if name in self.fields else None, text if name in self.fields else f"{path}: {text}")
