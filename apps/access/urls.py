"""Addresses of units, roles, people and queues. Their pages belong to the console."""

from django.urls import URLPattern, path

from apps.access import api

pages: list[URLPattern] = []

endpoints = [
    path("business-units/", api.Units.as_view(), name="units"),
    path("roles/", api.Roles.as_view(), name="roles"),
    path("users/", api.People.as_view(), name="people"),
    path("calendars/", api.Calendars.as_view(), name="calendars"),
    path("queues/", api.Queues.as_view(), name="queues"),
]
