"""What a person may type: a secret, a state, a reason, a document."""

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.connectors.forms.calling import AddressForm, CallForm, NewSystemForm, seen_of
from apps.connectors.forms.confirming import ConfirmForm
from apps.connectors.forms.imports import DocumentForm, ReviewForm
from apps.connectors.forms.operations import OperationForm
from apps.connectors.forms.systems import ConnectorForm
from apps.connectors.rules import ConnectorState

__all__ = [
    "AddressForm",
    "CallForm",
    "ConfirmForm",
    "ConnectorForm",
    "DocumentForm",
    "NewSystemForm",
    "OperationForm",
    "ReviewForm",
    "RotationForm",
    "SecretForm",
    "StateForm",
    "seen_of",
]

STATES = (
    (ConnectorState.ACTIVE, _("In use")),
    (ConnectorState.DISABLED, _("Disabled: refuse every call until it is used again")),
    (ConnectorState.RETIRED, _("Retired: gone for good")),
)


OVERLAPS = (
    (0, _("Destroy it at once")),
    (3600, _("Let it stand in for an hour")),
    (86_400, _("Let it stand in for a day")),
    (604_800, _("Let it stand in for a week")),
)


class SecretForm(forms.Form):
    """A new secret. It is never shown again, not even when the form comes back with an error."""

    secret = forms.CharField(
        label=_("New secret"),
        max_length=4096,
        strip=False,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class RotationForm(SecretForm):
    """A secret in the place of another, and for how long that one stands in."""

    overlap_s = forms.TypedChoiceField(
        coerce=int, choices=OVERLAPS, label=_("The one in use"), required=False, empty_value="0"
    )


class StateForm(forms.Form):
    """Whether the system may be used, and why not."""

    state = forms.ChoiceField(choices=STATES, label=_("State"))
    reason = forms.CharField(max_length=500, required=False, label=_("Reason"))
