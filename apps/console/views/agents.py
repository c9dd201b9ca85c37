"""The inventory, and one agent with everything that concerns it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.agents.models import Agent
from apps.agents.rules import AGENT_MOVES, MAX_LIVE, AgentState, ChangeKind, FlagState
from apps.agents.selectors import (
    access_token_for,
    access_tokens_for,
    actions_for,
    agent_for,
    change_for,
    credentials_for,
    dismissible_for,
    flags_for,
    may_have_another_key,
    open_changes_for,
    who_could_agree,
)
from apps.agents.services import (
    agree_to_change,
    ask_change,
    create_credential,
    drop_change,
    register_public_key,
    revoke_access_token,
    revoke_credential,
)
from apps.connectors.selectors import all_operations_for, operation_for, requests_for
from apps.connectors.services import grant_operation, revoke_operation
from apps.console import selectors
from apps.console.forms import CredentialForm, PermissionForm, PublicKeyForm, ReasonForm, RetireForm, StateForm
from apps.console.selectors.agent_record import record_for, rules_of
from apps.console.selectors.agents import OperationInWords
from apps.console.selectors.inventory import MEANINGS, WORDS, Stale, inventory_for, why_of
from apps.console.views.access_requests import ready
from apps.console.views.issued_keys import keep_issued, take_issued
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import holds
from apps.core.http import Request
from apps.core.pages import page_of
from apps.halts.selectors import affecting_for
from apps.kpis.selectors.uptime import recent_uptime_for
from apps.policies.selectors import slugs_seen_by
from apps.telemetry.rules.tools import FindingState
from apps.telemetry.selectors import coverage_for, findings_for

MANAGE, PUBLISH = "agents.manage_agent", "policies.publish_policy"
FIELD_OF = {"until": "until", "limit": "amount", "limit.amount_minor": "amount", "limit.currency": "currency"}
SHOWN_FLAGS, SHOWN_AGENTS, SHOWN_TOKENS = 5, 50, 20


@require_GET
def agents(request: Request) -> HttpResponse:
    """The inventory; filters are in the address."""
    if not holds(request.user, "agents.view_agent"):
        raise NotAllowedError
    asked = {name: request.GET.get(name, "").strip() for name in ("state", "stale", "q")}
    rows = inventory_for(request.user, stale=asked["stale"])
    if asked["state"] in list(AgentState):
        rows = rows.filter(state=asked["state"])
    if asked["q"]:
        rows = rows.filter(name__icontains=asked["q"])
    page = page_of(request, rows, order=("slug",), size=SHOWN_AGENTS)
    context = {
        "page": page,
        "rows": [(agent, why_of(agent)) for agent in page.rows],
        "flagged": set(flags_for(request.user, state=FlagState.OPEN).values_list("agent", flat=True)),
        "states": list(AgentState),
        "reasons": list(WORDS.items()),
        "meaning": MEANINGS.get(Stale(asked["stale"])) if asked["stale"] in list(Stale) else "",
        "asked": asked,
        "filtered": any(asked.values()),
        "may_make": holds(request.user, MANAGE),
    }
    return render(request, "console/agents.html", context)


def _page(request: Request, found: Agent, *, status: int = 200, **forms: Any) -> HttpResponse:
    may_manage = holds(request.user, MANAGE, found)
    operations = all_operations_for(request.user).filter(state="active")
    narrowing = request.GET.get("narrow", "")
    flags = flags_for(request.user, agent=found.slug, state=FlagState.OPEN)
    words = selectors.words_for(request.user, found)
    context = {
        "agent": found,
        "words": words,
        "rules": rules_of(words),
        "is_quiet": any(word.quiet for word in words),
        "seen_policies": slugs_seen_by(request.user),
        "uses": (sum(word.use.used > 0 for word in words if word.use.is_live), sum(word.use.is_live for word in words)),
        "record": record_for(request.user, found),
        "uptime": recent_uptime_for(request.user, "agents", found.slug),
        "coverage": coverage_for(request.user, found),
        "unasked": findings_for(request.user, agent=found.slug, state=FindingState.OPEN)[:SHOWN_FLAGS],
        "not_permitted": selectors.not_permitted_for(request.user, found),
        "credentials": credentials_for(request.user, found) if may_manage else [],
        "may_make_key": may_manage and may_have_another_key(request.user, found),
        "most_keys": MAX_LIVE,
        "tokens": access_tokens_for(request.user, found)[:SHOWN_TOKENS] if may_manage else [],
        "may_register": may_manage and may_have_another_key(request.user, found, public=True),
        "versions": found.versions.order_by("-number"),
        "actions": actions_for(request.user).filter(agent=found)[:8],
        "requests": ready(request, list(requests_for(request.user, agent=found.slug, state="open"))),
        "flags": flags[:SHOWN_FLAGS],
        "open_flags": flags.count(),
        "was_flagged": flags_for(request.user, agent=found.slug).exists(),
        "dismissible": dismissible_for(request.user),
        "halts": affecting_for(request.user, agent=found.slug, version=found.acts_as, unit_id=found.unit_id),
        "may_manage": may_manage,
        "may_set_level": found.state != AgentState.RETIRED and holds(request.user, PUBLISH),
        "gate": selectors.gate_shown_for(request.user, found),
        "moves": [
            move for move in AgentState if move in AGENT_MOVES[AgentState(found.state)] and move != AgentState.RETIRED
        ],
        "takes_two": selectors.moves_of_two(found),
        "in_flight": selectors.in_flight_for(request.user, found),
        "asked": [(change, who_could_agree(request.user, change)) for change in open_changes_for(request.user, found)],
        "narrowing": narrowing,
        "permission_form": PermissionForm(operations=operations, initial=_held(words, narrowing)),
        "credential_form": CredentialForm(),
        "public_key_form": PublicKeyForm(),
        "state_form": StateForm(),
        "retire_form": RetireForm(),
        "drop_form": ReasonForm(),
        **forms,
    }
    return render(request, "console/agent.html", context, status=status)


def _held(words: list[OperationInWords], operation: str) -> dict[str, Any]:
    """What the form begins with: what the agent has of the operation that is to be narrowed."""
    found = next((word.use.permission for word in words if word.use.operation.slug == operation), None)
    if found is None:
        return {"operation": operation}
    return {
        "operation": operation,
        "fields_text": ", ".join(found.fields or ()),
        "until": (found.until - timedelta(seconds=1)).date() if found.until else None,
        "amount": found.limit.whole if found.limit else "",
        "currency": found.limit_currency,
    }


@require_GET
@never_cache
def agent(request: Request, slug: str) -> HttpResponse:
    """One agent: what it may, must ask, may never and has used; keys, versions, state."""
    found = agent_for(request.user, slug)
    return _page(request, found, issued=take_issued(request, found))


@require_POST
def permit(request: Request, slug: str) -> HttpResponse:
    """Grant an operation, or change what was granted: parameters and end."""
    found = agent_for(request.user, slug, perm=MANAGE)
    form = PermissionForm(request.POST, operations=all_operations_for(request.user).filter(state="active"))
    if not form.is_valid():
        return _page(request, found, status=422, permission_form=form, open_form="permission")
    asked = form.cleaned_data
    try:
        grant_operation(
            request.user,
            holder=found.user,
            operation=asked["operation"],
            fields=asked["fields_text"],
            until=asked["until"],
            limit=asked["limit"],
            reason=asked["reason"],
        )
    except InvalidError as error:
        for path, problems in error.errors.items():
            field = FIELD_OF.get(path, "fields_text" if path.startswith("fields") else None)
            form.add_error(field, [f"{path}: {problem}" if field == "fields_text" else problem for problem in problems])
        return _page(request, found, status=422, permission_form=form, open_form="permission")
    messages.success(request, _("Saved. It acts on the agent's next request."))
    return redirect("console:agent", slug=slug)


@require_POST
def forbid(request: Request, slug: str, operation: str) -> HttpResponse:
    """Take an operation away."""
    found = agent_for(request.user, slug, perm=MANAGE)
    form = ReasonForm(request.POST, auto_id=f"why-{operation}-%s")
    if not form.is_valid():
        return _page(request, found, status=422, forbid_form=form, forbidding=operation)
    revoke_operation(
        request.user,
        holder=found.user,
        operation=operation_for(request.user, operation),
        reason=form.cleaned_data["reason"],
    )
    messages.success(request, _("Revoked. The agent's next request for it is refused."))
    return redirect("console:agent", slug=slug)


@require_POST
@never_cache
def make_key(request: Request, slug: str) -> HttpResponse:
    """Make a key; the page that comes next shows it, once."""
    found = agent_for(request.user, slug, perm=MANAGE)
    form = CredentialForm(request.POST)
    if not form.is_valid():
        return _page(request, found, status=422, credential_form=form, open_form="key")
    try:
        issued = create_credential(request.user, agent=found, **form.cleaned_data)
    except ConflictError as error:
        form.add_error(None, str(error.message))
        return _page(request, found, status=error.status, credential_form=form, open_form="key")
    keep_issued(request, issued)
    return redirect("console:agent", slug=slug)


@require_POST
def register_key(request: Request, slug: str) -> HttpResponse:
    """Know a public key by which the agent signs."""
    found = agent_for(request.user, slug, perm=MANAGE)
    form = PublicKeyForm(request.POST)
    if not form.is_valid():
        return _page(request, found, status=422, public_key_form=form, open_form="key")
    try:
        register_public_key(request.user, agent=found, **form.cleaned_data)
    except ConflictError as error:
        form.add_error(None, str(error.message))
        return _page(request, found, status=error.status, public_key_form=form, open_form="key")
    messages.success(request, _("Registered. The agent may sign with it for its tokens from now on."))
    return redirect("console:agent", slug=slug)


@require_POST
def end_token(request: Request, slug: str, access_token_id: UUID) -> HttpResponse:
    """End one of the agent's tokens."""
    found = agent_for(request.user, slug, perm=MANAGE)
    revoke_access_token(request.user, token=access_token_for(request.user, found, access_token_id))
    messages.success(request, _("Ended. The agent's next request with it is refused."))
    return redirect("console:agent", slug=slug)


@require_POST
def end_key(request: Request, slug: str, credential_id: UUID) -> HttpResponse:
    """Revoke a key."""
    found = agent_for(request.user, slug, perm=MANAGE)
    rows = credentials_for(request.user, found).select_related("agent__unit")
    credential = rows.filter(pk=credential_id).first()
    if credential is None:
        raise NotFoundError
    revoke_credential(request.user, credential=credential)
    messages.success(request, _("Revoked. Whoever uses it from now on is refused and recorded."))
    return redirect("console:agent", slug=slug)


@require_POST
def move(request: Request, slug: str) -> HttpResponse:
    """Move an agent along its life, or ask for it where somebody else has to agree."""
    found = agent_for(request.user, slug, perm=MANAGE)
    form = StateForm(request.POST)
    if not form.is_valid():
        return _page(request, found, status=422, state_form=form, open_form="state")
    asked = form.cleaned_data
    return _asked(request, found, form, "state", to=asked.pop("state"), **asked)


@require_POST
def retire(request: Request, slug: str) -> HttpResponse:
    """End an agent for good, with a reason."""
    found = agent_for(request.user, slug, perm=MANAGE)
    form = RetireForm(request.POST)
    if not form.is_valid():
        return _page(request, found, status=422, retire_form=form, open_form="retire")
    return _asked(request, found, form, "retire", to=AgentState.RETIRED, **form.cleaned_data)


def _asked(request: Request, found: Agent, form: StateForm | RetireForm, name: str, **asked: Any) -> HttpResponse:
    """Ask for a change of its state; what is refused stands in its form, which stays open."""
    try:
        change = ask_change(request.user, agent=found, kind=ChangeKind.STATE, **asked)
    except ConflictError as error:
        form.add_error(None, str(error.message))
        return _page(request, found, status=error.status, open_form=name, **{f"{name}_form": form})
    _tell(request, change)
    return redirect("console:agent", slug=found.slug)


def _tell(request: Request, change: object) -> None:
    if change:
        messages.success(request, _("Asked for. Nothing changes before somebody else agrees, within seven days."))
    else:
        messages.success(request, _("Changed. It acts on the agent's next request."))


def _said(error: ConflictError | InvalidError | NotAllowedError) -> str:
    return " ".join(text for texts in error.errors.values() for text in texts) or str(error.message)


@require_POST
def agree(request: Request, slug: str, change_id: UUID) -> HttpResponse:
    """Agree with a change that somebody else asked for."""
    found = agent_for(request.user, slug, perm=MANAGE)
    try:
        agree_to_change(request.user, change=change_for(request.user, found, change_id))
    except (ConflictError, InvalidError, NotAllowedError) as error:
        return _page(request, found, status=error.status, refused=_said(error))
    messages.success(request, _("Changed. It acts on the agent's next request."))
    return redirect("console:agent", slug=slug)


@require_POST
def drop(request: Request, slug: str, change_id: UUID) -> HttpResponse:
    """Withdraw a change that one asked for, or refuse it with a reason."""
    found = agent_for(request.user, slug, perm=MANAGE)
    change = change_for(request.user, found, change_id)
    form = ReasonForm(request.POST, auto_id=f"why-not-{change.kind}-%s")
    if change.asked_by_id != request.user.pk and not form.is_valid():
        return _page(request, found, status=422, drop_form=form)
    try:
        drop_change(request.user, change=change, reason=request.POST.get("reason", ""))
    except ConflictError as error:
        return _page(request, found, status=error.status, refused=str(error.message))
    messages.success(request, _("Dropped. Nothing was changed."))
    return redirect("console:agent", slug=slug)
