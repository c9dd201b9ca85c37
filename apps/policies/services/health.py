"""Keeping a list of rules that could not be judged and of what rules flagged, and telling whom it concerns once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest

from apps.agents.models import Action, Agent
from apps.agents.rules import Environment
from apps.audit.models import Entry
from apps.audit.services import record
from apps.core.services import system_user
from apps.policies.models import Policy, Release, RuleFault, RuleFlag
from apps.policies.rules import Effect
from apps.policies.rules.health import CAUSES_MAX, OTHERS, Fault, Mark, faults_in, marks_in
from apps.policies.rules.numbers import NAMES
from apps.policies.rules.quiet import CONFIDENTIAL
from apps.policies.rules.weighing import Outcome
from apps.policies.selectors.health import KEPT_DAYS

PROPOSED = "proposed"
REMARKABLE = Q(verdict__trace__contains=[{"outcome": Outcome.ERROR.value}]) | Q(
    verdict__rules__contains=[{"effect": Effect.FLAG.value}]
)


@dataclass(slots=True)
class Count:
    """How often within a batch, when first and last, and on which action the last time."""

    times: int = 0
    first_at: Any = None
    last_at: Any = None
    action_id: UUID | None = None
    version: int = 0
    agent: Agent | None = None

    def add(self, at: datetime, action: Action, version: int = 0) -> None:
        """Count one more; entries come in order."""
        self.times += 1
        self.first_at, self.last_at, self.action_id = self.first_at or at, at, action.pk
        self.version, self.agent = version, action.agent

    def as_change(self) -> dict[str, Any]:
        """What becomes of a line that stands."""
        last_at = Greatest("last_at", self.last_at)
        return {"times": F("times") + self.times, "last_at": last_at, "action": self.action_id}

    def as_new(self) -> dict[str, Any]:
        """A line of its own."""
        return {"times": self.times, "last_at": self.last_at, "action_id": self.action_id}


@transaction.atomic
def note_health(*, entries: Sequence[Entry]) -> int:
    """Note what the verdicts of these entries say of rules themselves; how many lines changed. One reader at a time."""
    at = {
        entry.subject_id: entry.occurred_at
        for entry in entries
        if entry.name in NAMES and entry.payload.get("from") == PROPOSED
    }
    rows = Action.objects.filter(REMARKABLE, pk__in=at, environment=Environment.LIVE).select_related("agent__unit")
    actions = sorted(rows, key=lambda action: (at[action.pk], action.pk))
    if not actions:
        return 0
    texts, versions = _released(actions)
    faults, marks = dict[Fault, Count](), dict[tuple[Mark, UUID, date], Count]()
    for action in actions:
        when, release = at[action.pk], action.verdict.get("release", 0)
        for fault in faults_in(action.verdict, texts.get(release, {})):
            faults.setdefault(fault, Count()).add(when, action, versions.get((release, fault.policy), 0))
        for mark in marks_in(action.verdict) if action.agent_id else ():
            assert action.agent_id is not None
            marks.setdefault((mark, action.agent_id, when.astimezone(UTC).date()), Count()).add(when, action)
    policies = {policy.slug: policy for policy in Policy.objects.select_related("unit").filter(
        slug__in={fault.policy for fault in faults} | {mark.policy for mark, _, _ in marks}
    )}  # fmt: skip
    known = [(fault, count) for fault, count in faults.items() if fault.policy in policies]
    for fault, count in known:
        _note_fault(policies[fault.policy], fault, count)
    flagged = [(mark, day, count) for (mark, _, day), count in marks.items() if mark.policy in policies]
    for mark, day, count in flagged:
        _note_flag(policies[mark.policy], mark, day, count)
    return len(known) + len(flagged)


def _released(actions: Iterable[Action]) -> tuple[dict[int, dict[tuple[str, str], str]], dict[tuple[int, str], int]]:
    """Of the releases that judged these actions: the conditions of their rules, and the versions of their policies."""
    numbers = {action.verdict.get("release", 0) for action in actions}
    texts, versions = dict[int, dict[tuple[str, str], str]](), dict[tuple[int, str], int]()
    for release in Release.objects.filter(number__in=numbers):
        said = texts.setdefault(release.number, {})
        for line in release.policies:
            versions[release.number, line["policy"]] = line["version"]
            said |= {(line["policy"], rule["slug"]): rule.get("when", "") for rule in line["rules"]}
    return texts, versions


def _note_fault(policy: Policy, fault: Fault, count: Count) -> None:
    """A line for each cause; beyond ten that are shown, the rest of a rule's share one."""
    told = {"rule": fault.rule, "is_shadow": fault.is_shadow, "cause": fault.cause}
    now = {"effect": fault.effect, "is_confidential": fault.is_confidential, "version": count.version}
    if RuleFault.objects.filter(policy=policy, **told).update(**now, **count.as_change()):
        return
    shown = RuleFault.objects.filter(policy=policy, rule=fault.rule, is_shadow=fault.is_shadow)
    if (
        fault.cause != OTHERS
        and shown.filter(last_at__gt=count.last_at - timedelta(days=KEPT_DAYS)).count() >= CAUSES_MAX
    ):
        _note_fault(policy, fault._replace(cause=OTHERS), count)
        return
    made = RuleFault.objects.create(policy=policy, **told, **now, first_at=count.first_at, **count.as_new())
    named = CONFIDENTIAL if fault.is_confidential else fault.rule
    said = {"policy": policy.slug, "rule": named, "effect": fault.effect, "action": made.action_id}
    record(system_user("plane"), made, "erred", payload={**said, "shadow": fault.is_shadow})


def _note_flag(policy: Policy, mark: Mark, day: date, count: Count) -> None:
    assert count.agent is not None, "only what is an agent's is counted"
    one = {"policy": policy, "rule": mark.rule, "agent": count.agent, "day": day}
    if RuleFlag.objects.filter(**one).update(is_confidential=mark.is_confidential, **count.as_change()):
        return
    made = RuleFlag.objects.create(**one, is_confidential=mark.is_confidential, **count.as_new())
    named = CONFIDENTIAL if mark.is_confidential else mark.rule
    said = {"policy": policy.slug, "rule": named, "agent": count.agent.slug, "action": made.action_id}
    record(system_user("plane"), made, "raised", payload=said)
