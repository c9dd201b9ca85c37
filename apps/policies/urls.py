"""Addresses of policies. ``/policies/evaluate/`` belongs to the floor that knows the operations."""

from django.urls import path, re_path

from apps.policies import views
from apps.policies.api import health, policies, proposals, simulations

SLUG = r"(?P<slug>(?!evaluate/|simulations/)[-a-zA-Z0-9_]+)"

pages = [
    path("policies/", views.policies, name="policies"),
    path("policy-health/", views.health, name="health"),
    path("policies/<slug:slug>/", views.policy, name="policy"),
    path("policies/<slug:slug>/v/<int:number>/", views.version, name="version"),
    path("policies/<slug:slug>/diff/", views.diff, name="diff"),
    path("policies/<slug:slug>/publish/", views.publish, name="publish"),
    path("policies/<slug:slug>/retire/", views.retire, name="retire"),
    path("policies/<slug:slug>/roll-back/", views.roll_back, name="roll-back"),
    path("policies/<slug:slug>/decline/", views.decline, name="decline"),
]

endpoints = [
    path("proposals/", proposals.Proposals.as_view(), name="proposals"),
    path("proposals/<uuid:proposal_id>/", proposals.ProposalDetail.as_view(), name="proposal"),
    path("proposals/<uuid:proposal_id>/decline/", proposals.ProposalDecline.as_view(), name="proposal-decline"),
    path("policies/", policies.Policies.as_view(), name="policies"),
    path("policy-health/", health.PolicyHealth.as_view(), name="policy-health"),
    path("rule-flags/", health.RuleFlags.as_view(), name="rule-flags"),
    path("policies/simulations/", simulations.Simulations.as_view(), name="simulations"),
    path("policies/simulations/<uuid:simulation_id>/", simulations.SimulationDetail.as_view(), name="simulation"),
    path(
        "policies/simulations/<uuid:simulation_id>/cancel/",
        simulations.SimulationCancel.as_view(),
        name="simulation-cancel",
    ),
    path(
        "policies/simulations/<uuid:simulation_id>/propose/",
        simulations.SimulationPropose.as_view(),
        name="simulation-propose",
    ),
    re_path(rf"^policies/{SLUG}/$", policies.PolicyDetail.as_view(), name="policy"),
    re_path(rf"^policies/{SLUG}/versions/$", policies.PolicyVersions.as_view(), name="policy-versions"),
    re_path(rf"^policies/{SLUG}/check/$", policies.PolicyCheck.as_view(), name="policy-check"),
    re_path(rf"^policies/{SLUG}/simulate/$", simulations.PolicySimulate.as_view(), name="policy-simulate"),
    re_path(rf"^policies/{SLUG}/publish/$", policies.PolicyPublish.as_view(), name="policy-publish"),
    re_path(rf"^policies/{SLUG}/roll-back/$", policies.PolicyRollback.as_view(), name="policy-roll-back"),
]
