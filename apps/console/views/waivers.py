"""Waivers: asked for, approved by somebody else, used, ended at once."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.connectors.selectors.facts import effects_of
from apps.console import selectors
from apps.console.forms import WaiverAnswerForm, WaiverForm
from apps.core.errors import ConflictError, DomainError, InvalidError, NotFoundError
from apps.core.gate import refuse_agents, require
from apps.core.http import Request, refusal_of
from apps.core.keysets import behind
from apps.policies.models import Policy, Waiver
from apps.policies.rules.waivers import WaiverState
from apps.policies.selectors import policies_for, policy_for
from apps.policies.selectors.waivers import (
    OVER,
    approvers_of,
    may_approve,
    may_end,
    uses_of,
    waivable_rules,
    waiver_for,
    waivers_for,
    why_never_used,
)
from apps.policies.services.waivers import approve_waiver, ask_waiver, decline_waiver, end_waiver

VIEW = "policies.view_policy"
PAGE, UNFIT = 50, 422
PREFILLED = ("rule", "scope", "target")
NEVER_USED = gettext_lazy(
    "No rule in force would let through what this one stops here, so the waiver would never be used: all would go on"
    " as it is."
)


@require_GET
def waivers(request: Request) -> HttpResponse:
    """Every waiver, newest first, with what is left of it."""
    require(request.user, VIEW)
    rows = waivers_for(request.user)
    if before := _uuid(request.GET.get("before", "")):
        rows = rows.filter(behind(("-id",), [before]))
    found = list(rows[: PAGE + 1])
    following = found[PAGE - 1].pk if len(found) > PAGE else None
    return render(request, "console/waivers.html", {"waivers": found[:PAGE], "following": following})


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


@require_http_methods(["GET", "POST"])
def new_waiver(request: Request) -> HttpResponse:
    """Ask for a waiver of one rule; first of which policy, where the address does not say."""
    refuse_agents(request.user)
    require(request.user, VIEW)
    slug = request.GET.get("policy", "")
    if not slug:
        rows = [policy for policy in policies_for(request.user) if waivable_rules(request.user, policy)]
        return render(request, "console/new_waiver.html", {"policies": rows})
    policy = policy_for(request.user, slug)
    initial = {name: request.GET[name] for name in PREFILLED if name in request.GET}
    data = request.POST if request.method == "POST" else None
    form = WaiverForm(data, rules=waivable_rules(request.user, policy), initial=initial)
    if form.is_valid() and (made := _asked(request, policy, form)):
        messages.success(request, _("Asked. It lifts nothing until somebody else has approved it."))
        return redirect("console:waiver", waiver_id=made.pk)
    context = {"policy": policy, "form": form}
    return render(request, "console/new_waiver.html", context, status=UNFIT if form.errors else 200)


def _asked(request: Request, policy: Policy, form: WaiverForm) -> Waiver | None:
    said = form.cleaned_data
    try:
        selectors.halt_target_for(request.user, said["scope"], said["target"], perm=VIEW)
        about = {name: said[name] for name in PREFILLED}
        never = why_never_used(request.user, policy, **about, effects_of=effects_of)
        if not form.is_meant(str(NEVER_USED) if never else ""):
            return None
        return ask_waiver(request.user, policy=policy, **said)
    except NotFoundError:
        form.refuse({"target": [_("There is none with this short name.")]})
    except InvalidError as error:
        form.refuse(error.errors)
    except ConflictError as error:
        form.refuse({"": [str(error.message)]})
    return None


@require_GET
def waiver(request: Request, waiver_id: UUID) -> HttpResponse:
    """One waiver: what it lifts for whom, who answers for it, what used it, and what may be done."""
    return _page(request, waiver_for(request.user, waiver_id))


def _page(request: Request, found: Waiver, *, status: int = 200, **refused: object) -> HttpResponse:
    is_over = found.state not in {WaiverState.ASKED, WaiverState.LIVE}
    about = {name: getattr(found, name) for name in (*PREFILLED, "digest")}
    context = {
        **refused,
        "waiver": found,
        "never_used": "" if is_over else why_never_used(request.user, found.policy, **about, effects_of=effects_of),
        "uses": uses_of(request.user, found),
        "approvers": approvers_of(request.user, found) if found.state == "asked" else [],
        "may_approve": may_approve(request.user, found),
        "may_end": found.state not in OVER and may_end(request.user, found),
    }
    return render(request, "console/waiver.html", context, status=status)


@require_POST
def approve(request: Request, waiver_id: UUID) -> HttpResponse:
    """Let it lift its rule."""
    return _answered(request, waiver_id, "approve")


@require_POST
def decline(request: Request, waiver_id: UUID) -> HttpResponse:
    """Say no, with the reason."""
    return _answered(request, waiver_id, "decline")


@require_POST
def end(request: Request, waiver_id: UUID) -> HttpResponse:
    """Give the rule its say again."""
    return _answered(request, waiver_id, "end")


def _answered(request: Request, waiver_id: UUID, what: str) -> HttpResponse:
    found = waiver_for(request.user, waiver_id)
    reason = request.POST.get("reason", "")
    form = WaiverAnswerForm(request.POST)
    try:
        if not form.is_valid():
            raise InvalidError(errors={"reason": [str(text) for text in form.errors["reason"]]})
        reason = form.cleaned_data["reason"]
        if what == "approve":
            approve_waiver(request.user, waiver=found)
            said = _("Approved. It lifts the rule from the next request on.")
        elif what == "decline":
            decline_waiver(request.user, waiver=found, reason=reason)
            said = _("Declined. It lifts nothing.")
        else:
            end_waiver(request.user, waiver=found, reason=reason)
            said = _("Ended. The rule has its say again from the next request on.")
        messages.success(request, said)
    except DomainError as error:
        at = {"decline": "id_decline", "end": "id_end"}.get(what, "")
        found.refresh_from_db()
        return _page(request, found, status=error.status, **refusal_of(error, typed=reason, at=at))
    return redirect("console:waiver", waiver_id=found.pk)
