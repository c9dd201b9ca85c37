"""Addresses of agents."""

from django.urls import URLPattern, path

from apps.agents import api, views

pages: list[URLPattern] = [
    path("oauth/token", views.token, name="token"),
    path("oauth/revoke", views.revoke, name="revoke"),
    path(".well-known/oauth-authorization-server", views.authorization_server, name="authorization-server"),
    path(".well-known/oauth-protected-resource", views.protected_resource, name="protected-resource"),
    path(views.RESOURCE_DOCUMENT, views.protected_resource, name="protected-resource-of-api"),
]

endpoints = [
    path("me/", api.Me.as_view(), name="me"),
    path("agents/", api.Agents.as_view(), name="agents"),
    path("agents/<slug:slug>/", api.AgentDetail.as_view(), name="agent"),
    path("flags/", api.Flags.as_view(), name="flags"),
    path("flags/<uuid:flag_id>/dismiss/", api.FlagDismissal.as_view(), name="dismiss-flag"),
    path("agents/<slug:slug>/state/", api.AgentStateView.as_view(), name="agent-state"),
    path("agents/<slug:slug>/gate/", api.AgentGate.as_view(), name="agent-gate"),
    path("agents/<slug:slug>/tests/", api.AgentTests.as_view(), name="agent-tests"),
    path("agents/<slug:slug>/tests/run/", api.AgentTestRun.as_view(), name="run-agent-tests"),
    path("agents/<slug:slug>/tests/<uuid:case_id>/", api.AgentTestDetail.as_view(), name="agent-test"),
    path("agents/<slug:slug>/changes/", api.AgentChanges.as_view(), name="agent-changes"),
    path(
        "agents/<slug:slug>/changes/<uuid:change_id>/agree/", api.AgentChangeAgreement.as_view(), name="agree-to-change"
    ),
    path("agents/<slug:slug>/changes/<uuid:change_id>/drop/", api.AgentChangeEnd.as_view(), name="drop-change"),
    path("agents/<slug:slug>/versions/", api.AgentVersions.as_view(), name="agent-versions"),
    path("agents/<slug:slug>/versions/<int:number>/", api.AgentVersionDetail.as_view(), name="agent-version"),
    path("agents/<slug:slug>/credentials/", api.AgentCredentials.as_view(), name="agent-credentials"),
    path(
        "agents/<slug:slug>/credentials/<uuid:credential_id>/",
        api.AgentCredentialDetail.as_view(),
        name="agent-credential",
    ),
    path("agents/<slug:slug>/tokens/", api.AgentTokens.as_view(), name="agent-tokens"),
    path("agents/<slug:slug>/tokens/<uuid:access_token_id>/", api.AgentToken.as_view(), name="agent-token"),
]
