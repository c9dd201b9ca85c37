"""Jumping to what somebody names."""

from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from apps.agents.selectors import actions_for, agents_for
from apps.connectors.selectors import connectors_for
from apps.core.models import User
from apps.oversight.selectors import escalations_for
from apps.policies.selectors import policies_for
from apps.workflows.selectors import runs_for, workflows_for

EACH = 5


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
    return _by_id(actor, wanted) if wanted else _by_name(actor, text)


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
    ]
