"""Many imported operations on one page: which of them a person takes into use, and with which effect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.agents.rules import EffectClass
from apps.connectors.forms.imports import EFFECTS
from apps.connectors.models import OperationPin
from apps.connectors.rules.pins import is_milder
from apps.connectors.services.pins import Confirmation

TICK = "tick-"


@dataclass(frozen=True, slots=True)
class Row:
    """One operation with what is said of it."""

    pin: OperationPin
    tick: forms.BoundField
    effect: forms.BoundField
    seen: forms.BoundField

    @property
    def errors(self) -> list[str]:
        """What does not fit."""
        return [*self.tick.errors, *self.effect.errors, *self.seen.errors]


class ConfirmForm(forms.Form):
    """Ticks and effects. ``rest`` ticks all at once that neither were guessed irreversible nor are said to be."""

    rest = forms.BooleanField(required=False, label=gettext_lazy("All that can be taken back, as they stand here"))
    reason = forms.CharField(max_length=500, required=False, label=gettext_lazy("Reason"))

    def __init__(self, data: Any = None, *, pins: Sequence[OperationPin]) -> None:
        super().__init__(data)
        self.pins = pins
        for pin in pins:
            name = pin.operation.name
            self.fields[f"{TICK}{pin.pk}"] = forms.BooleanField(
                required=False, label=_("Confirm %s") % name, widget=forms.CheckboxInput({"aria-label": name})
            )
            self.fields[f"effect-{pin.pk}"] = forms.ChoiceField(
                choices=EFFECTS,
                initial=pin.operation.effect,
                label=_("Effect of %s") % name,
                widget=forms.Select({"aria-label": _("Effect of %s") % name}),
            )
            self.fields[f"seen-{pin.pk}"] = forms.CharField(
                widget=forms.HiddenInput, initial=pin.seen, max_length=71, required=False
            )

    @property
    def rows(self) -> list[Row]:
        """In the order in which they stand on the page."""
        return [Row(pin, *(self[f"{part}-{pin.pk}"] for part in ("tick", "effect", "seen"))) for pin in self.pins]

    def clean(self) -> dict[str, Any]:
        """What is confirmed, as ``wanted``; a reason where an effect asks for less care than was guessed."""
        said = self.cleaned_data
        wanted = []
        for pin in self.pins:
            effect = said.get(f"effect-{pin.pk}", pin.operation.effect)
            grave = EffectClass.IRREVERSIBLE in {effect, pin.guess["effect"]}
            if said.get(f"{TICK}{pin.pk}") or (said.get("rest") and not grave):
                wanted.append(Confirmation(pin.operation.slug, said.get(f"seen-{pin.pk}", ""), effect))
                if is_milder(effect, pin.guess["effect"]) and not said.get("reason", "").strip():
                    self.add_error("reason", _("Say why %s asks for less care than was guessed.") % pin.operation.name)
        if not wanted and not self.errors:
            raise forms.ValidationError(_("Tick what you confirm."))
        said["wanted"] = wanted
        return said

    @property
    def is_stale(self) -> bool:
        """Whether something is ticked that does not stand here any more."""
        return any(name.startswith(TICK) and name not in self.fields for name in self.data)

    def refuse(self, errors: Mapping[str, list[str]]) -> None:
        """Say why not, each beside its operation."""
        fields = {pin.operation.slug: f"{TICK}{pin.pk}" for pin in self.pins}
        for slug, texts in errors.items():
            self.add_error(fields.get(slug), texts)
