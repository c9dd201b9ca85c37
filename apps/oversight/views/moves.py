"""Handing an item on, putting it aside, giving it more time: small forms in the bar below the item."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from apps.core.errors import ConflictError, HaltedError, InvalidError, NotAllowedError
from apps.core.http import Request, wants_fragment
from apps.oversight import services
from apps.oversight.forms import DelegateForm, EscalateForm, ExtendForm, ReassignForm, SnoozeForm
from apps.oversight.models import Escalation
from apps.oversight.selectors import escalation_for
from apps.oversight.views.decisions import CONFLICT, UNFIT, problem_of
from apps.oversight.views.detail import query_of
from apps.oversight.views.inbox import item_page


@dataclass(frozen=True, slots=True)
class Move:
    """One small form: what it reads, what it does, what is said afterwards, in which panel it stands."""

    form: type[forms.Form]
    service: Callable[..., Escalation]
    said: Any
    panel: str = "more"
    fits_drills: bool = False


MOVES: dict[str, Move] = {
    "snooze": Move(
        SnoozeForm, services.snooze_escalation, _("Put aside. It comes back by itself."), "snooze", fits_drills=True
    ),
    "delegate": Move(DelegateForm, services.delegate_escalation, _("Handed on. Together you have one vote.")),
    "reassign": Move(ReassignForm, services.reassign_escalation, _("Handed on.")),
    "extend": Move(ExtendForm, services.extend_escalation, _("It has more time.")),
    "escalate": Move(EscalateForm, services.escalate_by_hand, _("It is at the next level.")),
}


@require_POST
def move(request: Request, escalation_id: UUID, name: str) -> HttpResponse:
    """Do one of them: the item in its new state, or the form again with what was typed and why not."""
    found = MOVES[name]
    item = escalation_for(request.user, escalation_id)
    form = found.form(request.POST, auto_id=f"id_{name}_%s")
    if form.is_valid():
        said = {key: value for key, value in form.cleaned_data.items() if key != "for_s"}
        if not found.fits_drills:
            services.end_touched_drill(request.user, escalation_id=item.pk)
        try:
            found.service(request.user, escalation_id=item.pk, **said)
        except InvalidError as error:
            _place(error, form)
        except (ConflictError, HaltedError, NotAllowedError) as error:
            now = escalation_for(request.user, escalation_id)
            return item_page(request, now, status=CONFLICT, problem=problem_of(request.user, now, error))
    if not form.is_valid():
        typed = {key: value for key, value in form.data.items() if key != "csrfmiddlewaretoken"}
        more = {"panel": found.panel, "move": name, "move_form": form, "typed": typed}
        return item_page(request, item, status=UNFIT, **more)
    if not wants_fragment(request):
        messages.success(request, found.said)
        return redirect(f"{reverse('oversight:item', args=[item.pk])}{query_of(request)}")
    return item_page(request, escalation_for(request.user, escalation_id), toast=found.said)


def _place(error: InvalidError, form: forms.Form) -> None:
    """Put a service's findings where the person typed."""
    for path, texts in error.errors.items():
        for text in texts:
            form.add_error(path if path in form.fields else None, text)
