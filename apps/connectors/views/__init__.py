"""The pages of systems: how they do, what can be done in them, who may, and their secrets (never shown)."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.agents.rules import Environment
from apps.connectors import services
from apps.connectors.forms import RotationForm, SecretForm, StateForm
from apps.connectors.models import Connector
from apps.connectors.rules.places import CREDENTIALS
from apps.connectors.selectors import (
    MANAGE,
    SHOWN_CALLS,
    USE,
    calls_for,
    connector_for,
    connectors_for,
    health_for,
    operation_for,
    operations_of_for,
    secret_for,
    secrets_for,
    who_may_use_for,
)
from apps.connectors.selectors.inside import others_who_allow
from apps.connectors.selectors.pins import waiting_for
from apps.connectors.services.inside import NAMES, may_allow_inside, units_answering
from apps.core.errors import DomainError, InvalidError, NotAllowedError
from apps.core.gate import holds
from apps.core.http import Request, refusal_of, wants_fragment
from apps.core.models import User

UNFIT = 422
SHOWN_SECRETS = 5


@require_GET
def connectors(request: Request) -> HttpResponse:
    """The systems, with how each does."""
    if not (holds(request.user, MANAGE) or holds(request.user, USE)):
        raise NotAllowedError
    rows = [
        {
            "connector": found,
            "health": health_for(request.user, found),
            "secret": secret_for(request.user, found),
            "operations": found.operations.exclude(state="retired").count(),
            "waiting": waiting_for(request.user, found).count(),
        }
        for found in connectors_for(request.user)
    ]
    template = "connectors/_list.html" if wants_fragment(request) else "connectors/connectors.html"
    return render(request, template, {"rows": rows, "may_make": holds(request.user, MANAGE)})


def _page(request: Request, found: Connector, *, status: int = 200, **forms: Any) -> HttpResponse:
    waiting = list(waiting_for(request.user, found).values_list("operation__slug", flat=True))
    context = {
        "waiting": len(waiting),
        "first_waiting": next(iter(waiting), ""),
        "connector": found,
        "health": health_for(request.user, found),
        "may_count": holds(request.user, "kpis.view_kpi"),
        "calls": calls_for(request.user, found)[:SHOWN_CALLS],
        "troubles": calls_for(request.user, found).filter(in_trouble=True)[:SHOWN_CALLS],
        "operations": operations_of_for(request.user, found),
        "permissions": who_may_use_for(request.user, found),
        "places": [
            _place(request, found, environment, forms) for environment in Environment if found.place(environment)
        ],
        "needs_secret": found.auth.get("type", "none") != "none",
        "may_manage": holds(request.user, MANAGE, found),
        "state_form": StateForm(initial={"state": found.state}),
        **forms,
    }
    return render(request, "connectors/connector.html", context, status=status)


def _place(request: Request, found: Connector, environment: Environment, forms: dict[str, Any]) -> dict[str, Any]:
    """One address of a system, who asks for an inside one, and its secret as far as it is shown."""
    secret, names = secret_for(request.user, found, environment), NAMES[environment]
    versions = secrets_for(request.user, found).filter(credential=CREDENTIALS[environment])
    form = forms.get("secret_form") if environment == forms.get("environment", Environment.LIVE) else None
    return {
        "environment": environment,
        "base_url": getattr(found, names.base_url),
        "allowed": getattr(found, names.allowed),
        "asked_by": getattr(found, names.asked_by),
        "host": names.host(found),
        "may_allow": may_allow_inside(request.user, found, environment),
        "others": _others(request, found, environment),
        "secret": secret,
        "secrets": versions[:SHOWN_SECRETS],
        "form": form or (RotationForm() if secret else SecretForm()),
    }


def _others(request: Request, found: Connector, environment: Environment) -> list[User]:
    """Who else could allow what somebody asks for; nobody where nobody asks."""
    asked_by = getattr(found, NAMES[environment].asked_by)
    units = units_answering(found, environment) if asked_by else []
    return others_who_allow(request.user, units, asked_by=asked_by) if asked_by else []


def _environment(request: Request) -> Environment:
    """Which address is meant; the live one unless it is the other."""
    return Environment.TEST if request.POST.get("environment") == Environment.TEST else Environment.LIVE


@require_GET
def connector(request: Request, slug: str) -> HttpResponse:
    """One system."""
    return _page(request, connector_for(request.user, slug))


@require_POST
def rotate(request: Request, slug: str) -> HttpResponse:
    """Set or rotate the secret; the old one is destroyed, at once or after an overlap."""
    found = connector_for(request.user, slug)
    where = _environment(request)
    form = RotationForm(request.POST) if secret_for(request.user, found, where) else SecretForm(request.POST)
    if not form.is_valid():
        return _page(request, found, status=UNFIT, secret_form=form, environment=where)
    try:
        overlap_s = int(form.cleaned_data.get("overlap_s", 0))
        secret = form.cleaned_data["secret"]
        made, outcome = services.set_secret(
            request.user, connector=found, secret=secret, overlap_s=overlap_s, credential=CREDENTIALS[where]
        )
    except InvalidError as error:
        form.add_error("secret", error.errors.get("secret", [str(error.message)]))
        return _page(request, found, status=UNFIT, secret_form=form, environment=where)
    if outcome == "unchanged":
        messages.info(request, _("This is the secret that was in use already."))
    else:
        messages.success(request, _("Sealed. Fingerprint %s; calls use it from now on.") % made.fingerprint)
    return redirect("connectors:connector", slug=slug)


@require_POST
def drop_older(request: Request, slug: str) -> HttpResponse:
    """Destroy the secret that was replaced, before its overlap is over."""
    credential = CREDENTIALS[_environment(request)]
    services.drop_older_secret(request.user, connector=connector_for(request.user, slug), credential=credential)
    messages.success(request, _("Destroyed. Only the new secret opens the system now."))
    return redirect("connectors:connector", slug=slug)


@require_POST
def decide_inside(request: Request, slug: str) -> HttpResponse:
    """Allow a system of one's own network, as somebody else asked; or refuse it."""
    found, where = connector_for(request.user, slug), _environment(request)
    if request.POST.get("answer") == "allow":
        host = request.POST.get("host", "")
        services.allow_inside(request.user, connector=found, host=host, environment=where)
        messages.success(request, _("Allowed. It acts on the next call."))
    else:
        services.refuse_inside(request.user, connector=found, environment=where)
        messages.success(request, _("Refused. Inside addresses stay out of reach."))
    return redirect("connectors:connector", slug=slug)


@require_POST
def move(request: Request, slug: str) -> HttpResponse:
    """Use, disable or retire a system."""
    found = connector_for(request.user, slug)
    form = StateForm(request.POST)
    if not form.is_valid():
        return _page(request, found, status=UNFIT, state_form=form)
    try:
        services.change_connector_state(
            request.user, connector=found, to=form.cleaned_data["state"], reason=form.cleaned_data["reason"]
        )
    except InvalidError as error:
        form.add_error("reason", error.errors.get("reason", [str(error.message)]))
        return _page(request, found, status=UNFIT, state_form=form)
    messages.success(request, _("Changed. It acts on the next request."))
    return redirect("connectors:connector", slug=slug)


@require_POST
def move_operation(request: Request, slug: str, operation: str) -> HttpResponse:
    """Use or disable one operation."""
    found = connector_for(request.user, slug)
    try:
        services.change_operation_state(
            request.user,
            operation=operation_for(request.user, operation),
            to=request.POST.get("state", ""),
            reason=request.POST.get("reason", ""),
        )
    except InvalidError as error:
        typed, of = request.POST.get("reason", ""), operation_for(request.user, operation).pk
        return _page(request, found, status=UNFIT, **refusal_of(error, typed=typed, at="reason-", of=of))
    messages.success(request, _("Changed. It acts on the next request."))
    return redirect("connectors:connector", slug=slug)


@require_POST
def probe(request: Request, slug: str) -> HttpResponse:
    """See whether the system can be reached; no secret is sent."""
    found = connector_for(request.user, slug)
    try:
        services.probe_connector(request.user, connector=found, environment=_environment(request))
    except DomainError as error:
        if isinstance(error, NotAllowedError):
            raise
        messages.error(request, str(error.message))
    else:
        messages.success(request, _("Reached. Nothing was asked of it."))
    return redirect("connectors:connector", slug=slug)
