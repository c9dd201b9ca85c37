"""What an erasure would reach, and what stands in its way."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from apps.access.selectors import holders_for
from apps.agents.models import Action, Agent
from apps.agents.rules import FINAL_ACTIONS, ActionState
from apps.audit.models import Payload
from apps.audit.rules import ERASED
from apps.core.errors import NotAllowedError, NotFoundError
from apps.core.gate import holds, visible
from apps.core.models import User
from apps.oversight.models import Comment, Escalation, Job, StandingApproval, Vote
from apps.oversight.rules import FINAL, JobState
from apps.workflows.models import Attempt, ErasureRequest, Run

ERASE = "audit.erase_payload"
MOST_ASKED = 20
"""How many people are looked at for who could agree."""


@dataclass(frozen=True, slots=True)
class Trail:
    """A run, an action or an item of its own, and everything that hangs on it."""

    subject: Run | Action | Escalation
    actions: tuple[Action, ...]
    items: tuple[Escalation, ...]

    @property
    def run(self) -> Run | None:
        """The run, where it is a run's trail."""
        return self.subject if isinstance(self.subject, Run) else None

    @property
    def action_ids(self) -> list[UUID]:
        """Its actions."""
        return [action.pk for action in self.actions]

    @property
    def item_ids(self) -> list[UUID]:
        """What people were asked."""
        return [item.pk for item in self.items]

    def counts(self) -> dict[str, int]:
        """How much the erasure's entry says it was."""
        return {"actions": len(self.actions), "items": len(self.items)}


def trail_of(actor: User, trail_id: UUID) -> Trail:
    """The trail, for somebody who may erase it. Raises NotAllowedError, NotFoundError."""
    if not holds(actor, ERASE):
        raise NotAllowedError
    subject = (
        visible(actor, ERASE, Run.objects.filter(pk=trail_id)).first()
        or visible(actor, ERASE, Action.objects.filter(pk=trail_id, run_id=None)).first()
        or visible(actor, ERASE, Escalation.objects.filter(pk=trail_id, run_id=None, action=None)).first()
    )
    if subject is None:
        raise NotFoundError
    return trail_on(subject)


def trail_on(subject: Run | Action | Escalation) -> Trail:
    """Everything that hangs on the subject of a trail. The caller answers for who may know."""
    trail_id = subject.pk
    actions = tuple(Action.objects.filter(Q(run_id=trail_id) | Q(pk=trail_id, run_id=None)).order_by("id"))
    about = Q(run_id=trail_id) | Q(action__in=[action.pk for action in actions]) | Q(pk=trail_id)
    return Trail(subject, actions, tuple(Escalation.objects.filter(about).order_by("id")))


def why_not_by(actor: User, trail: Trail) -> str | None:
    """Why it is not for ``actor`` to erase this trail, in words; None where it is.

    A trail runs through units, and nobody removes the words of what they asked for, decided, also in advance, or
    answer for.
    """
    if elsewhere := _units_elsewhere(actor, trail):
        return _("A part of this belongs to %s, where you may not erase. Ask somebody who may.") % elsewhere
    items, name = Q(escalation_id__in=trail.item_ids), actor.username
    if (
        any(item.decided_by_id == actor.pk or name in item.editors for item in trail.items)
        or Vote.objects.filter(items & (Q(voter=actor) | Q(acts_for__contains=[name]))).exists()
        or StandingApproval.objects.filter(
            Q(item__in=trail.item_ids) | Q(uses__action__in=trail.action_ids), maker=actor
        ).exists()
    ):
        return _("You decided here. Somebody who had no part in it has to erase it.")
    run = trail.run
    asked = {run.started_by_id, run.on_behalf_of_id} if run else set()
    asked |= {key for action in trail.actions for key in (action.principal_id, action.on_behalf_of_id)}
    if actor.pk in asked or any(item.run_starter == name for item in trail.items):
        return _("You asked for this. Somebody who had no part in it has to erase it.")
    agents = {action.agent_id for action in trail.actions} | {item.agent_id for item in trail.items}
    agents |= set(Attempt.objects.filter(run=run).values_list("agent_id", flat=True)) if run else set()
    if owned := Agent.objects.filter(pk__in=[key for key in agents if key], owner=actor).first():
        return _("You own %s, which worked here. Somebody who had no part in it has to erase it.") % owned.name
    return None


def may_erase(user: User, trail: Trail) -> bool:
    """Whether ``user`` may erase this trail now: they hold the permission on it and had no part in it."""
    subject = type(trail.subject)._default_manager.filter(pk=trail.subject.pk)
    return user.is_active and visible(user, ERASE, subject).exists() and why_not_by(user, trail) is None


def asked_for(actor: User, trail: Trail) -> ErasureRequest | None:
    """The request to erase this trail that waits for somebody else; None where nobody asked."""
    assert actor.is_active
    rows = ErasureRequest.objects.select_related("asked_by")
    return rows.filter(ErasureRequest.open(), trail_id=trail.subject.pk).first()


def erasures_asked_for(actor: User) -> QuerySet[ErasureRequest]:
    """The requests that wait, newest first, of trails that ``actor`` may erase a part of."""
    ours = Q(pk__in=[])
    for model in (Run, Action, Escalation):
        ours |= Q(trail_id__in=visible(actor, ERASE, model._default_manager.all()).values("pk"))
    rows = ErasureRequest.objects.filter(ErasureRequest.open()).filter(ours)
    return rows.select_related("asked_by").order_by("-id")


def who_could_agree(actor: User, trail: Trail, *, most: int = MOST_ASKED) -> list[User]:
    """The people other than ``actor`` who may erase this trail, among the first ``most`` who hold the permission."""
    people = holders_for(actor, ERASE, trail.subject.unit_id).exclude(pk=actor.pk)
    return [person for person in people[:most] if may_erase(person, trail)]


def who_is_asked_to_agree(asked: ErasureRequest, *, most: int) -> list[User]:
    """The people who may carry out a request now; nobody once it ended, or who asked may not erase it any more."""
    if not ErasureRequest.objects.filter(ErasureRequest.open(), pk=asked.pk).exists():
        return []
    try:
        trail = trail_of(asked.asked_by, asked.trail_id)
    except (NotAllowedError, NotFoundError):
        return []
    return who_could_agree(asked.asked_by, trail, most=most)


def _units_elsewhere(actor: User, trail: Trail) -> str:
    """The units on the trail in which ``actor`` may not erase, by name; what was granted on one thing alone counts."""
    models: tuple[tuple[type[Action] | type[Escalation], list[UUID]], ...] = (
        (Action, trail.action_ids),
        (Escalation, trail.item_ids),
    )
    names: set[str] = set()
    for model, ids in models:
        rows = model._default_manager.filter(pk__in=ids)
        mine = visible(actor, ERASE, rows).values("pk")
        names |= set(rows.exclude(pk__in=mine).values_list("unit__name", flat=True))
    return ", ".join(sorted(names))


def why_not_erasable(actor: User, trail: Trail) -> str | None:
    """What has to happen first, in words; None where nothing stands in the way."""
    assert actor.is_active
    for action in trail.actions:
        if action.state == ActionState.UNKNOWN:
            return _("Nobody knows what %s did. Answer its item in the inbox first.") % action.operation
        if action.state not in FINAL_ACTIONS:
            return _("%s is still under way. Decide it, cancel it or let it end first.") % action.operation
    for item in trail.items:
        if item.state not in FINAL:
            return _("%s still waits for people. Decide it first.") % item.title
    if Job.objects.filter(items__escalation_id__in=trail.item_ids, state=JobState.RUNNING).exists():
        return _("A bulk decision that it is part of is still under way. Try again in a minute.")
    if trail.run and not trail.run.is_over:
        return _("The run is not over. Cancel it or let it end first.")
    return None


def reach_of(actor: User, trail: Trail) -> dict[str, int]:
    """How much would go: ``actions``, ``items``, ``reasons``, ``comments``, ``entries``."""
    assert actor.is_active
    ids = trail.item_ids
    payloads = Payload.objects.filter(entry__trail_id=trail.subject.pk).exclude(entry__name=ERASED)
    return trail.counts() | {
        "reasons": Vote.objects.filter(escalation_id__in=ids).exclude(reason="").count(),
        "comments": Comment.objects.filter(escalation_id__in=ids).exclude(text="").count(),
        "entries": payloads.count(),
    }
