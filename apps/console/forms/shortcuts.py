"""A person's own keys."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.core.shortcuts import GO, SHORTCUTS


class ShortcutsForm(forms.Form):
    """One small field a key; of the keys behind ``G`` only the second is typed."""

    on = forms.BooleanField(required=False, label=_("Single-letter shortcuts are on"))

    def __init__(self, data: Any = None, *, own: Mapping[str, Any]) -> None:
        keys = own.get("keys", {})
        initial = {each.field: keys.get(each.key, each.key).removeprefix(GO) for each in SHORTCUTS}
        super().__init__(data, initial={**initial, "on": not own.get("off")})
        for each in SHORTCUTS:
            widget = forms.TextInput(
                attrs={"size": 1, "autocomplete": "off", "autocapitalize": "none", "class": "mono"}
            )
            self.fields[each.field] = forms.CharField(max_length=1, required=False, label=each.does, widget=widget)

    @property
    def keys(self) -> dict[str, str]:
        """What each key was typed as; what was left empty stays as it is from the start."""
        found = {each.key: self.cleaned_data.get(each.field) or each.key.removeprefix(GO) for each in SHORTCUTS}
        return {key: f"{GO}{pressed}" if key.startswith(GO) else pressed for key, pressed in found.items()}

    @property
    def singles(self) -> list[forms.BoundField]:
        """The fields of single keys."""
        return [self[each.field] for each in SHORTCUTS if not each.goes]

    @property
    def places(self) -> list[forms.BoundField]:
        """The fields of the keys behind ``G``."""
        return [self[each.field] for each in SHORTCUTS if each.goes]
