"""How pages and decisions behave for one person."""

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.oversight.rules import MAX_HOLD_S


class HoldForm(forms.Form):
    """How long one's own decisions are held."""

    hold_s = forms.IntegerField(
        min_value=0,
        max_value=MAX_HOLD_S,
        label=_("Hold my decisions for (seconds)"),
        help_text=_("From 0 to 60. Until then you can take a decision back; a rule may hold it longer."),
    )
