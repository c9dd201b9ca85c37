"""How autonomous an agent is with one operation: the rule that would make it so, in words, and proposing it."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.access.selectors import queues_near_for
from apps.agents.models import Agent
from apps.agents.selectors import agent_for
from apps.console.forms import LevelForm
from apps.console.selectors.agents import level_homes_for, level_word_for
from apps.core.errors import ConflictError, InvalidError
from apps.core.gate import refuse_agents, require
from apps.core.http import Request
from apps.core.rules import digest_of
from apps.policies.models import Policy
from apps.policies.rules import ProposalState
from apps.policies.rules.levels import LevelWish, rules_at
from apps.policies.selectors import changes_drafted_for
from apps.policies.services import propose_level

PUBLISH = "policies.publish_policy"


@require_http_methods(["GET", "POST"])
def level(request: Request, slug: str, operation: str) -> HttpResponse:
    """Choose a level; the first post shows the rule in words, the second one proposes exactly that."""
    refuse_agents(request.user)
    agent = agent_for(request.user, slug)
    require(request.user, PUBLISH)
    level_word_for(request.user, agent, operation)
    homes = {home.policy.slug: home.policy for home in level_homes_for(request.user, agent, operation)}
    queues = list(queues_near_for(request.user, PUBLISH).values_list("slug", flat=True))
    form = LevelForm(request.POST if request.method == "POST" else None, policies=homes, queues=queues)
    if request.method == "GET" or not form.is_valid():
        return _page(request, agent, operation, form, status=422 if form.errors else 200)
    said = form.cleaned_data
    policy, wish = homes[said["policy"]], LevelWish(said["level"])
    rules = rules_at(
        policy.in_force.rules if policy.in_force else (),
        agent=agent.slug, operation=operation, wish=wish, queue=said["queue"],
    )  # fmt: skip
    number = policy.in_force.number if policy.in_force else 0
    seen = digest_of({"policy": policy.slug, "instead_of": number, "rules": rules})
    if request.POST.get("seen") != seen:
        return _page(
            request, agent, operation, form, seen=seen, changes=changes_drafted_for(request.user, policy, rules)
        )
    try:
        made = propose_level(
            request.user,
            agent=agent, operation=operation, policy=policy, wish=wish,
            queue=said["queue"], reason=said["reason"], instead_of=number,
        )  # fmt: skip
    except (ConflictError, InvalidError) as error:
        for text in [text for texts in error.errors.values() for text in texts] or [str(error.message)]:
            form.add_error(None, text)
        return _page(request, agent, operation, form, status=error.status)
    return _told(request, agent, policy, is_open=made.state == ProposalState.OPEN, number=made.version.number)


def _told(request: Request, agent: Agent, policy: Policy, *, is_open: bool, number: int) -> HttpResponse:
    if is_open:
        messages.success(request, _("Proposed. It holds once somebody else has released it."))
        return redirect(f"{reverse('policies:policy', args=[policy.slug])}?version={number}")
    messages.success(request, _("In force: it only denies more. It acts on the agent's next request."))
    return redirect("console:agent", slug=agent.slug)


def _page(
    request: Request, agent: Agent, operation: str, form: LevelForm, *, status: int = 200, **more: Any
) -> HttpResponse:
    context = {
        "agent": agent,
        "operation": operation,
        "word": level_word_for(request.user, agent, operation),
        "homes": level_homes_for(request.user, agent, operation),
        "form": form,
        **more,
    }
    return render(request, "console/agent_level.html", context, status=status)
