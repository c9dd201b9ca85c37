"""Endpoints of notifications: what one was told and wants to be told, where chats are, one's weekly report."""

from apps.notifications.api.notices import (
    ChatDetail,
    Chats,
    MyBrowser,
    MyBrowsers,
    MyNotifications,
    Notices,
    NoticesSeen,
    TryMyBrowser,
)
from apps.notifications.api.reports import MyWeeklyReport

__all__ = [
    "ChatDetail",
    "Chats",
    "MyBrowser",
    "MyBrowsers",
    "MyNotifications",
    "MyWeeklyReport",
    "Notices",
    "NoticesSeen",
    "TryMyBrowser",
]
