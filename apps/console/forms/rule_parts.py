"""In which parts the form of a rule stands: what its effect has no use for is folded, and everything is reached."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from apps.policies.rules import Effect
from apps.policies.rules.sheets import SCOPES


@dataclass(frozen=True, slots=True)
class Part:
    """Fields under one heading. ``effects``: of which rules; a page's script opens it where one of them is chosen."""

    heading: str | Promise
    fields: list[forms.BoundField]
    is_open: bool
    effects: str = ""
    hint: str | Promise = ""


ASKING = ("queue", "people", "role", "exclude", "expires_in", "step_up", "hold")
BOUNDS = ("limit", "currency", "compensable", "sample")
TRIAL = ("risk", "confidential", "is_shadow", "share")
REST = ("rest",)
WHERE: tuple[tuple[tuple[str, ...], str | Promise, str | Promise], ...] = (
    (SCOPES[:4], gettext_lazy("For what"), gettext_lazy("Short names with commas between them; empty is everything.")),
    (SCOPES[4:], gettext_lazy("Limited further"), ""),
)
WHAT: tuple[tuple[tuple[str, ...], str | Promise, tuple[str, ...]], ...] = (
    (ASKING, gettext_lazy("Whom to ask, and how"), (Effect.REQUIRE_APPROVAL,)),
    (BOUNDS, gettext_lazy("What may run of it"), ()),
    (TRIAL, gettext_lazy("Risk, secrecy, trying it out"), ()),
    (REST, gettext_lazy("Other demands, as text"), ()),
)


def where_of(form: forms.Form) -> Iterator[Part]:
    """To what a rule applies, the usual ones first."""
    for place, (names, heading, hint) in enumerate(WHERE):
        fields = [form[name] for name in names]
        yield Part(heading, fields, is_open=place == 0 or any(map(_says_something, fields)), hint=hint)


def what_of(form: forms.Form) -> Iterator[Part]:
    """What a rule demands; open is what its effect is about, and what says something or is wrong."""
    chosen = str(form["effect"].value() or "")
    for names, heading, effects in WHAT:
        fields = [form[name] for name in names]
        is_open = chosen in effects or any(map(_says_something, fields))
        yield Part(heading, fields, is_open=is_open, effects=" ".join(effects))


def _says_something(bound: forms.BoundField) -> bool:
    value: Any = bound.value()
    return bool(value or bound.errors)
