"""What a person does with an item: decide, comment. Views translate; the services decide what happens."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import Resolver404, resolve, reverse
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from apps.access.accounts import signed_in_recently
from apps.core.errors import ConflictError, DomainError, HaltedError, InvalidError, NotAllowedError
from apps.core.gate import remembering
from apps.core.http import Request, wants_fragment
from apps.core.models import User
from apps.core.reasons import sentence_of
from apps.oversight import services
from apps.oversight.forms import CommentForm, DecisionForm, InboxFilter, ValueForm, answer_form, parameters_form
from apps.oversight.models import Escalation
from apps.oversight.rules import EscalationState, InboxView, VoteVerdict
from apps.oversight.selectors import (
    WHY_NOT,
    Counts,
    Waiting,
    allowed_for,
    counts_for,
    escalation_for,
    escalations_for,
    first_for,
    winner_for,
)
from apps.oversight.selectors.sheets import sheet_for
from apps.oversight.views.detail import detail_context, priced_of, query_of, schema_of, why_of
from apps.oversight.views.editing import Preview, preview_of
from apps.oversight.views.focus import focus_context, in_focus, next_url
from apps.oversight.views.inbox import item_page
from apps.oversight.views.lists import rows_of

SAID = {
    EscalationState.APPROVED: gettext_lazy("Approved"),
    EscalationState.REJECTED: gettext_lazy("Rejected with your reason"),
    EscalationState.CHANGES_REQUESTED: gettext_lazy("Sent back with your words"),
    EscalationState.ANSWERED: gettext_lazy("Answered"),
}
LOOKED_AHEAD = 50
NAMED_CHARS = 120
OK, CONFLICT, UNFIT = 200, 409, 422
PLACES = {
    "approve": {"restated": "restated-approve"},
    "edit": {"restated": "restated-edit"},
    "request_changes": {"reason": "id_changes"},
}
"""Where a panel has its fields, if not where the form would put them: a page holds all panels."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, in words, above the item."""

    title: str
    text: str = ""
    tone: str = "bad"


@require_POST
def decide(request: Request, escalation_id: UUID) -> HttpResponse:
    """Record one decision; the answer is the next item, the decided row and the new count."""
    with remembering(request.user):
        item = escalation_for(request.user, escalation_id)
        form = DecisionForm(request.POST)
        values = _values(request, item, form)
        valid = form.is_valid()
        if not valid or (values is not None and not values.is_valid()):
            return _refused(request, item, form, values, status=UNFIT)
        asks = allowed_for(request.user, item).get(form.cleaned_data["verdict"], {})
        if asks.get("step_up") and not signed_in_recently(request):
            return _ask_again(request, item, form)
        ahead = (None, None) if in_focus(request) else _look_ahead(request, item)
    preview = None
    try:
        if values is not None and asks.get("edit") and form.cleaned_data["version"] == item.version:
            preview = preview_of(request, item, values)
            if form.cleaned_data["confirmed"] != preview.digest:
                return _refused(request, item, form, values, status=OK, preview=preview)
        decided = _cast(request, item, form, values)
    except InvalidError as error:
        said = None
        if "verdict" in error.errors:  # the page offers no such thing, so it has no place for the words either
            said = Problem(_("Nothing was recorded."), " ".join(error.errors["verdict"]))
        else:
            _place(error, form, values)
        return _refused(request, item, form, values, status=UNFIT, problem=said, preview=preview)
    except (ConflictError, HaltedError, NotAllowedError) as error:
        now = escalation_for(request.user, escalation_id)
        return _refused(request, now, form, values, status=CONFLICT, problem=problem_of(request.user, now, error))
    with remembering(request.user):
        return _after(request, decided, *ahead)


def _ask_again(request: Request, item: Escalation, form: DecisionForm) -> HttpResponse:
    """To the password, and back to the same panel."""
    panel = "edit" if form.cleaned_data["edit"] else form.cleaned_data["verdict"]
    query = query_of(request)
    back = f"{reverse('oversight:item', args=[item.pk])}{query}{'&' if query else '?'}decide={panel}"
    url = f"{reverse('account_reauthenticate')}?{urlencode({'next': back})}"
    return HttpResponse(headers={"HX-Redirect": url}) if wants_fragment(request) else redirect(url)


def _values(request: Request, item: Escalation, form: DecisionForm) -> ValueForm | None:
    """The form of edited parameters or of an answer, where the decision carries one."""
    if request.POST.get("verdict") == VoteVerdict.ANSWER:
        return answer_form(item.schema, item.options, request.POST)
    if request.POST.get("edit") and item.action:
        sheet = sheet_for(request.user, item)
        return parameters_form(schema_of(sheet), sheet.parameters, request.POST, priced=priced_of(sheet))
    return None


def _cast(request: Request, item: Escalation, form: DecisionForm, values: ValueForm | None) -> Escalation:
    said = form.cleaned_data
    is_answer = said["verdict"] == VoteVerdict.ANSWER
    words = {"parameters": values.value} if values is not None and not is_answer else {}
    if values is not None and is_answer:
        words = {"answer": values.value}
    return services.cast_vote(
        request.user,
        escalation_id=item.pk,
        verdict=said["verdict"],
        version=said["version"],
        reason=said["reason"],
        reason_code=said["reason_code"],
        retry=said["retry"],
        restated=said["restated"] or None,
        view_hash=said["view_hash"],
        stepped_up=signed_in_recently(request),
        **words,
    )


def _place(error: InvalidError, form: DecisionForm, values: ValueForm | None) -> None:
    """Put a service's findings where the person typed."""
    own = {path: texts for path, texts in error.errors.items() if path in form.fields}
    rest = {path: texts for path, texts in error.errors.items() if path not in own}
    for path, texts in own.items():
        for text in texts:
            form.add_error(path, text)
    if values is not None:
        values.add_problems(rest)
    elif rest or not own:
        for text in [text for texts in rest.values() for text in texts] or [str(error.message)]:
            form.add_error(None, text)


def problem_of(actor: User, item: Escalation, error: DomainError) -> Problem:
    """A refusal as a sentence; a conflict names the winner."""
    winner = winner_for(actor, item)
    if winner and winner["by"] == actor.username:
        return Problem(_("You decided this already."), tone="quiet")
    if winner:
        said = item.get_state_display().lower()
        return Problem(
            _("%(name)s was quicker: %(said)s.") % {"name": winner["name"], "said": said}, _("Yours was not recorded.")
        )
    if error.code == "stale":
        return Problem(
            _("It changed while you looked."), _("Read what it says now; nothing of yours was recorded."), "warn"
        )
    if isinstance(error, HaltedError):
        return Problem(_("A halt is engaged, so nothing is decided."), str(error.members.get("reason", "")))
    if isinstance(error, NotAllowedError):
        why = str(error.members.get("why", ""))
        return Problem(_("You may not decide this."), str(WHY_NOT.get(why, error.message)))
    why = sentence_of(error.members.get("why"))
    return Problem(str(error.message), f"{why} {_('Nothing of yours was recorded.')}".strip())


def _refused(
    request: Request,
    item: Escalation,
    form: DecisionForm,
    values: ValueForm | None,
    *,
    status: int,
    problem: Problem | None = None,
    preview: Preview | None = None,
) -> HttpResponse:
    """The item again, with what was typed still there; with a ``preview`` of what an edit comes to."""
    verdict = str(form.data.get("verdict", ""))
    panel = "edit" if form.data.get("edit") else verdict
    for name, place in PLACES.get(panel, {}).items():
        form.fields[name].widget.attrs["id"] = place
    typed = {name: value for name, value in form.data.items() if name != "csrfmiddlewaretoken"}
    extra: dict[str, Any] = {"decision": form, "typed": typed, "panel": panel, "problem": problem, "preview": preview}
    if values is not None:
        extra["answer_form" if verdict == VoteVerdict.ANSWER else "edit_form"] = values
    return item_page(request, item, status=status, **extra)


def _look_ahead(request: Request, item: Escalation) -> tuple[UUID | None, Counts | None]:
    """The item behind this one in the person's own list, else the first of the others; what waits then, if read."""
    mine = request.GET.copy()
    mine["view"] = InboxView.MINE
    filters = InboxFilter(mine)
    if filters.is_filtered:
        rows = rows_of(request.user, filters).prefetch_related(None)
        first = [Waiting(*row) for row in rows.values_list("due_at", "pk", "risk")[:LOOKED_AHEAD]]
        counts = None
    else:
        first = first_for(request.user)
        counts = Counts.without(first, item.pk)
    others = [other for other in first if other.id != item.pk]
    behind = [other for other in others if (other.due_at, other.id) > (item.due_at, item.pk)]
    return next((other.id for other in behind or others), None), counts


def _after(
    request: Request, decided: Escalation, following: UUID | None = None, counts: Counts | None = None
) -> HttpResponse:
    """What follows a recorded decision: a stricter edit stays open, all else goes on to the next item."""
    now = escalation_for(request.user, decided.pk)
    query = query_of(request)
    if now.is_drill:  # said at once and in full, on its own page
        url = f"{reverse('oversight:item', args=[now.pk])}{query}"
        return HttpResponse(headers={"HX-Redirect": url}) if wants_fragment(request) else redirect(url)
    path = reverse("oversight:item", args=[following]) if following else reverse("oversight:inbox")
    extra = focus_context(request)
    if progress := extra.get("focus"):
        path, query = next_url(request, progress).split("?")[0], "?focus=1" if progress.left else ""
        following = progress.left[0] if progress.left else None
    is_held = now.state == EscalationState.HELD
    if not wants_fragment(request) or (progress and not following):
        messages.success(request, _said(now))
        # Without a script the way back is on the item itself, so that is where one stays while it is held.
        url = f"{reverse('oversight:item', args=[now.pk]) if is_held and not wants_fragment(request) else path}{query}"
        return HttpResponse(headers={"HX-Redirect": url}) if wants_fragment(request) else redirect(url)
    chosen = escalation_for(request.user, following) if following else None
    if chosen is not None:
        services.note_view(request.user, item=chosen)  # it is before them from here on
    context = {
        **(detail_context(request, chosen) if chosen else {"item": None, "sheet": None, "list_query": query}),
        "rows": _rows_on_screen(request, now, chosen),
        "said": _said(now),
        "held": now if is_held else None,
        "stay": _held_s(now),
        "counts": counts if counts and now.state != EscalationState.PENDING else counts_for(request.user),
        "filters": InboxFilter(request.GET),
        "focus_title": True,
        **extra,
    }
    response = render(request, "oversight/_after.html", context)
    response["HX-Push-Url"] = f"{path}{query}"
    return response


def _rows_on_screen(request: Request, decided: Escalation, chosen: Escalation | None) -> list[Escalation]:
    """The two rows that changed, as far as the list shows them."""
    decided.why = why_of(decided)  # type: ignore[attr-defined] # what the row's second line says
    shown = set(request.POST.getlist("shown"))
    return [row for row in (decided, chosen) if row is not None and str(row.pk) in shown]


def _held_s(item: Escalation) -> int:
    """How many seconds a held decision waits in all."""
    return round((item.releases_at - item.decided_at).total_seconds()) if item.releases_at and item.decided_at else 0


def _said(item: Escalation) -> str:
    """What was done, and with which item: another one is on the screen by now."""
    what = Truncator(item.title).chars(NAMED_CHARS)
    if item.state == EscalationState.PENDING:
        approvals = sum(vote.verdict == VoteVerdict.APPROVE for vote in item.live_votes())
        words = {"n": approvals, "needed": item.quorum_needed, "what": what}
        return _("Recorded, %(n)s of %(needed)s approvals: %(what)s") % words
    state = EscalationState(item.outcome or item.state)
    is_edited = item.edited and state == EscalationState.APPROVED
    said = _("Approved as edited") if is_edited else str(SAID.get(state, item.get_state_display()))
    if item.state == EscalationState.HELD:
        said = _("%(said)s, releases in %(n)s s") % {"said": said, "n": _held_s(item)}
    return f"{said}: {what}"


ACTS: dict[str, tuple[Callable[..., Escalation], Any]] = {
    "undo": (services.undo_decision, gettext_lazy("Taken back. It waits again.")),
    "claim": (services.claim_escalation, gettext_lazy("Others see that you look at it.")),
    "release": (services.release_escalation, gettext_lazy("Others see that you let go of it.")),
}


@require_POST
def act(request: Request, escalation_id: UUID, name: str) -> HttpResponse:
    """Take back a held decision, claim an item, let go of it: the item in its new state."""
    service, said = ACTS[name]
    item = escalation_for(request.user, escalation_id)
    try:
        service(request.user, escalation_id=item.pk)
    except (ConflictError, HaltedError, NotAllowedError) as error:
        now = escalation_for(request.user, escalation_id)
        return item_page(request, now, status=CONFLICT, problem=problem_of(request.user, now, error))
    if not wants_fragment(request):
        messages.success(request, said)
        return redirect(f"{reverse('oversight:item', args=[item.pk])}{query_of(request)}")
    now = escalation_for(request.user, escalation_id)
    return _taken_back(request, now) if name == "undo" else item_page(request, now)


def _taken_back(request: Request, item: Escalation) -> HttpResponse:
    """The item that waits again, its row and the counts as they now are, at its own address."""
    with remembering(request.user):
        context = {
            **detail_context(request, item),
            "rows": _rows_on_screen(request, item, _open_before(request, item)),
            "said": ACTS["undo"][1],
            "counts": counts_for(request.user),
            "filters": InboxFilter(request.GET),
            "focus_title": True,
            **focus_context(request),
        }
        response = render(request, "oversight/_after.html", context)
    response["HX-Push-Url"] = f"{reverse('oversight:item', args=[item.pk])}{query_of(request)}"
    return response


def _open_before(request: Request, item: Escalation) -> Escalation | None:
    """Another item that the page showed when it asked: its row is marked no longer."""
    try:
        place = resolve(urlsplit(request.headers.get("HX-Current-URL", "")).path)
    except (Resolver404, ValueError):
        return None
    if place.view_name != "oversight:item" or place.kwargs["escalation_id"] == item.pk:
        return None
    return escalations_for(request.user).filter(pk=place.kwargs["escalation_id"]).first()


@require_POST
def comment(request: Request, escalation_id: UUID) -> HttpResponse:
    """A word below an item."""
    item = escalation_for(request.user, escalation_id)
    form = CommentForm(request.POST)
    if form.is_valid():
        write = services.ask_agent if form.cleaned_data["ask"] else services.comment_escalation
        services.end_touched_drill(request.user, escalation_id=item.pk)
        try:
            write(request.user, escalation_id=item.pk, text=form.cleaned_data["text"])
        except InvalidError as error:
            for text in [text for texts in error.errors.values() for text in texts]:
                form.add_error("text", text)
            return item_page(request, item, status=UNFIT, comment_form=form, show_thread=True)
        except (ConflictError, HaltedError, NotAllowedError) as error:
            now = escalation_for(request.user, escalation_id)
            problem = problem_of(request.user, now, error)
            return item_page(request, now, status=CONFLICT, problem=problem, comment_form=form, show_thread=True)
        if not wants_fragment(request):
            return redirect(f"{reverse('oversight:item', args=[item.pk])}#thread")
        return item_page(request, escalation_for(request.user, escalation_id), show_thread=True)
    return item_page(request, item, status=UNFIT, comment_form=form, show_thread=True)
