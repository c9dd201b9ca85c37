"""Forms for an action's parameters and for answers: one typed field per value, so that people edit values, not text."""

from collections.abc import Mapping
from typing import Any, cast

from django import forms
from django.utils.translation import gettext_lazy

from apps.core.differences import masked
from apps.core.revealing import reveal
from apps.core.values import ABSENT, JsonChoice, ValueForm, field_of, value_form


def parameters_form(schema: Mapping[str, Any] | None, parameters: Mapping[str, Any], data: Any = None) -> ValueForm:
    """A form for an action's parameters: what its operation's schema knows, and whatever else it carries.

    Secrets stand masked in it; the service puts back what was left masked.
    """
    parameters = cast("dict[str, Any]", masked(parameters))
    properties = (schema or {}).get("properties", {})
    required = set((schema or {}).get("required", ()))
    names = [*parameters, *(name for name in properties if name not in parameters)]
    fields = {
        name: field_of(properties.get(name, {}), parameters.get(name, ABSENT), label=name, required=name in required)
        for name in names
    }
    return value_form(fields, schema or {}, dict(parameters), prefix="p", data=data)


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
