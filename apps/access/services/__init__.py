"""Commands on units, roles, people, calendars, rotas, queues and tokens."""

from apps.access.services.absences import end_absence, plan_absence, sweep_absences
from apps.access.services.calendars import save_calendar
from apps.access.services.grants import end_person, grant_role, revoke_role, set_roles
from apps.access.services.people import save_person
from apps.access.services.rotas import save_rota, swap_duty, unswap_duty
from apps.access.services.tokens import authenticate_token, create_token, find_token_holder, revoke_token
from apps.access.services.units import require_manager, save_queue, save_role, save_unit

__all__ = [
    "authenticate_token",
    "create_token",
    "end_absence",
    "end_person",
    "find_token_holder",
    "grant_role",
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
    "unswap_duty",
]
