"""How autonomous an agent shall be with one operation."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.console.forms.agents import ReasonForm
from apps.policies.rules.levels import LevelWish

WISHES = {
    LevelWish.PEOPLE: _("0: people do it; whatever it asks is denied"),
    LevelWish.ASKS: _("2: asks each time"),
    LevelWish.RULES: _("As the other rules say, without a rule of its own"),
}


class LevelForm(ReasonForm):
    """The level, the policy that says so, who is asked, and why."""

    level = forms.ChoiceField(label=_("Level"), choices=[(wish.value, words) for wish, words in WISHES.items()])
    policy = forms.ChoiceField(label=_("Policy"), help_text=_("The one that gets the rule. It keeps all its others."))
    queue = forms.ChoiceField(label=_("Who is asked"), required=False, help_text=_("Needed where it asks each time."))

    field_order = ["level", "policy", "queue", "reason"]

    def __init__(self, *args: Any, policies: Iterable[str], queues: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        named = [(slug, slug) for slug in policies]
        unsaid = [("", _("Choose one"))] if len(named) > 1 else []  # none is offered because its name comes first
        self.fields["policy"].choices = [*unsaid, *named]  # type: ignore[attr-defined] # a choice field
        self.fields["queue"].choices = [("", "—"), *((slug, slug) for slug in queues)]  # type: ignore[attr-defined] # as above

    def clean(self) -> dict[str, Any]:
        """Who is asked is named where it asks."""
        found = super().clean() or self.cleaned_data
        if found.get("level") == LevelWish.ASKS and not found.get("queue"):
            self.add_error("queue", _("Say who is asked."))
        return found
