"""The runs and actions of one part of a figure: what a number of a split counts, and what its list shows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote

from django.db.models import Case, CharField, Count, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Concat, ExtractHour, ExtractIsoWeekDay
from django.utils.translation import gettext as _

from apps.connectors.models import Operation
from apps.core.errors import InvalidError
from apps.core.gate import visible
from apps.core.models import User
from apps.kpis.models import ActionFact, ApprovalFact, KpiValue, RunFact, StepFact
from apps.kpis.rules.business import Fault
from apps.kpis.rules.definitions import Behind, Definition
from apps.kpis.rules.facts import ESCALATING_KINDS
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors.reading import VIEW

NO_CAPABILITY = "~none"
"""The key of actions that were asked for in no task."""
MISMATCH, UNNAMED, OVERDUE = "~mismatch", "~unnamed", "~overdue"
"""Keys that no class of errors and no rule is called by."""
ANY = "~any"
"""The key of all runs whose value of a figure of one's own could not be made."""
BESIDE = "~beside"
"""Begins the key of all classes of errors but those that it names."""
OURS: Mapping[str, Sequence[str]] = {
    "error": (MISMATCH, UNNAMED),
    "capability": (NO_CAPABILITY,),
    "reason": (OVERDUE, *(f"~{kind}" for kind in ESCALATING_KINDS)),
}
"""Names that parts have by themselves, whatever happened."""
OF_FIGURES: Mapping[str, Sequence[str]] = {
    "error_rate": ("error", "step"),
    "failed": ("error", "step"),
    "escalation_rate": ("reason", "hour"),
}
OF_ROWS: Mapping[Behind, Sequence[str]] = {Behind.ACTIONS: ("operation", "capability"), Behind.VALUES: ("error",)}
"""What the lists behind these figures, and behind all of such rows, can be limited to; all others to nothing."""
NAMED = 20
"""So many parts are named to whoever asks for one that is not there."""
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
RUNS = Count("run_id", distinct=True)


def part_names() -> dict[str, str]:
    """What the keys are called that no class of errors and no rule is called by."""
    return {
        MISMATCH: _("A system shows something else"),
        UNNAMED: _("No class named"),
        OVERDUE: _("Past its due date"),
        NO_CAPABILITY: _("In no task"),
        ANY: _("nothing readable"),
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
    if asked.part is None:
        return
    known = OF_ROWS.get(definition.behind) or OF_FIGURES.get(definition.key, ())
    if asked.part[0] not in known:
        said = _("The list behind this figure knows no such part.")
        said += " " + _("It can be limited to: %(names)s.") % {"names": ", ".join(known)} if known else ""
        raise InvalidError(errors={asked.part[0]: [said]})


def require_name(actor: User, rows: QuerySet[Any], asked: KpiFilter) -> None:
    """Raises InvalidError for a part of which ``actor`` sees nothing at any time, with the names of those in ``rows``.

    For lists that are empty: what is listed is there.
    """
    if asked.part is None or asked.part[0] == "hour" or _is_known(actor, *asked.part):
        return
    name, value = asked.part
    there = [key for key, _n in parts_in(rows, asked, name)[:NAMED]]
    said = _("You see nothing of this name: %(name)s.") % {"name": value}
    said += " " + _("In this question there are: %(names)s.") % {"names": ", ".join(there)} if there else ""
    raise InvalidError(errors={name: [said]})


def _is_known(actor: User, name: str, value: str) -> bool:
    if value in OURS.get(name, ()) or (name == "error" and keys_beside(value)):
        return True
    runs = visible(actor, VIEW, RunFact.objects.all())
    of_runs = {"run_id__in": runs.order_by().values("run_id")}
    match name:
        case "error":
            return runs.filter(error_class=value).exists()
        case "step":
            return StepFact.objects.filter(name=value, **of_runs).exists()
        case "reason":
            return ApprovalFact.objects.filter(rule=value, **of_runs).exists()
    if visible(actor, VIEW, ActionFact.objects.filter(**{name: value})).exists():
        return True
    return name == "operation" and visible(actor, VIEW, Operation.objects.filter(slug=value)).exists()


def within_part(rows: QuerySet[Any], asked: KpiFilter) -> QuerySet[Any]:
    """The rows of the part that is asked for, all of them where none is."""
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
    return rows.filter(**{name: "" if value == NO_CAPABILITY else value})


def within_faults(values: QuerySet[KpiValue], asked: KpiFilter) -> QuerySet[KpiValue]:
    """Runs that should have given a value and gave none, of one fault or of any. Raises InvalidError for another."""
    _name, value = asked.part or ("", ANY)
    if value not in {ANY, *Fault}:
        said = _("It can be limited to: %(names)s.") % {"names": ", ".join([ANY, *Fault])}
        raise InvalidError(errors={"error": [said]})
    return values.exclude(fault="") if value == ANY else values.filter(fault=value)


def parts_in(rows: QuerySet[Any], asked: KpiFilter, name: str) -> list[tuple[str, int]]:
    """The parts of these rows by their names, and how many rows each has: the largest first, of hours the earliest."""
    rows = rows.order_by()
    of_runs = {"run_id__in": rows.values("run_id")}
    match name:
        case "error":
            counted = dict(rows.annotate(error_key=ERROR).values_list("error_key").annotate(n=Count("pk")))
        case "step":
            failed = StepFact.objects.filter(state="failed", **of_runs).order_by()
            counted = dict(failed.values_list("name").annotate(n=RUNS))
        case "reason":
            counted = dict(asking(asked).filter(**of_runs).order_by().values_list("reason").annotate(n=RUNS))
            late = within_part(rows, replace(asked, part=(name, OVERDUE))).count()
            counted |= {OVERDUE: late} if late else {}
        case "hour":
            asks = asking(asked).filter(WENT_TO_PEOPLE, **of_runs).order_by()
            by_hour = asks.values_list("weekday", "hour").annotate(n=RUNS).order_by("weekday", "hour")
            return [(f"{weekday}-{hour:02}", n) for weekday, hour, n in by_hour]
        case _:
            counted = {key or NO_CAPABILITY: n for key, n in rows.values_list(name).annotate(n=Count("pk"))}
    return sorted(counted.items(), key=lambda one: (-one[1], one[0]))
