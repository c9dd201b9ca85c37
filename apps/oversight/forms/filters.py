"""The filters of the inbox; all of them live in the address."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.core.rules import Risk
from apps.oversight.rules import Fate, Kind
from apps.oversight.selectors import Choices

VIEWS = (
    ("mine", _("Mine")),
    ("team", _("Team")),
    ("unassigned", _("Unassigned")),
    ("snoozed", _("Snoozed")),
    ("decided", _("Decided")),
)
RISKS = (
    ("", _("Any risk")),
    (Risk.CRITICAL.value, _("Critical")),
    (Risk.HIGH.value, _("High")),
    (Risk.MEDIUM.value, _("Medium")),
    (Risk.LOW.value, _("Low")),
)
KINDS = (
    ("", _("Any kind")),
    (Kind.ACTION.value, _("Actions")),
    (Kind.APPROVAL.value, _("Approval steps")),
    (Kind.FORM.value, _("Forms")),
    (Kind.QUESTION.value, _("Questions")),
    (Kind.EXCEPTION.value, _("Exceptions")),
    (Kind.UNKNOWN.value, _("What happened?")),
    (Kind.REVIEW.value, _("Reviews")),
)


FATES = (
    ("", _("Whatever became of it")),
    (Fate.CARRIED_OUT.value, _("Carried out")),
    (Fate.VERIFIED.value, _("Verified")),
    (Fate.MISMATCH.value, _("The system shows something else")),
    (Fate.WAITING.value, _("Waits to be carried out")),
    (Fate.UNDER_WAY.value, _("Under way")),
    (Fate.FAILED.value, _("Failed")),
    (Fate.UNKNOWN.value, _("Outcome unknown")),
    (Fate.REVERSED.value, _("Reversed")),
    (Fate.OVERTURNED.value, _("Overturned by a review")),
    (Fate.UNUSED.value, _("Approved, never carried out")),
    (Fate.NOT_RUN.value, _("Did not run")),
    (Fate.SENT_BACK.value, _("Sent back")),
    (Fate.WENT_ON.value, _("The work went on")),
    (Fate.OPEN.value, _("Waits for others")),
)
ALIKE = "like"
GROUP = re.compile(r"like|[0-9a-f]{12}")
PICKED = {"queue": _("Any queue"), "agent": _("Any agent"), "workflow": _("Any workflow")}
"""The filters that are picked from what stands in the list, and what they say where nothing is picked."""
SHAPE = frozenset({"view", "group", "pick"})
"""What says how the list is shown, and does not narrow it."""


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter that narrows the list; ``name`` is the part of the address that takes it away."""

    name: str
    label: Any
    value: Any


class InboxFilter(forms.Form):
    """Views and filters; what does not fit is ignored, so that an old link still opens."""

    view = forms.ChoiceField(choices=VIEWS, required=False)
    q = forms.CharField(
        max_length=120, required=False, label=_("Search"),
        widget=forms.TextInput(attrs={"type": "search", "placeholder": _("Filter"), "data-key": "/"}),
    )  # fmt: skip
    risk = forms.ChoiceField(
        choices=RISKS, required=False, label=_("Risk"), widget=forms.Select(attrs={"data-submit-on-change": True})
    )
    kind = forms.ChoiceField(
        choices=KINDS, required=False, label=_("Kind"), widget=forms.Select(attrs={"data-submit-on-change": True})
    )
    fate = forms.ChoiceField(
        choices=FATES, required=False, label=_("What became of it"),
        widget=forms.Select(attrs={"data-submit-on-change": True}),
    )  # fmt: skip
    agent = forms.SlugField(required=False, label=_("Agent"), widget=forms.HiddenInput)
    workflow = forms.SlugField(required=False, label=_("Workflow"), widget=forms.HiddenInput)
    queue = forms.SlugField(required=False, label=_("Queue"), widget=forms.HiddenInput)
    operation = forms.CharField(max_length=120, required=False, label=_("Operation"), widget=forms.HiddenInput)
    group = forms.RegexField(GROUP, required=False, label=_("Like items"), widget=forms.HiddenInput)
    pick = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def offer(self, choices: Choices) -> None:
        """Let the filters that only an address could name be picked from ``choices``; what is picked already stays."""
        for name, nothing in PICKED.items():
            offered = [
                (choice.slug, f"{choice.name} ({choice.n})" if choices.is_whole else choice.name)
                for choice in getattr(choices, name)
            ]
            chosen = self.wanted.get(name)
            if chosen and chosen not in dict(offered):
                offered.append((chosen, chosen))
            self.fields[name].widget = forms.Select(
                choices=[("", nothing), *offered], attrs={"data-submit-on-change": True}
            )

    @property
    def picks(self) -> list[forms.BoundField]:
        """The fields that ``offer`` fills."""
        return [self[name] for name in PICKED]

    @property
    def wanted(self) -> dict[str, Any]:
        """What was asked for and fits; ``view`` is always there."""
        self.is_valid()
        found = {name: value for name, value in self.cleaned_data.items() if value}
        return {"view": "mine", **found}

    @property
    def is_filtered(self) -> bool:
        """Whether anything but the view narrows the list."""
        return bool(self.wanted.keys() - SHAPE) or self.group_key != ""

    @property
    def folds(self) -> bool:
        """Whether like items stand under one line."""
        return bool(self.wanted.get("group") == ALIKE)

    @property
    def group_key(self) -> str:
        """The group that the list is narrowed to; nothing where it is not."""
        found = str(self.wanted.get("group", ""))
        return "" if found == ALIKE else found

    @property
    def query(self) -> str:
        """The filters as an address keeps them, in a fixed order: equal filters are equal texts."""
        return urlencode({name: self.narrowing[name] for name in self.fields if name in self.narrowing})

    @property
    def narrowing(self) -> dict[str, Any]:
        """What of the address says which items are meant."""
        return {name: value for name, value in self.wanted.items() if name != "pick"}

    @property
    def chips(self) -> list[Chip]:
        """What narrows the list, in words; a group is named by the page that knows it."""
        names = [name for name in self.fields if name in self.wanted and name not in SHAPE]
        return [Chip(name, self.fields[name].label, self._said(name)) for name in names]

    def _said(self, name: str) -> Any:
        choices = dict(getattr(self.fields[name], "choices", ()))
        return choices.get(self.wanted[name], self.wanted[name])


class SavedViewForm(forms.Form):
    """A name for the filters of an address."""

    name = forms.CharField(max_length=40, label=_("Name of the view"), widget=forms.TextInput(attrs={"size": 14}))
