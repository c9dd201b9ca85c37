"""Commands on targets and prices, and what baselines share with them."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.services.units import require_manager, write_if_changed
from apps.audit.services import record
from apps.core.amounts import EXPONENTS
from apps.core.errors import ConflictError, InvalidError
from apps.core.models import ClockTimestamp, User
from apps.kpis.models import Baseline, Kpi, PriceBook, Target
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules import DEFINITIONS, Direction, Kind
from apps.kpis.rules.business import Aggregate
from apps.workflows.models import Workflow

MANAGE = "kpis.manage_target"
LARGEST = Decimal(10) ** 13


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
    natural = direction_of(kpi, workflow)
    if direction not in {"", Direction.UP, Direction.DOWN}:
        raise InvalidError(errors={"direction": ["up or down."]})
    if not direction and natural == Direction.NONE:
        raise InvalidError(errors={"direction": ["This KPI has no better side of its own: say up or down."]})
    if exact(tolerance, "tolerance") < 0:
        raise InvalidError(errors={"tolerance": ["Not negative."]})
    found = Target.objects.select_for_update().filter(slug=slug).first()
    if found is not None:  # who moves it to another workflow must be allowed to touch the one it leaves
        require_manager(actor, unit_of(found.workflow, known=False), MANAGE)
    if Target.objects.filter(workflow=workflow, kpi=kpi).exclude(slug=slug).exists():
        raise ConflictError("There is a target of this workflow and KPI already.")
    values = {
        "workflow": workflow,
        "kpi": kpi,
        "value": value_for(kpi, value),
        "direction": direction or str(natural),
        "tolerance": exact(tolerance),
    }
    row = found or Target(slug=slug)
    said = write_if_changed(actor, row, is_new=found is None, values=values)
    if said == "changed":
        Target.objects.filter(pk=row.pk).update(changed_at=ClockTimestamp())
    return row, said


@transaction.atomic
def delete_target(actor: User, *, target: Target) -> None:
    """Remove a target; the ledger keeps what it said."""
    require_manager(actor, unit_of(target.workflow, known=False), MANAGE)
    record(actor, target, "deleted", payload=said_of(target))
    target.delete()


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
    reasoning_micro: Decimal | None = None,
    currency: str = "",
) -> str:
    """Say what tokens of a model cost from a time on, in millionths of the currency's unit per token.

    ``reasoning_micro``: of the tokens out that are reasoning; None: as any other. ``currency``: of ISO 4217; without,
    that of the price which it changes, else the reporting one. What is in another counts at its rate of exchange, and
    as without a price where none holds.
    """
    require_manager(actor, None, MANAGE)
    prices: dict[str, Any] = {
        "input_micro": input_micro,
        "output_micro": output_micro,
        "cache_read_micro": cache_read_micro,
        "cache_write_micro": cache_write_micro,
        "reasoning_micro": reasoning_micro,
    }
    if wrong := [name for name, price in prices.items() if price is not None and not 0 <= price < 10**8]:
        raise InvalidError(errors={name: ["Between 0 and 100 units per token."] for name in wrong})
    found = PriceBook.objects.select_for_update().filter(model=model, valid_from=valid_from).first()
    prices["currency"] = currency or (found.currency if found else reporting_currency())
    if prices["currency"] not in EXPONENTS:
        raise InvalidError(errors={"currency": [_("A currency of ISO 4217, such as EUR.")]})
    row = found or PriceBook(model=model, valid_from=valid_from)
    return write_if_changed(actor, row, is_new=found is None, values=prices)


def said_of(goal: Baseline | Target) -> dict[str, str]:
    """What the ledger keeps of one."""
    return {"workflow": goal.workflow, "kpi": goal.kpi, "value": str(goal.value)}


def unit_of(workflow: str, *, known: bool = True) -> BusinessUnit | None:
    """The unit of a workflow, None of no workflow. Raises InvalidError where there is none and it must be ``known``."""
    if not workflow:
        return None
    found = Workflow.objects.filter(slug=workflow).select_related("unit").first()
    if found is None and known:
        raise InvalidError(errors={"workflow": ["There is no such workflow."]})
    return found.unit if found else None


def direction_of(kpi: str, workflow: str) -> Direction:
    """Which side of a KPI is better; one's own is held as it is.

    Raises InvalidError where there is none, or it is another workflow's own.
    """
    own = hold_figure(kpi)
    if own is not None:
        if own.workflow != workflow:
            raise InvalidError(errors={"workflow": ["This KPI is one of another workflow alone."]})
        return Direction(own.direction)
    if kpi not in DEFINITIONS:
        raise InvalidError(errors={"kpi": [f"One of {', '.join(sorted(DEFINITIONS))}, or one of your own."]})
    return DEFINITIONS[kpi].direction


def hold_figure(kpi: str) -> Kpi | None:
    """A figure of one's own, locked until the transaction ends, before any of its baselines; None of the plane's."""
    return Kpi.objects.select_for_update().filter(slug=kpi).first()


def value_for(kpi: str, value: Decimal | float) -> Decimal:
    """What a figure was or should be, as it is kept. Raises InvalidError at ``value`` for what no figure can be."""
    found = exact(value)
    known = DEFINITIONS.get(kpi)
    is_share = known.kind == Kind.SHARE if known else Kpi.objects.filter(slug=kpi, aggregate=Aggregate.SHARE).exists()
    if is_share and not 0 <= found <= 1:
        raise InvalidError(errors={"value": [_("A share lies between 0 and 1, which is 100 %.")]})
    return found


def exact(value: Decimal | float, field: str = "value") -> Decimal:
    """The number as it is kept. Raises InvalidError at ``field`` for what is none, or too large."""
    found = Decimal(str(value))
    if not found.is_finite() or abs(found) >= LARGEST:
        raise InvalidError(errors={field: ["A finite number below 10^13."]})
    return found.quantize(Decimal("0.0001"))
