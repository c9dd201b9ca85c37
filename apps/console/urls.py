"""Addresses composed of several apps."""

from django.urls import path
from django.views.generic import RedirectView

from apps.console.api import erasures as erasures_api
from apps.console.api import halts as halts_api
from apps.console.api import inventory as inventory_api
from apps.console.api import policies as policies_api
from apps.console.views import (
    absences,
    access,
    actions,
    agent_versions,
    agents,
    audit,
    duty,
    erasures,
    flags,
    halts,
    home,
    new_agent,
    shortcuts,
)

pages = [
    path("", home.home, name="home"),
    path("control/", home.control, name="control"),
    path("help/", home.help_page, name="help"),
    path("settings/", home.settings_page, name="settings"),
    path("settings/absences/", absences.own, name="own-absences"),
    path("absences/<uuid:absence_id>/end/", absences.end, name="end-absence"),
    path("settings/shortcuts/", shortcuts.shortcuts, name="shortcuts"),
    path("search/", home.search, name="search"),
    path("actions/", actions.actions, name="actions"),
    path("actions/<uuid:action_id>/", actions.action, name="action"),
    path("agents/", agents.agents, name="agents"),
    path("new-agent/", new_agent.new_agent, name="new-agent"),
    path("agents/<slug:slug>/first-call/", new_agent.first_call, name="first-call"),
    path("agents/<slug:slug>/", agents.agent, name="agent"),
    path("agents/<slug:slug>/permissions/", agents.permit, name="permit"),
    path("agents/<slug:slug>/permissions/<str:operation>/revoke/", agents.forbid, name="forbid"),
    path("agents/<slug:slug>/keys/", agents.make_key, name="make-key"),
    path("agents/<slug:slug>/keys/<uuid:credential_id>/revoke/", agents.end_key, name="end-key"),
    path("agents/<slug:slug>/state/", agents.move, name="move"),
    path("agents/<slug:slug>/changes/<uuid:change_id>/agree/", agents.agree, name="agree-to-change"),
    path("agents/<slug:slug>/changes/<uuid:change_id>/drop/", agents.drop, name="drop-change"),
    path("agents/<slug:slug>/versions/<int:number>/", agent_versions.version, name="agent-version"),
    path("flags/", flags.flags, name="flags"),
    path("flags/<uuid:flag_id>/dismiss/", flags.dismiss, name="dismiss-flag"),
    path("access/", access.access, name="access"),
    path("access/people/<str:username>/", access.person, name="person"),
    path("access/people/<str:username>/absences/", access.plan, name="plan-absence-of"),
    path("access/people/<str:username>/roles/", access.give, name="give"),
    path("access/grants/<uuid:grant_id>/revoke/", access.take, name="take"),
    path("access/rotas/", duty.rotas, name="rotas"),
    path("access/new-rota/", duty.new_rota, name="new-rota"),
    path("access/rotas/<slug:slug>/", duty.rota, name="rota"),
    path("access/rotas/<slug:slug>/edit/", duty.edit_rota, name="edit-rota"),
    path("access/rotas/<slug:slug>/swaps/", duty.swap, name="swap"),
    path("access/rotas/<slug:slug>/swaps/end/", duty.unswap, name="unswap"),
    path("access/calendars/", duty.calendars, name="calendars"),
    path("access/new-calendar/", duty.new_calendar, name="new-calendar"),
    path("access/calendars/<slug:slug>/", duty.calendar, name="calendar"),
    path("access/calendars/<slug:slug>/edit/", duty.edit_calendar, name="edit-calendar"),
    path("halts/", halts.halts, name="halts"),
    path("halts/engage/", halts.engage, name="engage"),
    path("halts/<uuid:halt_id>/", halts.halt, name="halt"),
    path("halts/<uuid:halt_id>/lift/", halts.lift, name="lift"),
    path("audit/", audit.audit, name="audit"),
    path("audit/<int:entry_id>/", audit.entry, name="entry"),
    path("audit/erasures/", erasures.erasures, name="erasures"),
    path("audit/trails/<uuid:trail_id>/erase/", erasures.erase, name="erase"),
    path("audit/trails/<uuid:trail_id>/erase/agree/", erasures.agree, name="agree-to-erase"),
    path("audit/trails/<uuid:trail_id>/erase/drop/", erasures.drop, name="drop-erasure"),
    path("favicon.ico", RedirectView.as_view(url="/static/mark.svg", permanent=True), name="favicon"),
]

endpoints = [
    path("inventory/", inventory_api.Inventory.as_view(), name="inventory"),
    path("halts/", halts_api.Halts.as_view(), name="halts"),
    path("halts/<uuid:halt_id>/taken-back/", halts_api.HaltTakenBack.as_view(), name="taken-back"),
    path("halts/<uuid:halt_id>/lift/", halts_api.HaltLift.as_view(), name="lift"),
    path("audit/erasures/", erasures_api.Erasures.as_view(), name="erasures"),
    path("audit/trails/<uuid:trail_id>/erase/", erasures_api.TrailErase.as_view(), name="erase"),
    path("audit/trails/<uuid:trail_id>/erase/agree/", erasures_api.TrailEraseAgreement.as_view(), name="agree"),
    path("audit/trails/<uuid:trail_id>/erase/drop/", erasures_api.TrailEraseEnd.as_view(), name="drop-erasure"),
    path("policies/evaluate/", policies_api.PolicyEvaluation.as_view(), name="evaluate"),
]
