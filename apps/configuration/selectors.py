"""The present configuration as documents that, applied, change nothing."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from io import StringIO
from typing import Any

import yaml

from apps.access.models import BusinessUnit, Calendar, Queue, Role, RoleGrant, Rota
from apps.access.rules import ADMINISTRATOR, WEEKDAYS
from apps.access.selectors import live_grants
from apps.agents.models import Agent
from apps.agents.rules import AgentState
from apps.configuration.rules import KINDS
from apps.connectors.models import Connector, ConnectorSecret, Operation, OperationPermission, OperationPin
from apps.connectors.rules import ConnectorState, OperationSpec
from apps.core.gate import refuse_agents, require
from apps.core.models import User
from apps.halts.models import Breaker
from apps.kpis.models import Baseline, Target
from apps.notifications.models import ChatTarget
from apps.oversight.selectors import drill_plan_of
from apps.policies.models import Budget, Policy
from apps.policies.rules import PolicyState
from apps.policies.rules.budgets import Measure
from apps.workflows.models import Workflow

DEFAULTS = OperationSpec(name="", method="", path="", effect="")


def export_for(actor: User, *, kinds: Sequence[str] = KINDS) -> str:
    """All objects of these kinds as YAML. For ``manage.py``, and for whoever manages access everywhere."""
    refuse_agents(actor)
    if actor.is_human:
        require(actor, "access.manage_access")
    return "---\n".join(text for kind in KINDS if kind in kinds for text in EXPORT[kind]())


class _Dumper(yaml.SafeDumper):
    """Quotes whatever a reader of our YAML would take for a number, not only what others would; knows no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        """What occurs twice is written twice."""
        return True


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$"),
    list("-0123456789"),
)


def _yaml(document: Mapping[str, Any], comment: str = "") -> str:
    written = {name: value for name, value in document.items() if value not in (None, "", [], {})}
    return f"{comment}{_dumped(written)}" if written else comment


def _dumped(value: dict[str, Any]) -> str:
    """A key per line; what is inside stays on its line where it is flat."""
    node = _Dumper(StringIO(), sort_keys=False, default_flow_style=None).represent_data(value)
    assert isinstance(node, yaml.MappingNode), "a mapping was given"
    node.flow_style = False
    return str(yaml.serialize(node, Dumper=_Dumper, allow_unicode=True, width=110))


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def _slug(row: Any) -> str | None:
    return row.slug if row else None


def _calendars() -> Iterator[str]:
    for calendar in Calendar.objects.order_by("slug"):
        yield _yaml(
            {
                "kind": "Calendar",
                "slug": calendar.slug,
                "name": calendar.name,
                "timezone": calendar.timezone,
                "hours": {name: calendar.hours[name] for name in WEEKDAYS if name in calendar.hours},
                "holidays": calendar.holidays,
                "region": calendar.region,
            }
        )


def _rotas() -> Iterator[str]:
    here = set(User.objects.filter(kind="human", is_active=True).values_list("username", flat=True))
    for rota in Rota.objects.select_related("unit").order_by("slug"):
        yield _yaml(
            {
                "kind": "Rota",
                "slug": rota.slug,
                "name": rota.name,
                "unit": rota.unit.slug,
                "timezone": rota.timezone,
                "starts": rota.starts.isoformat(),
                "at": rota.at,
                "days": rota.days,
                "people": [name for name in rota.people if name in here] or rota.people,  # without who left
                "exceptions": [one for one in rota.exceptions if one["user"] in here],
            }
        )


def _units() -> Iterator[str]:
    for unit in BusinessUnit.objects.select_related("parent", "calendar").order_by("created_at", "slug"):
        yield _yaml(
            {
                "kind": "BusinessUnit",
                "slug": unit.slug,
                "name": unit.name,
                "parent": _slug(unit.parent),
                "currency": unit.currency,
                "timezone": unit.timezone,
                "calendar": _slug(unit.calendar),
                "hourly_rate_minor": unit.hourly_rate_minor,
            }
        )


def _roles() -> Iterator[str]:
    for role in Role.objects.exclude(slug=ADMINISTRATOR).order_by("slug"):
        head = {"kind": "Role", "slug": role.slug, "name": role.name}
        yield _yaml(head) + _yaml_list("permissions", role.permissions)


def _yaml_list(name: str, items: list[Any]) -> str:
    """A list that is written even when it is empty."""
    return _dumped({name: items})


def _users() -> Iterator[str]:
    held: dict[Any, list[dict[str, Any]]] = {}
    for grant in RoleGrant.objects.filter(live_grants()).select_related("role", "unit").order_by("role__slug", "id"):
        line = {"role": grant.role.slug, "unit": _slug(grant.unit), "until": _time(grant.until)}
        held.setdefault(grant.user_id, []).append({name: value for name, value in line.items() if value})
    for user in User.objects.filter(kind="human", is_active=True).order_by("username"):
        yield _yaml(
            {
                "kind": "User",
                "username": user.username,
                "name": user.name,
                "email": user.email,
                "roles": held.get(user.pk),
            }
        )


def _queues() -> Iterator[str]:
    for queue in Queue.objects.select_related("unit", "role", "calendar", "drill_plan").order_by("slug"):
        yield _yaml(
            {
                "kind": "Queue",
                "slug": queue.slug,
                "name": queue.name,
                "unit": queue.unit.slug,
                "role": queue.role.slug,
                "sla_s": queue.sla_s,
                "expires_s": queue.expires_s,
                "unseen_after_s": queue.unseen_after_s,
                "escalation": queue.escalation,
                "repeat": queue.repeat or None,
                "last_resort": queue.last_resort or None,
                "calendar": _slug(queue.calendar),
                "drills": _drills(queue),
            }
        )


def _drills(queue: Queue) -> dict[str, Any] | None:
    plan = drill_plan_of(queue)
    if plan is None:
        return None
    said = {"per_week": plan.per_week, "announcement": plan.announcement}
    return {**said, "critical": True} if plan.critical else said


def _chat_targets() -> Iterator[str]:
    for target in ChatTarget.objects.filter(removed_at=None).select_related("queue", "user").order_by("slug"):
        comment = f"# its address {target.fingerprint} is not exported; url_env names where apply finds one\n"
        yield _yaml(
            {
                "kind": "ChatTarget",
                "slug": target.slug,
                "queue": _slug(target.queue),
                "user": target.user.username if target.user else None,
                "allow_internal": target.allow_internal or None,
            },
            comment,
        )


def _connectors() -> Iterator[str]:
    sealed = dict(
        ConnectorSecret.objects.filter(replaced_at=None).values_list("connector_id", "fingerprint").order_by("id")
    )
    for connector in Connector.objects.exclude(state=ConnectorState.RETIRED).select_related("unit").order_by("slug"):
        fingerprint = sealed.get(connector.pk)
        comment = f"# its secret {fingerprint} is not exported; secret_env names where apply finds one\n"
        yield _yaml(
            {
                "kind": "Connector",
                "slug": connector.slug,
                "name": connector.name,
                "adapter": connector.adapter,
                "base_url": connector.base_url,
                "allow_internal": connector.allow_internal or None,
                "auth": connector.auth,
                "limits": connector.limits or None,
                "mail": connector.mail,
                "unit": _slug(connector.unit),
                "state": None if connector.state == ConnectorState.ACTIVE else connector.state,
            },
            comment if fingerprint else "",
        )


def _operations() -> Iterator[str]:
    for operation in (
        Operation.objects.exclude(state=ConnectorState.RETIRED).select_related("connector", "pin").order_by("slug")
    ):
        described = {name: getattr(operation, name) for name in OperationSpec.__dataclass_fields__}
        more = {name: value for name, value in described.items() if value != getattr(DEFAULTS, name)}
        yield _yaml(
            {
                "kind": "Operation",
                "slug": operation.slug,
                "connector": operation.connector.slug,
                **more,
                "pinned": _pin(getattr(operation, "pin", None)),
                "state": None if operation.state == ConnectorState.ACTIVE else operation.state,
            }
        )


def _pin(pin: OperationPin | None) -> dict[str, Any] | None:
    if pin is None:
        return None
    told = {name: getattr(pin, name) for name in ("document", "waiting", "proposed")}
    kept = {name: value for name, value in told.items() if value}
    return {"key": pin.key, "digest": pin.digest, "guess": pin.guess, "definition": pin.definition, **kept}


def _agents() -> Iterator[str]:
    for agent in (
        Agent.objects.exclude(state=AgentState.RETIRED)
        .select_related("unit", "owner", "version", "user")
        .order_by("slug")
    ):
        version = agent.version
        described = version and {
            name: getattr(version, name) for name in ("model", "provider", "instructions", "config", "changelog")
        }
        workflows = Workflow.objects.filter(permissions__user=agent.user, retired_at=None).distinct()
        yield _yaml(
            {
                "kind": "Agent",
                "slug": agent.slug,
                "name": agent.name,
                "purpose": agent.purpose,
                "known_limits": agent.known_limits,
                "unit": agent.unit.slug,
                "owner": agent.owner.username,
                "risk": agent.risk,
                "state": agent.state,
                "capabilities": agent.capabilities,
                "version": described and {name: value for name, value in described.items() if value},
                "operations": [_permission(held) for held in _held(agent)],
                "workflows": sorted(workflow.slug for workflow in workflows),
                "limits": agent.limits,
            }
        )


def _held(agent: Agent) -> Iterator[OperationPermission]:
    rows = OperationPermission.objects.filter(OperationPermission.live(), user=agent.user)
    rows = rows.exclude(content_object__state=ConnectorState.RETIRED)
    yield from rows.select_related("content_object").order_by("content_object__slug")


def _permission(held: OperationPermission) -> Any:
    if held.fields is None and held.until is None and held.limit is None:
        return held.content_object.slug
    line: dict[str, Any] = {"operation": held.content_object.slug}
    if held.fields is not None:
        line["fields"] = held.fields
    if held.until is not None:
        line["until"] = _time(held.until)
    if held.limit is not None:
        line["limit"] = {"amount_minor": held.limit.minor, "currency": held.limit.currency}
    return line


def _policies() -> Iterator[str]:
    rows = Policy.objects.filter(state=PolicyState.IN_FORCE).select_related("unit", "in_force")
    for policy in rows.order_by("slug"):
        version = policy.in_force
        assert version is not None, "a policy in force has a version in force"
        head = {"kind": "Policy", "slug": policy.slug, "name": policy.name, "unit": _slug(policy.unit)}
        yield (
            _yaml(head) + _yaml_list("rules", version.rules) + _yaml_list("tests", version.tests) * bool(version.tests)
        )


def _budgets() -> Iterator[str]:
    for budget in Budget.objects.filter(ended_at=None).select_related("owner").order_by("slug"):
        head = {"kind": "Budget", "slug": budget.slug, "name": budget.name, "scope": {budget.scope: budget.target}}
        cap = "cap_minor" if budget.measure == Measure.MONEY else "cap_calls"
        more = {name: getattr(budget, name) for name in ("currency", "period", "exhausted", "queue")}
        yield _yaml(head) + _dumped({cap: budget.cap}) + _yaml({**more, "owner": budget.owner.username})


def _breakers() -> Iterator[str]:
    for breaker in Breaker.objects.filter(ended_at=None).order_by("slug"):
        head = {"kind": "Breaker", "slug": breaker.slug, "name": breaker.name, "counts": breaker.kind}
        more = {name: getattr(breaker, name) for name in ("scope", "target", "threshold", "window_s", "currency")}
        yield _yaml({**head, **more})


def _workflows() -> Iterator[str]:
    rows = Workflow.objects.filter(retired_at=None).exclude(active=None).select_related("active")
    for workflow in rows.order_by("slug"):
        assert workflow.active is not None, "filtered above"
        yield f"{workflow.active.source.strip()}\n"


def _targets() -> Iterator[str]:
    for target in Target.objects.order_by("slug"):
        yield (
            _yaml(
                {
                    "kind": "Target",
                    "slug": target.slug,
                    "workflow": target.workflow,
                    "kpi": target.kpi,
                }
            )
            + _yaml_number("value", target.value)
            + _yaml({"direction": target.direction})
            + _yaml_number("tolerance", target.tolerance)
        )


def _baselines() -> Iterator[str]:
    for baseline in Baseline.objects.select_related("owner").order_by("slug"):
        yield (
            _yaml({"kind": "Baseline", "slug": baseline.slug, "workflow": baseline.workflow, "kpi": baseline.kpi})
            + _yaml_number("value", baseline.value)
            + _yaml(
                {
                    "from": baseline.valid_from.isoformat(),
                    "source": baseline.source,
                    "n": baseline.n,
                    "period": baseline.period,
                    "owner": baseline.owner.username if baseline.owner else None,
                }
            )
        )


def _yaml_number(name: str, value: Any) -> str:
    """Every digit of a decimal, zero too."""
    return f"{name}: {value.normalize():f}\n"


EXPORT: Mapping[str, Callable[[], Iterator[str]]] = {
    "Calendar": _calendars,
    "BusinessUnit": _units,
    "Role": _roles,
    "User": _users,
    "Rota": _rotas,
    "Queue": _queues,
    "ChatTarget": _chat_targets,
    "Connector": _connectors,
    "Operation": _operations,
    "Agent": _agents,
    "Workflow": _workflows,
    "Policy": _policies,
    "Budget": _budgets,
    "Breaker": _breakers,
    "Target": _targets,
    "Baseline": _baselines,
}
