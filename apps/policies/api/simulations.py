"""Endpoints of simulations: what rules would have made of the past."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, StrictInteger, StrictSerializer, Text, known_params, page_of
from apps.core.errors import InvalidError
from apps.core.models import User
from apps.core.schema import PROBLEMS
from apps.policies.api.policies import RulesField
from apps.policies.api.proposals import ProposalSerializer, proposal_json
from apps.policies.models import Simulation
from apps.policies.rules.replay import Gap
from apps.policies.rules.simulations import MAX_DAYS, USUAL_DAYS, SimulationState
from apps.policies.selectors import policy_for, versions_for
from apps.policies.selectors.results import result_of, steps_of
from apps.policies.selectors.simulations import simulation_for, simulations_for
from apps.policies.services.proposals import propose_amount
from apps.policies.services.simulations import cancel_simulation, start_simulation


class SimulationBody(StrictSerializer):
    """What to try on which past: one of ``version``, ``rules``, ``lever``; the last ``days``, or ``since``, ``until``.

    ``lever``: a rule in force whose amount is turned, step by step.
    """

    version = StrictInteger(min_value=1, required=False)
    rules = RulesField(required=False)
    lever = Text(max_length=63, required=False)
    days = StrictInteger(min_value=1, max_value=MAX_DAYS, required=False)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)


class SimulationSerializer(serializers.Serializer[Any]):
    """A simulation. It changes nothing. ``result`` grows while it runs; of a lever, each of ``steps`` is one."""

    id = serializers.UUIDField()
    policy = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    digest = serializers.CharField(help_text="Of the rules that it tries.")
    lever = serializers.JSONField(help_text="`{rules, place, amount_minor, currency, steps}`, or null.")
    release = serializers.IntegerField(help_text="What it compares with: the release in force when it began.")
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    state = serializers.ChoiceField([state.value for state in SimulationState])
    total = serializers.IntegerField()
    done = serializers.IntegerField()
    not_replayable = serializers.JSONField(help_text=f"How many, by reason: {', '.join(Gap)}.")
    judged_otherwise = serializers.IntegerField(
        help_text="Of those replayed, what another release than this one, or what people changed, made of it then."
    )
    waived = serializers.IntegerField(
        help_text="Of those replayed, what used a waiver: it lifts its rule here too while the rule says the same."
    )
    by = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    result = serializers.JSONField(
        help_text="`{replayed, changed, transitions, agents, units, approvals_per_day, hours_per_day, queues, "
        "agreement}`; null for a lever. Shares are `{part, n, share, low, high}`, with the 95 % Wilson interval."
    )
    steps = serializers.JSONField(
        help_text="Of a lever: `[{amount_minor, approvals_per_day, hours_per_day, workdays_per_month, unwatched, "
        "newly_unasked, newly_asked, newly_denied, went_wrong, approved}]`."
    )


class SimulationLine(serializers.Serializer[Any]):
    """A simulation in a list."""

    id = serializers.UUIDField()
    policy = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    state = serializers.ChoiceField([state.value for state in SimulationState])
    total = serializers.IntegerField()
    done = serializers.IntegerField()
    by = serializers.CharField()
    created_at = serializers.DateTimeField()


class SimulationPage(serializers.Serializer[Any]):
    """A page of simulations."""

    results = SimulationLine(many=True)
    next = serializers.CharField(allow_null=True)


def simulation_line(simulation: Simulation) -> dict[str, Any]:
    """The simulation as ``SimulationLine`` describes it."""
    return {
        "id": simulation.pk,
        "policy": simulation.policy.slug,
        "version": simulation.version.number if simulation.version else None,
        "state": simulation.state,
        "total": simulation.total,
        "done": simulation.done,
        "by": simulation.person.username,
        "created_at": simulation.created_at,
    }


def simulation_json(actor: User, simulation: Simulation) -> dict[str, Any]:
    """The simulation as ``SimulationSerializer`` describes it."""
    names = ("digest", "lever", "release", "since", "until", "judged_otherwise", "waived", "finished_at")
    return {
        **simulation_line(simulation),
        **{name: getattr(simulation, name) for name in names},
        "not_replayable": simulation.gaps,
        "result": None if simulation.lever else result_of(actor, simulation).as_json(),
        "steps": [step.as_json() for step in steps_of(actor, simulation)],
    }


class PolicySimulate(PlaneView):
    """``/policies/{slug}/simulate/``."""

    @extend_schema(
        operation_id="simulate_policy", request=SimulationBody, responses={202: SimulationSerializer, **PROBLEMS}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Try rules on the past, in the background; ``GET /policies/simulations/{id}/`` says how far it is.

        Nothing is changed and nobody is asked. One at a time for each person.
        """
        policy = policy_for(self.actor, slug)
        said: dict[str, Any] = self.body(SimulationBody)
        number, days = said.pop("version", None), said.pop("days", None)
        if days is not None and ("since" in said or "until" in said):
            raise InvalidError(errors={"days": ["Either days, or since and until."]})
        said.setdefault("until", timezone.now())
        said.setdefault("since", said["until"] - timedelta(days=days or USUAL_DAYS))
        version = versions_for(self.actor, policy).filter(number=number).first() if number else None
        if number and version is None:
            raise InvalidError(errors={"version": ["There is no such version."]})

        def answer() -> tuple[int, Any]:
            made = start_simulation(self.actor, policy=policy, version=version, **said)
            return 202, simulation_json(self.actor, made)

        return self.once(answer)


class Simulations(PlaneView):
    """``/policies/simulations/``."""

    @extend_schema(
        operation_id="list_simulations",
        responses={200: SimulationPage, **PROBLEMS},
        parameters=[OpenApiParameter(name, str) for name in ("state", "policy", "cursor", "limit")],
    )
    def get(self, request: Request) -> Response:
        """Simulations of the policies that you may see, newest first; filters ``state``, ``policy``."""
        known_params(request, "state", "policy")
        rows = simulations_for(self.actor)
        for name, path in (("state", "state"), ("policy", "policy__slug")):
            if value := request.query_params.get(name):
                rows = rows.filter(**{path: value})
        return page_of(request, rows, simulation_line, order=("-id",))


class SimulationDetail(PlaneView):
    """``/policies/simulations/{id}/``."""

    @extend_schema(operation_id="get_simulation", responses={200: SimulationSerializer, **PROBLEMS})
    def get(self, request: Request, simulation_id: UUID) -> Response:
        """One simulation: how far it is, and what it says so far."""
        return Response(simulation_json(self.actor, simulation_for(self.actor, simulation_id)))


class SimulationCancel(PlaneView):
    """``/policies/simulations/{id}/cancel/``."""

    @extend_schema(operation_id="cancel_simulation", request=None, responses={200: SimulationSerializer, **PROBLEMS})
    def post(self, request: Request, simulation_id: UUID) -> Response:
        """End one that runs; what it counted so far stays."""
        simulation = simulation_for(self.actor, simulation_id)

        def answer() -> tuple[int, Any]:
            return 200, simulation_json(self.actor, cancel_simulation(self.actor, simulation=simulation))

        return self.once(answer)


class ProposeAmountBody(StrictSerializer):
    """Which of the steps of its lever, and why."""

    amount_minor = StrictInteger(min_value=0)
    reason = Text(max_length=500)


class SimulationPropose(PlaneView):
    """``/policies/simulations/{id}/propose/``."""

    @extend_schema(
        operation_id="propose_amount", request=ProposeAmountBody, responses={201: ProposalSerializer, **PROBLEMS}
    )
    def post(self, request: Request, simulation_id: UUID) -> Response:
        """Propose the amount of one step of its lever; somebody else releases it by publishing its version."""
        simulation = simulation_for(self.actor, simulation_id)
        said: dict[str, Any] = self.body(ProposeAmountBody)

        def answer() -> tuple[int, Any]:
            return 201, proposal_json(self.actor, propose_amount(self.actor, simulation=simulation, **said))

        return self.once(answer)
