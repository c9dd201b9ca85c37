"""What people type about spans."""

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.console.forms.agents import ReasonForm


class LinkSpanForm(ReasonForm):
    """To which run a trace belongs, and why."""

    run = forms.UUIDField(
        label=_("Run"),
        help_text=_("Its id, from the address of its page."),
        error_messages={"invalid": _("Not the id of a run: 32 letters and digits with dashes.")},
    )

    field_order = ["run", "reason"]
