"""Addresses of telemetry."""

from django.urls import URLPattern, path

from apps.telemetry.api import intake, tools

pages: list[URLPattern] = [
    path("v1/traces", intake.Traces.as_view(), name="traces"),
    path("otlp/v1/traces", intake.Traces.as_view(), name="otlp-traces"),
]

endpoints = [
    path("usage/", intake.Usage.as_view(), name="usage"),
    path("tool-findings/", tools.ToolFindings.as_view(), name="tool-findings"),
    path("tool-findings/<uuid:finding_id>/dismiss/", tools.ToolFindingDismissal.as_view(), name="dismiss-tool"),
    path("agents/<slug:slug>/coverage/", tools.AgentCoverage.as_view(), name="agent-coverage"),
]
