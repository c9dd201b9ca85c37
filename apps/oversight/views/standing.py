"""Approving in advance: the form on an item, one's own list, and the one click that ends one."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.core.errors import ConflictError, HaltedError, InvalidError, NotAllowedError, NotFoundError
from apps.core.http import Request
from apps.core.pages import page_of
from apps.oversight import services
from apps.oversight.forms import StandingForm
from apps.oversight.selectors import (
    WHY_NOT,
    escalation_for,
    standing_approval_for,
    standing_approvals_for,
)
from apps.policies.rules import StandingLimit, verdict_of

UNFIT, CONFLICT = 422, 409


@require_http_methods(["GET", "POST"])
def standing(request: Request, escalation_id: UUID) -> HttpResponse:
    """The form with what the rule lets at most; sent: the approval, in one's own list."""
    item = escalation_for(request.user, escalation_id)
    if item.action is None or item.agent is None:
        raise NotFoundError
    limit = verdict_of(item.verdict).obligations.standing or StandingLimit()
    form = StandingForm(item, limit, request.POST or None)
    context = {"item": item, "form": form, "limit": limit, "same": sorted(limit.same)}
    if request.method == "GET" or not form.is_valid():
        return render(request, "oversight/standing.html", context, status=200 if request.method == "GET" else UNFIT)
    services.end_touched_drill(request.user, escalation_id=item.pk)
    try:
        services.make_standing_approval(request.user, escalation_id=item.pk, **form.wish)
    except InvalidError as error:
        form.place(error.errors)
        return render(request, "oversight/standing.html", context, status=UNFIT)
    except (ConflictError, HaltedError, NotAllowedError) as error:
        form.add_error(None, str(WHY_NOT.get(str(error.members.get("why", "")), error.message)))
        return render(request, "oversight/standing.html", context, status=error.status)
    messages.success(request, _("Approved in advance. You can end it here at any time."))
    return redirect("oversight:standing-list")


@require_GET
def standing_list(request: Request) -> HttpResponse:
    """What one approved in advance, and what each let run."""
    page = page_of(request, standing_approvals_for(request.user), order=("-id",))
    return render(request, "oversight/standing_list.html", {"page": page})


@require_POST
def end_standing(request: Request, approval_id: UUID) -> HttpResponse:
    """End one; back to where the button stood."""
    approval = standing_approval_for(request.user, approval_id)
    try:
        services.end_standing_approval(request.user, approval=approval)
    except ConflictError:
        messages.info(request, _("It is over already."))
    except NotAllowedError as error:
        messages.error(request, str(error.message))
    else:
        messages.success(request, _("Ended. From now on people are asked again."))
    back = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return redirect(back if is_ours and back.startswith("/inbox/") else reverse("oversight:standing-list"))
