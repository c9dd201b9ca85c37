"""Addresses of KPIs."""

from django.urls import path

from apps.kpis import api, views
from apps.kpis.api import weekly as weekly_api
from apps.kpis.views import weekly

pages = [
    path("metrics", views.process_figures, name="process-figures"),
    path("metrics/kpi", views.kpi_figures, name="kpi-figures"),
    path("dashboards/", views.dashboards, name="dashboards"),
    path("dashboards/goals/", views.goals, name="goals"),
    path("dashboards/goals/baselines/", views.set_baseline, name="set-baseline"),
    path("dashboards/goals/baselines/<slug:slug>/approve/", views.approve_baseline, name="approve-baseline"),
    path("dashboards/goals/baselines/<slug:slug>/decline/", views.decline_baseline, name="decline-baseline"),
    path("dashboards/goals/targets/", views.set_target, name="set-target"),
    path("dashboards/goals/<str:kind>/<slug:slug>/remove/", views.remove_goal, name="remove-goal"),
    path("dashboards/prices/", views.prices, name="prices"),
    path("dashboards/prices/set/", views.set_price, name="set-price"),
    path("dashboards/event-logs/", views.event_logs, name="event-logs"),
    path("dashboards/event-logs/files/<uuid:upload_id>/", views.read_log_upload, name="read-log"),
    path("dashboards/event-logs/files/<uuid:upload_id>/discard/", views.discard_log_upload, name="discard-log"),
    path("dashboards/event-logs/<uuid:log_id>/", views.event_log, name="event-log"),
    path("dashboards/event-logs/<uuid:log_id>/cases/", views.log_cases, name="log-cases"),
    path("dashboards/event-logs/<uuid:log_id>/cases.csv", views.export_log_cases, name="export-log-cases"),
    path("dashboards/event-logs/<uuid:log_id>/draft.yaml", views.draft_from_log, name="draft-from-log"),
    path("dashboards/event-logs/<uuid:log_id>/remove/", views.remove_event_log, name="remove-event-log"),
    path("dashboards/data-quality/", views.data_quality, name="data-quality"),
    path("dashboards/unusual/", views.anomalies, name="anomalies"),
    path("dashboards/unusual/<uuid:anomaly_id>/mute/", views.mute, name="mute-anomaly"),
    path("dashboards/oversight/", views.oversight, name="oversight"),
    path("dashboards/cost/", views.cost, name="cost"),
    path("dashboards/cost/behind/<slug:part>/", views.cost_behind, name="cost-behind"),
    path("dashboards/cost/<slug:figure>.csv", views.export_cost, name="cost-csv"),
    path("dashboards/agents/<slug:slug>/versions/", views.agent_versions, name="agent-versions"),
    path("dashboards/<slug:slug>/weeks/now/", weekly.week_now, name="week-now"),
    path("dashboards/<slug:slug>/weeks/<str:week>/", weekly.week, name="week"),
    path("dashboards/<slug:slug>/weeks/<str:week>/<slug:part>/", weekly.behind_week, name="behind-week"),
    path("dashboards/<slug:slug>/", views.dashboard, name="dashboard"),
    path("dashboards/<slug:slug>/weeks/", views.weeks, name="weeks"),
    path("dashboards/<slug:slug>/versions/", views.versions, name="versions"),
    path("dashboards/<slug:slug>/<slug:figure>.csv", views.export, name="csv"),
    path("dashboards/<slug:slug>/<slug:kpi>/", views.behind, name="behind"),
    path("dashboards/<slug:slug>/<slug:kpi>/events.<str:kind>", views.export_events, name="export-events"),
]

endpoints = [
    path("kpis/", api.Kpis.as_view(), name="kpis"),
    path("kpis/versions/", api.KpiVersions.as_view(), name="kpi-versions"),
    path("kpis/agent-versions/", api.KpiAgentVersions.as_view(), name="kpi-agent-versions"),
    path("kpis/control-charts/", api.ControlCharts.as_view(), name="control-charts"),
    path("kpis/unusual-hours/", api.UnusualHours.as_view(), name="unusual-hours"),
    path("kpis/<slug:kpi>/runs/", api.KpiRuns.as_view(), name="kpi-runs"),
    path("kpis/<slug:kpi>/events/", api.KpiEvents.as_view(), name="kpi-events"),
    path("kpis/weekly-review/", weekly_api.WeeklyReview.as_view(), name="weekly-review"),
    path("kpis/weekly-review/behind/", weekly_api.WeeklyReviewBehind.as_view(), name="behind-weekly-review"),
    path("data-quality/", api.DataQualityDetail.as_view(), name="data-quality"),
    path("baselines/", api.Baselines.as_view(), name="baselines"),
    path("baselines/<slug:slug>/", api.BaselineDetail.as_view(), name="baseline"),
    path("baselines/<slug:slug>/approve/", api.BaselineApproval.as_view(), name="approve-baseline"),
    path("baselines/<slug:slug>/decline/", api.BaselineDecline.as_view(), name="decline-baseline"),
    path("baselines/<slug:slug>/versions/", api.BaselineVersions.as_view(), name="baseline-versions"),
    path("event-logs/", api.EventLogs.as_view(), name="event-logs"),
    path("event-logs/<uuid:log_id>/", api.EventLogDetail.as_view(), name="event-log"),
    path("event-logs/<uuid:log_id>/cases/", api.EventLogCases.as_view(), name="event-log-cases"),
    path("targets/", api.Targets.as_view(), name="targets"),
    path("targets/<slug:slug>/", api.TargetDetail.as_view(), name="target"),
]
