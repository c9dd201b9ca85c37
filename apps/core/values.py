"""Forms made from JSON: one typed field per parameter, so that people edit values and not text.

JSON types survive the round trip: a field that was not touched gives back the very value it was made from.
"""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.amounts import minor_of, whole_text
from apps.core.revealing import reveal
from apps.core.rules import MAX_INTEGER, ValueProblem, check_values, strict_json

ABSENT = object()
LONG_TEXT_CHARS = 80
NESTED_ROWS = 5
EXAMPLE_MINOR = 45_000
NUMBER = re.compile(r"-?\d+")
SAID_OF_NUMBER = re.compile(r"-?\d+ (is|was) ")


class JsonText(forms.CharField):
    """A value that has no simpler field: typed as JSON, and strictly read."""

    widget = forms.Textarea(attrs={"rows": NESTED_ROWS, "spellcheck": "false", "class": "mono"})

    def __init__(self, *, is_absent: bool, **options: Any) -> None:
        """``is_absent``: there is no value yet, which is not null."""
        self.is_absent = is_absent
        super().__init__(**options)

    def prepare_value(self, value: Any) -> Any:
        """JSON for a first look, the typed text after an error."""
        if value is None and self.is_absent:
            return ""
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)

    def to_python(self, value: Any) -> Any:
        """The value; refused if it is not JSON as an agent would have to send it."""
        text = super().to_python(value) or ""
        if text == "":
            return ABSENT
        try:
            return strict_json(text.encode())
        except ValueProblem as problem:
            raise forms.ValidationError(str(problem)) from problem


class JsonNumber(forms.CharField):
    """A number exactly as typed: 5 stays an integer, 5.0 does not become one, and nothing is rounded on the way."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})

    def __init__(self, *, whole: bool, **options: Any) -> None:
        self.whole = whole
        super().__init__(**options)

    def to_python(self, value: Any) -> Any:
        """An int or float; refused if the text is another thing."""
        text = super().to_python(value) or ""
        if text == "":
            return ABSENT
        try:
            number = strict_json(text.encode())
        except ValueProblem:
            number = None
        if isinstance(number, bool) or not isinstance(number, int if self.whole else int | float):
            raise forms.ValidationError(_("Enter a whole number.") if self.whole else _("Enter a number."))
        return number


class JsonAmount(forms.CharField):
    """Money as people write it, ``1,240.50``; in the JSON a whole number of minor units."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})

    def __init__(self, *, currency: str, **options: Any) -> None:
        """``currency``: of the amount as it stands; ``typed_in`` is the one that is given with what is typed."""
        self.currency = self.typed_in = currency
        super().__init__(**options)

    def prepare_value(self, value: Any) -> Any:
        """``1240.50`` for a first look, the typed text after an error."""
        return whole_text(value, self.currency) if isinstance(value, int) else value

    def to_python(self, value: Any) -> Any:
        """Minor units; refused if the text is no amount, or one with more digits than the currency has."""
        text = super().to_python(value) or ""
        if text == "":
            return ABSENT
        try:
            return minor_of(text, self.typed_in)
        except ValueError as error:
            words = {"currency": self.typed_in, "example": whole_text(EXAMPLE_MINOR, self.typed_in)}
            raise forms.ValidationError(_("Enter an amount in %(currency)s, like %(example)s.") % words) from error

    def spelled(self, problem: str) -> str:
        """What a schema says of the minor units, in the amounts that the field shows."""
        if not SAID_OF_NUMBER.match(problem):
            return problem
        return NUMBER.sub(lambda found: f"{whole_text(int(found[0]), self.typed_in)} {self.typed_in}", problem)


class JsonChoice(forms.ChoiceField):
    """One of the values that a schema lists, whatever their type."""

    def __init__(
        self, *, values: list[Any], labels: Sequence[str] | None = None, blank: bool = False, **options: Any
    ) -> None:
        """``blank``: nothing is chosen beforehand, so that nobody sends a first choice unread."""
        self.values = values
        shown = labels or [reveal(value if isinstance(value, str) else json.dumps(value)) for value in values]
        empty = [("", "—")] if blank or not options.get("required", True) else []
        super().__init__(choices=[*empty, *((str(index), label) for index, label in enumerate(shown))], **options)

    def prepare_value(self, value: Any) -> Any:
        """The position of the value."""
        for index, known in enumerate(self.values):
            if type(known) is type(value) and known == value:
                return str(index)
        return value

    def clean(self, value: Any) -> Any:
        """The value at the chosen position."""
        chosen = super().clean(value)
        return self.values[int(chosen)] if chosen != "" else ABSENT


def kept_value(form: forms.Form, name: str, before: Any) -> Any:
    """What a cleaned field says: the very value ``before`` where nobody touched it, ABSENT where it is empty."""
    field = form.fields[name]
    raw = field.widget.value_from_datadict(form.data, form.files, form.add_prefix(name))
    given = form.cleaned_data.get(name, ABSENT)
    if before is not ABSENT and not field.has_changed(before, raw):
        return before
    if isinstance(field, forms.CharField) and given == "" and before is ABSENT:
        return ABSENT
    return given


class ValueForm(forms.Form):
    """Fields by the paths of a JSON object; ``value`` is the object as edited."""

    schema: Mapping[str, Any]
    original: Any
    single: bool

    @property
    def value(self) -> Any:
        """The edited value, in the order of the original; optional fields left empty are not in it."""
        if self.single:
            return self._kept("value")
        found = {name: self._kept(name) for name in self.fields}
        return {name: value for name, value in found.items() if value is not ABSENT}

    @property
    def amounts(self) -> list[str]:
        """The fields that take money as people write it."""
        return [name for name, field in self.fields.items() if isinstance(field, JsonAmount)]

    def _kept(self, name: str) -> Any:
        return kept_value(self, name, self.original if self.single else self.original.get(name, ABSENT))

    def clean(self) -> dict[str, Any]:
        """Refuse what no system of record survives."""
        cleaned = super().clean() or {}
        for name, value in list(cleaned.items()):
            try:
                check_values(value if value is not ABSENT else None)
            except ValueProblem as problem:
                self.add_error(name, str(problem))
        return cleaned

    def add_problems(self, errors: Mapping[str, list[str]]) -> None:
        """Put a service's findings (by dotted path) at the fields they belong to."""
        for path, problems in errors.items():
            steps = path.removeprefix("parameters.").removeprefix("answer.").split(".")
            name = steps[0] if steps[0] in self.fields else None
            field = self.fields.get(name or "")
            for problem in problems:
                said = field.spelled(problem) if isinstance(field, JsonAmount) else problem
                self.add_error(name, said if name else f"{path}: {problem}")


def value_form(
    fields: dict[str, forms.Field],
    schema: Mapping[str, Any],
    original: Any,
    *,
    prefix: str,
    data: Any,
    single: bool = False,
) -> ValueForm:
    """A form of these fields; ``original`` is the object, or the ``single`` value, before it is edited."""
    form = ValueForm(data, prefix=prefix, initial={} if single or original is ABSENT else original)
    form.fields.update(fields)
    form.schema, form.original, form.single = schema, original, single
    return form


def field_of(schema: Mapping[str, Any], value: Any, *, label: str, required: bool) -> forms.Field:
    """The field for one value: typed by its schema, else by what stands there; ``ABSENT``: nothing does."""
    hint = reveal(schema.get("description") or "")
    common: dict[str, Any] = {"label": reveal(label), "required": required, "help_text": hint}
    if isinstance(schema.get("enum"), list):
        return _choice(schema["enum"], common, blank=value is ABSENT)
    kind = schema.get("type") or _type_of(value)
    match kind:
        case "integer" | "number":
            return JsonNumber(whole=kind == "integer", **common)
        case "boolean":
            return _choice([True, False], common, [_("Yes"), _("No")], blank=value is ABSENT)
        case "string":
            return forms.CharField(
                strip=False,
                max_length=schema.get("maxLength"),
                empty_value="",
                widget=_text_widget(schema, value),
                **common,
            )
        case _:
            return JsonText(is_absent=value is ABSENT, **common)


def _choice(
    values: list[Any], common: dict[str, Any], labels: list[str] | None = None, *, blank: bool = False
) -> forms.Field:
    return JsonChoice(values=values, labels=labels, blank=blank, widget=forms.Select, **common)


def _text_widget(schema: Mapping[str, Any], value: Any) -> forms.Widget:
    by_format = {"date": "date", "email": "email", "uri": "url"}.get(schema.get("format", ""))
    if by_format:
        return forms.TextInput(attrs={"type": by_format})
    is_long = schema.get("x-long") or (isinstance(value, str) and (len(value) > LONG_TEXT_CHARS or "\n" in value))
    return forms.Textarea(attrs={"rows": 3}) if is_long else forms.TextInput(attrs={"autocomplete": "off"})


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) or value is ABSENT else "json"


TOO_LARGE = gettext_lazy("This amount is too large.")


class AmountField(forms.DecimalField):
    """An amount in whole currency as people type it: not below zero, and no larger than can be kept."""

    def __init__(self, **kwargs: Any) -> None:
        said = {"min_value": gettext_lazy("An amount is not below zero."), "max_value": TOO_LARGE}
        super().__init__(**{"min_value": 0, "max_value": MAX_INTEGER, "error_messages": said, **kwargs})


def amount_problem(amount: Decimal, exponent: int) -> str:
    """Why an amount cannot be kept in minor units; empty where it can."""
    minor = amount.scaleb(exponent)
    if minor % 1:
        return _("It has more digits than the currency.")
    return str(TOO_LARGE) if minor > MAX_INTEGER else ""
