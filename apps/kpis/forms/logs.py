"""A file of events, and how it is read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.models import BusinessUnit, Queue
from apps.kpis.rules.eventlogs import Columns, Dates, LogError, Spelling
from apps.kpis.rules.eventlogs.attributes import MAX_ATTRIBUTES, MAX_OFFERED, is_offered
from apps.kpis.rules.eventlogs.reading import zone_of
from apps.kpis.services.uploads import MAX_BYTES, TOO_LARGE

COLUMN_LABELS = {
    "case": gettext_lazy("Case"),
    "activity": gettext_lazy("Activity"),
    "start": gettext_lazy("Start"),
    "complete": gettext_lazy("Complete, or the only time"),
    "resource": gettext_lazy("Resource"),
    "lifecycle": gettext_lazy("Life cycle"),
    "cost": gettext_lazy("Cost"),
}
COLUMN_HINTS = {
    "start": gettext_lazy("Without one, what happened took no time."),
    "lifecycle": gettext_lazy("Where a line is a start or a complete, not both."),
    "cost": gettext_lazy("In the reporting currency."),
}
NEEDED = frozenset({"case", "activity", "complete"})
EXAMPLE = 40
"""Characters of a value that stands beside a choice."""
ENCODINGS = [
    ("utf-8", "UTF-8"),
    ("cp1252", "Windows-1252"),
    ("utf-16", "UTF-16"),
    ("utf-16-le", "UTF-16 LE"),
    ("iso-8859-15", "ISO 8859-15"),
]
DELIMITERS = [(",", gettext_lazy("Comma")), (";", gettext_lazy("Semicolon")), ("\t", "Tab"), ("|", gettext_lazy("Bar"))]
DATES = [
    (Dates.ISO, gettext_lazy("Year first: 2026-03-29 14:05")),
    (Dates.DAY_FIRST, gettext_lazy("Day first: 29.03.2026 14:05")),
    (Dates.MONTH_FIRST, gettext_lazy("Month first: 03/29/2026 2:05 PM")),
]
DECIMALS = [(".", gettext_lazy("Point: 1,234.50")), (",", gettext_lazy("Comma: 1.234,50"))]


class LogFileForm(forms.Form):
    """The file; how it is read is asked once it is here."""

    file = forms.FileField(
        label=gettext_lazy("File"), help_text=gettext_lazy("CSV or XES, also packed as .gz; at most 20 MB.")
    )

    def clean_file(self) -> Any:
        """Not larger than a page may take; the command takes more."""
        file = self.cleaned_data["file"]
        if file.size > MAX_BYTES:
            raise forms.ValidationError(TOO_LARGE)
        return file


class LogReadingForm(forms.Form):
    """What the log is called and whose it is; of a CSV also how it is written, and which column says what."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=120, help_text=gettext_lazy("Such as Invoices 2025."))
    workflow = forms.ChoiceField(
        label=gettext_lazy("Workflow"),
        required=False,
        help_text=gettext_lazy("Sets its baselines: cycle time, cases a day, worked on again, cost."),
    )
    tz = forms.CharField(
        label=gettext_lazy("Time zone"),
        max_length=64,
        help_text=gettext_lazy("Of times without an offset, and of weeks."),
    )

    def __init__(
        self,
        *args: Any,
        workflows: dict[str, str],
        header: Sequence[str] | None = None,
        attributes: Iterable[tuple[str, str]] = (),
        **kwargs: Any,
    ) -> None:
        """``header``: the columns of a CSV; None where the file has none to choose from.

        ``attributes``: what may be kept of each case, and how that is called.
        """
        super().__init__(*args, **kwargs)
        self.fields["workflow"].choices = [("", _("None of these")), *workflows.items()]  # type: ignore[attr-defined] # a choice field
        self.is_table = header is not None
        if header is not None:
            self._ask_columns(header)
        if offered := list(attributes)[:MAX_OFFERED]:
            self._ask_attributes(offered)

    def _ask_columns(self, header: Sequence[str]) -> None:
        named = [(name, name) for name in header if name]
        for part, label in COLUMN_LABELS.items():
            is_needed = part in NEEDED
            self.fields[part] = forms.ChoiceField(
                label=label,
                required=is_needed,
                choices=[("", _("Choose…") if is_needed else _("None")), *named],
                help_text=COLUMN_HINTS.get(part, ""),
            )
        self.fields["encoding"] = forms.ChoiceField(label=_("Encoding"), choices=ENCODINGS)
        self.fields["delimiter"] = forms.ChoiceField(label=_("Cells are apart by"), choices=DELIMITERS)
        self.fields["dates"] = forms.ChoiceField(label=_("Dates"), choices=DATES)
        self.fields["decimal"] = forms.ChoiceField(label=_("Decimal sign"), choices=DECIMALS)

    def _ask_attributes(self, offered: list[tuple[str, str]]) -> None:
        told = _("What is the same in all of a case, such as a region: figures are told by it. At most %d.")
        self.fields["attributes"] = forms.MultipleChoiceField(
            label=_("Also keep of each case"),
            required=False,
            choices=offered,
            help_text=told % MAX_ATTRIBUTES,
            widget=forms.CheckboxSelectMultiple,
        )

    def clean_attributes(self) -> list[str]:
        """Not more than are kept."""
        asked: list[str] = self.cleaned_data["attributes"]
        if len(asked) > MAX_ATTRIBUTES:
            told = _("At most %(most)d, and these are %(asked)d.")
            raise forms.ValidationError(told % {"most": MAX_ATTRIBUTES, "asked": len(asked)})
        return asked

    def clean_tz(self) -> str:
        """A zone that there is."""
        try:
            return zone_of(self.cleaned_data["tz"]).key
        except LogError as error:
            raise forms.ValidationError(error.message) from error

    def clean(self) -> dict[str, Any]:
        """A row is an activity with its start, or one moment of its life cycle; never both."""
        said = super().clean() or {}
        if said.get("start") and said.get("lifecycle"):
            self.add_error("lifecycle", _("A row says its start or its place in the life cycle: choose None for one."))
        read = {said.get(part) for part in COLUMN_LABELS} & {*said.get("attributes", ())}
        if read:
            told = _("%s is read as something else above; keep it there or here.")
            self.add_error("attributes", told % ", ".join(sorted(map(str, read))))
        return said

    @property
    def columns(self) -> Columns:
        """Which column says what."""
        return Columns(**{part: self.cleaned_data[part] for part in COLUMN_LABELS}) if self.is_table else Columns()

    @property
    def attributes(self) -> list[str]:
        """What is kept of each case as a whole."""
        return list(self.cleaned_data.get("attributes", ()))

    @property
    def encoding(self) -> str:
        """Of a CSV; empty where the file says so itself."""
        return str(self.cleaned_data["encoding"]) if self.is_table else ""

    @property
    def spelling(self) -> Spelling:
        """How a CSV is written."""
        if not self.is_table:
            return Spelling()
        said = self.cleaned_data
        return Spelling(said["delimiter"], Dates(said["dates"]), said["decimal"])


def offered_columns(header: Sequence[str], said: Mapping[str, Any], kept: Sequence[str]) -> list[tuple[str, str]]:
    """Columns that may be kept of each case: those that are ``kept``, and those ``said`` to be nothing else."""
    read = {said.get(part) for part in COLUMN_LABELS}
    return [(name, name) for name in header if is_offered(name) and (name in kept or name not in read)]


def offered_traits(seen: Mapping[str, str]) -> list[tuple[str, str]]:
    """What traces say of themselves, each with an example."""
    return [(name, f"{name} ({value[:EXAMPLE]})") for name, value in seen.items()]


class WorkflowStartForm(forms.Form):
    """How a workflow is called that begins from a log, whose it is, and who does its steps to begin with."""

    slug = forms.RegexField(
        r"^[a-z0-9]+(?:-[a-z0-9]+)*\Z",
        label=gettext_lazy("Short name"),
        max_length=63,
        help_text=gettext_lazy("Small letters, digits and dashes. It stays."),
        error_messages={"invalid": gettext_lazy("Small letters, digits and dashes only, such as invoice-approval.")},
    )
    unit = forms.ModelChoiceField(
        BusinessUnit.objects.none(),
        label=gettext_lazy("Unit"),
        to_field_name="slug",
        empty_label=gettext_lazy("Choose…"),
    )
    queue = forms.ChoiceField(
        label=gettext_lazy("Queue"),
        help_text=gettext_lazy("Its people do each step, until you say in the document that agents or systems do."),
    )

    def __init__(self, *args: Any, units: QuerySet[BusinessUnit], queues: Iterable[Queue], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["unit"].queryset = units  # type: ignore[attr-defined] # a model choice field
        named = [(queue.slug, queue.name) for queue in queues]
        self.fields["queue"].choices = [("", _("Choose…")), *named]  # type: ignore[attr-defined] # a choice field
