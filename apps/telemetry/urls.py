"""Addresses of telemetry."""

from django.urls import URLPattern, path

from apps.telemetry import api

pages: list[URLPattern] = [
    path("v1/traces", api.Traces.as_view(), name="traces"),
    path("otlp/v1/traces", api.Traces.as_view(), name="otlp-traces"),
]

endpoints = [path("usage/", api.Usage.as_view(), name="usage")]
