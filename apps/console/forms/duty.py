"""Rotas and calendars as people type them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.models import BusinessUnit, Calendar, Rota
from apps.access.rules import MAX_DAYS, WEEKDAYS, instant_of
from apps.core.models import User

DAY_NAMES = {
    "mon": gettext_lazy("Monday"),
    "tue": gettext_lazy("Tuesday"),
    "wed": gettext_lazy("Wednesday"),
    "thu": gettext_lazy("Thursday"),
    "fri": gettext_lazy("Friday"),
    "sat": gettext_lazy("Saturday"),
    "sun": gettext_lazy("Sunday"),
}
ZONE_HINT = gettext_lazy("Such as Europe/Berlin or UTC.")
SLUG_HINT = gettext_lazy("Small letters, digits and dashes. It stays, whatever the name becomes.")


def _slug() -> forms.SlugField:
    invalid = gettext_lazy("Small letters, digits and dashes only, such as finance-on-call.")
    return forms.SlugField(
        label=gettext_lazy("Short name"), max_length=63, help_text=SLUG_HINT, error_messages={"invalid": invalid}
    )


class _Saved(forms.Form):
    """A form whose service names what is wrong by path, such as ``people.2``."""

    def refuse(self, errors: Mapping[str, Iterable[str]]) -> None:
        """Put what a service refused beside its field, with the line or weekday that it is about."""
        for path, texts in errors.items():
            name, _dot, rest = path.partition(".")
            for text in texts:
                self.add_error(*self.placed(name, rest, text))

    def placed(self, name: str, rest: str, text: str) -> tuple[str | None, str]:
        """The field of this form for a part of what was saved, and what to say there."""
        if rest.isdigit():
            text = _("Line %(line)s: %(problem)s") % {"line": int(rest) + 1, "problem": text}
        return (name if name in self.fields else None), text


class RotaForm(_Saved):
    """Who takes turns, from when, how long each; ``rota``: the one that is changed, which keeps its short name."""

    slug = _slug()
    name = forms.CharField(label=gettext_lazy("Name"), max_length=120)
    unit = forms.ModelChoiceField(BusinessUnit.objects.none(), label=gettext_lazy("Unit"), to_field_name="slug")
    timezone = forms.CharField(label=gettext_lazy("Time zone"), max_length=60, help_text=ZONE_HINT)
    starts = forms.DateField(
        label=gettext_lazy("First day"),
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
        help_text=gettext_lazy("When the first person's turn begins."),
    )
    at = forms.CharField(
        label=gettext_lazy("Hand over at"),
        max_length=5,
        initial="09:00",
        help_text=gettext_lazy("Local time, such as 09:00."),
    )
    days = forms.IntegerField(
        label=gettext_lazy("Days of a turn"),
        min_value=1,
        max_value=MAX_DAYS,
        initial=7,
        help_text=gettext_lazy("7 is a week."),
    )
    people = forms.CharField(
        label=gettext_lazy("People"),
        max_length=8000,
        widget=forms.Textarea({"rows": 5}),
        help_text=gettext_lazy("Sign-in names in the order of their turns, one on each line."),
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, units: Any, rota: Rota | None = None) -> None:
        super().__init__(data, initial=_of_rota(rota))
        self.fields["unit"].queryset = units  # type: ignore[attr-defined] # a model choice field
        if rota is not None:
            del self.fields["slug"]

    def clean_people(self) -> list[str]:
        """The names, one of each line."""
        return _lines(self.cleaned_data["people"])


def _of_rota(rota: Rota | None) -> dict[str, Any]:
    if rota is None:
        return {}
    kept = {name: getattr(rota, name) for name in ("name", "timezone", "starts", "at", "days")}
    return {**kept, "unit": rota.unit.slug, "people": "\n".join(rota.people)}


class SwapForm(_Saved):
    """Somebody else on duty for a while, in the local time of the rota."""

    begins = forms.DateTimeField(
        label=gettext_lazy("From"), widget=forms.DateTimeInput({"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    )
    ends = forms.DateTimeField(
        label=gettext_lazy("Until"), widget=forms.DateTimeInput({"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    )
    user = forms.ModelChoiceField(User.objects.none(), label=gettext_lazy("Who"), to_field_name="username")

    def __init__(self, *args: Any, rota: Rota, people: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone = ZoneInfo(rota.timezone)
        self.fields["user"].queryset = people  # type: ignore[attr-defined] # a model choice field

    def clean_begins(self) -> datetime:
        """The instant at which clocks of the rota show it."""
        return self._instant("begins")

    def clean_ends(self) -> datetime:
        """As above."""
        return self._instant("ends")

    def clean(self) -> dict[str, Any]:
        """It ends after it begins."""
        said = self.cleaned_data
        if "begins" in said and "ends" in said and said["ends"] <= said["begins"]:
            self.add_error("ends", _("It ends before it begins."))
        return said

    def _instant(self, name: str) -> datetime:
        wall = self.cleaned_data[name].astimezone(UTC).replace(tzinfo=None)  # pages are typed into in UTC
        return instant_of(wall, self.zone).astimezone(self.zone)

    def placed(self, name: str, rest: str, text: str) -> tuple[str | None, str]:
        """What is wrong with the exceptions is wrong with the one that was typed."""
        return ("user" if rest.endswith("user") else None), text


class CalendarForm(_Saved):
    """A week of local times, holidays, a region; ``calendar``: the one that is changed."""

    slug = _slug()
    name = forms.CharField(label=gettext_lazy("Name"), max_length=120)
    timezone = forms.CharField(label=gettext_lazy("Time zone"), max_length=60, help_text=ZONE_HINT)
    region = forms.CharField(
        label=gettext_lazy("Region"),
        max_length=40,
        required=False,
        help_text=gettext_lazy("Its public holidays are closed: DE, DE-BY or US-NY."),
    )
    holidays = forms.CharField(
        label=gettext_lazy("More holidays"),
        max_length=80_000,
        required=False,
        widget=forms.Textarea({"rows": 4}),
        help_text=gettext_lazy("One on each line: 2027-12-24 Christmas Eve."),
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, calendar: Calendar | None = None) -> None:
        super().__init__(data, initial=_of_calendar(calendar))
        for name, label in DAY_NAMES.items():
            self.fields[name] = forms.CharField(label=label, max_length=300, required=False)
        self.fields["mon"].help_text = _("Such as 09:00-12:00, 13:00-17:00. Empty: closed.")
        self.order_fields(["slug", "name", "timezone", "region", "holidays", *WEEKDAYS])
        if calendar is not None:
            del self.fields["slug"]

    def clean_holidays(self) -> list[dict[str, str]]:
        """``{date, name}`` of each line."""
        pairs = [line.partition(" ") for line in _lines(self.cleaned_data["holidays"])]
        return [{"date": day, **({"name": name.strip()} if name.strip() else {})} for day, _space, name in pairs]

    def hours(self) -> dict[str, list[str]]:
        """The open times of each weekday."""
        said = {name: self.cleaned_data.get(name, "").replace(",", " ").split() for name in WEEKDAYS}
        return {name: slots for name, slots in said.items() if slots}

    def placed(self, name: str, rest: str, text: str) -> tuple[str | None, str]:
        """Hours have a field for each weekday."""
        day = rest.partition(".")[0]
        if name == "hours":
            return (day if day in WEEKDAYS else "mon"), text
        return super().placed(name, rest, text)


def _of_calendar(calendar: Calendar | None) -> dict[str, Any]:
    if calendar is None:
        return {}
    kept = {name: getattr(calendar, name) for name in ("name", "timezone", "region")}
    days = {name: ", ".join(slots) for name, slots in calendar.hours.items()}
    closed = [f"{one['date']} {one.get('name', '')}".strip() for one in calendar.holidays]
    return {**kept, **days, "holidays": "\n".join(closed)}


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
