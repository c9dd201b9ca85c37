"""Commands on what people are told."""

from apps.notifications.services.attention import (
    close_breaker_notices,
    close_change_notices,
    close_erasure_notices,
    close_notices,
    close_proposal_notices,
    close_waiver_notices,
    mark_all_seen,
    mark_seen,
)
from apps.notifications.services.browsers import (
    add_browser,
    end_browsers,
    leave_browser,
    push_key,
    remove_browser,
    try_browser,
)
from apps.notifications.services.chats import remove_chat_target, save_chat_target
from apps.notifications.services.notices import forget_notices, raise_notice, spread_notices
from apps.notifications.services.reporting import send_reports
from apps.notifications.services.reports import end_subscription, issue_reports, save_subscription
from apps.notifications.services.sending import send_due
from apps.notifications.services.wishes import save_wishes

__all__ = [
    "add_browser",
    "close_breaker_notices",
    "close_change_notices",
    "close_erasure_notices",
    "close_notices",
    "close_proposal_notices",
    "close_waiver_notices",
    "end_browsers",
    "end_subscription",
    "forget_notices",
    "issue_reports",
    "leave_browser",
    "mark_all_seen",
    "mark_seen",
    "push_key",
    "raise_notice",
    "remove_browser",
    "remove_chat_target",
    "save_chat_target",
    "save_subscription",
    "save_wishes",
    "send_due",
    "send_reports",
    "spread_notices",
    "try_browser",
]
