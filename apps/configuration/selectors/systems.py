"""Systems, operations, agents and workflows as documents."""

from collections.abc import Iterator
from typing import Any

from apps.agents.models import Agent
from apps.agents.rules import AgentState, Environment
from apps.classification.models import DataClass
from apps.configuration.selectors.writing import Only, Written, document, dumped, listed, named, slug, time
from apps.connectors.models import Connector, ConnectorSecret, Operation, OperationPermission, OperationPin
from apps.connectors.rules import ConnectorState, OperationSpec
from apps.workflows.models import Workflow, WorkflowPermission

DEFAULTS = OperationSpec(name="", method="", path="", effect="")


def data_classes(only: Only) -> Iterator[Written]:
    """Classes of data."""
    names = ("slug", "name", "purpose", "sensitivity", "retention_days", "visible_to")
    for found in named(DataClass.objects.order_by("slug"), only):
        head = {"kind": "DataClass", **{name: getattr(found, name) for name in names}}
        yield found.slug, document(head) + listed("redact_in", found.redact_in)


def connectors(only: Only) -> Iterator[Written]:
    """Systems that are not retired; their secrets are not written."""
    sealed: dict[Any, str] = {}
    for secret in ConnectorSecret.objects.filter(replaced_at=None).order_by("credential"):
        name = "secret_env" if secret.environment == Environment.LIVE else "test_secret_env"
        said = f"# its secret {secret.fingerprint} is not exported; {name} names where apply finds one\n"
        sealed[secret.connector_id] = sealed.get(secret.connector_id, "") + said
    rows = Connector.objects.exclude(state=ConnectorState.RETIRED).select_related("unit")
    for connector in named(rows, only).order_by("slug"):
        yield (
            connector.slug,
            document(
                {
                    "kind": "Connector",
                    "slug": connector.slug,
                    "name": connector.name,
                    "adapter": connector.adapter,
                    "base_url": connector.base_url,
                    "allow_internal": connector.allow_internal or None,
                    "test_base_url": connector.test_base_url or None,
                    "test_allow_internal": connector.test_allow_internal or None,
                    "auth": connector.auth,
                    "limits": connector.limits or None,
                    "cleared": connector.cleared,
                    "mail": connector.mail,
                    "unit": slug(connector.unit),
                    "state": None if connector.state == ConnectorState.ACTIVE else connector.state,
                },
                sealed.get(connector.pk, ""),
            ),
        )


def operations(only: Only) -> Iterator[Written]:
    """Operations that are not retired; what is the default is left out."""
    rows = Operation.objects.exclude(state=ConnectorState.RETIRED).select_related("connector", "pin")
    for operation in named(rows, only).order_by("slug"):
        described = {name: getattr(operation, name) for name in OperationSpec.__dataclass_fields__}
        more = {name: value for name, value in described.items() if value != getattr(DEFAULTS, name)}
        if pin := getattr(operation, "pin", None):
            more["pinned"] = _pin(pin)
        if operation.state != ConnectorState.ACTIVE:
            more["state"] = operation.state
        head = {"kind": "Operation", "slug": operation.slug, "connector": operation.connector.slug}
        yield operation.slug, dumped({**head, **more})


def _pin(pin: OperationPin) -> dict[str, Any]:
    told = {name: getattr(pin, name) for name in ("document", "waiting", "proposed")}
    kept = {name: value for name, value in told.items() if value}
    return {"key": pin.key, "digest": pin.digest, "guess": pin.guess, "definition": pin.definition, **kept}


def agents(only: Only) -> Iterator[Written]:
    """Agents that are not retired: the version in force, and what they may use."""
    rows = Agent.objects.exclude(state=AgentState.RETIRED).select_related("unit", "owner", "version", "user")
    for agent in named(rows, only).order_by("slug"):
        version = agent.version
        described = version and {
            name: getattr(version, name) for name in ("model", "provider", "instructions", "config", "changelog")
        }
        yield (
            agent.slug,
            document(
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
                    "workflows": _workflows_of(agent),
                    "limits": agent.limits,
                    "tests": [case.said for case in agent.cases.order_by("name")],
                },
                "" if agent.owner.is_active else f"# {agent.owner.username} has left: name another owner\n",
            ),
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
        line["until"] = time(held.until)
    if held.limit is not None:
        line["limit"] = {"amount_minor": held.limit.minor, "currency": held.limit.currency}
    return line


def _workflows_of(agent: Agent) -> list[Any]:
    rows = WorkflowPermission.objects.filter(
        WorkflowPermission.live(), user=agent.user, content_object__retired_at=None
    )
    held = dict(rows.order_by("content_object__slug").values_list("content_object__slug", "until"))
    return [{"workflow": name, "until": time(until)} if until else name for name, until in held.items()]


def workflows(only: Only) -> Iterator[Written]:
    """Workflows as they were written."""
    rows = Workflow.objects.filter(retired_at=None).exclude(active=None).select_related("active")
    for workflow in named(rows, only).order_by("slug"):
        assert workflow.active is not None, "filtered above"
        yield workflow.slug, f"{workflow.active.source.strip()}\n"
