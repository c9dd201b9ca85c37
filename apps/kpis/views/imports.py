"""The import of an event log: a file, how it would be read, and then the log."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import PurePath
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.http import Request, wants_fragment
from apps.kpis.forms import DELIMITERS, ENCODINGS, LogReadingForm, offered_columns, offered_traits
from apps.kpis.models import EventLog, LogUpload
from apps.kpis.models.clock import reporting_currency, reporting_zone
from apps.kpis.rules.eventlogs import LogError
from apps.kpis.rules.eventlogs.previews import (
    Preview,
    guess_of,
    header_of,
    is_table,
    preview_of,
    preview_of_xes,
)
from apps.kpis.rules.eventlogs.reading import zone_of
from apps.kpis.rules.formats import count_text, duration_text
from apps.kpis.rules.imports import ImportState, ImportStep, percent_of
from apps.kpis.selectors.places import workflows_seen_for
from apps.kpis.selectors.uploads import upload_for
from apps.kpis.services import cancel_import, forget_upload, start_import

type Seen = tuple[LogReadingForm, Preview | None, LogError | None, bool]


@require_http_methods(["GET", "POST"])
def read_log_upload(request: Request, upload_id: UUID) -> HttpResponse:
    """GET guesses how the file is written, or says how far its import is; POST looks again, or with ``import`` imports.

    What was wrong with an import stands beside what was chosen for it.
    """
    upload = upload_for(request.user, upload_id)
    if upload.state == ImportState.RUNNING:
        return redirect(request.path) if request.method == "POST" else _progress(request, upload)
    if upload.state == ImportState.DONE:
        return _imported(request, upload)
    if wants_fragment(request):  # who looked on while it failed
        return HttpResponse(headers={"HX-Redirect": request.path})
    form, preview, fault, is_ambiguous = _seen(request, upload)
    asked = request.method == "POST" and "import" in request.POST
    if asked and form.is_valid():
        upload = _start(request, upload, form)
        if upload.state != ImportState.FAILED:
            return _imported(request, upload) if upload.state == ImportState.DONE else redirect(request.path)
    if asked or request.method == "GET":
        _add_errors(form, upload.errors)
    context = {
        "upload": upload,
        "form": form,
        "preview": preview,
        "fault": fault,
        "ambiguous": is_ambiguous,
        "currency": reporting_currency(),
        "with_cost": preview is not None and any(event and event.cost is not None for *_, event in preview.rows),
    }
    is_unfit = request.method == "POST" and (form.errors or (asked and fault))
    return render(request, "kpis/log_upload.html", context, status=422 if is_unfit else 200)


@require_POST
def cancel_log_import(request: Request, upload_id: UUID) -> HttpResponse:
    """End the import; nothing of it is kept, and the file waits on."""
    upload = upload_for(request.user, upload_id)
    cancel_import(request.user, upload=upload)
    messages.success(request, _("The import is cancelled; nothing was imported. The file is still here."))
    return redirect("kpis:read-log", upload_id=upload.pk)


@require_POST
def discard_log_upload(request: Request, upload_id: UUID) -> HttpResponse:
    """Delete the file without importing it."""
    forget_upload(request.user, upload=upload_for(request.user, upload_id))
    messages.success(request, _("The file is deleted; nothing was imported."))
    return redirect("kpis:event-logs")


def _seen(request: Request, upload: LogUpload) -> Seen:
    """The form as it was sent, asked for before or guessed, and what the file would become so; or why it cannot be."""
    file = io.BytesIO(upload.content)
    names = workflows_seen_for(request.user).there
    sent = request.POST if request.method == "POST" else upload.asked or None
    first = {"name": PurePath(upload.name).name.split(".")[0], "tz": reporting_zone().key}
    try:
        if not is_table(file):
            return *_seen_xes(request, upload, file, LogReadingForm(sent, workflows=names, initial=first)), None, False
        guess = guess_of(file)
        also = {"encoding": guess.encoding, "attributes": list(guess.attributes)}
        guessed = first | asdict(guess.columns) | asdict(guess.spelling) | also
        written: Mapping[str, Any] = guessed if sent is None else sent
        encoding, delimiter = _one_of(ENCODINGS, written.get("encoding")), _one_of(DELIMITERS, written.get("delimiter"))
        header = header_of(file, encoding, delimiter)
        offered = offered_columns(header, written, _kept(request, upload))
        asks: dict[str, Any] = {"workflows": names, "header": header, "attributes": offered}
        form = LogReadingForm(sent, initial=guessed, **asks)
        read = form if sent is not None else LogReadingForm(guessed, **asks)
        is_ambiguous = guess.ambiguous and sent is None
        return form, _preview(file, read) if read.is_valid() else None, None, is_ambiguous
    except LogError as error:
        known: list[str] | None = [] if _may_be_table(file) else None
        return LogReadingForm(sent, workflows=names, header=known, initial=first), None, error, False


def _seen_xes(
    request: Request, upload: LogUpload, file: io.BytesIO, plain: LogReadingForm
) -> tuple[LogReadingForm, Preview]:
    """The form with what its traces say of themselves to choose from, and what the file would become."""
    zone = zone_of(plain.cleaned_data["tz"]) if plain.is_valid() else reporting_zone()
    preview = preview_of_xes(file, zone=zone, money=reporting_currency(), attributes=_kept(request, upload))
    sent = request.POST if request.method == "POST" else upload.asked or None
    asks: dict[str, Any] = {
        "workflows": workflows_seen_for(request.user).there,
        "attributes": offered_traits(preview.seen),
    }
    return LogReadingForm(sent, initial=plain.initial, **asks), preview


def _kept(request: Request, upload: LogUpload) -> list[str]:
    """What was asked to be kept of each case, with this request or before."""
    return request.POST.getlist("attributes") if request.method == "POST" else upload.asked.get("attributes", [])


def _one_of(choices: Sequence[tuple[str, object]], value: object) -> str:
    """What is among the choices; empty for all else, which the form refuses."""
    return next((name for name, _label in choices if name == value), "")


def _may_be_table(file: io.BytesIO) -> bool:
    """Whether reading it in another way may help."""
    try:
        return is_table(file)
    except LogError:
        return False


def _preview(file: io.BytesIO, form: LogReadingForm) -> Preview:
    zone = zone_of(form.cleaned_data["tz"])
    asked: dict[str, Any] = {"encoding": form.encoding, "spelling": form.spelling, "attributes": form.attributes}
    return preview_of(file, zone=zone, columns=form.columns, **asked)


def _start(request: Request, upload: LogUpload, form: LogReadingForm) -> LogUpload:
    """The file, whose import is begun or, if it is small, over."""
    said = {name: form.cleaned_data[name] for name in ("name", "workflow", "tz")}
    return start_import(
        request.user,
        upload=upload,
        columns=form.columns,
        encoding=form.encoding,
        spelling=form.spelling,
        attributes=form.attributes,
        **said,
    )


def _add_errors(form: LogReadingForm, errors: Mapping[str, Sequence[str]]) -> None:
    """What came of the last try, beside its fields."""
    for path, texts in errors.items():
        for text in texts:
            form.add_error(path if path in form.fields else None, text)


def _progress(request: Request, upload: LogUpload) -> HttpResponse:
    """How far it is. Asks again each second until it has ended."""
    context = {
        "upload": upload,
        "percent": percent_of(upload.done, upload.total),
        "is_lost": upload.step != ImportStep.WAITING and upload.claimed_until < timezone.now(),
    }
    return render(request, "kpis/_log_import.html" if wants_fragment(request) else "kpis/log_import.html", context)


def _imported(request: Request, upload: LogUpload) -> HttpResponse:
    """To the log, with what the import did; to the others where it is gone again."""
    if upload.log is None:
        return _to(request, reverse("kpis:event-logs"))
    did = _done(upload.log, upload)
    told = {
        "created": did,
        "changed": _("%(did)s What stood here under this name is gone.") % {"did": did},
        "unchanged": _("It is here already: this is the same file, read in the same way."),
    }
    messages.success(request, told[upload.outcome])
    return _to(request, reverse("kpis:event-log", args=[upload.log.pk]))


def _to(request: Request, url: str) -> HttpResponse:
    return HttpResponse(headers={"HX-Redirect": url}) if wants_fragment(request) else redirect(url)


def _done(log: EventLog, upload: LogUpload) -> str:
    """What the import did: how much was read, in how long, and what is different since."""
    took_s = (upload.finished_at - upload.began_at).total_seconds() if upload.finished_at and upload.began_at else None
    said = {"cases": count_text(log.cases), "events": count_text(log.events), "took": duration_text(took_s)}
    did = _("Imported: %(events)s events in %(cases)s cases, read in %(took)s.") % said
    return f"{did} {_('Baselines of its workflow were set from it.')}" if log.workflow else did
