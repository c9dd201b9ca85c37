"""What a person may choose and type: when they are told, and where a chat is."""

from collections.abc import Iterator
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.models import Queue
from apps.core.models import User
from apps.core.rules import Risk
from apps.notifications.rules import CHOICES, Channel, Timing

CHANNELS = {
    Channel.IN_APP: gettext_lazy("In the app"),
    Channel.EMAIL: gettext_lazy("E-mail"),
    Channel.CHAT: gettext_lazy("Chat"),
    Channel.PUSH: gettext_lazy("Browser"),
}
TIMINGS = {
    Timing.NOW: gettext_lazy("At once"),
    Timing.DIGEST: gettext_lazy("Digest"),
    Timing.OFF: gettext_lazy("Off"),
}
CLOCK = forms.TimeInput({"type": "time"}, format="%H:%M")


class WishesForm(forms.Form):
    """One choice per channel and risk, and the hours in which all but the app waits."""

    begins = forms.TimeField(label=gettext_lazy("From"), required=False, widget=CLOCK)
    ends = forms.TimeField(label=gettext_lazy("To"), required=False, widget=CLOCK)
    timezone = forms.CharField(
        label=gettext_lazy("Time zone"),
        required=False,
        max_length=60,
        help_text=gettext_lazy("Such as Europe/Berlin."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for channel, timings in CHOICES.items():
            for risk in Risk:
                label = _("%(channel)s, %(risk)s risk") % {"channel": CHANNELS[channel], "risk": risk.value}
                choices = [(timing.value, TIMINGS[timing]) for timing in timings]
                self.fields[f"{channel}-{risk}"] = forms.ChoiceField(label=label, choices=choices)

    def grid(self) -> Iterator[tuple[Risk, list[forms.BoundField]]]:
        """The choices as a table: a row per risk, gravest first, a column per channel."""
        for risk in reversed(Risk):
            yield risk, [self[f"{channel}-{risk}"] for channel in CHOICES]

    def clean(self) -> dict[str, Any]:
        """With ``timings`` and ``quiet`` as the command wants them."""
        found = super().clean() or {}
        begins, ends, zone = (found.get(name) for name in ("begins", "ends", "timezone"))
        if (begins is None) != (ends is None) and not self.errors:
            self.add_error("begins" if begins is None else "ends", _("Give both, or neither."))
        if begins is not None and zone not in available_timezones():
            self.add_error("timezone", _("A zone such as Europe/Berlin."))
        if begins is not None and begins == ends:
            self.add_error("ends", _("Another time than the beginning."))
        found["timings"] = {channel: {risk: found.get(f"{channel}-{risk}", "") for risk in Risk} for channel in CHOICES}
        found["quiet"] = (begins, ends, zone) if begins is not None and ends is not None else None
        return found


class ChatForm(forms.Form):
    """A webhook, for a queue or for a person. Its address is never shown again, not even with an error."""

    slug = forms.SlugField(label=gettext_lazy("Name"), max_length=63)
    queue = forms.ModelChoiceField(
        Queue.objects.none(), label=gettext_lazy("Queue"), to_field_name="slug", required=False, empty_label="—"
    )
    user = forms.ModelChoiceField(
        User.objects.none(), label=gettext_lazy("Person"), to_field_name="username", required=False, empty_label="—"
    )
    url = forms.CharField(
        label=gettext_lazy("Webhook address"),
        max_length=1000,
        required=False,
        help_text=gettext_lazy("A secret: whoever has it can write there. Empty: the present one stays."),
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    allow_internal = forms.BooleanField(label=gettext_lazy("It is inside our own network"), required=False)

    def __init__(self, *args: Any, queues: Any, people: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["queue"].queryset = queues  # type: ignore[attr-defined] # a model choice field
        self.fields["user"].queryset = people  # type: ignore[attr-defined] # as above
