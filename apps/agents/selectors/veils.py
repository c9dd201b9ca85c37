"""Actions as somebody may see them: with marks in the place of what carries a class of data."""

from copy import copy
from uuid import UUID

from apps.agents.models import Action
from apps.classification.rules import Classed, Place, Veil, marked, unmarked
from apps.classification.selectors import hidden_for
from apps.core.models import User


def hidden_of(actor: User, action: Action, *, place: Place = Place.INBOX) -> frozenset[str]:
    """The classes of an action that ``actor`` may not see; none for the agent that gave the values. Mostly no query."""
    if not action.classed or (actor.is_agent and action.principal_id == actor.pk):
        return frozenset()
    return hidden_for(actor, action.classed, unit=action.unit_id, place=place)


def shown_to(actor: User, action: Action) -> Action:
    """The action to be shown to ``actor``, who fetched it: itself where nothing carries a class, else a copy.

    A copy is for reading alone: its digest is that of what was asked, not of what it shows.
    """
    if not action.classed:
        return action
    hide = hidden_of(actor, action)
    shown, veil = copy(action), action.veil(hide)
    shown.parameters = marked(action.parameters, action.classed, hide)
    shown.target, shown.reference = veil.text(action.target), veil.text(action.reference)
    shown.consequence = unmarked(action.consequence, action.classed, action.parameters, hide)
    shown.result, shown.error, shown.refusal = map(veil.over, (action.result, action.error, action.refusal))
    shown.verdict = action.veil(hidden_of(actor, action, place=Place.TRACE)).over(action.verdict)
    return shown


def reference_for(actor: User, action: Action) -> str:
    """What its agent calls the thing that it is about, with marks for what ``actor`` may not see."""
    return action.veil(hidden_of(actor, action)).text(action.reference) if action.reference else ""


def veil_of_run(actor: User, run_id: UUID, *more: tuple[Classed, object], unit: UUID | None) -> Veil:
    """Marks for what a run's actions, and what else is given, carry and ``actor`` may not see. One query."""
    rows = Action.objects.filter(run_id=run_id).exclude(classed={}).values_list("classed", "parameters")
    sources = [*more, *rows]
    slugs = {slug for classed, _value in sources for slug in classed}
    return Veil(sources, hidden_for(actor, slugs, unit=unit, place=Place.INBOX))
