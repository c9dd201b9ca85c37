"""Proposing a rule because of an item: a page of its own, reached from the item."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.http import Request
from apps.oversight import services
from apps.oversight.forms import ProposeForm
from apps.oversight.selectors import asking_rules_of, escalation_for
from apps.policies.selectors import proposals_of_item

UNFIT, CONFLICT = 422, 409


@require_http_methods(["GET", "POST"])
def propose(request: Request, escalation_id: UUID) -> HttpResponse:
    """The form, filled from the item; sent: the draft, on its policy's page or below the item."""
    item = escalation_for(request.user, escalation_id)
    policies = list(asking_rules_of(item))
    if item.action is None or not policies:
        raise NotFoundError
    form = ProposeForm(item, policies, request.POST or None)
    context = {"item": item, "form": form, "proposals": proposals_of_item(request.user, item.pk)}
    if request.method == "GET" or not form.is_valid():
        status = 200 if request.method == "GET" else UNFIT
        return render(request, "oversight/propose.html", context, status=status)
    services.end_touched_drill(request.user, escalation_id=item.pk)
    try:
        made = services.propose_rule(request.user, escalation_id=item.pk, **form.wish)
    except InvalidError as error:
        form.place(error.errors)
        return render(request, "oversight/propose.html", context, status=UNFIT)
    except (ConflictError, NotAllowedError) as error:
        form.add_error(None, str(error.message))
        status = error.status if isinstance(error, NotAllowedError) else CONFLICT
        return render(request, "oversight/propose.html", context, status=status)
    messages.success(request, _("Proposed. It is in force once somebody else releases it."))
    return redirect(f"/policies/{made.policy.slug}/?version={made.version.number}")
