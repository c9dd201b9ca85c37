"""A new policy, and the rules that pages carry along while they are edited."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.models import BusinessUnit


class NewPolicyForm(forms.Form):
    """A policy without rules yet: its names, and what it covers."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=120)
    slug = forms.SlugField(
        label=gettext_lazy("Short name"),
        max_length=63,
        help_text=gettext_lazy("Small letters, digits and dashes. It stays, whatever the name becomes."),
        error_messages={"invalid": gettext_lazy("Small letters, digits and dashes only, such as large-payments.")},
    )
    unit = forms.ChoiceField(label=gettext_lazy("Covers"), required=False)

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, units: Iterable[BusinessUnit], all_of_it: bool
    ) -> None:
        super().__init__(data)
        whole = [("", _("Everything"))] if all_of_it else []
        self.fields["unit"].choices = [*whole, *((unit.slug, unit.name) for unit in units)]  # type: ignore[attr-defined]
        self.fields["unit"].required = not all_of_it


def parsed(text: str) -> Any:
    """The rules that a page carries along; None where somebody wrote something else there."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(rule, dict) for rule in found) else None
