"""The names of permissions, and what each lets its holder do. A contract: adding is fine, renaming is not."""

from collections.abc import Mapping

PERMISSIONS: Mapping[str, str] = {
    "oversight.view_escalation": "See the items that wait for people.",
    "oversight.decide_escalation": "Decide the items that wait for people.",
    "agents.view_agent": "See agents, their versions, permissions and actions.",
    "agents.manage_agent": "Create, change, suspend and retire agents; make and revoke their keys and permissions.",
    "connectors.use_operation": "Ask for an operation of a system of record.",
    "connectors.manage_connector": "Set up systems of record, their operations and secrets.",
    "workflows.view_run": "See workflows and runs.",
    "workflows.start_run": "Start runs.",
    "workflows.operate_run": "Pause, resume, cancel and mend runs.",
    "workflows.work_workflow": "Take the tasks of a workflow.",
    "workflows.publish_workflow": "Publish versions of workflows.",
    "policies.view_policy": "See policies and their releases.",
    "policies.publish_policy": "Change and publish policies.",
    "policies.lower_enforcement": "Release what denies or asks less than before, and approve waivers of rules.",
    "halts.engage_halt": "Stop agents, workflows and systems there; where it is held everywhere, all at once too.",
    "halts.lift_halt": "Lift a halt that somebody else engaged.",
    "audit.view_entry": "Read the ledger.",
    "audit.erase_payload": "Erase for ever what people and agents wrote; what was decided, by whom and when stays.",
    "kpis.view_kpi": "See dashboards and KPIs.",
    "kpis.manage_target": "Set baselines, targets and prices.",
    "access.manage_access": "Manage units, people, roles and queues.",
    "access.provision_people": "Say as a directory who is there and in which groups (SCIM); for its token alone.",
}

ADMINISTRATOR = "administrator"
ADMINISTRATOR_PERMISSIONS = tuple(name for name in PERMISSIONS if name != "oversight.decide_escalation")
"""Administrators run the plane; they do not decide its items. A person needs an approver's role for that."""

EMERGENCY_PERMISSIONS = frozenset({
    "oversight.view_escalation", "agents.view_agent", "workflows.view_run", "policies.view_policy", "audit.view_entry",
    "kpis.view_kpi", "halts.engage_halt",
})  # fmt: skip
"""An emergency account looks at everything and stops anything. It decides, grants, releases and lifts nothing, so that
whoever gets hold of it can leave nothing behind but a halt."""


def is_permission(name: str) -> bool:
    """Whether ``name`` is one of the contract."""
    return name in PERMISSIONS
