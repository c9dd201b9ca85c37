"""What follows for items from what happened elsewhere, and what runs by the clock."""

from uuid import UUID

from apps.agents.models import Agent
from apps.audit.models import Entry
from apps.audit.tasks import reaction
from apps.core.models import User
from apps.core.services import system_user
from apps.halts.models import Halt
from apps.oversight import services
from apps.oversight.rules import Kind


def sweep_escalations() -> int:
    """Each second: release what was held, end what expired, follow rotas, note and bring up what is late; how many."""
    return (
        services.release_held()
        + services.expire_escalations()
        + services.expire_grants()
        + services.mark_due_soon()
        + services.mark_overdue()
        + services.hand_over_duty()
        + services.climb_ladders()
        + services.climb_unheard()
        + services.reweigh_pending()
    )


def sweep_drills() -> int:
    """Each minute: take away drills that may not stand any more, open the next ones; how many."""
    return services.sweep_open_drills() + services.open_due_drills()


def sweep_access_reviews() -> int:
    """Each minute: note rights that ended, remind reviewers, end campaigns that are due; how many."""
    return services.sweep_access_reviews()


def perform_jobs() -> int:
    """Do one item of what people told many at once; how many were done."""
    return services.perform_due_items()


@reaction
def cancel_items_of_agent(entry: Entry) -> None:
    """A retired agent asks for nothing any more. What became of what it did is still to be found out."""
    if Agent.objects.filter(pk=entry.subject_id).exists():
        asked = [Kind.ACTION, Kind.QUESTION]
        services.cancel_escalations(entry.actor, reason="agent_retired", agent_id=entry.subject_id, kind__in=asked)


@reaction
def end_what_changed(entry: Entry) -> None:
    """An operation, its connector or an agent's version is not what it was: nobody approves what would run now."""
    services.invalidate_changed()


def sweep_changed() -> int:
    """Each minute: the same, for what was asked for in the moment of the change; how many."""
    return services.invalidate_changed()


@reaction
def void_votes_of_person(entry: Entry) -> None:
    """A role was taken away, or a person left: votes that rested on it are void."""
    username = entry.payload.get("user")
    person = User.objects.filter(username=username) if username else User.objects.filter(pk=entry.subject_id)
    if user := person.first():
        services.void_votes_of(system_user("plane"), user=user, why=entry.name)


@reaction
def end_fallen_standing(entry: Entry) -> None:
    """What approvals in advance rest on has changed: those that hold no more end at once."""
    services.end_fallen_standing()


def sweep_standing() -> int:
    """Each minute: the same, and those whose time is over; how many."""
    return services.end_fallen_standing()


@reaction
def stop_clocks(entry: Entry) -> None:
    """A halt freezes the clocks of what it covers."""
    if halt := Halt.objects.filter(pk=entry.subject_id, lifted_at=None).first():
        services.freeze_clocks(system_user("plane"), halt=halt)


@reaction
def take_drills_away(entry: Entry) -> None:
    """Nobody is exercised while a halt stands; whoever halted because of a drill learns within a second that it was."""
    services.sweep_open_drills()


@reaction
def start_clocks(entry: Entry) -> None:
    """A lifted halt gives the time back."""
    if halt := Halt.objects.filter(pk=entry.subject_id, lifted_at__isnull=False).first():
        services.thaw_clocks(system_user("plane"), halt=halt)


@reaction
def move_unreachable(entry: Entry) -> None:
    """Where nobody could reach the quorum any more, the item goes to the next level at once."""
    services.escalate_unreachable(system_user("plane"), escalation_id=UUID(str(entry.subject_id)))


@reaction
def follow_absence(entry: Entry) -> None:
    """Somebody is away, or back: who stands in may decide at once; what nobody there can decide goes up."""
    if user := User.objects.filter(username=entry.payload["user"]).first():
        services.resolve_absence(system_user("plane"), user=user)
