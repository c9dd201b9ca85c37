"""Addresses of actions, runs, tasks and workflows."""

from django.urls import URLPattern, path

from apps.workflows.api import actions

pages: list[URLPattern] = []

endpoints = [
    path("actions/", actions.Actions.as_view(), name="actions"),
    path("actions/check/", actions.ActionCheck.as_view(), name="action-check"),
    path("actions/<uuid:action_id>/", actions.ActionDetail.as_view(), name="action"),
    path("actions/<uuid:action_id>/cancel/", actions.ActionCancel.as_view(), name="action-cancel"),
    path("actions/<uuid:action_id>/comments/", actions.ActionComments.as_view(), name="action-comments"),
    path("actions/<uuid:action_id>/consume/", actions.ActionConsume.as_view(), name="action-consume"),
    path("actions/<uuid:action_id>/outcome/", actions.ActionOutcome.as_view(), name="action-outcome"),
]
