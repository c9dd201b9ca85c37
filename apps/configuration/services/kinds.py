"""How each kind of document is brought about: through the commands of the app that owns it, never around them."""

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from apps.access.models import BusinessUnit, Calendar, Queue, Role
from apps.access.services import save_calendar, save_person, save_queue, save_role, save_rota, save_unit, set_roles
from apps.agents.models import Agent
from apps.agents.services import apply_state, save_agent, save_version, set_cases
from apps.configuration.rules import PRESENT, day_of, moment_of
from apps.configuration.services.caps import apply_breaker, apply_budget
from apps.configuration.services.classes import apply_data_class
from apps.configuration.services.goals import apply_baseline, apply_kpi, apply_price, apply_rate, apply_target
from apps.configuration.services.mappings import apply_group_mapping
from apps.configuration.services.reading import Document, chosen, reason_of
from apps.connectors.models import Connector, Operation, OperationPermission
from apps.connectors.rules import ConnectorState, Money, OperationSpec
from apps.connectors.services import (
    change_connector_state,
    change_operation_state,
    grant_operation,
    revoke_operation,
    save_connector,
    save_operation,
    set_pin,
    set_secret,
)
from apps.core.errors import InvalidError
from apps.core.models import User, database_now
from apps.notifications.services import save_chat_target
from apps.oversight.rules import DrillTerms
from apps.oversight.services import set_drills
from apps.policies.services import apply_policy
from apps.workflows.models import Workflow
from apps.workflows.services.definitions import publish_document
from apps.workflows.services.permissions import set_agent_workflows

CREATED, CHANGED, UNCHANGED = "created", "changed", "unchanged"
SPEC = tuple(OperationSpec.__dataclass_fields__)


def together(*outcomes: str) -> str:
    """What happened to an object that several commands made: the first says whether it is new."""
    if outcomes[0] == CREATED:
        return CREATED
    return UNCHANGED if all(outcome == UNCHANGED for outcome in outcomes) else CHANGED


def _name(document: Document) -> str:
    words = document.slug.replace("-", " ").replace("_", " ").replace(".", " ")
    return str(document.source.value.get("name") or words.capitalize())


def _unit(document: Document, key: str = "unit") -> BusinessUnit | None:
    slug = document.source.value.get(key)
    return BusinessUnit.objects.get(slug=slug) if slug else None


def _given(document: Document, key: str) -> str:
    """The value of the environment variable that the key names; empty where it is unset or not named."""
    return os.environ.get(str(document.source.value.get(key) or ""), "")


def _password(document: Document) -> str | None:
    """What the document gives; None where it gives none. Raises InvalidError for one that no page would take."""
    text = _given(document, "password_env")
    found = User.objects.filter(username=document.slug).first() or User(username=document.slug)
    if text and not found.check_password(text):
        try:
            validate_password(text, found)
        except ValidationError as error:
            raise InvalidError(errors={"password_env": error.messages}) from error
    return text or None


def _calendar(document: Document) -> Calendar | None:
    slug = document.source.value.get("calendar")
    return Calendar.objects.get(slug=slug) if slug else None


def apply_calendar(actor: User, document: Document) -> str:
    """Open hours and holidays."""
    value = document.source.value
    return save_calendar(
        actor,
        slug=document.slug,
        name=_name(document),
        timezone=value["timezone"],
        hours=value["hours"],
        holidays=value.get("holidays", []),
        region=value.get("region", ""),
    )[1]


def apply_unit(actor: User, document: Document) -> str:
    """A business unit."""
    more = chosen(document, "currency", "timezone", "hourly_rate_minor") | {"calendar": _calendar(document)}
    more |= {"is_reviewed": True, "agreed_by": document.approved_by}
    return save_unit(actor, slug=document.slug, name=_name(document), parent=_unit(document, "parent"), **more)[1]


def apply_role(actor: User, document: Document) -> str:
    """A role."""
    permissions = document.source.value["permissions"]
    return save_role(actor, slug=document.slug, name=_name(document), permissions=permissions)[1]


def apply_user(actor: User, document: Document) -> str:
    """A person, and the whole of the roles that they hold."""
    value = document.source.value
    user, outcome = save_person(
        actor,
        username=document.slug,
        name=str(value.get("name") or document.slug),
        email=value.get("email", ""),
        password=_password(document),
        reinstate=value.get("state") == PRESENT,
    )
    wanted = []
    for held in value.get("roles", []):
        unit = BusinessUnit.objects.get(slug=held["unit"]) if held.get("unit") else None
        until = moment_of(held["until"]) if held.get("until") else None
        if until is None or _is_ahead(until):
            wanted.append((Role.objects.get(slug=held["role"]), unit, until))
    return together(outcome, CHANGED if set_roles(actor, user=user, wanted=wanted) else UNCHANGED)


def _is_ahead(until: datetime) -> bool:
    """By the database's clock; what has ended is not granted again."""
    return until > database_now()


def apply_rota(actor: User, document: Document) -> str:
    """Who is on duty."""
    value = document.source.value
    return save_rota(
        actor,
        slug=document.slug,
        unit=BusinessUnit.objects.get(slug=value["unit"]),
        timezone=value["timezone"],
        starts=day_of(value["starts"]),
        people=value["people"],
        exceptions=value.get("exceptions", []),
        **chosen(document, "name", "at", "days"),
    )[1]


def apply_queue(actor: User, document: Document) -> str:
    """A queue and its drills: without the key there are none."""
    value = document.source.value
    unit, role = BusinessUnit.objects.get(slug=value["unit"]), Role.objects.get(slug=value["role"])
    optional = ("name", "sla_s", "expires_s", "unseen_after_s", "escalation", "repeat", "last_resort")
    more = {**chosen(document, *optional), "calendar": _calendar(document)}
    queue, outcome = save_queue(actor, slug=document.slug, unit=unit, role=role, **more)
    terms = DrillTerms(**value["drills"]) if value.get("drills") else None
    try:
        drills = set_drills(actor, queue=queue, terms=terms)
    except InvalidError as error:
        raise InvalidError(errors={f"drills.{name}": texts for name, texts in error.errors.items()}) from error
    return together(outcome, CHANGED if drills == CREATED else drills)


def apply_chat_target(actor: User, document: Document) -> str:
    """A chat; without the variable that ``url_env`` names the present address stays."""
    value = document.source.value
    queue = Queue.objects.select_related("unit").get(slug=value["queue"]) if value.get("queue") else None
    user = User.objects.get(username=value["user"]) if value.get("user") else None
    url, more = _given(document, "url_env"), chosen(document, "allow_internal")
    try:
        return save_chat_target(actor, slug=document.slug, queue=queue, user=user, url=url, **more)[1]
    except InvalidError as error:
        at = {"url_env" if name == "url" else name: problems for name, problems in error.errors.items()}
        raise InvalidError(errors=at) from error


def apply_connector(actor: User, document: Document) -> str:
    """A system and its secret; without the variable that ``secret_env`` names the present secret stays."""
    value = document.source.value
    connector, outcome = save_connector(
        actor,
        slug=document.slug,
        name=_name(document),
        base_url=value["base_url"],
        unit=_unit(document),
        agreed_by=document.approved_by,
        **chosen(document, "adapter", "allow_internal", "auth", "limits", "mail", "cleared", "test_base_url",
                  "test_allow_internal"),
    )  # fmt: skip
    sealed = [
        _seal(actor, connector, document, name, credential)
        for name, credential in (("secret_env", "main"), ("test_secret_env", "test"))
    ]
    return together(outcome, *sealed, _move_connector(actor, connector, value.get("state", "active"), document))


def _seal(actor: User, connector: Connector, document: Document, name: str, credential: str) -> str:
    """Set the secret that the variable named by ``name`` holds, if it holds one."""
    if not (secret := _given(document, name)):
        return UNCHANGED
    try:
        return set_secret(actor, connector=connector, secret=secret, credential=credential)[1]
    except InvalidError as error:
        raise InvalidError(errors={name: error.errors.get("secret", [str(error)])}) from error


def _move_connector(actor: User, connector: Connector, state: str, document: Document) -> str:
    if connector.state == state:
        return UNCHANGED
    change_connector_state(actor, connector=connector, to=state, reason=reason_of(document))
    return CHANGED


def apply_operation(actor: User, document: Document) -> str:
    """An operation and, if it was imported, where from. Without ``pinned`` what is known of that stays."""
    value = document.source.value
    spec = OperationSpec(**{"name": _name(document), **chosen(document, *SPEC)})
    connector = Connector.objects.select_related("unit").get(slug=value["connector"])
    operation, outcome = save_operation(actor, slug=document.slug, connector=connector, spec=spec)
    pinned = set_pin(actor, operation=operation, described=value.get("pinned"))
    outcome = together(outcome, CHANGED if pinned == CREATED else pinned)
    state = value.get("state", "active")
    if operation.state == state:
        return outcome
    change_operation_state(actor, operation=operation, to=state, reason=reason_of(document))
    return together(outcome, CHANGED)


def apply_agent(actor: User, document: Document) -> str:
    """An agent, its version, what it may use, its state. Without ``state`` it stays in the one it has."""
    value = document.source.value
    reviewed: dict[str, Any] = {"is_reviewed": True, "agreed_by": document.approved_by}
    agent, outcome = save_agent(
        actor,
        slug=document.slug,
        name=_name(document),
        unit=BusinessUnit.objects.get(slug=value["unit"]),
        owner=User.objects.get(username=value["owner"]),
        **chosen(document, "risk", "purpose", "known_limits", "capabilities", "limits"),
        **reviewed,
    )
    versioned = UNCHANGED
    if "version" in value or outcome == CREATED:
        versioned = save_version(actor, agent=agent, **reviewed, **value.get("version", {}))[1]
    permitted = _set_operations(actor, agent, document)
    tested = _set_cases(actor, agent, document)
    state = value.get("state", agent.state)
    moved = UNCHANGED if agent.state == state else CHANGED
    apply_state(actor, agent=agent, to=state, reason=reason_of(document), agreed_by=document.approved_by)
    return together(outcome, versioned, permitted, tested, moved)


def _set_cases(actor: User, agent: Agent, document: Document) -> str:
    cases = [{"parameters": {}, **case} for case in document.source.value.get("tests", [])]
    try:
        return set_cases(actor, agent=agent, cases=cases)
    except InvalidError as error:
        raise InvalidError(errors={f"tests.{path}": texts for path, texts in error.errors.items()}) from error


def _set_operations(actor: User, agent: Agent, document: Document) -> str:
    """Make the document's list the whole of what the agent may use."""
    reason = reason_of(document)
    outcomes = [UNCHANGED]
    wanted: set[str] = set()
    for place, item in enumerate(document.source.value.get("operations", [])):
        asked = {"operation": item} if isinstance(item, str) else item
        until = moment_of(asked["until"]) if asked.get("until") else None
        if until is not None and not _is_ahead(until):
            continue
        limit: Any = asked.get("limit")
        operation = Operation.objects.select_related("connector__unit").get(slug=asked["operation"])
        wanted.add(operation.slug)
        try:
            _, outcome = grant_operation(
                actor,
                holder=agent.user,
                operation=operation,
                fields=asked.get("fields"),
                until=until,
                limit=Money(limit["amount_minor"], limit["currency"]) if limit else None,
                reason=reason,
            )
        except InvalidError as error:
            inside = {f"operations.{place}.{path}": messages for path, messages in error.errors.items()}
            raise InvalidError(errors=inside) from error
        outcomes.append(outcome)
    surplus = OperationPermission.objects.filter(OperationPermission.live(), user=agent.user)
    surplus = surplus.exclude(content_object__slug__in=wanted).exclude(content_object__state=ConnectorState.RETIRED)
    for held in surplus.select_related("content_object__connector"):
        revoke_operation(actor, holder=agent.user, operation=held.content_object, reason=reason)
        outcomes.append(CHANGED)
    return UNCHANGED if set(outcomes) == {UNCHANGED} else CHANGED


def apply_agent_workflows(actor: User, document: Document) -> str:
    """The whole of the workflows that an agent works in; applied when both are there."""
    agent = Agent.objects.select_related("unit", "user").get(slug=document.slug)
    asked = [{"workflow": one} if isinstance(one, str) else one for one in document.source.value.get("workflows", [])]
    until = {one["workflow"]: moment_of(one["until"]) if one.get("until") else None for one in asked}
    wanted = [slug for slug, end in until.items() if end is None or _is_ahead(end)]
    workflows = {found: until[found.slug] for found in Workflow.objects.filter(slug__in=wanted)}
    return set_agent_workflows(actor, agent=agent, workflows=workflows, reason=reason_of(document))


def apply_workflow(actor: User, document: Document) -> str:
    """A workflow: checked, made a version, published."""
    return publish_document(actor, source=document.source, reason=reason_of(document), agreed_by=document.approved_by)[
        1
    ]


def apply_policy_document(actor: User, document: Document) -> str:
    """A policy, in force at once. What its rules name is checked as for everybody who writes some."""
    return apply_policy(
        actor,
        slug=document.slug,
        name=_name(document),
        rules=document.source.value["rules"],
        tests=document.source.value.get("tests", []),
        unit=_unit(document),
        agreed_by=document.approved_by,
    )[1]


APPLY: Mapping[str, Callable[[User, Document], str]] = {
    "Calendar": apply_calendar,
    "BusinessUnit": apply_unit,
    "Role": apply_role,
    "GroupMapping": apply_group_mapping,
    "User": apply_user,
    "Rota": apply_rota,
    "Queue": apply_queue,
    "ChatTarget": apply_chat_target,
    "DataClass": apply_data_class,
    "Connector": apply_connector,
    "Operation": apply_operation,
    "Agent": apply_agent,
    "Workflow": apply_workflow,
    "AgentWorkflows": apply_agent_workflows,
    "Policy": apply_policy_document,
    "Budget": apply_budget,
    "Breaker": apply_breaker,
    "Kpi": apply_kpi,
    "Target": apply_target,
    "Baseline": apply_baseline,
    "Price": apply_price,
    "Rate": apply_rate,
}
