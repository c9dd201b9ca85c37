"""Taking back what an action did: what would happen is said first."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from apps.agents.rules import ActionState
from apps.agents.selectors import action_for, hidden_of
from apps.connectors.services import way_back_of
from apps.core.errors import DomainError, NotAllowedError
from apps.core.http import Request
from apps.workflows.selectors.veils import action_shown_to
from apps.workflows.services.actions import compensate_action, may_compensate

UNFIT = 422


class CompensateForm(forms.Form):
    """Why it is taken back."""

    reason = forms.CharField(max_length=2000, label=gettext_lazy("Why take it back?"))


@require_http_methods(["GET", "HEAD", "POST"])
def compensate(request: Request, action_id: UUID) -> HttpResponse:
    """What would take the action back, and asking for it."""
    action = action_for(request.user, action_id)
    if not may_compensate(request.user, action):
        raise NotAllowedError
    form = CompensateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            taking = compensate_action(request.user, action=action, reason=form.cleaned_data["reason"])
        except NotAllowedError:
            raise
        except DomainError as error:
            form.add_error(
                None, " ".join([str(error.message), *(text for texts in error.errors.values() for text in texts)])
            )
        else:
            said = {
                ActionState.DENIED: _("The rules say no, so nothing was done."),
                ActionState.PENDING_APPROVAL: _("Asked for. People decide it first."),
            }
            messages.info(request, said.get(ActionState(taking.state), _("Asked for. This is what takes it back.")))
            return redirect("console:action", action_id=taking.pk)
    back = way_back_of(action)
    hide = hidden_of(request.user, action)
    shown = action.veil(hide).over(back.parameters) if back else {}
    context = {"action": action_shown_to(request.user, action), "back": back, "parameters": shown, "form": form}
    return render(request, "console/compensate.html", context, status=UNFIT if form.errors else 200)
