"""What a person may type on the console's pages."""

from apps.console.forms.absences import AbsenceForm
from apps.console.forms.access import GrantRoleForm, RevokeRoleForm
from apps.console.forms.agents import CredentialForm, PermissionForm, ReasonForm, StateForm
from apps.console.forms.audit import AuditFilterForm
from apps.console.forms.halts import EngageForm, LiftForm
from apps.console.forms.settings import HoldForm
from apps.console.forms.shortcuts import ShortcutsForm

__all__ = [
    "AbsenceForm",
    "AuditFilterForm",
    "CredentialForm",
    "EngageForm",
    "GrantRoleForm",
    "HoldForm",
    "LiftForm",
    "PermissionForm",
    "ReasonForm",
    "RevokeRoleForm",
    "ShortcutsForm",
    "StateForm",
]
