"""Jumping to what somebody names."""

import re
from dataclasses import dataclass
from uuid import UUID

from django.db.models import TextField
from django.db.models.functions import Cast, Right
from django.utils.translation import gettext as _

from apps.agents.selectors import actions_for, agents_for, reference_for
from apps.connectors.selectors import connectors_for
from apps.console.selectors.home import permissions_held_by
from apps.core.context import FOOT, MENU, Place
from apps.core.gate import remembering
from apps.core.models import User
from apps.oversight.selectors import escalations_for
from apps.policies.selectors import policies_for
from apps.workflows.selectors import runs_for, workflows_for

EACH = 5
ENDING = re.compile(r"[0-9a-fA-F]{8}")


@dataclass(frozen=True, slots=True)
class Found:
    """One place to jump to."""

    kind: str
    label: str
    url: str


def found_for(actor: User, text: str, wanted: UUID | None) -> list[Found]:
    """What ``text`` names among the things that ``actor`` may see; by id first, then by slug or name."""
    if not text:
        return []
    if wanted:
        return _by_id(actor, wanted)
    return [*_by_ending(actor, text), *_by_name(actor, text)]


def places_for(actor: User, text: str) -> list[Found]:
    """The pages whose names hold ``text`` (all of them for none) and that the menu shows to ``actor``."""
    held = permissions_held_by(actor)
    places = [place for _group, group in MENU for place in group if not place.perms or held & set(place.perms)]
    own = [
        Place("focus", _("Focus"), "target", "/inbox/focus/", ("oversight.decide_escalation",)),
        Place("shortcuts", _("Keys"), "keyboard", "/settings/shortcuts/"),
    ]
    found = [*places, *(place for place in own if not place.perms or held & set(place.perms)), *FOOT]
    return [
        Found(_("Page"), str(place.label), place.url)
        for place in found
        if text.casefold() in str(place.label).casefold()
    ]


def _by_ending(actor: User, text: str) -> list[Found]:
    """Items by the last eight characters of their ids, as pages print them: along the index of those endings."""
    if not ENDING.fullmatch(text):
        return []
    rows = escalations_for(actor).annotate(ending=Right(Cast("pk", TextField()), 8)).filter(ending=text.lower())
    return [Found(_("Item"), str(row), f"/inbox/{row.pk}/") for row in rows[:EACH]]


def _by_id(actor: User, wanted: UUID) -> list[Found]:
    return [
        *(Found(_("Item"), str(row), f"/inbox/{row.pk}/") for row in escalations_for(actor).filter(pk=wanted)),
        *(Found(_("Action"), str(row), f"/actions/{row.pk}/") for row in actions_for(actor).filter(pk=wanted)),
        *(Found(_("Run"), str(row), f"/runs/{row.pk}/") for row in runs_for(actor).filter(pk=wanted)),
    ]


def _by_name(actor: User, text: str) -> list[Found]:
    return [
        *(
            Found(_("Agent"), row.name, f"/agents/{row.slug}/")
            for row in agents_for(actor).filter(name__icontains=text)[:EACH]
        ),
        *(
            Found(_("Workflow"), row.name, f"/workflows/{row.slug}/")
            for row in workflows_for(actor).filter(name__icontains=text)[:EACH]
        ),
        *(
            Found(_("Policy"), row.name, f"/policies/{row.slug}/")
            for row in policies_for(actor).filter(name__icontains=text)[:EACH]
        ),
        *(
            Found(_("Connector"), row.name, f"/connectors/{row.slug}/")
            for row in connectors_for(actor).filter(name__icontains=text)[:EACH]
        ),
        *(Found(_("Run"), str(row), f"/runs/{row.pk}/") for row in runs_for(actor).filter(key=text)[:EACH]),
        *_by_reference(actor, text),
    ]


def _by_reference(actor: User, text: str) -> list[Found]:
    """Actions by what their agent calls the thing they are about, such as an invoice's number: along that index."""
    found = actions_for(actor).filter(reference=text).order_by("agent_id", "operation", "reference")[:EACH]
    with remembering(actor):
        rows = [row for row in found if reference_for(actor, row) == text]
    return [
        Found(
            _("Action"), f"{row} · {row.created_at:%Y-%m-%d %H:%M} · {row.get_state_display()}", f"/actions/{row.pk}/"
        )
        for row in rows
    ]
