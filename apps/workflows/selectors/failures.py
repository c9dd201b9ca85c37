"""Runs that failed, grouped by what they failed of, and what changed at that time."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from apps.audit.models import Entry
from apps.core.gate import visible
from apps.core.models import ClockTimestamp, User
from apps.workflows.models import Attempt, Retry, Run, Step
from apps.workflows.rules.retrying import RetryState, Unsafe
from apps.workflows.rules.states import AttemptState, StepState
from apps.workflows.selectors.retrying import failed_runs_for, operable_for, unsafe_runs_of

VIEW = "workflows.view_run"
MOST_RUNS = 1_000
MOST_CHANGES = 50
DAYS = (1, 7, 30)
CHANGES = (
    "workflowversion.published", "agentversion.active", "agentversion.pilot", "agent.active", "agent.suspended",
    "release.published", "halt.engaged", "halt.lifted", "connector.changed", "operation.changed",
)  # fmt: skip
"""Entries that say that something came into force, stopped, or is not what it was."""

BY_PERSON = "failed_by_person"

type Cause = tuple[str, str, str]
"""Workflow, step ("" where none failed), code of the error."""


@dataclass(slots=True)
class Group:
    """Runs that failed of one cause, the newest first. ``safe``: those that the reader may have begin anew."""

    cause: Cause
    name: str
    runs: list[Run] = field(default_factory=list)
    safe: list[UUID] = field(default_factory=list)
    not_safe: Counter[Unsafe] = field(default_factory=Counter)
    not_theirs: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def query(self) -> str:
        """What names the cause in an address."""
        return urlencode(list(zip(("workflow", "step", "code"), self.cause, strict=True)))

    @property
    def refusals(self) -> list[tuple[str, int]]:
        """Why retries were refused, and how many."""
        return self.refused.most_common()

    @property
    def first_at(self) -> datetime | None:
        """When the first of them failed."""
        return self.runs[-1].finished_at


@dataclass(frozen=True, slots=True)
class Failures:
    """The groups, the largest first. ``is_cut``: more runs failed than are looked at; the newest are."""

    groups: list[Group]
    is_cut: bool


def failures_for(actor: User, *, days: int, workflow: str = "", cause: Cause | None = None) -> Failures:
    """What failed in the last ``days`` days of the runs that ``actor`` may see; of one cause where it is given."""
    rows = failed_runs_for(actor).filter(finished_at__gt=ClockTimestamp() - timedelta(days=days))
    if slug := cause[0] if cause else workflow:
        rows = rows.filter(workflow__slug=slug)
    found = list(rows[: MOST_RUNS + 1])
    runs = found[:MOST_RUNS]
    causes = causes_of(actor, runs)
    runs = [run for run in runs if cause is None or causes[run.pk] == cause]
    unsafe, mine = unsafe_runs_of(actor, runs), operable_for(actor, runs)
    retries = {one.run_id: one for one in Retry.objects.filter(run__in=[run.pk for run in runs])}
    groups: dict[Cause, Group] = {}
    for run in runs:
        group = groups.setdefault(causes[run.pk], Group(causes[run.pk], run.workflow.name))
        group.runs.append(run)
        _weigh(group, run, unsafe.get(run.pk), is_theirs=run.pk in mine)
        if retry := retries.get(run.pk):
            group.retries[retry.state] += 1
            if retry.state == RetryState.REFUSED:
                group.refused[retry.code] += 1
    return Failures(sorted(groups.values(), key=lambda one: -len(one.runs)), is_cut=len(found) > MOST_RUNS)


def _weigh(group: Group, run: Run, why: Unsafe | None, *, is_theirs: bool) -> None:
    if why:
        group.not_safe[why] += 1
    elif not is_theirs:
        group.not_theirs += 1
    else:
        group.safe.append(run.pk)


def causes_of(actor: User, runs: list[Run]) -> dict[UUID, Cause]:
    """Of each run that ``actor`` fetched the step that failed last, and its error's code; else the run's own.

    Where a person let it fail: what its last try ended with, which is why they were asked.
    """
    assert actor.is_active
    ids = [run.pk for run in runs]
    steps = Step.objects.filter(run__in=ids, state=StepState.FAILED, current=True).order_by("finished_at", "id")
    last = {step.run_id: step for step in steps.only("run_id", "name", "error")}
    let = [run_id for run_id, step in last.items() if (step.error or {}).get("code") == BY_PERSON]
    tries = Attempt.objects.filter(run__in=let, state=AttemptState.FAILED).order_by("id")
    tried = {(run_id, step): error for run_id, step, error in tries.values_list("run_id", "step", "error")}
    found = {}
    for run in runs:
        step = last.get(run.pk)
        error = (step.error if step else None) or run.error or {}
        if step and error.get("code") == BY_PERSON:
            error = tried.get((run.pk, step.name)) or error
        found[run.pk] = (run.workflow.slug, step.name if step else "", str(error.get("code") or ""))
    return found


def changes_for(actor: User, *, days: int) -> list[Entry]:
    """What changed in the units in which ``actor`` may see runs, the newest first; names, nobody's words."""
    rows = visible(actor, VIEW, Entry.objects.filter(name__in=CHANGES))
    recent = rows.filter(occurred_at__gt=ClockTimestamp() - timedelta(days=days))
    return list(recent.select_related("actor").order_by("-id")[:MOST_CHANGES])
