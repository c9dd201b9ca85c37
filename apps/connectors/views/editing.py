"""Pages on which a system and its operations are changed."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from apps.connectors import services
from apps.connectors.forms import CallForm, ConnectorForm, OperationForm
from apps.connectors.models import Connector, Operation
from apps.connectors.rules import OperationSpec, OperationState
from apps.connectors.selectors import MANAGE, all_operations_for, connector_for
from apps.core.errors import InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import holds
from apps.core.http import Request

UNFIT, STALE = 422, 409
STALE_SAID = gettext_lazy("It changed since you looked: compare what you wrote with what is there, then save.")
KEPT = ("name", "base_url", "adapter", "allow_internal", "auth", "mail", "cleared", "unit")

type Page = Callable[[Request, Operation, Any, int], HttpResponse]
"""Renders an operation with a form, under a status."""


def managed(request: Request, slug: str) -> Connector:
    """A system that the person manages. Raises NotFoundError, NotAllowedError."""
    found = connector_for(request.user, slug)
    if not holds(request.user, MANAGE, found):
        raise NotAllowedError
    return found


def operation_of(request: Request, connector: Connector, slug: str) -> Operation:
    """One of its operations that is not retired. Raises NotFoundError."""
    rows = all_operations_for(request.user).filter(connector=connector).exclude(state=OperationState.RETIRED)
    found = None if "\x00" in slug else rows.filter(slug=slug).first()
    if found is None:
        raise NotFoundError
    return found


@require_http_methods(["GET", "HEAD", "POST"])
def edit_connector(request: Request, slug: str) -> HttpResponse:
    """Change where tests of a system go, and what caps its calls; all else of it stays."""
    found = managed(request, slug)
    if request.method != "POST":
        return _connector_page(request, found, ConnectorForm(connector=found))
    form = ConnectorForm(request.POST, connector=found)
    if not form.is_valid():
        return _connector_page(request, found, form, status=UNFIT)
    values: dict[str, Any] = {name: getattr(found, name) for name in KEPT}
    values |= {name: form.cleaned_data[name] for name in ("test_base_url", "test_allow_internal")}
    try:
        services.save_connector(request.user, slug=slug, **values, limits=form.limits, keep_secret=False)
    except InvalidError as error:
        form.refuse(error.errors)
        return _connector_page(request, found, form, status=UNFIT)
    messages.success(request, _("Changed. It acts on the next request."))
    return redirect("connectors:connector", slug=slug)


def _connector_page(request: Request, found: Connector, form: ConnectorForm, *, status: int = 200) -> HttpResponse:
    limits = [form[name] for name in form.fields if name.startswith("limit_")]
    context = {"connector": found, "form": form, "limits": limits}
    return render(request, "connectors/edit.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def edit_operation(request: Request, slug: str, operation: str) -> HttpResponse:
    """Change how an operation is carried out: what it reads back, tries, keeps apart, and how long a call may take."""
    connector = managed(request, slug)
    found = operation_of(request, connector, operation)
    if request.method != "POST":
        return _operation_page(request, found, OperationForm(operation=found))
    done = _("Changed. It acts on what is carried out from now on.")
    return changed_operation(request, found, OperationForm(request.POST, operation=found), _operation_page, done)


def changed_operation(
    request: Request, found: Operation, form: OperationForm | CallForm, page: Page, done: str
) -> HttpResponse:
    """Change of an operation what ``form`` says; else its page again, with what is wrong beside its field."""
    if not form.is_valid():
        return page(request, found, form, UNFIT)
    if form.cleaned_data["version"] != found.version:
        form.add_error(None, STALE_SAID)
        form.data = {**request.POST.dict(), "version": str(found.version)}
        return page(request, found, form, STALE)
    spec = {name: getattr(found, name) for name in OperationSpec.__dataclass_fields__} | form.spec
    try:
        services.save_operation(request.user, slug=found.slug, connector=found.connector, spec=OperationSpec(**spec))
    except InvalidError as error:
        form.refuse(error.errors)
        return page(request, found, form, UNFIT)
    messages.success(request, done)
    return redirect(f"{reverse('connectors:connector', args=[found.connector.slug])}#{found.slug}")


def _operation_page(request: Request, found: Operation, form: OperationForm, status: int = 200) -> HttpResponse:
    reads = all_operations_for(request.user).filter(connector=found.connector, effect="read", state="active")
    context = {"connector": found.connector, "operation": found, "form": form, "reads": reads}
    return render(request, "connectors/edit_operation.html", context, status=status)
