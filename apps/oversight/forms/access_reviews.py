"""What a person may type into a campaign of access reviews, and about one of its rights."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from apps.access.models import BusinessUnit
from apps.connectors.rules import Money
from apps.core.amounts import EXPONENTS, TooLargeError, minor_of
from apps.core.days import LastDayField
from apps.oversight.rules.access_reviews import HAVE_AN_END, AtDue, RightKind, Say

KINDS = [
    (RightKind.ROLE.value, _("Roles of people")),
    (RightKind.OPERATION.value, _("Operations that agents may use")),
    (RightKind.WORKFLOW.value, _("Workflows in which agents may work")),
    (RightKind.KEY.value, _("Keys of agents")),
    (RightKind.TOKEN.value, _("Tokens of people, which are of no unit: only a review of everything has them")),
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
    due_at = LastDayField(label=_("Due"), help_text=_("The last day."))
    next_at = LastDayField(
        label=_("Next review"),
        required=False,
        help_text=_("Whoever keeps a right until a day can choose none after this one."),
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

    def clean_reviewers(self) -> list[str]:
        """The names."""
        return [name.strip() for name in self.cleaned_data["reviewers"].split(",") if name.strip()]


class LineForm(PlacingForm):
    """What is said of one right. ``seen``: which state of it the page showed."""

    say = forms.ChoiceField(label=_("Decision"), choices=SAYS, widget=forms.RadioSelect)
    until = LastDayField(
        label=_("Keep until"),
        required=False,
        help_text=_("The last day. Empty: as it is."),
    )
    amount = forms.CharField(label=_("At most"), required=False, max_length=30, help_text=_("Such as 800.00."))
    currency = forms.CharField(label=_("Currency"), required=False, max_length=3)
    reason = forms.CharField(label=_("Why"), max_length=500, error_messages={"required": _("Say why.")})
    seen = forms.CharField(widget=forms.HiddenInput, max_length=71)

    def __init__(self, *args: Any, kind: str = RightKind.OPERATION, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if kind != RightKind.OPERATION:
            del self.fields["amount"], self.fields["currency"]
            says: Any = self.fields["say"]
            says.choices = [choice for choice in SAYS if choice[0] != Say.NARROW]
        if kind in HAVE_AN_END:
            del self.fields["until"]

    def clean(self) -> dict[str, Any]:
        """``limit``: the amount with its currency, or None. Whether it fits what is said, the service knows."""
        found = self.cleaned_data
        amount, currency = str(found.get("amount", "")).strip(), str(found.get("currency", "")).strip().upper()
        found["limit"] = None
        if amount and currency not in EXPONENTS:
            self.add_error("currency", _now("A currency of ISO 4217."))
        elif amount:
            try:
                found["limit"] = Money(minor_of(amount, currency), currency)
            except TooLargeError:
                self.add_error("amount", _now("This amount is too large."))
            except ValueError:
                self.add_error("amount", _now("An amount such as 800.00 is wanted, with the digits of its currency."))
        return found


class TogetherForm(forms.Form):
    """Why many rights are kept or revoked together."""

    reason = forms.CharField(label=_("Why"), max_length=500, error_messages={"required": _("Say why.")})
