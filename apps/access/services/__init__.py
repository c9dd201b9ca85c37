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
from apps.access.services.factors import reset_factors
from apps.access.services.grants import end_person, grant_role, revoke_role, set_roles
from apps.access.services.holding import keep_people
from apps.access.services.identities import find_signed_on, forget_assertions, spend_assertion, unlink_identities
from apps.access.services.moves import hold_tree, refuse_to_leave, require_mover, require_two_to_move, take_along
from apps.access.services.people import bring_back_person, change_person, make_person, save_person
from apps.access.services.rotas import save_rota, swap_duty, unswap_duty
from apps.access.services.seconds import note_second, require_two_by_name
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
from apps.access.services.tree import save_unit
from apps.access.services.units import require_manager, save_queue, save_role

__all__ = [
    "arm_emergency",
    "authenticate_token",
    "begin_session",
    "bind_emergency",
    "bring_back_person",
    "change_person",
    "create_token",
    "end_absence",
    "end_other_sessions",
    "end_person",
    "end_session",
    "end_sessions_of",
    "find_signed_on",
    "find_token_holder",
    "forget_assertions",
    "forget_sessions",
    "grant_role",
    "hold_tree",
    "keep_people",
    "make_person",
    "note_account",
    "note_emergency_change",
    "note_failed_sign_in",
    "note_second",
    "note_seen",
    "note_sign_out",
    "open_emergency",
    "plan_absence",
    "refuse_to_leave",
    "require_manager",
    "require_mover",
    "require_two_by_name",
    "require_two_to_move",
    "reset_factors",
    "revoke_role",
    "revoke_token",
    "save_calendar",
    "save_person",
    "save_queue",
    "save_role",
    "save_rota",
    "save_unit",
    "set_roles",
    "spend_assertion",
    "swap_duty",
    "sweep_absences",
    "sweep_emergencies",
    "take_along",
    "unlink_identities",
    "unswap_duty",
    "withdraw_emergency",
]
