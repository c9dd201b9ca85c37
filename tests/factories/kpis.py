"""Facts as the writer takes them, and goals."""

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

from apps.core.models import ClockTimestamp
from apps.kpis.models import Baseline, PriceBook, Rate, Target
from apps.kpis.rules.facts import CostSeen, DecisionSeen, RunSeen, StepSeen
from tests.factories.access import make_admin

_n = count(1)
NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)


def make_run(**fields: Any) -> RunSeen:
    """A run that succeeded in an hour, at noon."""
    end = fields.pop("finished_at", NOON)
    start = fields.pop("started_at", (end or NOON) - timedelta(hours=1))
    return RunSeen(
        **{
            "run_id": uuid4(),
            "workflow": "w",
            "unit_id": None,
            "version": 1,
            "state": "succeeded" if end else "running",
            "outcome": "completed" if end else "",
            "created_at": start,
            "started_at": start,
            "finished_at": end,
            **fields,
        }
    )


def make_step(run: RunSeen, **fields: Any) -> StepSeen:
    """A step of ``run`` that was done."""
    return StepSeen(
        **{
            "step_id": uuid4(),
            "run_id": run.run_id,
            "workflow": run.workflow,
            "unit_id": run.unit_id,
            "name": f"step{next(_n)}",
            "kind": "agent",
            "state": "done",
            "finished_at": run.finished_at or NOON,
            **fields,
        }
    )


def make_decision(run: RunSeen | None = None, **fields: Any) -> DecisionSeen:
    """An approval that took ten minutes."""
    decided = fields.pop("decided_at", NOON)
    return DecisionSeen(
        **{
            "escalation_id": uuid4(),
            "run_id": run.run_id if run else None,
            "workflow": run.workflow if run else "",
            "unit_id": run.unit_id if run else None,
            "kind": "approval",
            "outcome": "approved",
            "requested_at": decided - timedelta(minutes=10),
            "decided_at": decided,
            **fields,
        }
    )


def make_cost(run: RunSeen | None = None, **fields: Any) -> CostSeen:
    """Half a unit for a model."""
    return CostSeen(
        **{
            "kind": "llm",
            "source_id": uuid4(),
            "run_id": run.run_id if run else None,
            "workflow": run.workflow if run else "",
            "unit_id": run.unit_id if run else None,
            "incurred_at": NOON,
            "amount_micro": 500_000,
            **fields,
        }
    )


def make_baseline(**fields: Any) -> Baseline:
    number = next(_n)
    return Baseline.objects.create(
        **{
            "slug": f"baseline{number}",
            "workflow": "w",
            "kpi": "cycle_time_p50_s",
            "value": 7200,
            "valid_from": date(2026, 1, 1),
            "source": "estimate",
            **fields,
        }
    )


def make_approved(**fields: Any) -> Baseline:
    """A baseline that one administrator entered and another approved."""
    return make_baseline(
        **{"entered_by": make_admin(), "approved_by": make_admin(), "approved_at": ClockTimestamp(), **fields}
    )


def make_target(**fields: Any) -> Target:
    number = next(_n)
    return Target.objects.create(
        **{
            "slug": f"target{number}",
            "workflow": "w",
            "kpi": "error_rate",
            "value": 0.05,
            "direction": "down",
            **fields,
        }
    )


def make_price(**fields: Any) -> PriceBook:
    return PriceBook.objects.create(
        **{
            "model": "large",
            "valid_from": datetime(2026, 1, 1, tzinfo=UTC),
            "input_micro": 3,
            "output_micro": 15,
            "cache_read_micro": "0.3",
            "cache_write_micro": "3.75",
            **fields,
        }
    )


def make_fixed(minor: float | str, **fields: Any) -> Rate:
    """So much a month, whatever runs."""
    return Rate.objects.create(
        **{
            "kind": "fixed",
            "per": "month",
            "amount_minor": str(minor),
            "currency": "EUR",
            "valid_from": datetime(2024, 1, 1, tzinfo=UTC),
            "source": "Plan",
            **fields,
        }
    )
