"""What a person may type of a system: its address for tests, and what caps the calls to it."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.connectors.models import Connector
from apps.connectors.rules.limits import LIMITS

LABELS = {
    "concurrent": _("Effects at once"),
    "per_minute": _("Effects in a minute"),
    "timeout_s": _("Seconds a call may take"),
    "response_kb": _("KiB an answer may have"),
    "errors_per_1000": _("Errors of 1,000 calls that are in order"),
}


class ConnectorForm(forms.Form):
    """The address for tests and the limits of a system; an empty limit is none."""

    test_base_url = forms.CharField(max_length=500, required=False, label=_("Test address"))
    test_allow_internal = forms.BooleanField(required=False, label=_("The test address is inside our own network"))

    def __init__(self, data: Any = None, *, connector: Connector) -> None:
        initial = {
            "test_base_url": connector.test_base_url,
            "test_allow_internal": connector.test_allow_internal,
            **{_field(name): value for name, value in connector.limits.items()},
        }
        super().__init__(data, initial=initial)
        for name, (least, most) in LIMITS.items():
            self.fields[_field(name)] = forms.IntegerField(
                min_value=least, max_value=most, required=False, label=LABELS[name]
            )

    @property
    def limits(self) -> dict[str, int]:
        """Those that were said."""
        asked = {name: self.cleaned_data.get(_field(name)) for name in LIMITS}
        return {name: value for name, value in asked.items() if value is not None}

    def refuse(self, errors: dict[str, list[str]]) -> None:
        """Say what does not fit at its field."""
        for path, messages in errors.items():
            name = _field(path.removeprefix("limits.")) if path.startswith("limits.") else path
            self.add_error(name if name in self.fields else None, messages)


def _field(limit: str) -> str:
    return f"limit_{limit}"
