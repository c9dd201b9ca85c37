"""Addresses of KPIs."""

from django.urls import URLPattern, path

from apps.kpis import api

pages: list[URLPattern] = []

endpoints = [
    path("kpis/", api.Kpis.as_view(), name="kpis"),
    path("kpis/<slug:kpi>/runs/", api.KpiRuns.as_view(), name="kpi-runs"),
    path("baselines/", api.Baselines.as_view(), name="baselines"),
    path("baselines/<slug:slug>/", api.BaselineDetail.as_view(), name="baseline"),
    path("targets/", api.Targets.as_view(), name="targets"),
    path("targets/<slug:slug>/", api.TargetDetail.as_view(), name="target"),
]
