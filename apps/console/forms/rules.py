"""One rule as people edit it: its condition as rows or as text, its effect, its scope, and what it demands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import yaml
from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.models import BusinessUnit, Queue, Role
from apps.console.forms.rule_parts import Part, what_of, where_of
from apps.console.forms.rule_words import COMPARISONS, EXCLUDED, JOINED, RISK_WORDS, SCOPE_LABELS
from apps.core.amounts import exponent_of
from apps.core.values import AmountField, amount_problem
from apps.policies.rules import Comparison, Effect
from apps.policies.rules.quorums import MAX_QUORUM
from apps.policies.rules.rows import BARE, PARAMETERS, Joined, Row, RowError, Rows, kind_of, rows_of, text_of
from apps.policies.rules.sheets import RISKS, SCOPES, document_of, filled
from apps.policies.selectors.sentences import fact_words
from apps.workflows.rules.source import SourceError, read_source

MAX_ROWS, MAX_PARAMETERS = 30, 200
ROWS, TEXT = "rows", "text"
EFFECTS = {
    Effect.ALLOW: gettext_lazy("Allow"),
    Effect.REQUIRE_APPROVAL: gettext_lazy("Ask people"),
    Effect.DENY: gettext_lazy("Deny"),
    Effect.FLAG: gettext_lazy("Flag, and do nothing else"),
}
MAIN = ("slug", "effect")
FIELD_OF = {
    "obligations.quorum": "people",
    "mode": "is_shadow",
    **{f"scope.{name}": name for name in SCOPES},
    **{f"obligations.{name}": name for name in ("expires_in", "hold", "sample", "limit", "step_up", "compensable")},
    "obligations.exclude": "exclude",
}
"""By which field what a check found at a path of the rule is mended; demands without one: by ``rest``."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a rule may name: queues and roles by slug, the parameters of the operations, and the usual currency."""

    queues: Mapping[str, str]
    roles: Mapping[str, str]
    parameters: Sequence[str]
    currency: str

    @classmethod
    def of(cls, schemas: Mapping[str, Mapping[str, Any]], unit: BusinessUnit | None) -> "Choices":
        """Those there are now; of a policy without a unit the currency is that of the topmost one."""
        names = {name for schema in schemas.values() for name in (schema.get("properties") or {})}
        top = unit or BusinessUnit.objects.filter(parent=None).order_by("created_at").first()
        return cls(
            dict(Queue.objects.order_by("name", "slug").values_list("slug", "name")),
            dict(Role.objects.order_by("name", "slug").values_list("slug", "name")),
            sorted(map(str, names))[:MAX_PARAMETERS],
            top.currency if top else "",
        )


class RuleForm(forms.Form):
    """``rows``: how many comparisons the condition has, where it is shown as such and not as ``text``."""

    as_what = forms.ChoiceField(choices=[(ROWS, ROWS), (TEXT, TEXT)], widget=forms.HiddenInput)
    rows = forms.IntegerField(min_value=0, max_value=MAX_ROWS, widget=forms.HiddenInput)
    slug = forms.CharField(
        label=gettext_lazy("Short name"), max_length=63, help_text=gettext_lazy("Verdicts name the rule by it.")
    )
    effect = forms.ChoiceField(
        label=gettext_lazy("Then"), choices=list(EFFECTS.items()), widget=forms.Select({"data-opens": True})
    )
    queue = forms.ChoiceField(label=gettext_lazy("Whom to ask"), required=False)
    people = forms.IntegerField(
        label=gettext_lazy("How many people"), min_value=1, max_value=MAX_QUORUM, required=False
    )
    role = forms.ChoiceField(label=gettext_lazy("Only those with the role"), required=False)
    joined = forms.ChoiceField(label=gettext_lazy("When"), choices=list(JOINED.items()), required=False)
    when = forms.CharField(
        label=gettext_lazy("When, as CEL"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
    )
    currency = forms.CharField(
        label=gettext_lazy("Currency of its amounts"),
        max_length=3,
        required=False,
        help_text=gettext_lazy("Empty: that of the policy's unit. What is in another is beyond every amount here."),
    )
    expires_in = forms.CharField(
        label=gettext_lazy("Expires after"),
        required=False,
        max_length=12,
        help_text=gettext_lazy("Such as 30m, 4h, 2d."),
    )
    hold = forms.CharField(
        label=gettext_lazy("Held before it runs"),
        required=False,
        max_length=12,
        help_text=gettext_lazy("What was approved waits so long, such as 10m."),
    )
    sample = forms.CharField(
        label=gettext_lazy("Looked at afterwards"),
        required=False,
        max_length=8,
        help_text=gettext_lazy("A share of what was done, such as 2%."),
    )
    limit = AmountField(
        label=gettext_lazy("At most"),
        required=False,
        help_text=gettext_lazy("In whole currency, such as 500.00. More is denied."),
    )
    step_up = forms.BooleanField(label=gettext_lazy("The approver confirms who they are"), required=False)
    compensable = forms.BooleanField(label=gettext_lazy("Only what can be undone"), required=False)
    exclude = forms.MultipleChoiceField(
        label=gettext_lazy("Who may not decide"),
        required=False,
        choices=list(EXCLUDED.items()),
        widget=forms.CheckboxSelectMultiple,
    )
    message = forms.CharField(
        label=gettext_lazy("What agents and approvers are told"),
        required=False,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    risk = forms.ChoiceField(
        label=gettext_lazy("Raises the risk to"),
        required=False,
        choices=[("", gettext_lazy("as it is")), *((risk, RISK_WORDS[risk]) for risk in RISKS)],
    )
    confidential = forms.BooleanField(
        label=gettext_lazy("Only those who may see this policy know what it says"), required=False
    )
    is_shadow = forms.BooleanField(
        label=gettext_lazy("In shadow: it only writes down what it would have said"), required=False
    )
    share = forms.CharField(
        label=gettext_lazy("For a share of the agents"),
        required=False,
        max_length=3,
        help_text=gettext_lazy("Such as 20%, drawn by their slugs. On the others it is in shadow. Empty: for all."),
    )
    rest = forms.CharField(
        label=gettext_lazy("As YAML, the way documents say it"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text=gettext_lazy("quorum in several groups, bulk, standing, redact, dry_run_first"),
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        choices: Choices,
        before: Mapping[str, Any],
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        shown = initial if initial is not None else _initial(before, choices)
        super().__init__(data, prefix="rule", initial=dict(shown))
        self._choices, self._before = choices, before
        for name in SCOPES:
            self.fields[name] = forms.CharField(label=SCOPE_LABELS[name], required=False, max_length=2_000)
        self._offer("queue", choices.queues, shown.get("queue"))
        self._offer("role", choices.roles, shown.get("role"))
        self._count = _count_of(data.get("rule-rows") if data is not None else shown.get("rows"))
        for place in range(self._count):
            self._add_row(place, data, shown)

    def _offer(self, name: str, names: Mapping[str, str], chosen: Any) -> None:
        """A slug that is gone stays on offer, so that the form says what the rule says."""
        known = {"": _("—"), **{slug: f"{word} ({slug})" for slug, word in names.items()}}
        gone = {} if not chosen or str(chosen) in known else {str(chosen): str(chosen)}
        self.fields[name].choices = list({**known, **gone}.items())  # type: ignore[attr-defined]

    def _add_row(self, place: int, data: Mapping[str, Any] | None, shown: Mapping[str, Any]) -> None:
        said = data.get(f"rule-fact_{place}") if data is not None else shown.get(f"fact_{place}")
        words = fact_words()
        parameters = [f"{PARAMETERS}{name}" for name in self._choices.parameters]
        facts = [name for name in words if kind_of(name)]
        known = dict.fromkeys([*facts, *parameters, *([str(said)] if said else [])])
        number = {"n": place + 1}
        self.fields[f"fact_{place}"] = forms.ChoiceField(
            label=_("Fact %(n)s") % number,
            required=False,
            choices=[
                ("", _("Choose a fact")),
                *((name, words.get(name) or name.removeprefix("action.")) for name in known),
            ],
        )
        self.fields[f"comparison_{place}"] = forms.ChoiceField(
            label=_("Comparison %(n)s") % number, choices=list(COMPARISONS.items())
        )
        self.fields[f"value_{place}"] = forms.CharField(
            label=_("Value %(n)s") % number, required=False, max_length=500, strip=False
        )

    @property
    def row_fields(self) -> list[tuple[int, forms.BoundField, forms.BoundField, forms.BoundField]]:
        """The fields of each comparison, with its place."""
        names = ("fact", "comparison", "value")
        return [(place, *(self[f"{name}_{place}"] for name in names)) for place in range(self._count)]  # type: ignore[misc]

    @property
    def is_text(self) -> bool:
        """Whether the condition is shown as text."""
        return bool(self["as_what"].value() == TEXT)

    @property
    def can_be_rows(self) -> bool:
        """Whether rows can say what is typed as text."""
        return rows_of(str(self["when"].value() or ""), digits=self.digits) is not None

    @property
    def turned(self) -> dict[str, Any] | None:
        """What was typed with its condition the other way round; None where that is wrong, or rows cannot say it."""
        when = self.cleaned_data.get("when")
        if not when or any(name == "when" or name.partition("_")[2].isdecimal() for name in self.errors):
            return None
        shown = {**typed(self.data), "when": when, **shown_as(None)}
        if not self.is_text:
            return shown
        rows = rows_of(when, digits=self.digits)
        return None if rows is None else {**shown, **shown_as(rows)}

    @property
    def main(self) -> list[forms.BoundField]:
        """Its name, and what it does."""
        return [self[name] for name in MAIN]

    @property
    def where(self) -> list[Part]:
        """To what it applies."""
        return list(where_of(self))

    @property
    def what(self) -> list[Part]:
        """What it demands, and what else it says."""
        return list(what_of(self))

    def clean(self) -> dict[str, Any]:
        """The condition as one text, and the other demands as values."""
        said = self.cleaned_data
        if said.get("as_what") == ROWS:
            self._write_condition(said)
        elif not (said.get("when") or "").strip():
            self.add_error("when", _("Say when: as CEL, such as true for always."))
        if said.get("limit") is not None and (problem := amount_problem(said["limit"], self.digits)):
            self.add_error("limit", problem)
        said["rest"] = self._demands(said.get("rest") or "")
        return said

    def _write_condition(self, said: dict[str, Any]) -> None:
        places = [place for place in range(self._count) if not self._is_blank(said, place)]
        rows = self._rows(said, places)
        if rows is None:
            return
        try:
            said["when"] = text_of(rows, digits=self.digits)
        except RowError as error:
            self.add_error(f"{error.field}_{places[error.place]}", error.message)
            return
        if rows == _rows_before(self._before, self.digits):  # nothing changed, so neither does the way it is written
            said["when"] = self._before.get("when", said["when"])

    @staticmethod
    def _is_blank(said: Mapping[str, Any], place: int) -> bool:
        """Whether nobody wrote anything in a comparison: then it is none."""
        is_bare = said.get(f"comparison_{place}") in BARE
        return said.get(f"fact_{place}") == "" and not is_bare and not said.get(f"value_{place}")

    def _rows(self, said: Mapping[str, Any], places: Sequence[int]) -> Rows | None:
        if any(f"fact_{place}" not in said or f"comparison_{place}" not in said for place in places):
            return None
        if unsaid := [place for place in places if not said[f"fact_{place}"]]:
            self.add_error(f"fact_{unsaid[0]}", _("Choose what is compared."))
            return None
        rows = [
            Row(said[f"fact_{place}"], comparison, "" if comparison in BARE else said.get(f"value_{place}", ""))
            for place in places
            for comparison in [Comparison(said[f"comparison_{place}"])]
        ]
        return Rows(tuple(rows), Joined(said.get("joined") or Joined.ALL) if rows else Joined.ALL)

    def _demands(self, text: str) -> dict[str, Any]:
        if not text.strip():
            return {}
        try:
            value = read_source(text).value
        except SourceError as error:
            self.add_error("rest", str(error.problem))
            return {}
        if not isinstance(value, dict):
            self.add_error("rest", _("Demands by name are wanted, such as bulk: false."))
            return {}
        return value

    @property
    def digits(self) -> int:
        """Those after the point of the rule's currency."""
        said = self.data.get("rule-currency") if self.is_bound else self.initial.get("currency")
        return exponent_of(str(said or "").strip() or self._choices.currency)

    def document(self) -> dict[str, Any]:
        """The rule as a document; call once the form is valid."""
        return document_of(self.cleaned_data, digits=self.digits, before=self._before)

    def refuse(self, path: str, text: str) -> None:
        """Put what a check found at ``path`` of the rule beside its field."""
        named = FIELD_OF.get(path) or next((FIELD_OF[at] for at in FIELD_OF if path.startswith(f"{at}.")), path)
        if named.startswith("obligations"):
            named = "rest"
        if named == "when" and not self.is_text:
            named = "fact_0" if self._count else "joined"
        self.add_error(named if named in self.fields else None, text)


def _count_of(said: object) -> int:
    text = str(said)
    return min(int(text), MAX_ROWS) if text.isdecimal() else 0


def _digits_of(before: Mapping[str, Any], choices: Choices) -> int:
    return exponent_of(str(before.get("currency") or choices.currency))


def _rows_before(before: Mapping[str, Any], digits: int) -> Rows | None:
    when = before.get("when")
    return rows_of(when, digits=digits) if isinstance(when, str) else None


def _initial(before: Mapping[str, Any], choices: Choices) -> dict[str, Any]:
    digits = _digits_of(before, choices)
    found = filled(before, digits=digits)
    rest = found["rest"]
    limit: Decimal | None = found["limit"]
    found["rest"] = yaml.safe_dump(rest, allow_unicode=True, sort_keys=False) if rest else ""
    found["limit"] = None if limit is None else f"{limit:f}"
    rows = _rows_before(before, digits)
    return {**found, **shown_as(rows)}


def shown_as(rows: Rows | None) -> dict[str, Any]:
    """What a form shows of a condition: rows, an empty one where it always holds, or its text where rows are none."""
    if rows is None:
        return {"as_what": TEXT, "rows": 0, "joined": Joined.ALL.value}
    found: dict[str, Any] = {"as_what": ROWS, "rows": max(len(rows.rows), 1), "joined": rows.joined.value}
    for place, row in enumerate(rows.rows):
        found |= {f"fact_{place}": row.fact, f"comparison_{place}": row.comparison.value, f"value_{place}": row.value}
    return found


def typed(data: Mapping[str, Any], *, without: int | None = None, more: int = 0) -> dict[str, Any]:
    """What was typed, as it was typed, with ``more`` rows or ``without`` one: a form that says nothing of it yet."""
    names = [name.removeprefix("rule-") for name in data if name.startswith("rule-")]
    found = {name: data.get(f"rule-{name}") for name in names}
    found["exclude"] = data.getlist("rule-exclude") if hasattr(data, "getlist") else found.get("exclude", [])
    kept = [place for place in range(_count_of(found.get("rows"))) if place != without]
    rows = {
        f"{name}_{place}": found.get(f"{name}_{old}", "")
        for place, old in enumerate(kept)
        for name in ("fact", "comparison", "value")
    }
    return {**found, **rows, "rows": min(len(kept) + more, MAX_ROWS), "as_what": ROWS}
