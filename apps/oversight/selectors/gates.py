"""What an agent did, as far as the gate between pilot and active asks."""

from datetime import timedelta

from django.db.models import Count, Q, QuerySet

from apps.agents.models import Action, Agent, Repetition
from apps.agents.rules import GATE_DAYS, ActionState, Earlier, Environment, TrackRecord
from apps.audit.models import Entry
from apps.connectors.rules import EffectState
from apps.core.models import ClockTimestamp
from apps.halts.models import Halt
from apps.halts.rules import HaltScope
from apps.oversight.models import Escalation
from apps.oversight.rules import DECIDED, EscalationState, Judgement, Kind

REFUSED = (ActionState.REJECTED, ActionState.CHANGES_REQUESTED)
CARRIED_OUT = (ActionState.SUCCEEDED, ActionState.FAILED, ActionState.COMPENSATED)


def track_record_of(agent: Agent) -> TrackRecord:
    """What the agent's present version did in ``GATE_DAYS`` (``settings.AGENT_RECORD``): all of it, whoever asks."""
    since = ClockTimestamp() - timedelta(days=GATE_DAYS)
    actions = Action.objects.filter(
        agent=agent, version=agent.version, created_at__gt=since, environment=Environment.LIVE
    )
    states = dict(actions.order_by().values_list("state").annotate(times=Count("pk")))
    items = Escalation.objects.filter(action__in=actions)
    is_decided = Q(kind=Kind.ACTION, state__in=sorted(DECIDED))
    is_unmodified = Q(kind=Kind.ACTION, state=EscalationState.APPROVED, edited=False)
    is_harmful = Q(kind=Kind.REVIEW, state=EscalationState.ANSWERED, answer__verdict=Judgement.HARMFUL)
    said = items.aggregate(
        decided=Count("pk", filter=is_decided),
        unmodified=Count("pk", filter=is_unmodified),
        harmful=Count("pk", filter=is_harmful),
    )
    stops = Q(scope=HaltScope.AGENT, target=agent.slug) | Q(scope=HaltScope.VERSION, target=agent.acts_as)
    return TrackRecord(
        carried_out=sum(states.get(state, 0) for state in CARRIED_OUT),
        failed=states.get(ActionState.FAILED, 0) + _mismatched(actions),
        refused=sum(states.get(state, 0) for state in REFUSED),
        unknown=states.get(ActionState.UNKNOWN, 0),
        flags=Repetition.objects.filter(Repetition.open(), agent=agent).count(),
        halts=Halt.objects.filter(stops, lifted_at=None).count(),
        earlier=_earlier(agent),
        **said,
    )


def _mismatched(actions: QuerySet[Action]) -> int:
    """How many were carried out, and the system of record says otherwise."""
    return actions.filter(state=ActionState.SUCCEEDED, carried_out__state=EffectState.MISMATCH).count()


def _earlier(agent: Agent) -> Earlier | None:
    """What the version did that was in force before the present one, by the ledger; None where there was none."""
    others = {version.pk: version.number for version in agent.versions.all() if version.pk != agent.version_id}
    entered = Entry.objects.filter(name="agentversion.active", subject_id__in=list(others)).order_by("-id")
    last = entered.values_list("subject_id", flat=True).first()
    if last is None:
        return None
    actions = Action.objects.filter(agent=agent, version=last, environment=Environment.LIVE)
    states = dict(actions.order_by().values_list("state").annotate(times=Count("pk")))
    items = Escalation.objects.filter(action__in=actions, kind=Kind.ACTION)
    return Earlier(
        number=others[last],
        carried_out=sum(states.get(state, 0) for state in CARRIED_OUT),
        failed=states.get(ActionState.FAILED, 0) + _mismatched(actions),
        decided=items.filter(state__in=sorted(DECIDED)).count(),
        unmodified=items.filter(state=EscalationState.APPROVED, edited=False).count(),
    )
