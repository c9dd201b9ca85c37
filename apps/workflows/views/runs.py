"""Runs: finding one, understanding one, intervening in one."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.audit.models import Entry
from apps.core.errors import NotFoundError
from apps.core.gate import holds
from apps.core.http import Request, wants_fragment
from apps.core.keysets import behind
from apps.workflows import services
from apps.workflows.forms import CancelForm, ReasonForm
from apps.workflows.models import Run
from apps.workflows.models.definitions import definition_of_version, number_of_version
from apps.workflows.rules.states import RUN_OPEN, RunState
from apps.workflows.selectors import run_for, runs_for, workflows_for
from apps.workflows.selectors.drawings import picture_for, zoom_of
from apps.workflows.selectors.overview import ATTENTION, filtered, story_of, troubles_in
from apps.workflows.selectors.reading import steps_by_task, steps_of
from apps.workflows.selectors.retrying import tries_of
from apps.workflows.selectors.timeline import timeline_of
from apps.workflows.selectors.veils import veil_over, veiled_steps
from apps.workflows.selectors.waiting import Waiting, waiting_for, waiting_of

PAGE = 50
TABS = ("graph", "timeline", "trace", "data", "story")
STATES = (ATTENTION, "failing", "late", "open", *RunState)


@require_GET
def runs(request: Request) -> HttpResponse:
    """Runs, newest first; filters are in the address."""
    asked = {name: request.GET.get(name, "").strip() for name in ("state", "workflow", "q")}
    if asked["state"] not in STATES:
        asked["state"] = ""
    rows = filtered(runs_for(request.user), asked["state"], asked["workflow"], asked["q"])
    is_attention = asked["state"] == ATTENTION
    before = _uuid(request.GET.get("before", ""))
    if before and not is_attention:
        rows = rows.filter(behind(("-id",), [before]))
    found = list(rows[: PAGE + 1])
    shown, is_cut = found[:PAGE], len(found) > PAGE
    following = shown[-1].pk if is_cut and not is_attention else None
    waits = waiting_of(request.user, shown)
    context = {
        "lines": [(run, _labelled(waits[run.pk])) for run in shown],
        "following": following,
        "is_attention": is_attention,
        "is_cut": is_cut,
        "troubles": _troubles(request) if is_attention else [],
        "asked": asked,
        "filtered": any(asked.values()),
        "states": _state_links(asked["state"]),
        "workflows": workflows_for(request.user),
        "now": timezone.now(),
    }
    return render(request, "workflows/_runs.html" if wants_fragment(request) else "workflows/runs.html", context)


def _state_links(chosen: str) -> list[tuple[str, str, bool]]:
    words = {
        "": _("All"),
        ATTENTION: _("Needs attention"),
        "failing": _("Failing"),
        "late": _("Late"),
        "open": _("Open"),
        RunState.RUNNING: _("Running"),
        RunState.WAITING: _("Waiting"),
        RunState.SUCCEEDED: _("Succeeded"),
        RunState.FAILED: _("Failed"),
        RunState.CANCELLED: _("Cancelled"),
    }
    return [(value, word, value == chosen) for value, word in words.items()]


def _troubles(request: Request) -> list[tuple[str, str, int]]:
    """What people are needed for: the state in an address, its words, how many runs."""
    counted = troubles_in(request.user, runs_for(request.user))
    words = {
        "failing": _("fail: a step did, nobody knows what was done, or it cannot be taken back"),
        "late": _("are over their time"),
        "paused": _("are paused until somebody resumes them"),
        "waiting": _("wait for people, or for their turn"),
    }
    return [(word, said, counted[word]) for word, said in words.items()]


@require_GET
def run(request: Request, run_id: UUID) -> HttpResponse:
    """One run: what it waits for, its drawing, its time, its data, its story."""
    try:
        row = run_for(request.user, run_id)
    except NotFoundError:
        # A floor above may know a run that never passed through the engine: simulated history.
        if elsewhere := getattr(settings, "RUN_ELSEWHERE", ""):
            answer: HttpResponse = import_string(elsewhere)(request, run_id)
            return answer
        raise
    return _page(request, row)


def _page(request: Request, row: Run, *, status: int = 200, **forms: Any) -> HttpResponse:
    tab = request.GET.get("tab", "graph")
    tab = tab if tab in TABS else "graph"
    waits = waiting_for(request.user, row)
    steps = steps_of(request.user, row, waits)
    veil = veil_over(request.user, row, steps)
    steps = veiled_steps(veil, steps)
    row.input, row.output, row.error = map(veil.over, (row.input, row.output, row.error))  # to be shown alone
    definition = definition_of_version(row.version_id)
    chosen = next((step for step in steps if step.name == request.GET.get("step") and step.current), None)
    zoom = zoom_of(request.GET.get("zoom", ""))
    context = {
        "run": row,
        "here": reverse("workflows:run", args=[row.pk]),
        "version": number_of_version(row.version_id),
        "waits": _labelled(waits),
        "steps": steps,
        "chosen": chosen,
        "tab": tab,
        "tabs": list(zip(TABS, (_("Steps"), _("Timeline"), _("Trace"), _("Data"), _("Story")), strict=True)),
        "picture": picture_for(request.user, definition, steps, chosen.name if chosen else "", zoom),
        "time": timeline_of(request.user, row, steps, timezone.now()) if tab == "timeline" else None,
        **(_trace(request, row) if tab == "trace" else {}),
        "story": [(line, _step_of(line)) for line in story_of(request.user, row)] if tab == "story" else [],
        "may_operate": not row.is_over and holds(request.user, "workflows.operate_run", row),
        "may_erase": row.is_over and holds(request.user, "audit.erase_payload", row),
        "is_open": row.state in RUN_OPEN,
        **tries_of(request.user, row),
        "elapsed_s": _elapsed(row),
        "form": ReasonForm(),
        "cancel_form": CancelForm(),
        **forms,
    }
    template = "workflows/_run.html" if wants_fragment(request) else "workflows/run.html"
    return render(request, template, context, status=status)


def _trace(request: Request, row: Run) -> dict[str, Any]:
    """What agents reported; a floor above knows it, and what it cost (``settings.RUN_TRACE``)."""
    trace = import_string(settings.RUN_TRACE)(request.user, row)
    tasks = steps_by_task(request.user, row)
    shown = [
        (one, one.action.step if one.action and one.action.step else tasks.get(one.span.task_id, ""))
        for one in trace.rows
    ]
    return {"trace": trace, "trace_rows": shown}


def _step_of(line: Entry) -> str:
    """The step that an entry tells of; "" where it tells of the run."""
    return str(line.payload.get("step") or (line.payload.get("name", "") if line.subject_kind == "step" else ""))


def _labelled(waits: list[Waiting]) -> list[tuple[Waiting, str]]:
    return [(waiting, waiting.step.replace("_", " ").capitalize()) for waiting in waits]


def _elapsed(row: Run) -> float:
    return ((row.finished_at or timezone.now()) - (row.started_at or row.created_at)).total_seconds()


@require_POST
def pause(request: Request, run_id: UUID) -> HttpResponse:
    """Let a run rest."""
    return _intervene(
        request, run_id, "pause", services.pause_run, _("Paused. Nothing of it is offered until it is resumed.")
    )


@require_POST
def resume(request: Request, run_id: UUID) -> HttpResponse:
    """Let a paused run go on."""
    return _intervene(request, run_id, "resume", services.resume_run, _("It goes on."))


def _intervene(request: Request, run_id: UUID, name: str, act: Callable[..., Run], said: str) -> HttpResponse:
    row = run_for(request.user, run_id)
    form = ReasonForm(request.POST, auto_id=f"{name}-%s")
    if not form.is_valid():
        return _page(request, row, status=422, form=form)
    act(request.user, run_id=run_id, reason=form.cleaned_data["reason"])
    messages.success(request, said)
    return redirect("workflows:run", run_id=run_id)


@require_POST
def cancel(request: Request, run_id: UUID) -> HttpResponse:
    """End a run."""
    row = run_for(request.user, run_id)
    form = CancelForm(request.POST, auto_id="cancel-%s")
    if not form.is_valid():
        return _page(request, row, status=422, cancel_form=form)
    services.cancel_run(request.user, run_id=run_id, **form.cleaned_data)
    messages.success(request, _("Cancelled. What was done is being taken back where that was asked for."))
    return redirect("workflows:run", run_id=run_id)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
