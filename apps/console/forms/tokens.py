"""A person's tokens for scripts."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.access.rules import PERMISSIONS
from apps.access.services.tokens import MAX_DAYS, NAME_MAX


class TokenForm(forms.Form):
    """What a token is for, how long it lives, what it carries of its holder's rights."""

    name = forms.CharField(label=_("What it is for"), max_length=NAME_MAX)
    days = forms.IntegerField(label=_("Days until it expires"), min_value=1, max_value=MAX_DAYS, initial=30)
    read_only = forms.BooleanField(label=_("It only reads"), required=False, initial=True)
    permissions = forms.MultipleChoiceField(
        label=_("Only these rights"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None ticked: all that you hold. Never more than you hold when it is used."),
    )

    def __init__(self, *args: Any, held: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["permissions"].choices = [(name, PERMISSIONS[name]) for name in held]  # type: ignore[attr-defined] # a choice field

    def clean_permissions(self) -> list[str] | None:
        """The names; None for all."""
        return self.cleaned_data.get("permissions") or None
