"""Drills: announced in a payment's queue, and one that waits."""

from typing import Any

from apps.audit.models import Entry
from apps.core.models import ClockTimestamp, User
from apps.oversight.models import Drill, DrillPlan, Escalation
from apps.oversight.services import plan_drills
from apps.oversight.tasks import sweep_drills
from tests.factories.access import make_admin
from tests.factories.oversight import Payment, make_payment, say

WORDS = "Among your payments are up to two drills a week."


def announced(payment: Payment, **more: Any) -> DrillPlan:
    """Drills in the payment's queue."""
    said = {"per_week": 2, "announcement": WORDS, **more}
    return plan_drills(make_admin(), queue=payment.queue, **said)[0]


def due() -> int:
    """The time of every next drill has come: how much the sweep did."""
    DrillPlan.objects.update(next_at=ClockTimestamp())
    return sweep_drills()


def make_drill(**fields: Any) -> tuple[Payment, Drill, User]:
    """A payment that ben approved, a drill that was made of it, and whose it is."""
    payment = make_payment(**fields)
    say(payment.ben, payment.item)
    announced(payment, critical=True)
    assert due() == 1
    drill = Drill.objects.select_related("item__drill_for").get()
    assert drill.item.drill_for
    return payment, drill, drill.item.drill_for


def ending_of(drill: Drill) -> tuple[str, str, str]:
    """The outcome, why, and the item's state."""
    now = Drill.objects.get(pk=drill.pk)
    return now.outcome, now.why, Escalation.everything.get(pk=drill.pk).state


def names_of(drill: Drill) -> list[str]:
    """The ledger's entries about it."""
    return list(Entry.objects.filter(subject_id=drill.pk).order_by("id").values_list("name", flat=True))
