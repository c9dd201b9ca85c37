"""Addresses of telemetry."""

from django.urls import URLPattern, path

from apps.telemetry import api

pages: list[URLPattern] = []

endpoints = [path("usage/", api.Usage.as_view(), name="usage")]
