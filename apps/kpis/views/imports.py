"""The import of an event log: a file, how it would be read, and then the log."""

import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import PurePath
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.errors import ConflictError, InvalidError
from apps.core.http import Request
from apps.kpis.forms import DELIMITERS, ENCODINGS, LogReadingForm
from apps.kpis.models import EventLog, LogUpload
from apps.kpis.models.clock import reporting_zone
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
from apps.kpis.selectors.dashboards import workflows_for
from apps.kpis.selectors.uploads import upload_for
from apps.kpis.services import forget_upload, import_event_log

type Seen = tuple[LogReadingForm, Preview | None, LogError | None, bool]


@require_http_methods(["GET", "POST"])
def read_log_upload(request: Request, upload_id: UUID) -> HttpResponse:
    """GET guesses how the file is written; POST looks again, or with ``import`` imports it."""
    upload = upload_for(request.user, upload_id)
    form, preview, fault, is_ambiguous = _seen(request, upload)
    asked = request.method == "POST" and "import" in request.POST
    if asked and form.is_valid() and (log_id := _import(request, upload, form)):
        return redirect("kpis:event-log", log_id=log_id)
    context = {"upload": upload, "form": form, "preview": preview, "fault": fault, "ambiguous": is_ambiguous}
    return render(request, "kpis/log_upload.html", context, status=422 if form.errors or (asked and fault) else 200)


@require_POST
def discard_log_upload(request: Request, upload_id: UUID) -> HttpResponse:
    """Delete the file without importing it."""
    forget_upload(request.user, upload=upload_for(request.user, upload_id))
    messages.success(request, _("The file is deleted; nothing was imported."))
    return redirect("kpis:event-logs")


def _seen(request: Request, upload: LogUpload) -> Seen:
    """The form as it was sent or guessed, and what the file would become so; or why it cannot be read at all."""
    file = io.BytesIO(upload.content)
    names = workflows_for(request.user)
    sent = request.POST if request.method == "POST" else None
    first = {"name": PurePath(upload.name).name.split(".")[0], "tz": reporting_zone().key}
    try:
        if not is_table(file):
            form = LogReadingForm(sent, workflows=names, initial=first)
            zone = zone_of(form.cleaned_data["tz"]) if sent and form.is_valid() else reporting_zone()
            return form, preview_of_xes(file, zone=zone), None, False
        guess = guess_of(file)
        guessed = first | asdict(guess.columns) | asdict(guess.spelling) | {"encoding": guess.encoding}
        written: Mapping[str, Any] = guessed if sent is None else sent
        encoding, delimiter = _one_of(ENCODINGS, written.get("encoding")), _one_of(DELIMITERS, written.get("delimiter"))
        header = header_of(file, encoding, delimiter)
        form = LogReadingForm(sent, workflows=names, header=header, initial=guessed)
        read = form if sent is not None else LogReadingForm(guessed, workflows=names, header=header)
        is_ambiguous = guess.ambiguous and sent is None
        return form, _preview(file, read) if read.is_valid() else None, None, is_ambiguous
    except LogError as error:
        known: list[str] | None = [] if _may_be_table(file) else None
        return LogReadingForm(sent, workflows=names, header=known, initial=first), None, error, False


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
    return preview_of(file, zone=zone, columns=form.columns, encoding=form.encoding, spelling=form.spelling)


def _import(request: Request, upload: LogUpload, form: LogReadingForm) -> UUID | None:
    """The log; None where it was not imported, with what is wrong beside its field."""
    said = {name: form.cleaned_data[name] for name in ("name", "workflow", "tz")}
    began = time.perf_counter()
    try:
        log, outcome = import_event_log(
            request.user,
            file=io.BytesIO(upload.content),
            columns=form.columns,
            encoding=form.encoding,
            spelling=form.spelling,
            **said,
        )
    except InvalidError as error:
        for path, texts in error.errors.items():
            for text in texts:
                form.add_error(path if path in form.fields else None, text)
        return None
    except ConflictError as error:
        form.add_error(None, str(error.message))
        return None
    forget_upload(request.user, upload=upload)
    did = _done(log, time.perf_counter() - began)
    told = {
        "created": did,
        "changed": _("%(did)s What stood here under this name is gone.") % {"did": did},
        "unchanged": _("It is here already: this is the same file, read in the same way."),
    }
    messages.success(request, told[outcome])
    return log.pk


def _done(log: EventLog, took_s: float) -> str:
    """What the import did: how much was read, in how long, and what is different since."""
    said = {"cases": count_text(log.cases), "events": count_text(log.events), "took": duration_text(took_s)}
    did = _("Imported: %(events)s events in %(cases)s cases, read in %(took)s.") % said
    return f"{did} {_('Baselines of its workflow were set from it.')}" if log.workflow else did
