"""How budgets and breakers are brought about: what caps things, and what stops them by itself."""

from collections.abc import Callable, Mapping
from dataclasses import asdict

from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.services import note_second
from apps.agents.models import Agent
from apps.configuration.services.reading import Document, reason_of
from apps.connectors.models import Connector
from apps.core.errors import InvalidError
from apps.core.models import User
from apps.halts.models import BreakerChange
from apps.halts.rules import BreakerChangeKind, BreakerTerms, HaltScope
from apps.halts.services import release_breaker_change, save_breaker
from apps.policies.models import BudgetChange
from apps.policies.rules import ProposalState
from apps.policies.rules.budgets import BudgetTerms, ChangeKind, Measure
from apps.policies.selectors import refuse_unknown_rule
from apps.policies.services.budgets import PROPOSED, save_budget
from apps.policies.services.changes import release_change
from apps.workflows.models import Workflow


def apply_budget(actor: User, document: Document) -> str:
    """A budget; whose owner is not named, it is the agent's or the workflow's. What lets more through is proposed."""
    value = document.source.value
    named = [(scope, target) for scope, target in value["scope"].items() if target]
    if len(named) != 1:
        raise InvalidError(errors={"scope": [_("Name one: agent, unit, workflow or connector.")]})
    if ("cap_minor" in value) == ("cap_calls" in value):
        raise InvalidError(errors={"cap_minor": [_("Say either cap_minor, with a currency, or cap_calls.")]})
    ((scope, target),) = named
    unit, owner = COUNTED[scope](target)
    owner = User.objects.get(username=value["owner"]) if value.get("owner") else owner
    if owner is None:
        raise InvalidError(errors={"owner": [_("Name who is warned.")]})
    is_money = "cap_minor" in value
    terms = BudgetTerms(
        cap=value["cap_minor" if is_money else "cap_calls"],
        measure=Measure.MONEY if is_money else Measure.CALLS,
        **{name: value[name] for name in ("period", "currency", "exhausted", "queue") if value.get(name)},
    )
    about = {
        "slug": document.slug,
        "name": str(value.get("name") or document.slug),
        "scope": scope,
        "target": target,
        "unit": unit,
    }
    budget, outcome = save_budget(actor, owner=owner, terms=terms, reason=reason_of(document), **about)
    if outcome == PROPOSED:
        change = budget.changes.get(state=ProposalState.OPEN, kind=ChangeKind.CHANGE, **asdict(terms.limits))
        return "changed" if released_by_second(actor, document, change) else PROPOSED
    return outcome


def released_by_second(actor: User, document: Document, change: BudgetChange | BreakerChange) -> bool:
    """Whether a second person is named, in whose name it is released then; else it waits for one."""
    if document.approved_by is None:
        return False
    if isinstance(change, BudgetChange):
        release_change(document.approved_by, change=change)
        note_second(actor, change.budget, second=document.approved_by, of=change.kind)
    else:
        release_breaker_change(document.approved_by, change=change)
        note_second(actor, change.breaker, second=document.approved_by, of=change.kind)
    return True


def _of_owned(row: Agent | Workflow) -> tuple[BusinessUnit | None, User | None]:
    return row.unit, row.owner


COUNTED: Mapping[str, Callable[[str], tuple[BusinessUnit | None, User | None]]] = {
    "agent": lambda slug: _of_owned(Agent.objects.select_related("unit", "owner").get(slug=slug)),
    "unit": lambda slug: (BusinessUnit.objects.get(slug=slug), None),
    "workflow": lambda slug: _of_owned(Workflow.objects.select_related("unit", "owner").get(slug=slug)),
    "connector": lambda slug: (Connector.objects.select_related("unit").get(slug=slug).unit, None),
}
"""The unit of what a budget counts, and whose it is."""


def apply_breaker(actor: User, document: Document) -> str:
    """A breaker; without a target it looks at each agent, version or system by itself. What loosens it is proposed."""
    value = document.source.value
    target = str(value.get("target") or "")
    terms = BreakerTerms(
        kind=value["counts"],
        scope=value["scope"],
        threshold=value["threshold"],
        window_s=value["window_s"],
        currency=value.get("currency") or "",
        cause=value.get("cause") or "",
    )
    refuse_unknown_rule(actor, terms.cause)
    about = {"slug": document.slug, "name": str(value.get("name") or document.slug), "target": target}
    unit = _unit_of(terms.scope, target) if target else None
    breaker, outcome = save_breaker(actor, unit=unit, terms=terms, reason=reason_of(document), **about)
    if outcome == PROPOSED:
        wanted = {**asdict(terms), "target": target}
        change = breaker.changes.get(state=ProposalState.OPEN, kind=BreakerChangeKind.CHANGE, wanted=wanted)
        return "changed" if released_by_second(actor, document, change) else PROPOSED
    return outcome


def _unit_of(scope: str, target: str) -> BusinessUnit | None:
    if scope == HaltScope.CONNECTOR:
        connector = Connector.objects.select_related("unit").filter(slug=target).first()
        if connector is None:
            raise InvalidError(errors={"target": [_("There is no such system.")]})
        return connector.unit
    agent = Agent.objects.select_related("unit").filter(slug=target.partition("@")[0]).first()
    if agent is None:
        raise InvalidError(errors={"target": [_("There is no such agent.")]})
    return agent.unit
