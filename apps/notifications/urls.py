"""Addresses of notifications."""

from django.urls import path

from apps.notifications import api, views

pages = [
    path("notifications/", views.notices, name="notices"),
    path("notifications/seen/", views.see_all, name="see-all"),
    path("notifications/<uuid:delivery_id>/", views.open_notice, name="open"),
    path("settings/notifications/", views.wishes, name="wishes"),
    path("settings/notifications/browsers/add/", views.add_browser, name="add-browser"),
    path("settings/notifications/browsers/<uuid:browser_id>/remove/", views.remove_browser, name="remove-browser"),
    path("settings/notifications/browsers/<uuid:browser_id>/test/", views.try_browser, name="try-browser"),
    path("access/chats/", views.chats, name="chats"),
    path("access/chats/set/", views.set_chat, name="set-chat"),
    path("access/chats/<slug:slug>/remove/", views.remove_chat, name="remove-chat"),
]

endpoints = [
    path("me/notifications/", api.MyNotifications.as_view(), name="my-notifications"),
    path("me/browsers/", api.MyBrowsers.as_view(), name="my-browsers"),
    path("me/browsers/<uuid:browser_id>/", api.MyBrowser.as_view(), name="my-browser"),
    path("me/browsers/<uuid:browser_id>/test/", api.TryMyBrowser.as_view(), name="try-my-browser"),
    path("me/weekly-report/", api.MyWeeklyReport.as_view(), name="my-weekly-report"),
    path("notifications/", api.Notices.as_view(), name="notices"),
    path("notifications/seen/", api.NoticesSeen.as_view(), name="notices-seen"),
    path("chat-targets/", api.Chats.as_view(), name="chats"),
    path("chat-targets/<slug:slug>/", api.ChatDetail.as_view(), name="chat"),
]
