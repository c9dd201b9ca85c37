"""Forms for an action's parameters and for answers: one typed field per value, so that people edit values, not text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.connectors.rules import money_text, value_at
from apps.core.amounts import EXPONENTS, exponent_of
from apps.core.differences import masked
from apps.core.revealing import reveal
from apps.core.values import ABSENT, JsonAmount, JsonChoice, ValueForm, field_of, value_form

MINOR = "_minor"
EXAMPLE = 450


@dataclass(frozen=True, slots=True)
class Priced:
    """Which parameters are money in minor units: the operation's ``amount``, and what is named so in its currency."""

    path: str = ""
    currency_path: str = "currency"
    currency: str = ""

    def is_amount(self, name: str, schema: Mapping[str, Any], value: Any) -> bool:
        """Whether a parameter is typed as an amount: a whole number, there or wanted, of a currency that is known."""
        if not self.currency or not (name == self.path or name.endswith(MINOR)) or "enum" in schema:
            return False
        if value is ABSENT:
            return schema.get("type") == "integer"
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0

    def read_in(self, form: forms.Form) -> str:
        """The currency that was sent with the amounts, if it is one; else that of the amounts as they stand."""
        name = self.currency_path.partition(".")[0]
        field = form.fields.get(name)
        if field is None:
            return self.currency
        try:
            sent = field.clean(field.widget.value_from_datadict(form.data, form.files, form.add_prefix(name)))
        except forms.ValidationError:
            return self.currency
        found = value_at({name: sent}, self.currency_path)
        return found if isinstance(found, str) and found in EXPONENTS else self.currency


def parameters_form(
    schema: Mapping[str, Any] | None, parameters: Mapping[str, Any], data: Any = None, *, priced: Priced | None = None
) -> ValueForm:
    """A form for an action's parameters: what its operation's schema knows, and whatever else it carries.

    Secrets stand masked in it; the service puts back what was left masked. Money is typed as people write it.
    """
    parameters = cast("dict[str, Any]", masked(parameters))
    priced = priced or Priced()
    properties = (schema or {}).get("properties", {})
    required = set((schema or {}).get("required", ()))
    names = [*parameters, *(name for name in properties if name not in parameters)]
    fields = {
        name: _field(priced, name, properties.get(name, {}), parameters.get(name, ABSENT), required=name in required)
        for name in names
    }
    form = value_form(fields, schema or {}, dict(parameters), prefix="p", data=data)
    if form.is_bound:
        for amount in [field for field in fields.values() if isinstance(field, JsonAmount)]:
            amount.typed_in = priced.read_in(form)
    return form


def _field(priced: Priced, name: str, schema: Mapping[str, Any], value: Any, *, required: bool) -> forms.Field:
    if not priced.is_amount(name, schema, value):
        return field_of(schema, value, label=name, required=required)
    currency = priced.currency
    stands = "" if value is ABSENT else _("It is %s now.") % money_text(value, currency)
    meant = money_text(EXAMPLE * 10 ** exponent_of(currency), currency)
    counts = _("%(typed)d means %(meant)s.") % {"typed": EXAMPLE, "meant": meant}
    said = [reveal(schema.get("description") or ""), stands, counts]
    return JsonAmount(
        currency=currency,
        label=reveal(name.removesuffix(MINOR)),
        required=required,
        help_text=" ".join(text for text in said if text),
    )


def answer_form(schema: Mapping[str, Any] | None, options: list[Any], data: Any = None) -> ValueForm:
    """A form for an answer: a choice, one value, or an object's fields. Without schema and options, free text."""
    label = str(gettext_lazy("Answer"))
    if options:
        labels = [
            reveal(option.get("label", option.get("value")) if isinstance(option, dict) else option)
            for option in options
        ]
        values = [option.get("value") if isinstance(option, dict) else option for option in options]
        choice = JsonChoice(values=values, labels=labels, label=label, widget=forms.RadioSelect)
        return value_form({"value": choice}, schema or {}, ABSENT, prefix="a", data=data, single=True)
    if schema and schema.get("type") == "object" and schema.get("properties"):
        required = set(schema.get("required", ()))
        fields = {
            name: field_of(
                part, part.get("default", ABSENT), label=part.get("title") or name, required=name in required
            )
            for name, part in schema["properties"].items()
        }
        defaults = {name: part["default"] for name, part in schema["properties"].items() if "default" in part}
        return value_form(fields, schema, defaults, prefix="a", data=data)
    part = schema or {"type": "string", "maxLength": 4000, "x-long": True}
    field = field_of(part, ABSENT, label=part.get("title") or label, required=True)
    return value_form({"value": field}, part, ABSENT, prefix="a", data=data, single=True)
