"""Commands on units, roles, people, calendars, rotas, queues and tokens."""

from apps.access.services.absences import end_absence, plan_absence, sweep_absences
from apps.access.services.calendars import save_calendar
from apps.access.services.emergencies import (
    arm_emergency,
    bind_emergency,
    note_emergency_change,
    open_emergency,
    sweep_emergencies,
    withdraw_emergency,
)
from apps.access.services.grants import end_person, grant_role, revoke_role, set_roles
from apps.access.services.identities import find_signed_on, unlink_identities
from apps.access.services.people import save_person
from apps.access.services.rotas import save_rota, swap_duty, unswap_duty
from apps.access.services.sessions import (
    begin_session,
    end_other_sessions,
    end_session,
    end_sessions_of,
    forget_sessions,
    note_account,
    note_failed_sign_in,
    note_seen,
    note_sign_out,
)
from apps.access.services.tokens import authenticate_token, create_token, find_token_holder, revoke_token
from apps.access.services.units import require_manager, save_queue, save_role, save_unit

__all__ = [
    "arm_emergency",
    "authenticate_token",
    "begin_session",
    "bind_emergency",
    "create_token",
    "end_absence",
    "end_other_sessions",
    "end_person",
    "end_session",
    "end_sessions_of",
    "find_signed_on",
    "find_token_holder",
    "forget_sessions",
    "grant_role",
    "note_account",
    "note_emergency_change",
    "note_failed_sign_in",
    "note_seen",
    "note_sign_out",
    "open_emergency",
    "plan_absence",
    "require_manager",
    "revoke_role",
    "revoke_token",
    "save_calendar",
    "save_person",
    "save_queue",
    "save_role",
    "save_rota",
    "save_unit",
    "set_roles",
    "swap_duty",
    "sweep_absences",
    "sweep_emergencies",
    "unlink_identities",
    "unswap_duty",
    "withdraw_emergency",
]
