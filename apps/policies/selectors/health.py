"""Rules that could not be judged and what rules flagged, as far as one may see it."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet

from apps.access.selectors import holders_for
from apps.agents.selectors import actions_for
from apps.agents.selectors.repetitions import held_or_own_for
from apps.core.gate import visible
from apps.core.models import ClockTimestamp, User
from apps.policies.models import RuleFault, RuleFlag
from apps.policies.rules.quiet import CONFIDENTIAL
from apps.policies.selectors.policies import slugs_seen_by

VIEW, PUBLISH, SEE_AGENT = "policies.view_policy", "policies.publish_policy", "agents.view_agent"
KEPT_DAYS, SHOWN_MAX = 30, 20


def faults_for(actor: User) -> QuerySet[RuleFault]:
    """Rules that had no value within 30 days, of the policies that ``actor`` may see, newest first."""
    rows = RuleFault.objects.filter(last_at__gt=ClockTimestamp() - timedelta(days=KEPT_DAYS))
    rows = rows.select_related("policy__unit", "policy__in_force", "action__agent").order_by("-last_at", "-id")
    return rows.none() if actor.is_agent else visible(actor, VIEW, rows)


def standing_faults_for(actor: User) -> QuerySet[RuleFault]:
    """Those of ``faults_for`` that wait to be mended: with a say, and by the version that is in force now."""
    return faults_for(actor).filter(is_shadow=False, policy__in_force__number=F("version"))


def rule_flags_for(actor: User, *, agent: str = "") -> QuerySet[RuleFlag]:
    """What rules flagged within 30 days of the agents that ``actor`` may see or owns, newest first."""
    rows = RuleFlag.objects.filter(
        last_at__gt=ClockTimestamp() - timedelta(days=KEPT_DAYS), agent__in=held_or_own_for(actor, perm=SEE_AGENT)
    )
    if agent:
        rows = rows.filter(agent__slug=agent)
    return rows.select_related("policy", "agent", "action").order_by("-last_at", "-id")


def menders_of(actor: User, faults: Collection[RuleFault]) -> Mapping[UUID, list[User]]:
    """Who may write and release the policy of each, by the fault's id: one query for each unit."""
    units = {fault.policy.unit_id for fault in faults}
    people = {unit: list(holders_for(actor, PUBLISH, unit)[:SHOWN_MAX]) for unit in units}
    return {fault.pk: people[fault.policy.unit_id] for fault in faults}


def actions_seen_of(actor: User, rows: Collection[RuleFault] | Collection[RuleFlag]) -> set[UUID]:
    """The actions of these lines that ``actor`` may see."""
    return set(actions_for(actor).filter(pk__in={row.action_id for row in rows}).values_list("pk", flat=True))


def rule_named_for(actor: User, row: RuleFlag) -> str:
    """What the rule is called; ``confidential`` to those who may not see its policy, where it is."""
    is_open = not row.is_confidential or (actor.is_human and row.policy.slug in slugs_seen_by(actor))
    return row.rule if is_open else CONFIDENTIAL


def fault_json(fault: RuleFault, menders: Mapping[UUID, list[User]], seen: Collection[UUID]) -> dict[str, Any]:
    """The line for the API; the action and its agent only to those who may see it."""
    names = ("rule", "effect", "cause", "version", "times", "first_at", "last_at")
    is_seen = fault.action_id in seen
    return {
        "policy": fault.policy.slug,
        **{name: getattr(fault, name) for name in names},
        "mode": "shadow" if fault.is_shadow else "enforced",
        "in_force": fault.policy.in_force.number if fault.policy.in_force else None,
        "action": fault.action_id if is_seen else None,
        "agent": fault.action.agent.slug if is_seen and fault.action.agent else None,
        "menders": [person.username for person in menders[fault.pk]],
    }


def rule_flag_json(actor: User, flag: RuleFlag, seen: Collection[UUID]) -> dict[str, Any]:
    """The line for the API."""
    return {
        "agent": flag.agent.slug,
        "policy": flag.policy.slug,
        "rule": rule_named_for(actor, flag),
        "day": flag.day,
        "times": flag.times,
        "last_at": flag.last_at,
        "action": flag.action_id if flag.action_id in seen else None,
    }
