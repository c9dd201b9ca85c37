"""How the workflows of the invented history behave: who, how many, how long, how well."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class VersionTraits:
    """How one version of a workflow behaves, from ``since`` (share of the whole history, 0..1) on."""

    number: int
    since: float
    touch: float
    error: float
    agent_s: float
    llm_micro: int


@dataclass(frozen=True, slots=True)
class StepTraits:
    """One step of the invented runs: its kind, who does it, its part of the agents' time, a fee."""

    name: str
    kind: str
    agent: str = ""
    weight: float = 1.0
    fee_micro: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """One workflow's history. ``people`` decide in office hours, each decision taking ``decide_s`` at the median.

    ``begins``: the share of the history that is over when it starts. ``drift``: by how much its agents are slower, and
    fail more, at the end of its last quarter. ``waits``: the share of runs that are paused until a customer answers.
    """

    workflow: str
    unit_id: UUID | None
    versions: tuple[VersionTraits, ...]
    steps: tuple[StepTraits, ...]
    weekly: float
    people: int
    rule: str
    sla_s: int
    hourly_micro: int
    approval_kind: str = "approval"
    look_s: float = 1500.0
    decide_s: float = 240.0
    begins: float = 0.0
    drift: float = 0.0
    waits: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ActTraits:
    """What one agent does outside runs by one operation, ``weekly``, and how it is judged, as shares of it.

    ``denied``: by the rules. ``alone``: done without asking; of what people were asked, ``as_asked`` were approved so.
    ``sampled``: looked at afterwards, ``right`` of these found right. ``fits``: the system shows what was done.
    ``drift``: by how much it is denied more, and approved and found right less, at the end of the last quarter.
    """

    agent: str
    operation: str
    unit_id: UUID | None
    weekly: float
    alone: float
    denied: float = 0.0
    as_asked: float = 0.93
    sampled: float = 0.05
    right: float = 0.97
    fits: float = 0.998
    drift: float = 0.0
    amount_minor: int = 0
    currency: str = "EUR"


PURCHASE_ORDER_STEPS = (
    StepTraits("validate_vendor", "agent", "vendor-validator", 0.2),
    StepTraits("quotes", "agent", "quote-gatherer", 0.6),
    StepTraits("select_vendor", "form", weight=0.0),
    StepTraits("reserve_budget", "operation", weight=0.05, fee_micro=20_000),
    StepTraits("approve", "approval", weight=0.0),
    StepTraits("create_order", "operation", weight=0.1, fee_micro=50_000),
    StepTraits("notify", "operation", weight=0.05, fee_micro=1_000),
)
EXPENSE_STEPS = (
    StepTraits("check", "agent", "expense-checker", 0.85),
    StepTraits("approve", "approval", weight=0.0),
    StepTraits("pay", "operation", weight=0.15, fee_micro=30_000),
)


ONBOARDING_STEPS = (
    StepTraits("collect", "agent", "vendor-validator", 0.7),
    StepTraits("approve", "approval", weight=0.0),
    StepTraits("register", "operation", weight=0.3, fee_micro=20_000),
)


def sample_traits(
    procurement: UUID | None, finance: UUID | None, compliance: UUID | None = None
) -> tuple[Traits, Traits, Traits]:
    """The sample workflows as kpis.md calibrates them: v1 to v3 touch fewer runs, fail less and are faster.

    One person decides on purchases and is busy; the agents there get slower in the end. Vendors are taken in by a
    workflow that is half as old as the history and has few runs.
    """
    purchase = Traits(
        workflow="purchase-order",
        unit_id=procurement,
        versions=(
            VersionTraits(1, 0.0, 0.90, 0.048, 5400.0, 310_000),
            VersionTraits(2, 0.42, 0.72, 0.035, 3000.0, 240_000),
            VersionTraits(3, 0.74, 0.52, 0.020, 1500.0, 150_000),
        ),
        steps=PURCHASE_ORDER_STEPS,
        weekly=70.0,
        people=1,
        rule="order-large",
        sla_s=2 * 86_400,
        hourly_micro=52_000_000,
        look_s=4200.0,
        decide_s=900.0,
        drift=0.6,
    )
    expense = Traits(
        workflow="expense-declaration",
        unit_id=finance,
        versions=(
            VersionTraits(1, 0.0, 0.57, 0.045, 384.0, 62_000),
            VersionTraits(2, 0.36, 0.41, 0.035, 162.0, 48_000),
            VersionTraits(3, 0.71, 0.24, 0.020, 60.0, 27_000),
        ),
        steps=EXPENSE_STEPS,
        weekly=330.0,
        people=3,
        rule="declaration-large",
        sla_s=86_400,
        hourly_micro=46_000_000,
        waits=0.03,
    )
    onboarding = Traits(
        workflow="vendor-onboarding",
        unit_id=compliance,
        versions=(VersionTraits(1, 0.0, 0.80, 0.05, 1800.0, 120_000),),
        steps=ONBOARDING_STEPS,
        weekly=5.0,
        people=1,
        rule="vendor-new",
        sla_s=5 * 86_400,
        hourly_micro=52_000_000,
        begins=0.5,
        waits=0.25,
    )
    return purchase, expense, onboarding


def sample_acts(procurement: UUID | None, finance: UUID | None, operations: UUID | None) -> tuple[ActTraits, ...]:
    """What the sample agents do outside runs. The clerk of records tries what it may not do, more and more."""
    return (
        ActTraits(
            agent="payables", operation="erp.pay_invoice", unit_id=finance, weekly=90, alone=0.55, amount_minor=140_000
        ),
        ActTraits(
            agent="support-resolver", operation="erp.refund", unit_id=operations, weekly=45, alone=0.7, right=0.94,
            as_asked=0.88, amount_minor=9_000,
        ),
        ActTraits(agent="support-resolver", operation="desk.answer_ticket", unit_id=operations, weekly=120, alone=1.0),
        ActTraits(
            agent="procurement-agent", operation="erp.create_purchase_order", unit_id=procurement, weekly=30,
            alone=0.6, amount_minor=60_000,
        ),
        ActTraits(
            agent="records-clerk", operation="crm.update_customer", unit_id=operations, weekly=60, alone=0.95,
            denied=0.12, sampled=0.1, right=0.95, drift=0.1,
        ),
    )  # fmt: skip
