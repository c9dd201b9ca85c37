"""Classes of data as people type them."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from apps.access.models import Role
from apps.access.rules import PERMISSIONS
from apps.classification.models import DataClass
from apps.classification.rules import MAX_RETENTION_DAYS, Place, Sensitivity

SENSITIVITIES = {
    Sensitivity.INTERNAL: gettext_lazy("Internal"),
    Sensitivity.CONFIDENTIAL: gettext_lazy("Confidential"),
    Sensitivity.RESTRICTED: gettext_lazy("Restricted"),
}
PLACES = {
    Place.INBOX: gettext_lazy("Items, actions and runs"),
    Place.NOTIFICATION: gettext_lazy("Messages"),
    Place.TRACE: gettext_lazy("What the rules saw"),
    Place.EXPORT: gettext_lazy("Files"),
}


class DataClassForm(forms.Form):
    """``found``: the one that is changed; its short name stays."""

    slug = forms.SlugField(
        label=gettext_lazy("Short name"),
        max_length=63,
        help_text=gettext_lazy("As schemas name it in x-data-class. It stays, whatever the name becomes."),
    )
    name = forms.CharField(label=gettext_lazy("Name"), max_length=120)
    purpose = forms.CharField(
        label=gettext_lazy("Why it is kept"),
        max_length=500,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    sensitivity = forms.ChoiceField(label=gettext_lazy("Sensitivity"), choices=list(SENSITIVITIES.items()))
    retention_days = forms.IntegerField(
        label=gettext_lazy("Kept for, in days"),
        min_value=1,
        max_value=MAX_RETENTION_DAYS,
        required=False,
        help_text=gettext_lazy("After what it belongs to has ended; then it is erased for ever. Empty: without end."),
    )
    visible_to = forms.MultipleChoiceField(
        label=gettext_lazy("Who may see it"),
        required=False,
        help_text=gettext_lazy("Whoever has one of these roles or permissions in the unit. None: nobody."),
    )
    redact_in = forms.MultipleChoiceField(
        label=gettext_lazy("Hidden from all others in"),
        choices=list(PLACES.items()),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, data: Any = None, *, found: DataClass | None = None) -> None:
        names = ("name", "purpose", "sensitivity", "retention_days", "visible_to", "redact_in")
        initial = {name: getattr(found, name) for name in names} if found else {"redact_in": list(Place)}
        super().__init__(data, initial=initial)
        roles = [(role.slug, f"{role.name} ({role.slug})") for role in Role.objects.order_by("slug")]
        visible: Any = self.fields["visible_to"]
        visible.choices = [
            (gettext_lazy("Roles"), roles),
            (gettext_lazy("Permissions"), [(name, name) for name in sorted(PERMISSIONS)]),
        ]
        if found is not None:
            del self.fields["slug"]

    def refuse(self, errors: Mapping[str, Iterable[str]]) -> None:
        """Put what the service refused beside its field."""
        for path, texts in errors.items():
            for text in texts:
                self.add_error(path if path in self.fields else None, text)
