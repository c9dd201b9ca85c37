"""The present configuration as documents that, applied, change nothing."""

from collections.abc import Collection, Mapping, Sequence

from apps.configuration.rules import KINDS
from apps.configuration.selectors import figures, people, systems
from apps.configuration.selectors.writing import Writer
from apps.core.gate import refuse_agents, require
from apps.core.models import User

EXPORT: Mapping[str, Writer] = {
    "Calendar": people.calendars,
    "BusinessUnit": people.units,
    "Role": people.roles,
    "GroupMapping": people.group_mappings,
    "User": people.users,
    "Rota": people.rotas,
    "Queue": people.queues,
    "ChatTarget": people.chat_targets,
    "DataClass": systems.data_classes,
    "Connector": systems.connectors,
    "Operation": systems.operations,
    "Agent": systems.agents,
    "Workflow": systems.workflows,
    "Policy": figures.policies,
    "Budget": figures.budgets,
    "Breaker": figures.breakers,
    "Kpi": figures.kpis,
    "Target": figures.targets,
    "Baseline": figures.baselines,
    "Price": figures.prices,
    "Rate": figures.rates,
}


def export_for(actor: User, *, kinds: Sequence[str] = KINDS) -> str:
    """All objects of these kinds as YAML. For ``manage.py``, and for whoever manages access everywhere."""
    refuse_agents(actor)
    if actor.is_human:
        require(actor, "access.manage_access")
    return "---\n".join(text for kind in KINDS if kind in kinds for _name, text in EXPORT[kind](None))


def written_now(names: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The documents of the objects of these kinds and names that are there. Whoever asks has asked who may look."""
    wanted: dict[str, set[str]] = {}
    for kind, name in names:
        wanted.setdefault(kind, set()).add(name)
    return {(kind, name): text for kind, only in wanted.items() for name, text in EXPORT[kind](only)}
