"""Fields of forms that offer a choice: whether there is one, whether it may stay empty, and how that is called."""

from django import forms
from django.utils.translation import gettext as _

DASHES = "---------"
"""Django's own words for nothing."""


def name_emptiness(of: forms.Field) -> None:
    """Say in words what Django's dashes stand for: that nothing is chosen yet, or that nothing need be."""
    if isinstance(of, forms.ModelChoiceField) and of.empty_label == DASHES:
        of.empty_label = _("Choose one") if of.required else _("None")


def may_stay_empty(bound: forms.BoundField) -> bool:
    """Whether there is a way to say nothing: a list without an empty line always says something."""
    is_one_of_some = type(bound.field.widget) is forms.Select
    return not is_one_of_some or any(not str(choice.data["value"] or "") for choice in bound.subwidgets)


def is_choice(bound: forms.BoundField) -> bool:
    """Whether it is no list to choose from, or there is something on it."""
    if not isinstance(bound.field.widget, forms.Select | forms.RadioSelect | forms.CheckboxSelectMultiple):
        return True
    return any(str(choice.data["value"] or "") for choice in bound.subwidgets)
