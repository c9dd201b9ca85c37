"""Searching the ledger."""

from django import forms
from django.utils.translation import gettext_lazy as _


class AuditFilterForm(forms.Form):
    """Who, what, about what, when."""

    actor = forms.CharField(
        label=_("Actor"), max_length=150, required=False, help_text=_("A name, such as Cleo Danso, or a user name")
    )
    name = forms.CharField(
        label=_("Event"), max_length=80, required=False, help_text=_("Such as escalation.approved, or action.*")
    )
    subject = forms.CharField(
        label=_("Subject"), max_length=80, required=False, help_text=_("An id, or a kind such as agent")
    )
    trail = forms.UUIDField(
        label=_("Trail"), required=False, help_text=_("The id of a run or action"),
        error_messages={"invalid": _("The whole id is wanted. A short one in the list leads to its trail.")},
    )  # fmt: skip
    since = forms.DateTimeField(label=_("From"), required=False, widget=forms.DateTimeInput({"type": "datetime-local"}))
    until = forms.DateTimeField(label=_("To"), required=False, widget=forms.DateTimeInput({"type": "datetime-local"}))


class NotedRootForm(forms.Form):
    """The last line of ``manage.py audit_verify``, as somebody noted it."""

    size = forms.IntegerField(label=_("Size"), min_value=1, max_value=2**31, help_text=_("As it was noted: size …"))
    root = forms.RegexField(
        r"\A[0-9a-fA-F]{64}\Z",
        label=_("Root"),
        help_text=_("64 hexadecimal digits"),
        error_messages={"invalid": _("A root is 64 hexadecimal digits.")},
    )
