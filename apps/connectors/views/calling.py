"""Pages on which a person changes what is called: a system's own address, and the call of an operation."""

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.access.models import BusinessUnit
from apps.connectors import services
from apps.connectors.forms import AddressForm, CallForm, NewSystemForm, seen_of
from apps.connectors.models import Connector, Operation
from apps.connectors.rules.mails import EMAIL
from apps.connectors.selectors import MANAGE
from apps.connectors.selectors.beside import begun_before_for
from apps.connectors.views.editing import STALE, STALE_SAID, UNFIT, changed_operation, managed, operation_of
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.gate import require, scope_for
from apps.core.http import Request

KEPT = ("adapter", "mail", "cleared", "unit", "limits", "test_base_url", "test_allow_internal")


@require_http_methods(["GET", "HEAD", "POST"])
def new_connector(request: Request) -> HttpResponse:
    """Name a system of record. Its secret and what can be done in it come on the page that is shown next."""
    require(request.user, MANAGE)
    scope = scope_for(request.user, MANAGE)
    units = BusinessUnit.objects.all() if scope.everywhere else BusinessUnit.objects.filter(pk__in=scope.units)
    given = request.POST if request.method == "POST" else None
    form = NewSystemForm(given, units=units.order_by("name"), everywhere=scope.everywhere)
    if form.is_valid() and (slug := _made(request, form)):
        messages.success(request, _("Made. Set its secret next, then say what can be done in it."))
        return redirect("connectors:connector", slug=slug)
    return render(request, "connectors/new_connector.html", {"form": form}, status=UNFIT if form.errors else 200)


def _made(request: Request, form: NewSystemForm) -> str:
    names = ("slug", "name", "adapter", "base_url", "allow_internal", "unit")
    values = {name: form.cleaned_data[name] for name in names}
    try:
        return services.make_connector(request.user, **values, auth=form.auth).slug
    except ConflictError as error:
        form.refuse({"slug": [str(error.message)]})
    except InvalidError as error:
        form.refuse(error.errors)
    return ""


@require_http_methods(["GET", "HEAD", "POST"])
def edit_address(request: Request, slug: str) -> HttpResponse:
    """Change where a system is and how it is signed in to; all else of it stays."""
    found = managed(request, slug)
    if request.method != "POST":
        return _address_page(request, found, AddressForm(connector=found))
    form = AddressForm(request.POST, connector=found)
    if not form.is_valid():
        return _address_page(request, found, form, status=UNFIT)
    if form.cleaned_data["seen"] != seen_of(found):
        form.add_error(None, STALE_SAID)
        form.data = {**request.POST.dict(), "seen": seen_of(found)}
        return _address_page(request, found, form, status=STALE)
    values: dict[str, Any] = {name: getattr(found, name) for name in KEPT}
    values |= {name: form.cleaned_data[name] for name in ("name", "base_url", "allow_internal")}
    try:
        with transaction.atomic():
            if found.inside_asked_by_id and not form.cleaned_data["allow_internal"]:
                services.refuse_inside(request.user, connector=found)
            services.save_connector(request.user, slug=slug, **values, auth=form.auth, keep_secret=False)
    except InvalidError as error:
        form.refuse(error.errors)
        return _address_page(request, found, form, status=UNFIT)
    messages.success(request, _("Changed. It acts on the next request."))
    return redirect("connectors:connector", slug=slug)


def _address_page(request: Request, found: Connector, form: AddressForm, *, status: int = 200) -> HttpResponse:
    context = {"connector": found, "form": form, "begun": begun_before_for(request.user, connector=found.slug)}
    return render(request, "connectors/edit_address.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def edit_call(request: Request, slug: str, operation: str) -> HttpResponse:
    """Change what an operation calls and what people are told of it; how it is carried out stays."""
    connector = managed(request, slug)
    found = operation_of(request, connector, operation)
    if connector.adapter == EMAIL:
        raise NotFoundError  # a mail has no call
    if request.method != "POST":
        return _call_page(request, found, CallForm(operation=found))
    done = _("Changed. What was asked for before does not run as it was asked.")
    return changed_operation(request, found, CallForm(request.POST, operation=found), _call_page, done)


def _call_page(request: Request, found: Operation, form: CallForm, status: int = 200) -> HttpResponse:
    begun = begun_before_for(request.user, operation=found.slug)
    context = {"connector": found.connector, "operation": found, "form": form, "begun": begun}
    return render(request, "connectors/edit_call.html", context, status=status)
