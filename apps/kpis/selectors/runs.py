"""One simulated run, from its facts: there is nothing else of it."""

from dataclasses import dataclass
from uuid import UUID

from apps.core.errors import NotFoundError
from apps.core.gate import visible
from apps.core.models import User
from apps.kpis.models import ApprovalFact, CostItem, RunFact, StepFact
from apps.kpis.selectors.reading import VIEW


@dataclass(frozen=True, slots=True)
class Story:
    """A run's fact and the facts below it."""

    run: RunFact
    steps: list[StepFact]
    decisions: list[ApprovalFact]
    costs: list[CostItem]


def simulated_run_for(actor: User, run_id: UUID) -> Story:
    """A run of imported history that ``actor`` may see. Raises NotFoundError, also for real runs."""
    rows = RunFact.objects.filter(pk=run_id, simulated=True)
    run = visible(actor, VIEW, rows).first() or visible(actor, "workflows.view_run", rows).first()
    if run is None:
        raise NotFoundError
    return Story(
        run,
        list(StepFact.objects.filter(run_id=run_id).order_by("started_at", "round", "finished_at")),
        list(ApprovalFact.objects.filter(run_id=run_id).order_by("requested_at")),
        list(CostItem.objects.filter(run_id=run_id).order_by("incurred_at", "id")),
    )
