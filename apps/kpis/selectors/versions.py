"""Which versions of a workflow or of an agent ended something in a period, and two of them held against each other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from django.db.models import Count
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.agents.selectors import agents_for
from apps.core.errors import InvalidError, NotFoundError
from apps.core.gate import require
from apps.core.models import User
from apps.kpis.models.measures import ACTION_MEASURES, RUN_MEASURES, within
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import DASH
from apps.kpis.selectors.comparing import Comparison, Stratum, Subject, compare
from apps.kpis.selectors.reading import VIEW, Reader, actions_for, runs_for

OF_WORKFLOWS = (
    "cycle_time_p50_s", "error_rate", "sla_adherence", "cost_per_success_minor", "no_touch_rate", "escalation_rate",
    "rework_rate",
)  # fmt: skip
OF_AGENTS = ("accuracy", "accuracy_decided", "accuracy_reviewed", "accuracy_read_back", "missed_escalations")
"""The figures that are asked at once."""


def versions_for(actor: User, asked: KpiFilter) -> list[int]:
    """The versions of a workflow of which runs ended in the period, the newest first."""
    require(actor, VIEW)
    return _of_workflow(actor, asked).known


def comparison_for(actor: User, asked: KpiFilter, *, now: int | None = None, was: int | None = None) -> Comparison:
    """Two versions of ``asked.workflow``; without numbers the two newest of which runs ended in the period.

    Raises InvalidError without a workflow, where both are the same, and where there are no two.
    """
    require(actor, VIEW)
    if not asked.workflow:
        raise InvalidError(errors={"workflow": [_("Say which workflow.")]})
    asked = replace(asked, version=None)
    return compare(asked, _of_workflow(actor, asked), now=now, was=was)


def agent_versions_for(actor: User, asked: KpiFilter) -> list[int]:
    """The versions of an agent of which actions ended in the period, the newest first.

    Raises NotFoundError for an agent that ``actor`` sees neither itself nor by what it did.
    """
    require(actor, VIEW)
    subject = _of_agent(actor, asked)
    if not (subject.rows.exists() or agents_for(actor).filter(slug=asked.agent).exists()):
        raise NotFoundError
    return subject.known


def agent_comparison_for(
    actor: User, asked: KpiFilter, *, now: int | None = None, was: int | None = None
) -> Comparison:
    """Two versions of ``asked.agent``, as far as both did the same operations in the same units.

    Without numbers the two newest of which actions ended in the period. What names no version is in neither. Raises
    InvalidError without an agent, where both are the same, and where there are no two.
    """
    require(actor, VIEW)
    if not asked.agent:
        raise InvalidError(errors={"agent": [_("Say which agent.")]})
    asked = replace(asked, version=None, agent_version=None)
    return compare(asked, _of_agent(actor, asked), now=now, was=was)


def _of_workflow(actor: User, asked: KpiFilter) -> Subject:
    asked = replace(asked, version=None)
    return Subject(
        rows=runs_for(actor, asked).filter(within("finished_at", asked.period)),
        version="version",
        strata=("unit",),
        measures=RUN_MEASURES,
        counted="finished",
        figures=OF_WORKFLOWS,
        asked_of=lambda number: replace(asked, version=number),
        words_of=_words,
        percentiles_of=lambda number: Reader(actor, replace(asked, version=number), []).cycle_times(asked.period),
    )


def _of_agent(actor: User, asked: KpiFilter) -> Subject:
    asked = replace(asked, version=None, agent_version=None)
    return Subject(
        rows=actions_for(actor, asked).filter(within("ended_at", asked.period)),
        version="agent_version",
        strata=("operation", "unit"),
        measures={**ACTION_MEASURES, "ended": Count("action_id")},
        counted="ended",
        figures=OF_AGENTS,
        asked_of=lambda number: replace(asked, agent_version=number),
        words_of=_words,
        percentiles_of=lambda _number: {},
    )


def _words(strata: Sequence[Stratum]) -> Mapping[Stratum, dict[str, str]]:
    """The unit of each stratum, its last column, by its name; and the operation before it, where there is one."""
    ids = {one[-1] for one in strata} - {None}
    names = dict(BusinessUnit.objects.filter(pk__in=ids).values_list("pk", "name"))
    operations = [{"operation": one[0]} if len(one) > 1 else {} for one in strata]
    units = [_("No unit") if one[-1] is None else names.get(one[-1], DASH) for one in strata]
    return {one: {**operation, "unit": unit} for one, operation, unit in zip(strata, operations, units, strict=True)}
