"""Which versions of a workflow or of an agent ended something in a period, and two of them held against each other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.agents.selectors import agents_for
from apps.core.errors import InvalidError, NotFoundError
from apps.core.gate import require
from apps.core.models import User
from apps.kpis.models.claims import TASK, TASK_MEASURES
from apps.kpis.models.measures import ACTION_MEASURES, CYCLE, RUN_MEASURES, durations_in, within
from apps.kpis.rules.definitions import DEFINITIONS
from apps.kpis.rules.definitions.tasks import TASKS
from apps.kpis.rules.durations import piece_of
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import DASH
from apps.kpis.selectors.both import Stratum, Subject
from apps.kpis.selectors.business import compared_for
from apps.kpis.selectors.comparing import Comparison, compare, known_of
from apps.kpis.selectors.drawings import page_of_kpi
from apps.kpis.selectors.reading import VIEW, Reader, Row, actions_for, claims_for, percentile_row, runs_for
from apps.workflows.models import Attempt

OF_WORKFLOWS = (
    "cycle_time_p50_s", "error_rate", "sla_adherence", "cost_per_success_minor", "no_touch_rate", "escalation_rate",
    "rework_rate",
)  # fmt: skip
OF_ACTIONS = ("accuracy", "accuracy_decided", "accuracy_reviewed", "accuracy_read_back", "missed_escalations")
"""The figures that are asked at once; of agents those of their tasks as well."""


def versions_for(actor: User, asked: KpiFilter) -> list[int]:
    """The versions of a workflow of which runs ended in the period, the newest first."""
    require(actor, VIEW)
    return known_of([_of_workflow(actor, asked)])


def comparison_for(actor: User, asked: KpiFilter, *, now: int | None = None, was: int | None = None) -> Comparison:
    """Two versions of ``asked.workflow``; without numbers the two newest of which runs ended in the period.

    Raises InvalidError without a workflow, where both are the same, and where there are no two.
    """
    require(actor, VIEW)
    if not asked.workflow:
        raise InvalidError(errors={"workflow": [_("Say which workflow.")]})
    asked = replace(asked, version=None)
    return compare(asked, [_of_workflow(actor, asked)], now=now, was=was)


def agent_versions_for(actor: User, asked: KpiFilter) -> list[int]:
    """The versions of an agent of which actions or tasks ended in the period, the newest first.

    Raises NotFoundError for an agent that ``actor`` sees neither itself nor by what it did.
    """
    require(actor, VIEW)
    subjects = _of_agent(actor, asked)
    if not (any(one.rows.exists() for one in subjects) or agents_for(actor).filter(slug=asked.agent).exists()):
        raise NotFoundError
    return known_of(subjects)


def agent_comparison_for(
    actor: User, asked: KpiFilter, *, now: int | None = None, was: int | None = None
) -> Comparison:
    """Two versions of ``asked.agent``, as far as both did the same operations, or tasks, in the same units.

    Without numbers the two newest of which actions or tasks ended in the period. What names no version is in neither.
    Raises InvalidError without an agent, where both are the same, and where there are no two.
    """
    require(actor, VIEW)
    if not asked.agent:
        raise InvalidError(errors={"agent": [_("Say which agent.")]})
    asked = replace(asked, version=None, agent_version=None)
    return compare(asked, _of_agent(actor, asked), now=now, was=was)


def _of_workflow(actor: User, asked: KpiFilter) -> Subject:
    """The plane's figures, and those of one's own that are no sums: versions run for as long as they do."""
    asked = replace(asked, version=None)
    own = compared_for(actor, asked.workflow)
    values = {name: value for one in own for name, value in one.values.items()}
    return Subject(
        rows=runs_for(actor, asked).filter(within("finished_at", asked.period)).alias(**values),
        moment="finished_at",
        version="version",
        strata=("unit",),
        measures={**RUN_MEASURES, **{name: measure for one in own for name, measure in one.measures.items()}},
        counted="finished",
        figures={key: DEFINITIONS[key] for key in OF_WORKFLOWS} | {one.definition.key: one.definition for one in own},
        duration=CYCLE,
        page_of=lambda number, key: page_of_kpi(replace(asked, version=number), key),
        words_of=_words,
        percentiles_of=lambda number: Reader(actor, replace(asked, version=number), []).cycle_times(asked.period),
    )


def _of_agent(actor: User, asked: KpiFilter) -> list[Subject]:
    asked = replace(asked, version=None, agent_version=None)
    return [_of_actions(actor, asked), _of_tasks(actor, asked)]


def _of_actions(actor: User, asked: KpiFilter) -> Subject:
    return Subject(
        rows=actions_for(actor, asked).filter(within("ended_at", asked.period)),
        moment="ended_at",
        version="agent_version",
        strata=("operation", "unit"),
        measures={**ACTION_MEASURES, "actions": Count("action_id")},
        counted="actions",
        figures={key: DEFINITIONS[key] for key in OF_ACTIONS},
        duration=None,
        page_of=lambda number, key: page_of_kpi(replace(asked, agent_version=number), key),
        words_of=_words,
        percentiles_of=lambda _number: {},
    )


def _of_tasks(actor: User, asked: KpiFilter) -> Subject:
    rows = claims_for(actor, asked).filter(within("ended_at", asked.period))
    return Subject(
        rows=rows,
        moment="ended_at",
        version="agent_version",
        strata=("workflow", "capability", "unit"),
        measures=TASK_MEASURES,
        counted="tasks",
        figures=TASKS,
        duration=TASK,
        page_of=lambda _number, _key: "",
        words_of=_words,
        percentiles_of=lambda number: _task_times(rows.filter(version__number=number), asked),
    )


def _task_times(rows: QuerySet[Attempt], asked: KpiFilter) -> Row:
    """The median of how long tasks took that were done, with its interval."""
    found = durations_in(rows, TASK.moment, [asked.period], [TASK], ())
    return percentile_row(TASK, [piece_of(named[TASK.name]) for named in found.values() if named[TASK.name]])


def _words(strata: Sequence[Stratum]) -> Mapping[Stratum, dict[str, str]]:
    """The unit of each stratum, its last column, by its name; and what stands before it as it is."""
    ids = {one[-1] for one in strata} - {None}
    names = dict(BusinessUnit.objects.filter(pk__in=ids).values_list("pk", "name"))
    units = [_("No unit") if one[-1] is None else names.get(one[-1], DASH) for one in strata]
    return {
        one: {**dict(zip(BEFORE_UNIT[len(one)], one, strict=False)), "unit": unit}
        for one, unit in zip(strata, units, strict=True)
    }


BEFORE_UNIT: Mapping[int, tuple[str, ...]] = {1: (), 2: ("operation",), 3: ("workflow", "capability")}
"""What the columns of a stratum before its unit are called, by how many columns it has."""
