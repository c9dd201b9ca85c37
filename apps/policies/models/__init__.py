"""Policies and their releases, budgets, simulations, waivers."""

from apps.policies.models.budgets import Budget, BudgetChange, BudgetPeriod, Reservation
from apps.policies.models.health import RuleFault, RuleFlag
from apps.policies.models.policies import Policy, PolicyVersion, Proposal, Release, RuleDay
from apps.policies.models.simulations import Simulation
from apps.policies.models.waivers import Waiver, WaiverUse

__all__ = [
    "Budget",
    "BudgetChange",
    "BudgetPeriod",
    "Policy",
    "PolicyVersion",
    "Proposal",
    "Release",
    "Reservation",
    "RuleDay",
    "RuleFault",
    "RuleFlag",
    "Simulation",
    "Waiver",
    "WaiverUse",
]
