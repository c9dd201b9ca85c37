"""What agents ask for: a ready grant for whoever may give it."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.connectors.models import AccessRequest
from apps.connectors.rules.requests import RequestEnd
from apps.connectors.selectors import request_for, requests_for
from apps.connectors.selectors.asked import grantable_for, limits_had
from apps.connectors.services import grant_request, refuse_request
from apps.console.forms import GrantAccessForm, ReasonForm
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import holds, scope_for
from apps.core.http import Request
from apps.core.pages import page_of

VIEW = "agents.view_agent"
MAY_GRANT = ("agents.manage_agent", "connectors.manage_connector")


def ready(
    request: Request, asked: Sequence[AccessRequest], *, bound: GrantAccessForm | None = None, of: UUID | None = None
) -> list[dict[str, object]]:
    """Requests as a page shows them: each with the form that grants it, the end set already. ``bound``: of that one."""
    grantable = grantable_for(request.user, asked) if asked else {}
    limits = limits_had(asked, grantable.values())
    scopes = [scope_for(request.user, perm) for perm in MAY_GRANT] if asked else []
    return [
        {
            "asked": each,
            "form": bound if bound and each.pk == of else _form(each),
            "operation": grantable.get(each.operation),
            "limit": limits.get((each.agent.user_id, each.operation)),
            "may_answer": any(scope.everywhere or each.agent.unit_id in scope.units for scope in scopes),
        }
        for each in asked
    ]


def _form(asked: AccessRequest) -> GrantAccessForm:
    ends = (timezone.now() + timedelta(days=asked.days)).date()
    return GrantAccessForm(initial={"until": ends}, auto_id=f"id_{asked.pk}_%s")


@require_GET
def requests(request: Request) -> HttpResponse:
    """Every request of the agents that one may see; filters are in the address."""
    return _page(request)


def _page(
    request: Request, *, bound: GrantAccessForm | None = None, no_form: ReasonForm | None = None,
    of: UUID | None = None, refused: str = "", status: int = 200,
) -> HttpResponse:  # fmt: skip
    if not holds(request.user, VIEW):
        raise NotAllowedError
    agent, state = request.GET.get("agent", "").strip(), request.GET.get("state", "open")
    state = state if state in {"open", *RequestEnd} else ""
    page = page_of(request, requests_for(request.user, agent=agent, state=state), order=("-id",))
    context = {
        "page": page,
        "rows": ready(request, page.rows, bound=bound, of=of),
        "agent": agent,
        "state": state,
        "states": ["open", *RequestEnd],
        "refused": refused,
        "no_form": no_form,
        "of": of,
    }
    return render(request, "console/access_requests.html", context, status=status)


@require_POST
def grant(request: Request, request_id: UUID) -> HttpResponse:
    """Grant one."""
    asked = request_for(request.user, request_id)
    form = GrantAccessForm(request.POST, auto_id=f"id_{asked.pk}_%s")
    if not form.is_valid():
        return _page(request, bound=form, of=asked.pk, status=422)
    try:
        grant_request(request.user, request=asked, **form.cleaned_data)
    except ConflictError as error:
        return _page(request, refused=str(error.message), status=error.status)
    except InvalidError as error:
        said = " ".join(f"{path}: {text}" for path, texts in error.errors.items() for text in texts)
        return _page(request, refused=said, status=error.status)
    except NotFoundError as error:
        said = _("There is no operation of this name, or you may not see it: refuse it.")
        return _page(request, refused=said, status=error.status)
    messages.success(request, _("Granted. It acts on the agent's next request."))
    return redirect("console:agent", slug=asked.agent.slug)


@require_POST
def refuse(request: Request, request_id: UUID) -> HttpResponse:
    """Refuse one, with a reason."""
    asked = request_for(request.user, request_id)
    form = ReasonForm(request.POST, auto_id=f"no_{asked.pk}_%s")
    if not form.is_valid():
        return _page(request, no_form=form, of=asked.pk, status=422)
    try:
        refuse_request(request.user, request=asked, reason=form.cleaned_data["reason"])
    except ConflictError as error:
        return _page(request, refused=str(error.message), status=error.status)
    messages.success(request, _("Refused. It may ask for the same again after seven days."))
    return redirect("console:access-requests")
