"""Commands on what people are told."""

from apps.notifications.services.attention import close_notices, mark_all_seen, mark_seen
from apps.notifications.services.chats import remove_chat_target, save_chat_target
from apps.notifications.services.notices import forget_notices, raise_notice, spread_notices
from apps.notifications.services.sending import send_due
from apps.notifications.services.wishes import save_wishes

__all__ = [
    "close_notices",
    "forget_notices",
    "mark_all_seen",
    "mark_seen",
    "raise_notice",
    "remove_chat_target",
    "save_chat_target",
    "save_wishes",
    "send_due",
    "spread_notices",
]
