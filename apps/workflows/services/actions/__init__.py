"""Actions from request to outcome: agents ask, policy answers, the plane carries out."""

from apps.workflows.services.actions.asking import check_action, submit_action
from apps.workflows.services.actions.carrying_out import (
    consume_action,
    consume_actions,
    perform_action,
    perform_due,
    prepare_action,
    reconcile_action,
    report_outcome,
    take_back_action,
)
from apps.workflows.services.actions.compensating import compensate_action, follow_untaken, may_compensate
from apps.workflows.services.actions.halting import return_stopped, revoke_stopped
from apps.workflows.services.actions.pipeline import Ask, Place
from apps.workflows.services.actions.unreported import raise_unreported
from apps.workflows.services.actions.verifying import follow_mismatch, verify_due

__all__ = [
    "Ask",
    "Place",
    "check_action",
    "compensate_action",
    "consume_action",
    "consume_actions",
    "follow_mismatch",
    "follow_untaken",
    "may_compensate",
    "perform_action",
    "perform_due",
    "prepare_action",
    "raise_unreported",
    "reconcile_action",
    "report_outcome",
    "return_stopped",
    "revoke_stopped",
    "submit_action",
    "take_back_action",
    "verify_due",
]
