"""Pages on which a system and its operations are changed."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.connectors import services
from apps.connectors.forms import ConnectorForm
from apps.connectors.models import Connector
from apps.connectors.selectors import MANAGE, connector_for
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.gate import holds
from apps.core.http import Request

UNFIT = 422
KEPT = ("name", "base_url", "adapter", "allow_internal", "auth", "mail", "cleared", "unit")


def managed(request: Request, slug: str) -> Connector:
    """A system that the person manages. Raises NotFoundError, NotAllowedError."""
    found = connector_for(request.user, slug)
    if not holds(request.user, MANAGE, found):
        raise NotAllowedError
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
