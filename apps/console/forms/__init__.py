"""What a person may type on the console's pages."""

from apps.console.forms.absences import AbsenceForm
from apps.console.forms.access import GrantRoleForm, NewPersonForm, PersonForm, RevokeRoleForm
from apps.console.forms.agents import (
    CredentialForm,
    GrantAccessForm,
    NewAgentForm,
    PermissionForm,
    PromoteForm,
    PublicKeyForm,
    ReasonForm,
    RetireForm,
    StateForm,
    UnitMoveForm,
)
from apps.console.forms.audit import AuditFilterForm, NotedRootForm
from apps.console.forms.breakers import BreakerForm
from apps.console.forms.budgets import BudgetForm
from apps.console.forms.data_classes import DataClassForm
from apps.console.forms.describing import AgentForm, CaseForm, VersionForm
from apps.console.forms.discovered import DiscoveredAct, DiscoveredForm
from apps.console.forms.duty import DAY_NAMES, CalendarForm, RotaForm, SwapForm
from apps.console.forms.emergencies import EmergencyAccountForm
from apps.console.forms.halts import DrillForm, EngageForm, LiftForm
from apps.console.forms.levels import LevelForm
from apps.console.forms.mappings import GroupMappingForm
from apps.console.forms.policies import NewPolicyForm, parsed
from apps.console.forms.policy_cases import CaseChoices, PolicyCaseForm
from apps.console.forms.reports import ReportForm
from apps.console.forms.rules import Choices, RuleForm, shown_as, typed
from apps.console.forms.settings import HoldForm
from apps.console.forms.shortcuts import ShortcutsForm
from apps.console.forms.simulations import SimulationForm, StepForm, TurnForm
from apps.console.forms.spans import LinkSpanForm
from apps.console.forms.tokens import TokenForm
from apps.console.forms.waivers import WaiverAnswerForm, WaiverForm

__all__ = [
    "DAY_NAMES",
    "AbsenceForm",
    "AgentForm",
    "AuditFilterForm",
    "BreakerForm",
    "BudgetForm",
    "CalendarForm",
    "CaseChoices",
    "CaseForm",
    "Choices",
    "CredentialForm",
    "DataClassForm",
    "DiscoveredAct",
    "DiscoveredForm",
    "DrillForm",
    "EmergencyAccountForm",
    "EngageForm",
    "GrantAccessForm",
    "GrantRoleForm",
    "GroupMappingForm",
    "HoldForm",
    "LevelForm",
    "LiftForm",
    "LinkSpanForm",
    "NewAgentForm",
    "NewPersonForm",
    "NewPolicyForm",
    "NotedRootForm",
    "PermissionForm",
    "PersonForm",
    "PolicyCaseForm",
    "PromoteForm",
    "PublicKeyForm",
    "ReasonForm",
    "ReportForm",
    "RetireForm",
    "RevokeRoleForm",
    "RotaForm",
    "RuleForm",
    "ShortcutsForm",
    "SimulationForm",
    "StateForm",
    "StepForm",
    "SwapForm",
    "TokenForm",
    "TurnForm",
    "UnitMoveForm",
    "VersionForm",
    "WaiverAnswerForm",
    "WaiverForm",
    "parsed",
    "shown_as",
    "typed",
]
