"""What a person may give and say of an imported operation: the document, then what becomes of each operation."""

import re
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.agents.rules import EffectClass
from apps.connectors.models import OperationPin
from apps.connectors.rules.openapi import BYTES_MAX
from apps.connectors.rules.pins import Review, Waiting
from apps.connectors.rules.secrets import looks_secret

CURRENCY = re.compile(r"[A-Z]{3}")
EFFECTS = (
    (EffectClass.READ.value, _("Reads: changes nothing")),
    (EffectClass.WRITE.value, _("Writes: changes something that can be changed back")),
    (EffectClass.IRREVERSIBLE.value, _("Irreversible: nobody takes it back")),
)
PLACES = {"amount.path": "amount_path", "amount.currency_path": "currency", "amount": "amount_path"}
"""Where the errors of an operation stand in the form."""


class DocumentForm(forms.Form):
    """A document, pasted or as a file. What holds a secret is not shown again."""

    document = forms.CharField(
        label=_("Document"),
        required=False,
        strip=False,
        widget=forms.Textarea({"rows": 10, "spellcheck": "false", "autocomplete": "off"}),
    )
    file = forms.FileField(label=_("Or a file"), required=False, allow_empty_file=True)

    def clean(self) -> dict[str, Any]:
        """The document as ``text``."""
        found = self.cleaned_data.get("file")
        text = self.cleaned_data.get("document") or ""
        if found and text.strip():
            raise forms.ValidationError(_("A pasted document or a file, not both."))
        if found:
            try:
                text = found.read(BYTES_MAX + 1).decode("utf-8-sig")
            except UnicodeDecodeError:
                self.add_error("file", _("This is not UTF-8 text."))
        elif "file" not in self.errors and not text.strip():
            self.add_error("document", _("Paste a document, or choose a file."))
        self.cleaned_data["text"] = text.replace("\r\n", "\n")
        return self.cleaned_data

    def refuse(self, said: list[str]) -> None:
        """Say why the document cannot be used; it comes back to be mended, unless there is a secret in it."""
        self.add_error("file" if self.cleaned_data.get("file") else "document", said)
        if looks_secret(self.data.get("document", "")):
            self.data = {**self.data, "document": ""}


class ReviewForm(forms.Form):
    """What becomes of an imported operation."""

    verdict = forms.ChoiceField(label=_("Answer"), widget=forms.RadioSelect)
    effect = forms.ChoiceField(label=_("Effect"), choices=EFFECTS)
    consequence = forms.CharField(label=_("What people are told"), max_length=500, required=False)
    amount_path = forms.CharField(label=_("Amount in"), max_length=200, required=False)
    currency = forms.CharField(label=_("Currency"), max_length=200, required=False)
    target = forms.CharField(label=_("Who or what it is done to"), max_length=200, required=False)
    reason = forms.CharField(label=_("Reason"), max_length=500, required=False)
    seen = forms.CharField(widget=forms.HiddenInput, max_length=71)

    def __init__(self, *args: Any, pin: OperationPin, **kwargs: Any) -> None:
        operation, amount = pin.operation, pin.operation.amount or {}
        self.was = {
            "effect": operation.effect,
            "consequence": operation.consequence,
            "amount": operation.amount,
            "target": operation.target,
        }
        initial = {
            **self.was,
            "amount_path": amount.get("path", ""),
            "currency": amount.get("currency_path") or amount.get("currency", ""),
            "seen": pin.seen,
        }
        super().__init__(*args, **{**kwargs, "initial": initial})
        choices = [
            (Review.TAKE.value, _("Take what the document says now")),
            (Review.KEEP.value, _("Keep what was confirmed: the change does not matter")),
        ]
        only = {Waiting.NEW: Review.TAKE, Waiting.REMOVED: Review.KEEP}.get(Waiting(pin.waiting or Waiting.NEW))
        self.fields["verdict"].choices = choices  # type: ignore[attr-defined] # a choice field
        if only:
            self.fields["verdict"].widget = forms.HiddenInput()
            self.initial["verdict"] = only.value

    def clean(self) -> dict[str, Any]:
        """What the person corrected, as ``own``."""
        found = self.cleaned_data
        path, currency = found.get("amount_path", ""), found.get("currency", "")
        if path and not currency:
            self.add_error("currency", _("The parameter that holds it, or a code such as EUR."))
        if currency and not path:
            self.add_error("amount_path", _("The parameter that holds the amount."))
        place = "currency" if CURRENCY.fullmatch(currency) else "currency_path"
        given = {
            **{name: found.get(name, "") for name in ("effect", "consequence", "target")},
            "amount": {"path": path, place: currency} if path else None,
        }
        self.cleaned_data["own"] = {name: value for name, value in given.items() if value != self.was[name]}
        return found

    def refuse(self, errors: dict[str, list[str]]) -> None:
        """Say why not, each beside what it is about."""
        for name, said in errors.items():
            place = PLACES.get(name, name)
            if place in self.fields:
                self.add_error(place, said)
            else:
                self.add_error(None, [f"{name}: {text}" for text in said])
