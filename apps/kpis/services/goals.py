"""Commands on baselines, targets and prices."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from apps.access.models import BusinessUnit
from apps.access.services.units import require_manager, write_if_changed
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError
from apps.core.models import ClockTimestamp, User
from apps.kpis.models import Baseline, PriceBook, Target
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules import DEFINITIONS, Direction
from apps.workflows.models import Workflow

MANAGE = "kpis.manage_target"
LARGEST = Decimal(10) ** 13


@transaction.atomic
def save_baseline(
    actor: User,
    *,
    slug: str,
    kpi: str,
    value: Decimal | float,
    valid_from: date,
    source: str,
    workflow: str = "",
    n: int | None = None,
    period: str = "",
    owner: User | None = None,
) -> tuple[Baseline, str]:
    """Say how a KPI was before automation; with ``created``, ``changed`` or ``unchanged``.

    ``value`` is in the KPI's own unit, counts and sums per day; no ``workflow`` means all of them.
    """
    unit = unit_of(workflow)
    require_manager(actor, unit, MANAGE)
    _direction_of(kpi)
    found = Baseline.objects.select_for_update().filter(slug=slug).first()
    _require_old(actor, found)
    clash = Baseline.objects.filter(workflow=workflow, kpi=kpi, valid_from=valid_from).exclude(slug=slug)
    if clash.exists():
        raise ConflictError("There is a baseline of this workflow and KPI from this day on already.")
    values: dict[str, Any] = {
        "workflow": workflow,
        "kpi": kpi,
        "value": _exact(value),
        "currency": reporting_currency() if kpi.endswith("_minor") else "",
        "valid_from": valid_from,
        "source": source,
        "n": n,
        "period": period,
        "owner": owner,
    }
    row = found or Baseline(slug=slug)
    return row, _save(actor, row, is_new=found is None, values=values)


@transaction.atomic
def save_target(
    actor: User,
    *,
    slug: str,
    kpi: str,
    value: Decimal | float,
    workflow: str = "",
    direction: str = "",
    tolerance: Decimal | float = 0,
) -> tuple[Target, str]:
    """Say how a KPI should be; with ``created``, ``changed`` or ``unchanged``. Direction: the KPI's own by default."""
    unit = unit_of(workflow)
    require_manager(actor, unit, MANAGE)
    natural = _direction_of(kpi)
    if direction not in {"", Direction.UP, Direction.DOWN}:
        raise InvalidError(errors={"direction": ["up or down."]})
    if not direction and natural == Direction.NONE:
        raise InvalidError(errors={"direction": ["This KPI has no better side of its own: say up or down."]})
    if _exact(tolerance, "tolerance") < 0:
        raise InvalidError(errors={"tolerance": ["Not negative."]})
    found = Target.objects.select_for_update().filter(slug=slug).first()
    _require_old(actor, found)
    if Target.objects.filter(workflow=workflow, kpi=kpi).exclude(slug=slug).exists():
        raise ConflictError("There is a target of this workflow and KPI already.")
    values = {
        "workflow": workflow,
        "kpi": kpi,
        "value": _exact(value),
        "direction": direction or str(natural),
        "tolerance": _exact(tolerance),
    }
    row = found or Target(slug=slug)
    return row, _save(actor, row, is_new=found is None, values=values)


@transaction.atomic
def delete_goal(actor: User, *, goal: Baseline | Target) -> None:
    """Remove a baseline or a target; the ledger keeps what it said."""
    require_manager(actor, unit_of(goal.workflow, known=False), MANAGE)
    said = {"workflow": goal.workflow, "kpi": goal.kpi, "value": str(goal.value)}
    record(actor, goal, "deleted", payload=said)
    goal.delete()


@transaction.atomic
def save_price(
    actor: User,
    *,
    model: str,
    valid_from: datetime,
    input_micro: Decimal,
    output_micro: Decimal,
    cache_read_micro: Decimal = Decimal(0),
    cache_write_micro: Decimal = Decimal(0),
) -> str:
    """Say what tokens of a model cost from a time on, in millionths of the currency's unit per token."""
    require_manager(actor, None, MANAGE)
    prices = {
        "input_micro": input_micro,
        "output_micro": output_micro,
        "cache_read_micro": cache_read_micro,
        "cache_write_micro": cache_write_micro,
    }
    if wrong := [name for name, price in prices.items() if not 0 <= price < 10**8]:
        raise InvalidError(errors={name: ["Between 0 and 100 units per token."] for name in wrong})
    found = PriceBook.objects.select_for_update().filter(model=model, valid_from=valid_from).first()
    row = found or PriceBook(model=model, valid_from=valid_from, currency=reporting_currency())
    return write_if_changed(actor, row, is_new=found is None, values=prices)


def _save(actor: User, row: Baseline | Target, *, is_new: bool, values: dict[str, Any]) -> str:
    said = write_if_changed(actor, row, is_new=is_new, values=values)
    if said == "changed":
        type(row).objects.filter(pk=row.pk).update(changed_at=ClockTimestamp())
    return said


def _require_old(actor: User, found: Baseline | Target | None) -> None:
    """Who moves a goal to another workflow must be allowed to touch the one it leaves."""
    if found is not None:
        require_manager(actor, unit_of(found.workflow, known=False), MANAGE)


def unit_of(workflow: str, *, known: bool = True) -> BusinessUnit | None:
    """The unit of a workflow, None of no workflow. Raises InvalidError where there is none and it must be ``known``."""
    if not workflow:
        return None
    found = Workflow.objects.filter(slug=workflow).select_related("unit").first()
    if found is None and known:
        raise InvalidError(errors={"workflow": ["There is no such workflow."]})
    return found.unit if found else None


def _direction_of(kpi: str) -> Direction:
    definition = DEFINITIONS.get(kpi)
    if definition is None:
        raise InvalidError(errors={"kpi": [f"One of {', '.join(sorted(DEFINITIONS))}."]})
    return definition.direction


def _exact(value: Decimal | float, field: str = "value") -> Decimal:
    found = Decimal(str(value))
    if not found.is_finite() or abs(found) >= LARGEST:
        raise InvalidError(errors={field: ["A finite number below 10^13."]})
    return found.quantize(Decimal("0.0001"))
