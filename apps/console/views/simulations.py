"""Rules tried on the past: started on a policy's page, watched while it runs, read when it is done."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.console.forms import SimulationForm, StepForm, TurnForm
from apps.core.errors import ConflictError, DomainError, InvalidError
from apps.core.gate import holds
from apps.core.http import Request, wants_fragment
from apps.policies.models import Policy, PolicyVersion, Simulation
from apps.policies.rules.levers import Lever, levers_of
from apps.policies.rules.replay import Gap
from apps.policies.rules.tallies import COMPARED, Agreement
from apps.policies.selectors import policy_for, publishers_for, rules_for, versions_for
from apps.policies.selectors.results import Step, Transition, result_of, steps_of
from apps.policies.selectors.simulations import (
    asked_within,
    currency_of,
    lever_of,
    running_for,
    simulation_for,
    simulations_of,
)
from apps.policies.services.proposals import propose_amount
from apps.policies.services.simulations import LEAST, cancel_simulation, start_simulation

PUBLISH = "policies.publish_policy"
UNFIT = 422
VERSIONS = 10
GAPS = {
    Gap.ERASED: gettext_lazy("what was written was erased"),
    Gap.EDITED: gettext_lazy("people changed the parameters after they were judged"),
    Gap.FACTS: gettext_lazy("it has no verdict with facts"),
    Gap.HISTORY: gettext_lazy("a rule asks for history that nobody asked for then"),
    Gap.COMPENSATION: gettext_lazy("whether it could be undone was not kept"),
    Gap.HIDDEN: gettext_lazy("rules read what whoever started it may not see"),
    Gap.UNFIT: gettext_lazy("the facts were kept in another shape"),
}


@require_http_methods(["GET", "POST"])
def simulate(request: Request, slug: str) -> HttpResponse:
    """What can be tried of a policy, and the last simulations of it; POST starts one."""
    found = policy_for(request.user, slug)
    in_force = found.in_force.number if found.in_force else 0
    versions = list(versions_for(request.user, found).exclude(number=in_force)[:VERSIONS])
    form = SimulationForm(
        request.POST if request.method == "POST" else None,
        versions=versions,
        levers=_levers(request, found),
        initial={"what": f"version:{request.GET.get('version', '')}"},
    )
    if request.method == "POST" and form.is_valid() and (made := _started(request, found, versions, form)):
        return redirect("console:simulation", simulation_id=made.pk)
    context = {
        "policy": found,
        "form": form,
        "running": running_for(request.user),
        "simulations": simulations_of(request.user, found),
    }
    return render(request, "policies/simulate.html", context, status=UNFIT if form.errors else 200)


def _levers(request: Request, found: Policy) -> list[tuple[Lever, str]]:
    """The amounts in force that can be turned, each as its rule says it."""
    if found.in_force is None:
        return []
    said = {card.slug: card.sentence for card in rules_for(request.user, found.in_force)}
    return [(lever, said.get(lever.name, lever.name)) for lever in levers_of(found.in_force.rules)]


def _started(request: Request, found: Policy, versions: list[PolicyVersion], form: SimulationForm) -> Simulation | None:
    number, lever = form.chosen()
    version = next((one for one in versions if one.number == number), None)
    now = timezone.now()
    since = now - timedelta(days=form.cleaned_data["days"])
    try:
        return start_simulation(request.user, policy=found, since=since, until=now, version=version, lever=lever)
    except InvalidError as error:
        form.add_error("what", [text for texts in error.errors.values() for text in texts] or [str(error.message)])
    except ConflictError as error:
        form.add_error(None, str(error.message))
    return None


@require_GET
def simulation(request: Request, simulation_id: UUID) -> HttpResponse:
    """How far it is and what it says so far; of a lever, at the step that is asked for."""
    found = simulation_for(request.user, simulation_id)
    is_fragment = wants_fragment(request)
    name = "policies/_simulation.html" if is_fragment else "policies/simulation.html"
    return render(request, name, {**_shown(request, found, TurnForm()), "is_fragment": is_fragment})


def _shown(request: Request, found: Simulation, turn_form: TurnForm) -> dict[str, Any]:
    actor = request.user
    lever, within = lever_of(found), asked_within(found)
    context: dict[str, Any] = {
        "within_s": None if within is None else within.total_seconds(),
        "is_brief": within is not None and within < LEAST,
        "simulation": found,
        "policy": found.policy,
        "gaps": [(GAPS[Gap(gap)], n) for gap, n in sorted(found.gaps.items(), key=lambda one: -one[1])],
        "not_replayable": sum(found.gaps.values()),
        "may_cancel": found.person_id == actor.pk or holds(actor, PUBLISH, found.policy),
    }
    if lever is None:
        result = result_of(actor, found)
        changes = [each for each in result.transitions if each.is_change and each.n]
        return {
            **context,
            "result": result,
            "matrix": _matrix(result.transitions),
            "changes": changes,
            "shares": _shares(result.agreement),
        }
    steps = steps_of(actor, found)
    return {**context, "lever": lever, **_at_step(request, found, lever, steps), "turn_form": turn_form}


def _matrix(transitions: tuple[Transition, ...]) -> list[tuple[str, list[Transition]]]:
    return [(str(effect), [each for each in transitions if each.before is effect]) for effect in COMPARED]


def _shares(told: Agreement) -> list[tuple[str, Any]]:
    return [
        (_("Of what it allows and people decided, they approved"), told.allowed),
        (_("Of what it denies and people decided, they rejected"), told.denied),
        (_("Of what it newly lets run unasked and ran then, this went wrong or is unknown"), told.went_wrong),
        (_("Of what it newly denies and ran then, this went well"), told.lost),
    ]


def _at_step(request: Request, found: Simulation, lever: Lever, steps: list[Step]) -> dict[str, Any]:
    present = next((place for place, step in enumerate(steps) if step.is_present), 0)
    form = StepForm(request.GET)
    asked = form.cleaned_data["step"] if form.is_valid() else None
    place = present if asked is None else min(asked, len(steps) - 1)
    may_propose = holds(request.user, PUBLISH, found.policy)
    return {
        "steps": steps,
        "step": steps[place],
        "place": place,
        "last": len(steps) - 1,
        "now": steps[present],
        "may_propose": may_propose,
        "is_current": found.base_id == found.policy.in_force_id,
        "publishers": [] if may_propose else publishers_for(request.user, found.policy),
        "currency": lever.currency or currency_of(found),
    }


@require_POST
def cancel(request: Request, simulation_id: UUID) -> HttpResponse:
    """End one that runs; what it counted so far stays."""
    found = simulation_for(request.user, simulation_id)
    try:
        cancel_simulation(request.user, simulation=found)
        messages.success(request, _("Cancelled. What it counted so far stays."))
    except ConflictError as error:
        messages.error(request, str(error.message))
    return redirect("console:simulation", simulation_id=found.pk)


@require_POST
def propose(request: Request, simulation_id: UUID) -> HttpResponse:
    """Propose the amount of one step; somebody else releases it."""
    found = simulation_for(request.user, simulation_id)
    form = TurnForm(request.POST)
    if not form.is_valid():
        return render(request, "policies/simulation.html", _shown(request, found, form), status=UNFIT)
    try:
        made = propose_amount(request.user, simulation=found, **form.cleaned_data)
    except DomainError as error:
        said = [text for texts in error.errors.values() for text in texts]
        messages.error(request, " ".join(said) or str(error.message))
        return redirect("console:simulation", simulation_id=found.pk)
    messages.success(request, _("Proposed. It holds once somebody else has released it."))
    return redirect(f"{reverse('policies:policy', args=[made.policy.slug])}?version={made.version.number}")
