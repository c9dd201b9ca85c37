"""Where the inbox lives."""

from django.urls import URLPattern, path

from apps.oversight import views
from apps.oversight.api import attention, decisions, escalations, jobs, moves, preferences, proposing, standing

pages: list[URLPattern] = [
    path("inbox/", views.inbox, name="inbox"),
    path("inbox/focus/", views.focus.focus, name="focus"),
    path("inbox/focus/start/", views.focus.start, name="focus-start"),
    path("inbox/focus/next/", views.focus.resume, name="focus-next"),
    path("inbox/focus/end/", views.focus.end, name="focus-end"),
    path("inbox/<uuid:escalation_id>/skip/", views.focus.skip, name="focus-skip"),
    path("inbox/views/", views.keep_view, name="keep-view"),
    path("inbox/views/<uuid:view_id>/delete/", views.forget_view, name="forget-view"),
    path("inbox/<uuid:escalation_id>/", views.item, name="item"),
    path("inbox/<uuid:escalation_id>/decision/", views.decide, name="decide"),
    path("inbox/bulk/", views.bulk, name="bulk"),
    path("jobs/", views.jobs, name="jobs"),
    path("jobs/<uuid:job_id>/", views.job, name="job"),
    *(path(f"inbox/<uuid:escalation_id>/{name}/", views.move, {"name": name}, name=name) for name in views.MOVES),
    path("inbox/standing/", views.standing_list, name="standing-list"),
    path("inbox/standing/<uuid:approval_id>/end/", views.end_standing, name="standing-end"),
    path("inbox/<uuid:escalation_id>/standing/", views.standing, name="standing"),
    path("inbox/<uuid:escalation_id>/propose/", views.propose, name="propose"),
    path("inbox/<uuid:escalation_id>/comment/", views.comment, name="comment"),
    path("inbox/<uuid:escalation_id>/seen/<uuid:vote_id>/", views.seen, name="seen"),
    path("inbox/<uuid:escalation_id>/presence/", views.presence, name="presence"),
    path("inbox/<uuid:escalation_id>/on-file/", views.on_file, name="on-file"),
    path("inbox/<uuid:escalation_id>/evidence/", views.evidence, name="evidence"),
    *(path(f"inbox/<uuid:escalation_id>/{name}/", views.act, {"name": name}, name=name) for name in views.ACTS),
]
endpoints: list[URLPattern] = [
    path("escalations/", escalations.Escalations.as_view(), name="escalations"),
    path("escalations/<uuid:escalation_id>/", escalations.EscalationDetail.as_view(), name="escalation"),
    path("escalations/<uuid:escalation_id>/decision/", decisions.Decision.as_view(), name="decision"),
    path("escalations/<uuid:escalation_id>/claim/", attention.Claim.as_view(), name="claim"),
    path("escalations/<uuid:escalation_id>/release/", attention.Release.as_view(), name="release"),
    path("escalations/bulk/", jobs.Bulk.as_view(), name="bulk"),
    path("me/deciding/", preferences.Deciding.as_view(), name="deciding"),
    path("jobs/", jobs.Jobs.as_view(), name="jobs"),
    path("jobs/<uuid:job_id>/", jobs.JobDetail.as_view(), name="job"),
    path("escalations/<uuid:escalation_id>/delegate/", moves.Delegate.as_view(), name="delegate"),
    path("escalations/<uuid:escalation_id>/reassign/", moves.Reassign.as_view(), name="reassign"),
    path("escalations/<uuid:escalation_id>/snooze/", moves.SnoozeView.as_view(), name="snooze"),
    path("escalations/<uuid:escalation_id>/extend/", moves.Extend.as_view(), name="extend"),
    path("escalations/<uuid:escalation_id>/escalate/", moves.Escalate.as_view(), name="escalate"),
    path("escalations/<uuid:escalation_id>/propose-rule/", proposing.Propose.as_view(), name="propose-rule"),
    path("escalations/<uuid:escalation_id>/standing/", standing.MakeStanding.as_view(), name="make-standing"),
    path("standing-approvals/", standing.StandingApprovals.as_view(), name="standing-approvals"),
    path("standing-approvals/<uuid:approval_id>/end/", standing.EndStanding.as_view(), name="standing-end"),
    path("escalations/<uuid:escalation_id>/comment/", attention.Comments.as_view(), name="comment"),
    path("escalations/<uuid:escalation_id>/undo/", decisions.Undo.as_view(), name="undo"),
    path("escalations/<uuid:escalation_id>/withdraw/", decisions.Withdraw.as_view(), name="withdraw"),
]
