"""What somebody's rules may name: what is there, and theirs to see."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils.module_loading import import_string

from apps.access.models import BusinessUnit, Queue, Role
from apps.access.selectors import units_for, units_near_for
from apps.agents.models import Agent, AgentVersion
from apps.agents.rules import AgentState
from apps.agents.selectors import agents_for
from apps.classification.selectors import known_classes
from apps.core.models import User
from apps.policies.models import PolicyVersion
from apps.policies.rules import Known, Rule, parts_named, read_rules

PUBLISH, VIEW = "policies.publish_policy", "policies.view_policy"
UNITS_BY = (PUBLISH, VIEW, "agents.view_agent", "workflows.view_run")
"""Whoever holds one of these in a unit knows that it is there."""

type Near = set[UUID] | None


def known_for(
    actor: User,
    rules: Sequence[Rule],
    *,
    operations: Mapping[str, Mapping[str, Any]] | None = None,
    in_force: PolicyVersion | None = None,
    is_written: bool = False,
) -> Known:
    """What ``rules`` may name: what belongs to the units of ``actor``'s policies and above them, and what they see.

    ``is_written``: all there is, for a version that was checked when somebody wrote it. ``operations``: their
    schemas by slug; None: those of ``settings.POLICY_OPERATIONS``, as a sibling floor keeps them; without it, neither
    they nor connectors are checked. Nor are workflows and steps without ``settings.POLICY_STEPS``.
    """
    parts = parts_named(rules)
    near = None if is_written else _near(actor, PUBLISH, VIEW)
    agents, retired = _agents(actor, near) if parts & {"agents", "versions"} else ({}, {})
    retired_agents = frozenset(retired)
    steps, ended = _steps(actor, near) if parts & {"workflows", "steps"} else (None, frozenset())
    systems = _systems(actor, near)
    numbers = AgentVersion.objects.filter(agent__in=[*agents.values(), *retired.values()])
    versions = numbers.values_list("agent__slug", "number") if "versions" in parts else ()
    named = {f"{slug}@{number}" for slug, number in versions}
    kept = read_rules(in_force.rules)[0] if in_force else ()
    return Known(
        queues=set(Queue.objects.values_list("slug", flat=True)),
        roles=set(Role.objects.values_list("slug", flat=True)),
        agents=agents,
        versions={name for name in named if name.partition("@")[0] not in retired_agents},
        units=_units(actor, is_written=is_written) if "units" in parts else (),
        operations=systems.get("operations") if operations is None else operations,
        connectors=systems.get("connectors"),
        homes=systems.get("homes", {}),
        amounts=systems.get("amounts", {}),
        workflows=steps,
        steps=steps,
        classes=known_classes(),
        retired={
            "agents": retired_agents,
            "versions": {name for name in named if name.partition("@")[0] in retired_agents},
            "workflows": ended,
            "operations": systems.get("retired_operations", ()),
            "connectors": systems.get("retired_connectors", ()),
        },
        kept={rule.slug: rule for rule in kept},
        is_written=is_written,
    )


def operations_named_for(actor: User) -> dict[str, Any]:
    """The parameter schema of each operation that a rule of ``actor``'s may name, by slug."""
    found: dict[str, Any] = _systems(actor, _near(actor, PUBLISH, VIEW)).get("operations", {})
    return found


def _near(actor: User, *perms: str) -> Near:
    found = [units_near_for(actor, perm) for perm in perms]
    return None if None in found else {unit for each in found if each for unit in each}


def _units(actor: User, *, is_written: bool) -> set[str]:
    rows = BusinessUnit.objects.all()
    near = None if is_written else _near(actor, *UNITS_BY)
    if near is not None:
        rows = rows.filter(Q(pk__in=near) | Q(pk__in=units_for(actor).values("pk")))
    return set(rows.values_list("slug", flat=True))


def _agents(actor: User, near: Near) -> tuple[dict[str, UUID], dict[str, UUID]]:
    """Those that may work and those that are retired: their ids by slug."""
    rows = Agent.objects.all()
    if near is not None:
        rows = rows.filter(Q(unit__in=near) | Q(pk__in=agents_for(actor).values("pk")))
    found = list(rows.values_list("slug", "id", "state"))
    working = {slug: pk for slug, pk, state in found if state != AgentState.RETIRED}
    return working, {slug: pk for slug, pk, state in found if state == AgentState.RETIRED}


def _systems(actor: User, near: Near) -> dict[str, Any]:
    asked = getattr(settings, "POLICY_OPERATIONS", "")
    found: dict[str, Any] = import_string(asked)(actor, near) if asked else {}
    return found


def _steps(actor: User, near: Near) -> tuple[Mapping[str, frozenset[str]] | None, frozenset[str]]:
    """The names of the steps of each workflow, and the workflows that are retired."""
    asked = getattr(settings, "POLICY_STEPS", "")
    if not asked:
        return None, frozenset()
    steps, ended = import_string(asked)(actor, near)
    return steps, ended
