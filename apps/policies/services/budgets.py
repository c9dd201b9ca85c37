"""Making, changing and ending budgets. What lets more through is proposed, and released by somebody else."""

import re
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.selectors import queues_near_for
from apps.access.services import require_manager
from apps.access.services.units import write_if_changed
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.gate import holds
from apps.core.models import User
from apps.core.rules import MAX_INTEGER
from apps.policies.models import Budget, BudgetChange
from apps.policies.rules.budgets import BudgetScope, BudgetTerms, ChangeKind, Exhausted, Measure, Period
from apps.policies.selectors.budgets import limits_of, returnable_for
from apps.policies.selectors.proposals import VIEW
from apps.policies.services.changes import locked, propose, supersede
from apps.policies.services.policies import PUBLISH

ISO_4217 = re.compile(r"[A-Z]{3}")
PROPOSED = "proposed"
FIXED = ("scope", "target", "measure", "currency", "period")
"""What makes a budget the one it is: what was counted under it would mean something else."""


@transaction.atomic
def save_budget(
    actor: User,
    *,
    slug: str,
    scope: str,
    target: str,
    unit: BusinessUnit | None,
    owner: User,
    terms: BudgetTerms,
    name: str = "",
    reason: str = "",
) -> tuple[Budget, str]:
    """Make or change a budget; it and what happened to it. It acts on the next request.

    What would let more through than now (a higher cap, people asked instead of a denial, other people) changes nothing
    yet: it is ``proposed``, with the ``reason``, and somebody else releases it. ``unit`` is that of the target (looked
    up by the door): ``actor`` publishes policies there. A cap below what is used lets nothing more through and takes
    nothing back. Raises InvalidError, also for what of a budget cannot change.
    """
    require_manager(actor, unit, PUBLISH)
    values: dict[str, Any] = {
        "name": name or slug,
        "scope": scope,
        "target": target,
        "unit": unit,
        "owner": owner,
        "measure": terms.measure,
        "currency": terms.currency if terms.measure == Measure.MONEY else "",
        "cap": terms.cap,
        "period": terms.period,
        "exhausted": terms.exhausted,
        "queue": terms.limits.queue,
    }
    errors = _errors_of(values)
    found = (
        Budget.objects.select_for_update(no_key=True, of=("self",))
        .select_related("unit", "owner")
        .filter(slug=slug)
        .first()
    )
    if found:
        if not (holds(actor, VIEW, found) or holds(actor, PUBLISH, found)):
            raise NotFoundError  # as for who asks for it
        require_manager(actor, found.unit, PUBLISH)
    keeps = found is not None and found.queue == terms.limits.queue
    if terms.exhausted == Exhausted.ESCALATE and not keeps and not _is_queue(actor, terms.limits.queue):
        errors["queue"] = [_("Name the queue whose people are asked; there is none of this name.")]
    if errors:
        raise InvalidError(errors=errors)
    if found:
        _refuse_another(found, values)
    budget = found or Budget(slug=slug)
    wanted = terms.limits
    if found and found.ended_at is None and wanted.loosens(limits_of(found)):
        write_if_changed(actor, found, is_new=False, values={"name": values["name"], "owner": owner})
        propose(actor, found, ChangeKind.CHANGE, wanted, reason=reason)
        return found, PROPOSED
    values["ended_at"] = None  # one that had ended counts again
    before = limits_of(found) if found else wanted
    outcome = write_if_changed(actor, budget, is_new=found is None, values=values)
    if before != wanted:
        supersede(actor, budget)
    return budget, outcome


def _refuse_another(found: Budget, values: dict[str, Any]) -> None:
    changed = [name for name in FIXED if getattr(found, name) != values[name]]
    if changed:
        text = _("This cannot change: end this budget and make another.")
        raise InvalidError(errors={name: [text] for name in changed})


def _errors_of(values: dict[str, Any]) -> dict[str, list[str]]:
    """What does not fit, by field."""
    errors: dict[str, list[str]] = {}
    words = {"scope": BudgetScope, "measure": Measure, "period": Period, "exhausted": Exhausted}
    for name, allowed in words.items():
        if values[name] not in set(allowed):
            errors[name] = [_("One of: %s.") % ", ".join(allowed)]
    cap, currency = values["cap"], values["currency"]
    if not isinstance(cap, int) or isinstance(cap, bool) or not 0 <= cap <= MAX_INTEGER:
        errors["cap"] = [_("A whole number from 0 on: minor units, or calls.")]
    if values["measure"] == Measure.MONEY and not ISO_4217.fullmatch(currency):
        errors["currency"] = [_("Name the currency: three capital letters, such as EUR.")]
    if not values["owner"].is_human:
        errors["owner"] = [_("The owner is a person.")]
    return errors


def _is_queue(actor: User, slug: str) -> bool:
    """Whether there is one of this name that a budget of ``actor``'s may ask: those of other units are not there."""
    return queues_near_for(actor, PUBLISH).filter(slug=slug).exists()


@transaction.atomic
def return_spent(actor: User, *, budget: Budget, action_id: UUID, reason: str) -> BudgetChange:
    """Propose that an action counts as spent no more, whose agent carried it out and says that it failed.

    Somebody else releases that. Raises NotFoundError where it is not among those of the present day or month that may
    be given back; InvalidError at ``reason``.
    """
    require_manager(actor, budget.unit, PUBLISH)
    found = locked(budget)
    row = returnable_for(actor, found).filter(action=action_id).first()
    if row is None or found.ended_at is not None:
        raise NotFoundError
    return propose(actor, found, ChangeKind.RETURN, limits_of(found), reason=reason, reservation=row)


@transaction.atomic
def end_budget(actor: User, *, budget: Budget, reason: str) -> BudgetChange:
    """Propose that nothing counts under it any more; somebody else releases that.

    Raises ConflictError where it has ended, InvalidError at ``reason``.
    """
    require_manager(actor, budget.unit, PUBLISH)
    found = locked(budget)
    if found.ended_at is not None:
        raise ConflictError(_("It has ended already."))
    return propose(actor, found, ChangeKind.END, limits_of(found), reason=reason)
