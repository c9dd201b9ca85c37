"""Narrowing an agent to what it uses: look at what less would have stopped, then one click; undone with another."""

from dataclasses import replace
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.agents.models import Agent
from apps.agents.selectors import agent_for
from apps.connectors.rules import Money
from apps.connectors.rules.sizing import SIZED_DAYS, UNDO_DAYS, Size
from apps.connectors.services import right_size, undo_right_sizing
from apps.console.forms import ReasonForm
from apps.console.selectors.sizing import Sized, right_sizing_for, sized_for, undoable_for
from apps.core.amounts import minor_of
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.gate import holds
from apps.core.http import Request

MANAGE = "agents.manage_agent"


def _page(
    request: Request, agent: Agent, lines: list[Sized], *, taken: set[str] | None = None, refused: str = "",
    form: ReasonForm | None = None, undo_form: ReasonForm | None = None, status: int = 200,
) -> HttpResponse:  # fmt: skip
    proposed = [line for line in lines if line.size is not None]
    context = {
        "agent": agent,
        "days": SIZED_DAYS,
        "undo_days": UNDO_DAYS,
        "lines": proposed,
        "kept": [line for line in lines if line.size is None],
        "used": sum(line.use.used > 0 for line in lines),
        "total": len(lines),
        "taken": {line.use.operation.slug for line in proposed} if taken is None else taken,
        "undoable": undoable_for(request.user, agent),
        "may_manage": holds(request.user, MANAGE, agent),
        "refused": refused,
        "undo_form": undo_form,
        "form": form or ReasonForm(initial={"reason": _("Not used in %d days.") % SIZED_DAYS}),
    }
    return render(request, "console/sizing.html", context, status=status)


@require_http_methods(["GET", "POST"])
def sizing(request: Request, slug: str) -> HttpResponse:
    """What would be enough, and what that would have stopped; with ``act=narrow`` it is done."""
    if request.method == "GET":
        agent = agent_for(request.user, slug)
        return _page(request, agent, sized_for(request.user, agent))
    agent = agent_for(request.user, slug, perm=MANAGE)
    proposed = {line.use.operation.slug: line.size for line in sized_for(request.user, agent) if line.size}
    sizes = {name: _turned(request.POST, name, size) for name, size in proposed.items()}
    taken = {name for name in request.POST.getlist("take") if name in sizes}
    lines = sized_for(request.user, agent, sizes=sizes)
    odd = ", ".join(name for name, size in proposed.items() if _is_odd(request.POST, name, size))
    refused = _("Nothing was done: of %s, the amount is none such as 800.00.") % odd if odd else ""
    if request.POST.get("act") != "narrow":
        form = ReasonForm(initial={"reason": request.POST.get("reason")})
        return _page(request, agent, lines, taken=taken, refused=refused, form=form, status=422 if odd else 200)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return _page(request, agent, lines, taken=taken, form=form, status=422)
    refused = refused or ("" if taken else _("Nothing was narrowed: tick at least one."))
    if refused:
        return _page(request, agent, lines, taken=taken, refused=refused, form=form, status=422)
    try:
        chosen = {name: sizes[name] for name in taken}
        right_size(request.user, agent=agent, sizes=chosen, reason=form.cleaned_data["reason"])
    except InvalidError as error:
        said = " ".join(f"{path}: {text}" for path, texts in error.errors.items() for text in texts)
        return _page(request, agent, lines, taken=taken, refused=said, form=form, status=422)
    messages.success(request, _("Narrowed. It acts on the agent's next request, and can be undone for 30 days."))
    return redirect("console:sizing", slug=slug)


def _turned(sent: QueryDict, name: str, size: Size) -> Size:
    """The proposed size with the limit that somebody typed."""
    limit = _limit(sent, name, size)
    return replace(size, limit=limit) if limit else size


def _is_odd(sent: QueryDict, name: str, size: Size) -> bool:
    """Whether somebody typed a limit that is no amount: it is not quietly another one instead."""
    return bool(size.limit and _typed(sent, name) and _limit(sent, name, size) is None)


def _limit(sent: QueryDict, name: str, size: Size) -> Money | None:
    """What was typed, in the currency of the proposed limit; None where it is no amount."""
    if size.limit is None:
        return None
    try:
        return Money(minor_of(_typed(sent, name), size.limit.currency), size.limit.currency)
    except ValueError:
        return None


def _typed(sent: QueryDict, name: str) -> str:
    return str(sent.get(f"limit:{name}", "")).strip()


@require_POST
def undo(request: Request, slug: str, sizing_id: UUID) -> HttpResponse:
    """Take a narrowing back."""
    agent = agent_for(request.user, slug, perm=MANAGE)
    made = right_sizing_for(request.user, agent, sizing_id)
    form = ReasonForm(request.POST, auto_id="undo-%s")
    if not form.is_valid():
        return _page(request, agent, sized_for(request.user, agent), undo_form=form, status=422)
    try:
        skipped = undo_right_sizing(request.user, sizing=made, reason=form.cleaned_data["reason"])
    except (ConflictError, NotAllowedError) as error:
        return _page(request, agent, sized_for(request.user, agent), refused=str(error.message), status=error.status)
    if skipped:
        said = _("Undone, but for what was changed since, has ended or is retired: %s.")
        messages.warning(request, said % ", ".join(skipped))
    else:
        messages.success(request, _("Undone. It acts on the agent's next request."))
    return redirect("console:sizing", slug=slug)
