"""Pages of imported operations: give a document, see what it would do, confirm; then look at each operation."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from apps.connectors import services
from apps.connectors.forms import ConfirmForm, DocumentForm, ReviewForm
from apps.connectors.models import Connector, OperationPin
from apps.connectors.rules import OperationState
from apps.connectors.rules.openapi import BYTES_MAX, OPERATIONS_MAX
from apps.connectors.rules.pins import Plan, Waiting
from apps.connectors.rules.tools import MCP
from apps.connectors.selectors.pins import pin_for, waiting_for
from apps.connectors.views.editing import managed
from apps.core.errors import ConflictError, DomainError, InvalidError, NotAllowedError, NotFoundError
from apps.core.http import Request

UNFIT, STALE = 422, 409


@require_http_methods(["GET", "HEAD", "POST"])
def import_document(request: Request, slug: str) -> HttpResponse:
    """A document is given, then shown as what it would do; it does that once the person has said so."""
    found = managed(request, slug)
    if found.adapter == MCP:
        return _import_tools(request, found)
    if request.method != "POST":
        return _import_page(request, found, DocumentForm())
    form = DocumentForm(request.POST, request.FILES)
    if not form.is_valid():
        return _import_page(request, found, form, status=UNFIT)
    text, is_sure = form.cleaned_data["text"], request.POST.get("step") == "import"
    try:
        contents, plan = services.import_openapi(request.user, connector=found, text=text, dry_run=not is_sure)
    except InvalidError as error:
        form.refuse(error.errors.get("document", [str(error.message)]))
        return _import_page(request, found, form, status=UNFIT)
    if not is_sure:
        return _import_page(request, found, form, contents=contents, plan=plan, text=text, acts=_acts(plan))
    return _imported(request, found, plan)


def _imported(request: Request, found: Connector, plan: Plan) -> HttpResponse:
    messages.success(request, _("Imported. %s") % _told(plan))
    return redirect(f"{reverse('connectors:connector', args=[found.slug])}#h-operations")


def _import_tools(request: Request, found: Connector) -> HttpResponse:
    """A server is asked which tools it has; what it said is imported if it still says so."""
    if request.method != "POST":
        return _import_page(request, found)
    is_sure = request.POST.get("step") == "import"
    try:
        listing = services.import_tools(
            request.user, connector=found, seen=request.POST.get("seen", "") if is_sure else "", dry_run=not is_sure
        )
    except NotAllowedError:
        raise
    except DomainError as error:
        said = [text for texts in error.errors.values() for text in texts] or [str(error.message)]
        status = STALE if isinstance(error, ConflictError) else UNFIT
        return _import_page(request, found, problems=said, status=status)
    if is_sure:
        return _imported(request, found, listing.plan)
    plan = listing.plan
    return _import_page(request, found, contents=listing.contents, plan=plan, seen=listing.digest, acts=_acts(plan))


def _import_page(
    request: Request, found: Connector, form: DocumentForm | None = None, *, status: int = 200, **more: Any
) -> HttpResponse:
    limits = {"kib": BYTES_MAX // 1024, "most": OPERATIONS_MAX}
    context = {"connector": found, "form": form, "is_server": found.adapter == MCP, **limits, **more}
    return render(request, "connectors/import.html", context, status=status)


def _acts(plan: Plan) -> bool:
    return bool(plan.new or plan.changed or plan.removed)


def _told(plan: Plan) -> str:
    return _("%(new)d new, %(changed)d changed, %(removed)d gone, %(same)d as before, %(unfit)d left out.") % {
        name: len(getattr(plan, name)) for name in ("new", "changed", "removed", "same", "unfit")
    }


@require_http_methods(["GET", "HEAD", "POST"])
def review(request: Request, slug: str, operation: str) -> HttpResponse:
    """What its document says of an operation, beside what was confirmed; and what a person makes of it."""
    found = managed(request, slug)
    pin = pin_for(request.user, operation)
    if pin.operation.connector_id != found.pk:
        raise NotFoundError
    if request.method != "POST":
        return _review_page(request, found, pin, ReviewForm(pin=pin))
    form = ReviewForm(request.POST, pin=pin)
    if not form.is_valid():
        return _review_page(request, found, pin, form, status=UNFIT)
    given = {name: form.cleaned_data[name] for name in ("seen", "verdict", "reason")}
    try:
        done = services.review_operation(request.user, operation=pin.operation, **given, **form.cleaned_data["own"])
    except InvalidError as error:
        form.refuse(error.errors)
        return _review_page(request, found, pin, form, status=UNFIT)
    except ConflictError as error:
        messages.error(request, str(error.message))
        return _review_page(request, found, pin_for(request.user, operation), None, status=STALE)
    is_used = done.state == OperationState.ACTIVE
    messages.success(request, _("%s is in use.") % done.name if is_used else _("Noted. It stays disabled."))
    following = waiting_for(request.user, found).first()
    if following:
        return redirect("connectors:review", slug=slug, operation=following.operation.slug)
    return redirect(f"{reverse('connectors:connector', args=[slug])}#h-operations")


def _review_page(
    request: Request, found: Connector, pin: OperationPin, form: ReviewForm | None, *, status: int = 200
) -> HttpResponse:
    context = {
        "connector": found,
        "pin": pin,
        "operation": pin.operation,
        "form": form or ReviewForm(pin=pin),
        "others": waiting_for(request.user, found).exclude(pk=pin.pk).count(),
    }
    return render(request, "connectors/review.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: Request, slug: str) -> HttpResponse:
    """Take many imported operations into use at once; what changed or is gone is looked at one by one."""
    found = managed(request, slug)
    pins = list(waiting_for(request.user, found).filter(waiting=Waiting.NEW))
    if request.method != "POST":
        return _confirm_page(request, found, ConfirmForm(pins=pins))
    form = ConfirmForm(request.POST, pins=pins)
    if form.is_stale:
        return _confirm_stale(request, found, _("Some of it was confirmed or is gone meanwhile: look again."))
    if not form.is_valid():
        return _confirm_page(request, found, form, status=UNFIT)
    said = form.cleaned_data
    try:
        done = services.confirm_operations(request.user, connector=found, wanted=said["wanted"], reason=said["reason"])
    except InvalidError as error:
        form.refuse(error.errors)
        return _confirm_page(request, found, form, status=UNFIT)
    except ConflictError as error:
        return _confirm_stale(request, found, str(error.message))
    messages.success(
        request,
        ngettext("%(n)d operation is in use.", "%(n)d operations are in use.", len(done)) % {"n": len(done)},
    )
    return redirect(f"{reverse('connectors:connector', args=[slug])}#h-operations")


def _confirm_stale(request: Request, found: Connector, said: str) -> HttpResponse:
    messages.error(request, said)
    pins = list(waiting_for(request.user, found).filter(waiting=Waiting.NEW))
    return _confirm_page(request, found, ConfirmForm(pins=pins), status=STALE)


def _confirm_page(request: Request, found: Connector, form: ConfirmForm, *, status: int = 200) -> HttpResponse:
    others = waiting_for(request.user, found).exclude(waiting=Waiting.NEW)
    context = {"connector": found, "form": form, "others": others}
    return render(request, "connectors/confirm.html", context, status=status)
