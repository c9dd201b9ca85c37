"""Permissions, keys and states of agents."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, override

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.access.models import BusinessUnit
from apps.agents.rules import AgentState, Environment, Handover
from apps.agents.rules.public_keys import MAX_TEXT, PrivateKeyProblem, read_public_key
from apps.connectors.models import Operation
from apps.connectors.rules import Money
from apps.console.forms.suggesting import SuggestingField, suggest
from apps.core.amounts import TooLargeError, minor_of
from apps.core.days import LastDayField
from apps.core.models import User
from apps.core.rules import Risk, ValueProblem, read_networks


class AmongOthers(forms.Form):
    """A form that stands on a page with others: its fields' ids are its own."""

    IDS: ClassVar[str]
    """How they are made, such as ``state_%s``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": self.IDS, **kwargs})


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(label=_("Why"), max_length=500, error_messages={"required": _("Say why.")})


class GrantAccessForm(ReasonForm):
    """Why an agent is given what it asked for, and until when."""

    until = LastDayField(label=_("Until"), help_text=_("The last day."))

    field_order = ["until", "reason"]


class OperationChoice(forms.ModelChoiceField[Operation]):
    """An operation by its name, with its short name behind it."""

    @override
    def label_from_instance(self, obj: Operation) -> str:
        return f"{obj.name} ({obj.slug})"


class PermissionForm(AmongOthers, ReasonForm):
    """What of an operation an agent may use, and until when."""

    IDS = "permission_%s"

    operation = OperationChoice(Operation.objects.none(), label=_("Operation"), to_field_name="slug")
    fields_text = forms.CharField(
        label=_("Only these parameters"),
        required=False,
        max_length=1000,
        help_text=_("Names divided by commas or spaces. Empty: all of them."),
    )
    until = LastDayField(
        label=_("Until"),
        required=False,
        help_text=_("The last day. Empty: without end."),
    )

    amount = forms.CharField(
        label=_("At most"),
        required=False,
        max_length=30,
        help_text=_("What one use may move, such as 800.00. Empty: any amount."),
    )
    currency = forms.CharField(label=_("Currency"), required=False, max_length=3)

    field_order = ["operation", "fields_text", "amount", "currency", "until", "reason"]

    def __init__(self, *args: Any, operations: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["operation"].queryset = operations  # type: ignore[attr-defined] # a model choice field

    def clean(self) -> dict[str, Any]:
        """An amount comes with its currency; ``limit`` is both, or None."""
        found = super().clean() or self.cleaned_data
        amount, currency = str(found.get("amount", "")).strip(), str(found.get("currency", "")).strip().upper()
        found["limit"] = None
        if bool(amount) != bool(currency):
            self.add_error("currency", _("An amount and its currency, or neither."))
        elif amount:
            try:
                found["limit"] = Money(minor_of(amount, currency), currency)
            except TooLargeError:
                self.add_error("amount", _("This amount is too large."))
            except ValueError:
                self.add_error("amount", _("An amount such as 800.00 is wanted, with the digits of its currency."))
        return found

    def clean_fields_text(self) -> list[str] | None:
        """The names; None for all parameters."""
        names = str(self.cleaned_data.get("fields_text", "")).replace(",", " ").split()
        return names or None


class CredentialForm(AmongOthers):
    """Where a new key acts, and how long it lives."""

    IDS = "key_%s"

    environment = forms.ChoiceField(
        label=_("Environment"),
        choices=[(Environment.LIVE.value, _("Live")), (Environment.TEST.value, _("Test"))],
        initial=Environment.LIVE.value,
        required=False,
        help_text=_("Of a test nothing outside is called, and no figure counts it."),
    )
    days = forms.IntegerField(label=_("Days until it expires"), min_value=1, max_value=90, initial=90)
    networks = forms.CharField(
        label=_("Only from these networks"),
        required=False,
        max_length=1000,
        help_text=_("Such as 10.0.0.0/8, divided by commas or spaces. Empty: from anywhere."),
    )

    def clean_environment(self) -> str:
        """Live unless it says otherwise."""
        return str(self.cleaned_data.get("environment") or Environment.LIVE)

    def clean_networks(self) -> list[str]:
        """The names of the networks; what is none is refused."""
        names = str(self.cleaned_data.get("networks", "")).replace(",", " ").split()
        found, odd = read_networks(names)
        if odd:
            raise forms.ValidationError(_("%s is no network such as 10.0.0.0/8 or 2001:db8::/32.") % odd[0])
        return found


class PublicKeyForm(CredentialForm):
    """A public key by which an agent signs."""

    IDS = "public_key_%s"

    public_key = forms.CharField(
        label=_("Public key"),
        max_length=MAX_TEXT,
        widget=forms.Textarea({"rows": 5, "spellcheck": "false", "autocomplete": "off"}),
        help_text=_("PEM or a JWK: P-256, Ed25519, or RSA from 2048 bits on. Never the private one: it stays there."),
        error_messages={"required": _("Paste the public key.")},
    )

    field_order = ["public_key", "environment", "days", "networks"]

    def clean_public_key(self) -> str:
        """The text, if it holds a public key; a private one is not even shown again."""
        text = str(self.cleaned_data["public_key"])
        try:
            read_public_key(text)
        except PrivateKeyProblem as problem:
            self.data = {name: value for name, value in self.data.items() if name != "public_key"}
            raise forms.ValidationError(str(problem)) from problem
        except ValueProblem as problem:
            raise forms.ValidationError(str(problem)) from problem
        return text


class StateForm(AmongOthers):
    """Where an agent's life goes on."""

    IDS = "state_%s"

    state = forms.ChoiceField(
        label=_("State"), choices=[(state.value, state.value) for state in AgentState if state != AgentState.RETIRED]
    )
    reason = forms.CharField(label=_("Why"), max_length=500, error_messages={"required": _("Say why.")})
    override = forms.BooleanField(
        label=_("Active although the gate says no"),
        required=False,
        help_text=_("Somebody else has to agree, and the reason stays."),
    )


class RetireForm(AmongOthers):
    """Why an agent ends for good."""

    IDS = "retire_%s"

    reason = forms.CharField(label=_("Why"), max_length=500, error_messages={"required": _("Say why.")})


class UnitMoveForm(ReasonForm):
    """To which unit an agent goes, and why."""

    to = forms.ChoiceField(label=_("To"))
    field_order = ["to", "reason"]

    def __init__(self, *args: Any, units: Iterable[BusinessUnit], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["to"] = forms.ChoiceField(label=_("To"), choices=[(unit.slug, unit.name) for unit in units])


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


def person_of(username: str) -> User:
    """The active person of this name. Raises ValidationError."""
    found = User.objects.filter(username=username, kind="human", is_active=True).first()
    if found is None:
        raise forms.ValidationError(_("There is no active person of this name."))
    return found


class RefusingForm(forms.Form):
    """A form that takes what a service refused."""

    def refuse(self, errors: Mapping[str, Iterable[str]]) -> None:
        """Put what the service refused beside its field."""
        for path, texts in errors.items():
            name = path.partition(".")[0]
            for text in texts:
                self.add_error(name if name in self.fields else None, text)


class NewAgentForm(RefusingForm):
    """Who a new agent is, who answers for it, what it may use to begin with."""

    name = forms.CharField(label=_("Name"), max_length=120)
    slug = forms.SlugField(
        label=_("Short name"),
        max_length=63,
        help_text=_("Small letters, digits and dashes. It stays."),
        error_messages={"invalid": _("Small letters, digits and dashes only, such as invoice-payer.")},
    )
    unit = forms.ModelChoiceField(
        BusinessUnit.objects.none(), label=_("Unit"), to_field_name="slug", empty_label=_("Choose one")
    )
    owner = SuggestingField(
        label=_("Owner"),
        max_length=150,
        help_text=_("The user name of the person who answers for it: active, and with a role in the unit."),
    )
    risk = forms.ChoiceField(
        label=_("Risk"), choices=[(risk.value, risk.value.capitalize()) for risk in Risk], initial=Risk.MEDIUM.value
    )
    purpose = forms.CharField(label=_("Purpose"), max_length=500, widget=forms.Textarea({"rows": 2}))
    known_limits = forms.CharField(
        label=_("Known limits"), max_length=500, required=False, widget=forms.Textarea({"rows": 2})
    )
    operations = forms.ModelMultipleChoiceField(
        Operation.objects.none(),
        label=_("May use"),
        required=False,
        to_field_name="slug",
        widget=forms.CheckboxSelectMultiple,
        help_text=_("What rules then allow, ask people about or deny. More can be granted later."),
    )

    def __init__(
        self, *args: Any, units: Any, operations: Any, people: Iterable[tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        suggest(self, "owner", people)
        self.fields["unit"].queryset = units  # type: ignore[attr-defined] # a model choice field
        self.fields["operations"].queryset = operations  # type: ignore[attr-defined] # as above

    def clean_owner(self) -> User:
        """The person."""
        return person_of(self.cleaned_data["owner"])
