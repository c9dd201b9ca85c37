"""What whoever manages a queue may say of its drills."""

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.oversight.rules import MAX_ANNOUNCEMENT, MAX_PER_WEEK


class DrillForm(forms.Form):
    """How many a week, what people read beforehand, and whether items of critical risk are copied too."""

    per_week = forms.IntegerField(min_value=1, max_value=MAX_PER_WEEK, initial=1, label=_("At most a week"))
    announcement = forms.CharField(
        max_length=MAX_ANNOUNCEMENT,
        widget=forms.Textarea(attrs={"rows": 3}),
        label=_("Announcement"),
        help_text=_("Everybody who serves the queue reads it above their inbox, as long as there are drills."),
    )
    critical = forms.BooleanField(required=False, label=_("Also copies of items of critical risk"))

    def place(self, errors: dict[str, list[str]]) -> None:
        """Put a service's findings where the person typed."""
        for path, texts in errors.items():
            for text in texts:
                self.add_error(path if path in self.fields else None, text)
