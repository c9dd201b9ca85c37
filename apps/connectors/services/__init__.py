"""Commands on systems, secrets, operations, permissions and effects."""

from apps.connectors.services.compensating import WayBack, mark_compensated, way_back_of
from apps.connectors.services.connectors import (
    change_connector_state,
    make_connector,
    probe_connector,
    save_connector,
)
from apps.connectors.services.effects import (
    Due,
    DueEffect,
    claim_effect,
    dispatch_effect,
    due_effects,
    prepare_effect,
    reconcile_effect,
    recover_effect,
    refuse_changed,
    require_permission,
    settle_effect,
)
from apps.connectors.services.erasing import erase_effects
from apps.connectors.services.importing import import_openapi
from apps.connectors.services.inside import allow_inside, refuse_inside
from apps.connectors.services.listing import Listing, import_tools, watch_tools
from apps.connectors.services.newcomers import begin_agent
from apps.connectors.services.noting import forget_calls
from apps.connectors.services.operations import change_operation_state, save_operation
from apps.connectors.services.permissions import grant_operation, narrow_operation, revoke_operation
from apps.connectors.services.pins import confirm_operations, review_operation, set_pin
from apps.connectors.services.reads import OnFile, read_on_file
from apps.connectors.services.requests import grant_request, refuse_request, request_access
from apps.connectors.services.secrets import drop_older_secret, drop_secret, end_overlaps, set_secret
from apps.connectors.services.sizing import right_size, undo_right_sizing
from apps.connectors.services.trying import Tried, try_out
from apps.connectors.services.verifying import accept_mismatch, read_back, settle_check, take_check
from apps.connectors.services.waiting import drop_effect, give_up_repeating, postpone_effect

__all__ = [
    "Due",
    "DueEffect",
    "Listing",
    "OnFile",
    "Tried",
    "WayBack",
    "accept_mismatch",
    "allow_inside",
    "begin_agent",
    "change_connector_state",
    "change_operation_state",
    "claim_effect",
    "confirm_operations",
    "dispatch_effect",
    "drop_effect",
    "drop_older_secret",
    "drop_secret",
    "due_effects",
    "end_overlaps",
    "erase_effects",
    "forget_calls",
    "give_up_repeating",
    "grant_operation",
    "grant_request",
    "import_openapi",
    "import_tools",
    "make_connector",
    "mark_compensated",
    "narrow_operation",
    "postpone_effect",
    "prepare_effect",
    "probe_connector",
    "read_back",
    "read_on_file",
    "reconcile_effect",
    "recover_effect",
    "refuse_changed",
    "refuse_inside",
    "refuse_request",
    "request_access",
    "require_permission",
    "review_operation",
    "revoke_operation",
    "right_size",
    "save_connector",
    "save_operation",
    "set_pin",
    "set_secret",
    "settle_check",
    "settle_effect",
    "take_check",
    "try_out",
    "undo_right_sizing",
    "watch_tools",
    "way_back_of",
]
