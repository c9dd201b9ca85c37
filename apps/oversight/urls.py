"""Where the inbox lives."""

from django.urls import URLPattern, path

from apps.oversight import views

pages: list[URLPattern] = [
    path("inbox/", views.inbox, name="inbox"),
    path("inbox/<uuid:escalation_id>/", views.item, name="item"),
    path("inbox/<uuid:escalation_id>/decision/", views.decide, name="decide"),
    path("inbox/<uuid:escalation_id>/comment/", views.comment, name="comment"),
]
endpoints: list[URLPattern] = []
