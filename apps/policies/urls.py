"""Addresses of policies. ``/policies/evaluate/`` belongs to the floor that knows the operations."""

from django.urls import path, re_path

from apps.policies import api, views

SLUG = r"(?P<slug>(?!evaluate/)[-a-zA-Z0-9_]+)"

pages = [
    path("policies/", views.policies, name="policies"),
    path("policies/<slug:slug>/", views.policy, name="policy"),
    path("policies/<slug:slug>/publish/", views.publish, name="publish"),
    path("policies/<slug:slug>/retire/", views.retire, name="retire"),
]

endpoints = [
    path("policies/", api.Policies.as_view(), name="policies"),
    re_path(rf"^policies/{SLUG}/$", api.PolicyDetail.as_view(), name="policy"),
    re_path(rf"^policies/{SLUG}/versions/$", api.PolicyVersions.as_view(), name="policy-versions"),
    re_path(rf"^policies/{SLUG}/check/$", api.PolicyCheck.as_view(), name="policy-check"),
    re_path(rf"^policies/{SLUG}/publish/$", api.PolicyPublish.as_view(), name="policy-publish"),
]
