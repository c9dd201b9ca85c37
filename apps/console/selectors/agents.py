"""One agent in words: what it may, must ask, may never; computed from permissions and the release in force."""

from dataclasses import dataclass

from apps.agents.models import Agent
from apps.connectors.models import Operation
from apps.connectors.selectors import MayUse, all_operations_for, what_agent_may_for
from apps.core.models import User
from apps.policies.rules import Effect
from apps.policies.selectors import RuleCard, rules_about_for


@dataclass(frozen=True, slots=True)
class OperationInWords:
    """One permitted operation with the rules that decide about it."""

    use: MayUse
    may: list[RuleCard]
    must_ask: list[RuleCard]
    never: list[RuleCard]

    @property
    def always_asks(self) -> bool:
        """Whether no rule lets it pass alone."""
        return not self.may and bool(self.must_ask)

    @property
    def is_closed(self) -> bool:
        """Permitted, yet no rule allows it: whatever it asks is denied."""
        return not self.may and not self.must_ask

    @property
    def autonomy(self) -> int:
        """The autonomy level, derived: 0 people only, 2 asks, 4 acts within limits (1 and 3 need holds and drafts)."""
        if self.is_closed or not self.use.is_live:
            return 0
        return 2 if self.always_asks else 4


def words_for(actor: User, agent: Agent) -> list[OperationInWords]:
    """Every operation granted to ``agent``, ended ones too, with its rules, by slug."""
    return [_in_words(actor, agent, use) for use in what_agent_may_for(actor, agent)]


def _in_words(actor: User, agent: Agent, use: MayUse) -> OperationInWords:
    cards = rules_about_for(
        actor,
        operation=use.operation.slug,
        connector=use.operation.connector.slug,
        agent=agent.slug,
        version=agent.version.number if agent.version else 0,
        unit_id=agent.unit_id,
    )
    by_effect = {effect: [card for card in cards if card.effect == effect] for effect in Effect}
    return OperationInWords(use, by_effect[Effect.ALLOW], by_effect[Effect.REQUIRE_APPROVAL], by_effect[Effect.DENY])


def not_permitted_for(actor: User, agent: Agent) -> list[Operation]:
    """Active operations that ``actor`` knows and ``agent`` was never granted: what it may never do."""
    granted = [use.operation.pk for use in what_agent_may_for(actor, agent) if use.is_live]
    return list(all_operations_for(actor).filter(state="active").exclude(pk__in=granted))
