"""Addresses of telemetry."""

from django.urls import URLPattern, path

from apps.telemetry.api import discovered, intake, logs, spans, tools

pages: list[URLPattern] = [
    path("v1/traces", intake.Traces.as_view(), name="traces"),
    path("otlp/v1/traces", intake.Traces.as_view(), name="otlp-traces"),
    path("v1/logs", intake.Logs.as_view(), name="logs"),
    path("otlp/v1/logs", intake.Logs.as_view(), name="otlp-logs"),
]

endpoints = [
    path("usage/", intake.Usage.as_view(), name="usage"),
    path("spans/", spans.Spans.as_view(), name="spans"),
    path("spans/unlinked/", spans.UnlinkedSpans.as_view(), name="unlinked-spans"),
    path("spans/rejected/", spans.RejectedSpans.as_view(), name="rejected-spans"),
    path("spans/<uuid:span_id>/", spans.SpanDetail.as_view(), name="span"),
    path("spans/<uuid:span_id>/link/", spans.SpanLink.as_view(), name="link-span"),
    path("logs/", logs.Logs.as_view(), name="log-list"),
    path("tool-findings/", tools.ToolFindings.as_view(), name="tool-findings"),
    path("tool-findings/<uuid:finding_id>/dismiss/", tools.ToolFindingDismissal.as_view(), name="dismiss-tool"),
    path("discovered-agents/", discovered.DiscoveredAgents.as_view(), name="discovered-agents"),
    path("discovered-agents/<uuid:discovered_id>/adopt/", discovered.Adoption.as_view(), name="adopt-discovered"),
    path("discovered-agents/<uuid:discovered_id>/ignore/", discovered.Ignoring.as_view(), name="ignore-discovered"),
    path("discovered-agents/<uuid:discovered_id>/block/", discovered.Blocking.as_view(), name="block-discovered"),
    path("agents/<slug:slug>/coverage/", tools.AgentCoverage.as_view(), name="agent-coverage"),
]
