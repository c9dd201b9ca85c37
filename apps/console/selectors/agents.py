"""One agent in words: what it may, must ask, may never; computed from permissions and the release in force."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q
from django.utils.translation import gettext_lazy as _

from apps.access.models import RoleGrant
from apps.access.selectors import ancestors_for, live_grants, people_for
from apps.agents.models import Agent
from apps.agents.rules import ActionState, AgentState, ChangeKind, Criterion, Proof, needs_second_person
from apps.agents.selectors import actions_for, gate_for, is_gated
from apps.connectors.models import Operation
from apps.connectors.selectors import MayUse, all_operations_for, what_agent_may_for
from apps.core.errors import NotFoundError
from apps.core.gate import visible
from apps.core.models import User
from apps.policies.models import Policy
from apps.policies.rules import Effect
from apps.policies.rules.levels import level_slug
from apps.policies.selectors import RuleCard, policies_for, rules_about_for
from apps.workflows.models import Task
from apps.workflows.rules.states import TaskState
from apps.workflows.selectors import runs_for

PUBLISH = "policies.publish_policy"
OWNERS_MAX = 300
"""As many as a field suggests; more are typed."""
UNDER_WAY = (ActionState.PENDING_APPROVAL, ActionState.APPROVED, ActionState.EXECUTING)

LEVELS = {
    0: _("people do it"),
    2: _("asks each time"),
    4: _("acts within its limits"),
}


@dataclass(frozen=True, slots=True)
class OperationInWords:
    """One permitted operation with the rules that decide about it.

    ``quiet``: confidential ones that the reader may not see; the level follows from them too. ``is_over``: the agent
    is retired.
    """

    use: MayUse
    may: list[RuleCard]
    must_ask: list[RuleCard]
    never: list[RuleCard]
    quiet: list[RuleCard]
    is_over: bool = False

    @property
    def asks(self) -> bool:
        """Whether a rule asks."""
        return bool(self._all(Effect.REQUIRE_APPROVAL))

    @property
    def always_asks(self) -> bool:
        """Whether no rule lets it pass alone, or one asks whatever it is."""
        asking = self._all(Effect.REQUIRE_APPROVAL)
        return bool(asking) and (not self._all(Effect.ALLOW) or _is_unconditional(asking))

    @property
    def is_denied(self) -> bool:
        """Whether a rule denies it, whatever it is."""
        return _is_unconditional(self._all(Effect.DENY))

    @property
    def is_closed(self) -> bool:
        """Permitted, yet whatever it asks is denied: no rule allows it, or one denies all of it."""
        return self.is_denied or (not self._all(Effect.ALLOW) and not self.asks)

    @property
    def autonomy(self) -> int:
        """The autonomy level, derived: 0 people only, 2 asks, 4 acts within limits (1 and 3 need holds and drafts)."""
        if self.is_closed or self.is_over or not self.use.is_live:
            return 0
        return 2 if self.always_asks else 4

    @property
    def autonomy_words(self) -> str:
        """The same in words."""
        return str(LEVELS[self.autonomy])

    def _all(self, effect: Effect) -> list[RuleCard]:
        return [card for card in (*self.may, *self.must_ask, *self.never, *self.quiet) if card.effect == effect]


def _is_unconditional(cards: list[RuleCard]) -> bool:
    return any(card.is_always for card in cards)


def words_for(actor: User, agent: Agent) -> list[OperationInWords]:
    """Every operation granted to ``agent``, ended ones too, with its rules, by slug."""
    return [_in_words(actor, agent, use) for use in what_agent_may_for(actor, agent)]


def _in_words(actor: User, agent: Agent, use: MayUse) -> OperationInWords:
    limit = use.permission.limit
    about: dict[str, Any] = {
        "operation": use.operation.slug,
        "connector": use.operation.connector.slug,
        "agent": agent.slug,
        "version": agent.version.number if agent.version else 0,
        "unit_id": agent.unit_id,
        "up_to": (limit.minor, limit.currency) if limit else None,
        "known": {
            "action.operation": use.operation.slug,
            "action.effect": use.operation.effect,
            "agent.slug": agent.slug,
            "agent.unit": agent.unit.slug,
            "agent.risk": agent.risk,
            "agent.state": agent.state,
            "agent.version": agent.version.number if agent.version else 0,
            "agent.owner": agent.owner.username,
            "agent.capabilities": agent.capabilities,
        },
    }
    cards, quiet = rules_about_for(actor, **about), rules_about_for(actor, quiet=True, **about)
    by_effect = {effect: [card for card in cards if card.effect == effect] for effect in Effect}
    may, must_ask, never = (by_effect[effect] for effect in (Effect.ALLOW, Effect.REQUIRE_APPROVAL, Effect.DENY))
    return OperationInWords(use, may, must_ask, never, quiet, is_over=agent.state == AgentState.RETIRED)


@dataclass(frozen=True, slots=True)
class InFlight:
    """What an agent is in the middle of."""

    waiting: int
    approved: int
    running: int
    tasks: int

    @property
    def is_something(self) -> bool:
        """Whether it is in the middle of anything."""
        return any((self.waiting, self.approved, self.running, self.tasks))


@dataclass(frozen=True, slots=True)
class GateLine:
    """One line of the gate as a page says it; ``evidence``: where the cases are."""

    line: Criterion
    words: str
    evidence: str

    @property
    def is_share(self) -> bool:
        """Whether value and threshold are shares, not counts."""
        return self.line.proof in {Proof.UNMODIFIED, Proof.ERRORS} or self.is_compared

    @property
    def is_compared(self) -> bool:
        """Whether it is held against the version before."""
        return self.line.proof in {Proof.NOT_LESS_RIGHT, Proof.NOT_MORE_ERRORS}

    @property
    def is_untested(self) -> bool:
        """Whether it is about tests, and there are none."""
        return self.line.proof == Proof.TESTS and not self.line.n

    @property
    def is_of_many(self) -> bool:
        """Whether it is a count of so many."""
        return self.line.proof in {Proof.TESTS, Proof.REJECTED_BEFORE}

    @property
    def low(self) -> str:
        """Where the interval of the difference begins, in points of a hundred with their sign."""
        return f"{self.line.compared.low * 100:+.1f}" if self.line.compared else ""

    @property
    def high(self) -> str:
        """Where it ends."""
        return f"{self.line.compared.high * 100:+.1f}" if self.line.compared else ""

    @property
    def is_least(self) -> bool:
        """Whether the threshold is the least that is enough, not the most that is let pass."""
        return self.line.proof in {Proof.CASES, Proof.UNMODIFIED, Proof.TESTS}


EVIDENCE = {
    Proof.CASES: "/actions/?agent={agent}",
    Proof.UNMODIFIED: "/inbox/?view=decided&agent={agent}",
    Proof.ERRORS: "/actions/?agent={agent}&state=failed",
    Proof.HARMFUL: "/inbox/?view=decided&agent={agent}",
    Proof.UNKNOWN: "/actions/?agent={agent}&state=unknown",
    Proof.FLAGS: "/flags/?agent={agent}",
    Proof.HALTS: "/halts/",
    Proof.NOT_LESS_RIGHT: "/inbox/?view=decided&agent={agent}",
    Proof.NOT_MORE_ERRORS: "/actions/?agent={agent}&state=failed",
    Proof.TESTS: "/agents/{agent}/tests/",
    Proof.REJECTED_BEFORE: "/agents/{agent}/tests/",
}
PROOFS = {
    Proof.CASES: _("Cases that were carried out or refused by people"),
    Proof.UNMODIFIED: _("What people decided, approved as it was asked"),
    Proof.ERRORS: _("What was carried out and failed"),
    Proof.HARMFUL: _("What people judged harmful afterwards"),
    Proof.UNKNOWN: _("What nobody knows the outcome of"),
    Proof.FLAGS: _("Open flags"),
    Proof.HALTS: _("Kill switches engaged on it"),
    Proof.NOT_LESS_RIGHT: _("Approved as asked, compared with the version before"),
    Proof.NOT_MORE_ERRORS: _("Failed, compared with the version before"),
    Proof.TESTS: _("Its tests, as expected"),
    Proof.REJECTED_BEFORE: _("What people rejected, and would pass without them now"),
}


def moves_of_two(agent: Agent) -> list[AgentState]:
    """The states into which nobody moves ``agent`` alone."""
    about = {"risk": agent.risk, "state": agent.state, "before": agent.state}
    return [to for to in AgentState if needs_second_person(ChangeKind.STATE, to=to, **about)]


def gate_shown_for(actor: User, agent: Agent) -> list[GateLine]:
    """The gate that ``agent`` has to pass to be active; empty where it has passed it, or never will."""
    if AgentState.ACTIVE not in agent.MOVES[agent.state] or not is_gated(agent):
        return []
    lines = gate_for(actor, agent)
    return [GateLine(line, str(PROOFS[line.proof]), EVIDENCE[line.proof].format(agent=agent.slug)) for line in lines]


def in_flight_for(actor: User, agent: Agent) -> InFlight:
    """What suspending or retiring ``agent`` now meets: of what ``actor`` may see."""
    counts = dict(
        actions_for(actor)
        .filter(agent=agent, state__in=UNDER_WAY)
        .order_by()
        .values_list("state")
        .annotate(times=Count("pk"))
    )
    tasks = Task.objects.filter(agent=agent, state=TaskState.CLAIMED, run__in=runs_for(actor).values("pk")).count()
    by = {state: counts.get(state, 0) for state in UNDER_WAY}
    return InFlight(by[ActionState.PENDING_APPROVAL], by[ActionState.APPROVED], by[ActionState.EXECUTING], tasks)


def not_permitted_for(actor: User, agent: Agent) -> list[Operation]:
    """Active operations that ``actor`` knows and ``agent`` was never granted: what it may never do."""
    granted = [use.operation.pk for use in what_agent_may_for(actor, agent) if use.is_live]
    return list(all_operations_for(actor).filter(state="active").exclude(pk__in=granted))


@dataclass(frozen=True, slots=True)
class LevelHome:
    """A policy in which a rule may set an agent's level for an operation; whether one does there now."""

    policy: Policy
    has_own: bool


def level_homes_for(actor: User, agent: Agent, operation: str) -> list[LevelHome]:
    """The policies in force that reach ``agent`` and that ``actor`` may write, those with such a rule first."""
    above = Q(unit=None) | Q(unit__in=ancestors_for(actor, agent.unit_id))
    rows = visible(actor, PUBLISH, policies_for(actor).filter(above, in_force__isnull=False))
    slug = level_slug(agent.slug, operation)
    homes = [LevelHome(row, _has_rule(row, slug)) for row in rows]
    return sorted(homes, key=lambda home: not home.has_own)


def _has_rule(policy: Policy, slug: str) -> bool:
    return policy.in_force is not None and any(rule.get("slug") == slug for rule in policy.in_force.rules)


def level_word_for(actor: User, agent: Agent, operation: str) -> OperationInWords:
    """One granted operation in words. Raises NotFoundError."""
    if found := next((word for word in words_for(actor, agent) if word.use.operation.slug == operation), None):
        return found
    raise NotFoundError


def owners_for(actor: User) -> list[tuple[str, str]]:
    """Who may be named as an owner, themselves first, then people whose access ``actor`` manages: user name, name."""
    rows = people_for(actor).filter(pk__in=RoleGrant.objects.filter(live_grants()).values("user"), is_active=True)
    others = rows.exclude(pk=actor.pk).values_list("username", "name")[: OWNERS_MAX - 1]
    return [(actor.username, actor.name), *others]
