"""Who is told, what somebody wants, what they were told."""

from apps.notifications.selectors.people import recipients_of
from apps.notifications.selectors.rows import (
    browser_for,
    browsers_for,
    chat_target_for,
    chat_targets_for,
    failing_for,
    notice_for,
    notices_for,
    unseen_count_for,
)
from apps.notifications.selectors.wishes import Wishes, quiet_hours_for, wishes_for, wishes_of

__all__ = [
    "Wishes",
    "browser_for",
    "browsers_for",
    "chat_target_for",
    "chat_targets_for",
    "failing_for",
    "notice_for",
    "notices_for",
    "quiet_hours_for",
    "recipients_of",
    "unseen_count_for",
    "wishes_for",
    "wishes_of",
]
