"""A new agent in five minutes: one form, then a page that waits for its first call and says what became of it."""

import json
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from apps.access.models import BusinessUnit
from apps.agents.models import Agent
from apps.agents.selectors import agent_for
from apps.connectors.rules import example_of
from apps.connectors.selectors import all_operations_for, what_agent_may_for
from apps.connectors.services import begin_agent
from apps.console.forms import NewAgentForm
from apps.console.selectors.agents import owners_for
from apps.console.selectors.first_calls import first_calls_for
from apps.console.views.issued_keys import keep_issued, take_issued
from apps.core.errors import InvalidError
from apps.core.gate import require, visible
from apps.core.http import Request, wants_fragment

MANAGE = "agents.manage_agent"


@require_http_methods(["GET", "POST"])
@never_cache
def new_agent(request: Request) -> HttpResponse:
    """Who it is, who answers for it, what it may use; a POST makes it with a test key."""
    require(request.user, MANAGE)
    choices: dict[str, Any] = {
        "units": visible(request.user, MANAGE, BusinessUnit.objects.order_by("name")),
        "operations": all_operations_for(request.user).filter(state="active").order_by("connector__name", "slug"),
        "people": owners_for(request.user),
    }
    if request.method == "GET":
        form = NewAgentForm(**choices, initial={"owner": request.user.username})
        return render(request, "console/new_agent.html", {"form": form})
    form = NewAgentForm(request.POST, **choices)
    if form.is_valid():
        try:
            issued = begin_agent(request.user, **form.cleaned_data)
        except InvalidError as error:
            form.refuse(error.errors)
        else:
            keep_issued(request, issued)
            return redirect("console:first-call", issued.credential.agent.slug)
    return render(request, "console/new_agent.html", {"form": form}, status=422)


@require_GET
@never_cache
def first_call(request: Request, slug: str) -> HttpResponse:
    """The key, this once, how to call with it, and what became of the calls that came."""
    found = agent_for(request.user, slug, perm=MANAGE)
    context: dict[str, Any] = {"agent": found, "calls": first_calls_for(request.user, found)}
    if wants_fragment(request):
        return render(request, "console/_first_calls.html", context)
    issued = take_issued(request, found)
    address = request.build_absolute_uri(reverse("workflows-api:actions"))
    body = _body(request, found)
    context |= {"issued": issued, "curl": _curl(address, body), "python": _python(address, body), "body": body}
    return render(request, "console/first_call.html", context)


def _body(request: Request, agent: Agent) -> dict[str, Any]:
    """A request for the first operation that it may use; for one of no name where it may use none."""
    may = next((use.operation for use in what_agent_may_for(request.user, agent) if use.is_live), None)
    parameters = example_of(may.parameters) if may else {}
    return {"operation": may.slug if may else "system.operation", "parameters": parameters, "goal": "Try it."}


def _curl(address: str, body: dict[str, Any]) -> str:
    text = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
    return (
        f"curl -X POST {address} \\\n"
        '  -H "Authorization: Bearer $ACP_KEY" -H "Idempotency-Key: first-1" \\\n'
        f"  -H \"Content-Type: application/json\" -d '{text}'"
    )


def _python(address: str, body: dict[str, Any]) -> str:
    return (
        "import json, os, urllib.request\n\n"
        f"body = json.loads({json.dumps(body)!r})\n"
        f"call = urllib.request.Request({address!r}, json.dumps(body).encode(), {{\n"
        '    "Authorization": "Bearer " + os.environ["ACP_KEY"],\n'
        '    "Idempotency-Key": "first-1", "Content-Type": "application/json"})\n'
        "print(urllib.request.urlopen(call).read().decode())"
    )
