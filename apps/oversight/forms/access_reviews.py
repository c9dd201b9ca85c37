"""What a person may type into a campaign of access reviews, and about one of its rights."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from apps.access.models import BusinessUnit
from apps.connectors.rules import Money
from apps.core.amounts import EXPONENTS
from apps.oversight.forms.days import end_of
from apps.oversight.rules.access_reviews import AtDue, RightKind, Say

KINDS = [
    (RightKind.ROLE.value, _("Roles of people")),
    (RightKind.OPERATION.value, _("Operations that agents may use")),
    (RightKind.KEY.value, _("Keys of agents")),
]
SAYS = [(Say.KEEP.value, _("Keep")), (Say.NARROW.value, _("Lower its limit")), (Say.REVOKE.value, _("Revoke"))]


class PlacingForm(forms.Form):
    """A form that takes the findings of a service."""

    def place(self, errors: Mapping[str, Iterable[str]]) -> None:
        """Put them where the person typed."""
        for path, texts in errors.items():
            for text in texts:
                self.add_error(path if path in self.fields else None, text)


class ReviewForm(PlacingForm):
    """A new campaign."""

    name = forms.CharField(label=_("Name"), max_length=120)
    unit = forms.ModelChoiceField(
        BusinessUnit.objects.none(),
        label=_("Unit"),
        to_field_name="slug",
        required=False,
        empty_label=_("Everywhere"),
        help_text=_("And everything below it."),
    )
    kinds = forms.MultipleChoiceField(
        label=_("What is reviewed"),
        choices=KINDS,
        initial=[kind for kind, _label in KINDS],
        widget=forms.CheckboxSelectMultiple,
    )
    due_at = forms.DateField(label=_("Due"), help_text=_("The last day."), widget=forms.DateInput({"type": "date"}))
    next_at = forms.DateField(
        label=_("Next review"),
        required=False,
        help_text=_("Whoever keeps a right until a day can choose none after this one."),
        widget=forms.DateInput({"type": "date"}),
    )
    reviewers = forms.CharField(
        label=_("Reviewers"),
        required=False,
        max_length=2000,
        help_text=_("User names, divided by commas. Empty: everybody who could take the right away. Nobody their own."),
    )
    at_due = forms.ChoiceField(
        label=_("What nobody decided by then"),
        choices=[
            (AtDue.REPORT.value, _("is reported, and stays")),
            (AtDue.REVOKE.value, _("is revoked in your name, but for what you hold yourself or was changed")),
        ],
        initial=AtDue.REPORT.value,
        widget=forms.RadioSelect,
    )

    def __init__(self, *args: Any, units: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["unit"].queryset = units  # type: ignore[attr-defined] # a model choice field

    def clean_due_at(self) -> datetime | None:
        """The end of that day."""
        return end_of(self.cleaned_data["due_at"])

    def clean_next_at(self) -> datetime | None:
        """The end of that day."""
        return end_of(self.cleaned_data.get("next_at"))

    def clean_reviewers(self) -> list[str]:
        """The names."""
        return [name.strip() for name in self.cleaned_data["reviewers"].split(",") if name.strip()]


class LineForm(PlacingForm):
    """What is said of one right. ``seen``: which state of it the page showed."""

    say = forms.ChoiceField(label=_("Decision"), choices=SAYS, widget=forms.RadioSelect)
    until = forms.DateField(
        label=_("Keep until"),
        required=False,
        help_text=_("The last day. Empty: as it is."),
        widget=forms.DateInput({"type": "date"}),
    )
    amount_minor = forms.IntegerField(
        label=_("At most, in the smallest unit"), required=False, min_value=0, max_value=2**53 - 1
    )
    currency = forms.CharField(label=_("Currency"), required=False, max_length=3)
    reason = forms.CharField(label=_("Why"), max_length=500, error_messages={"required": _("Say why.")})
    seen = forms.CharField(widget=forms.HiddenInput, max_length=71)

    def __init__(self, *args: Any, kind: str = RightKind.OPERATION, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if kind != RightKind.OPERATION:
            del self.fields["amount_minor"], self.fields["currency"]
            says: Any = self.fields["say"]
            says.choices = [choice for choice in SAYS if choice[0] != Say.NARROW]
        if kind == RightKind.KEY:
            del self.fields["until"]

    def clean_until(self) -> datetime | None:
        """The end of that day, as an instant; a past one is refused."""
        return end_of(self.cleaned_data.get("until"))

    def clean(self) -> dict[str, Any]:
        """The limit, where one was typed for narrowing."""
        found = self.cleaned_data
        minor, currency = found.get("amount_minor"), str(found.get("currency") or "").strip().upper()
        found["limit"] = None
        if minor is not None and found.get("say") == Say.NARROW:
            if currency not in EXPONENTS:
                self.add_error("currency", _now("A currency of ISO 4217."))
            else:
                found["limit"] = Money(minor, currency)
        return found


class TogetherForm(forms.Form):
    """Why many rights are kept or revoked together."""

    reason = forms.CharField(label=_("Why"), max_length=500, error_messages={"required": _("Say why.")})
