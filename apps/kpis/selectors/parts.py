"""The runs and actions of one part of a figure: what a number of a split counts, and what its list shows."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Concat, ExtractHour, ExtractIsoWeekDay
from django.utils.translation import gettext as _

from apps.core.errors import InvalidError
from apps.kpis.models import ApprovalFact, StepFact
from apps.kpis.rules.definitions import Behind, Definition
from apps.kpis.rules.facts import ESCALATING_KINDS
from apps.kpis.rules.filters import KpiFilter

MISMATCH, UNNAMED, OVERDUE = "~mismatch", "~unnamed", "~overdue"
"""Keys that no class of errors and no rule is called by."""
BESIDE = "~beside"
"""Begins the key of all classes of errors but those that it names."""
OF_RUNS, OF_ACTIONS = ("error", "step", "reason", "hour"), ("operation",)
ERROR = Case(
    When(state="succeeded", then=Value(MISMATCH)),
    When(error_class="", then=Value(UNNAMED)),
    default=F("error_class"),
    output_field=CharField(),
)
"""Of a run that failed or left something wrong: its class of error."""
WENT_TO_PEOPLE = Q(kind__in=ESCALATING_KINDS)
REASON = Case(
    When(WENT_TO_PEOPLE & ~Q(rule=""), then=F("rule")),
    When(WENT_TO_PEOPLE, then=Concat(Value("~"), F("kind"))),
    default=Value(OVERDUE),
    output_field=CharField(),
)
"""Of what was not planned and went to people, or was late with them: the rule that asked, or what it was."""


def part_names() -> dict[str, str]:
    """What the keys are called that no class of errors and no rule is called by."""
    return {
        MISMATCH: _("A system shows something else"),
        UNNAMED: _("No class named"),
        OVERDUE: _("Past its due date"),
        "~action": _("An action, by no rule"),
        "~question": _("A question"),
        "~exception": _("An exception"),
        "~unknown": _("An outcome that is unknown"),
    }


def key_beside(keys: Sequence[str]) -> str:
    """The key of every class of errors but these: what a chart draws as the others leads to exactly its runs."""
    return "|".join([BESIDE, *(quote(key, safe="~") for key in keys)])


def keys_beside(key: str) -> list[str] | None:
    """The classes that such a key leaves out; None of the key of one class."""
    head, _bar, rest = key.partition("|")
    return [unquote(one) for one in rest.split("|")] if head == BESIDE and rest else None


def asking(asked: KpiFilter) -> QuerySet[Any]:
    """What makes runs escalated, but for steps past their due date: with its reason, day of the week and hour."""
    rows: QuerySet[Any] = ApprovalFact.objects.filter(WENT_TO_PEOPLE | Q(overdue=True), run_id__isnull=False)
    told: QuerySet[Any] = rows.annotate(
        reason=REASON,
        weekday=ExtractIsoWeekDay("requested_at", tzinfo=asked.zone),
        hour=ExtractHour("requested_at", tzinfo=asked.zone),
    )
    return told


def require_part(definition: Definition, asked: KpiFilter) -> None:
    """Raises InvalidError for a part of which the rows behind this figure know nothing."""
    known = {Behind.FINISHED: OF_RUNS, Behind.ACTIONS: OF_ACTIONS}.get(definition.behind, ())
    if asked.part is not None and asked.part[0] not in known:
        raise InvalidError(errors={asked.part[0]: [_("The list behind this figure knows no such part.")]})


def within_part(definition: Definition, rows: QuerySet[Any], asked: KpiFilter) -> QuerySet[Any]:
    """The rows of the part that is asked for. Raises InvalidError where these rows know no such part."""
    require_part(definition, asked)
    if asked.part is None:
        return rows
    name, value = asked.part
    own = {"run_id": OuterRef("run_id")}
    match name:
        case "error":
            named: QuerySet[Any] = rows.annotate(error_key=ERROR)
            others = keys_beside(value)
            return named.filter(error_key=value) if others is None else named.exclude(error_key__in=others)
        case "step":
            return rows.filter(Exists(StepFact.objects.filter(name=value, state="failed", **own)))
        case "reason":
            late = Exists(StepFact.objects.filter(overdue=True, **own)) if value == OVERDUE else Q(pk__in=[])
            return rows.filter(Exists(asking(asked).filter(reason=value, **own)) | late)
        case "hour":
            weekday, _dash, hour = value.partition("-")
            return rows.filter(Exists(asking(asked).filter(WENT_TO_PEOPLE, weekday=weekday, hour=hour, **own)))
    return rows.filter(operation=value)
