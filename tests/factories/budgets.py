"""Budgets."""

from itertools import count
from typing import Any

from apps.agents.models import Agent
from apps.core.services import system_user
from apps.policies.models import Budget
from apps.policies.rules.budgets import BudgetTerms
from apps.policies.services.budgets import save_budget

_n = count(1)


def make_budget(agent: Agent, *, cap: int, **fields: Any) -> Budget:
    """A budget of EUR a day for an agent; other scopes name their ``target``."""
    slug = fields.pop("slug", f"budget{next(_n)}")
    names = BudgetTerms.__dataclass_fields__.keys() & fields.keys()
    terms = {"period": "day", "currency": "EUR", **{name: fields.pop(name) for name in names}}
    about = {"scope": "agent", "target": agent.slug, "unit": agent.unit, "owner": agent.owner, **fields}
    return save_budget(system_user("console"), slug=slug, terms=BudgetTerms(cap=cap, **terms), **about)[0]
