"""Handing on, putting aside, giving more time, deciding many: what a person may type."""

import re
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from django import forms
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _

from apps.oversight.rules import MAX_REASON, BulkVerdict
from apps.oversight.selectors.words import REASONS

SPANS = ((900, _("15 minutes")), (3_600, _("1 hour")), (10_800, _("3 hours")), (86_400, _("1 day")))
"""Seconds, and how people say them."""
SPAN_MAX_S = 30 * 86_400
VERSION = re.compile(r"[1-9][0-9]{0,8}")


class Why(forms.Form):
    """What every move asks for."""

    reason = forms.CharField(max_length=MAX_REASON, label=_("Why"), error_messages={"required": _("Say why.")})


class SnoozeForm(forms.Form):
    """For how long, or until when; nothing: take it up again."""

    for_s = forms.IntegerField(min_value=0, max_value=SPAN_MAX_S, required=False)
    until = forms.DateTimeField(
        required=False,
        label=_("Or until (UTC)"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def clean(self) -> dict[str, Any]:
        """``until`` as an instant; None where ``for_s`` is 0. A span that was pressed goes before a time once typed."""
        cleaned = super().clean() or {}
        span = cleaned.get("for_s")
        if span is not None:
            self.errors.pop("until", None)
            cleaned["until"] = timezone.now() + timedelta(seconds=span) if span else None
        elif cleaned.get("until") is None and not self.errors:
            self.add_error("until", _("Say until when."))
        return cleaned


class DelegateForm(forms.Form):
    """Who decides in one's stead; offered are those who may."""

    to = forms.CharField(
        max_length=150, label=_("Who decides for you"), error_messages={"required": _("Name somebody.")}
    )
    reason = forms.CharField(max_length=MAX_REASON, required=False, label=_("What they should know"))


class ReassignForm(Why):
    """Another queue, or a person."""

    queue = forms.CharField(max_length=63, required=False, label=_("To the queue"))
    to = forms.CharField(max_length=150, required=False, label=_("Or to a person"))


class ExtendForm(Why):
    """How much more time."""

    by_s = forms.TypedChoiceField(choices=SPANS, coerce=int, label=_("How much longer"))


class EscalateForm(Why):
    """Why somebody else must see to it."""


class BulkForm(forms.Form):
    """One decision for the items that were selected."""

    verdict = forms.ChoiceField(choices=[(verdict.value, verdict.name) for verdict in BulkVerdict])
    reason_code = forms.ChoiceField(choices=REASONS, required=False)
    reason = forms.CharField(
        max_length=MAX_REASON, required=False, label=_("In your words"), widget=forms.Textarea(attrs={"rows": 2})
    )
    for_s = forms.TypedChoiceField(choices=SPANS, coerce=int, required=False, empty_value=None, label=_("For how long"))

    @property
    def ids(self) -> list[UUID]:
        """The items that were ticked, each once; what is no id is not one."""
        texts = cast("MultiValueDict[str, str]", self.data).getlist("ids")
        return list(dict.fromkeys(found for text in texts if (found := uuid_of(text))))

    @property
    def versions(self) -> dict[UUID, int]:
        """The versions that were on the screen."""
        texts = {found: str(self.data.get(f"v-{found}", "")) for found in self.ids}
        return {found: int(text) for found, text in texts.items() if VERSION.fullmatch(text)}


def uuid_of(text: str | None) -> UUID | None:
    """The id that was typed; None where it is none."""
    try:
        return UUID(text or "")
    except ValueError:
        return None
