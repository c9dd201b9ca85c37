"""Short names that may be typed, or taken from what there is."""

from collections.abc import Iterable, Sequence
from itertools import islice

from django import forms

MAX_SUGGESTED = 300
"""More are typed: a page stays light, whatever the company's size."""


class SuggestingField(forms.CharField):
    """A short name. ``suggestions``: names with what they are called; whatever is typed is checked as ever."""

    suggestions: Sequence[tuple[str, str]] = ()


def suggest(form: forms.Form, name: str, suggestions: Iterable[tuple[str, str]]) -> None:
    """Suggest these at the form's field of this name."""
    field = form.fields[name]
    assert isinstance(field, SuggestingField), name
    field.suggestions = list(islice(suggestions, MAX_SUGGESTED))
    field.widget.attrs["list"] = f"known-{name}"
