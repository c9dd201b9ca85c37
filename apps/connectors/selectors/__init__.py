"""Which systems and operations an actor may see, which a principal may use, and how the systems do."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, Max, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from apps.agents.models import Action, Agent
from apps.agents.rules import AgentState, EffectClass, Environment
from apps.agents.selectors import agents_for
from apps.classification.rules import Classed, marked
from apps.connectors.models import (
    AccessRequest,
    Connector,
    ConnectorCall,
    ConnectorSecret,
    Effect,
    Operation,
    OperationPermission,
)
from apps.connectors.rules import (
    ConnectorState,
    Money,
    consequence_of,
    money_of,
    narrowed_schema,
    parameter_errors,
    refused_paths,
    split_parameters,
    target_of,
    uncallable,
)
from apps.connectors.rules.exclusive import key_of
from apps.connectors.rules.health import (
    CALLS_MAX,
    ENOUGH_FOR_P95,
    RECENT_S,
    WINDOW_DAYS,
    Condition,
    condition_of,
)
from apps.connectors.rules.limits import ERRORS_PER_1000
from apps.connectors.rules.mails import draft_of
from apps.connectors.rules.places import CREDENTIALS
from apps.connectors.rules.requests import RequestEnd
from apps.connectors.rules.states import SETTLED
from apps.core.errors import NotFoundError
from apps.core.gate import scope_for, visible
from apps.core.models import ClockTimestamp, User
from apps.core.prepared import Prepared, Slot
from apps.core.rules import ValueProblem
from apps.core.statistics import wilson_interval

MANAGE, USE = "connectors.manage_connector", "connectors.use_operation"
SHOWN_CALLS = 15
RECENT_DAYS, LATELY_DAYS = 90, 30
NOT_GRANTED = _("Your permission does not cover this parameter.")


@dataclass(frozen=True, slots=True)
class Permitted:
    """An operation that a principal may use now. ``fields`` None: all its parameters; ``limit`` None: any amount."""

    operation: Operation
    fields: list[str] | None
    until: datetime | None
    limit: Money | None = None

    @property
    def schema(self) -> dict[str, Any]:
        """The parameter schema, narrowed to the permitted fields."""
        return narrowed_schema(self.operation.parameters, self.fields, self.operation.path)

    def errors(self, parameters: dict[str, Any]) -> dict[str, list[str]]:
        """What does not fit, by dotted path: the schema, the permitted fields, the address, the amount."""
        operation = self.operation
        found = {path: [str(NOT_GRANTED)] for path in refused_paths(parameters, self.fields, operation.path)}
        for path, messages in parameter_errors(operation.parameters, parameters).items():
            found.setdefault(path, messages)
        if not found:
            for check in (self.money, self._made, self._key):
                try:
                    check(parameters)
                except ValueProblem as problem:
                    found.setdefault(problem.path, []).append(str(problem))
        return found

    def _key(self, parameters: dict[str, Any]) -> str:
        """What it may not run beside. Raises ValueProblem."""
        return key_of(self.operation.exclusive, parameters, environment=Environment.LIVE)

    def _made(self, parameters: dict[str, Any]) -> object:
        """The request, or the mail, of these parameters. Raises ValueProblem."""
        operation = self.operation
        if operation.mail is None:
            return split_parameters(operation.method, operation.path, parameters)
        domains = (operation.connector.mail or {}).get("recipients", [])
        return draft_of(operation.mail, parameters, domains=domains, amount=operation.amount)

    def money(self, parameters: dict[str, Any]) -> Money | None:
        """The amount of an action; None where the operation has none. Raises ValueProblem."""
        return money_of(parameters, self.operation.amount)

    def target(self, parameters: dict[str, Any]) -> str:
        """Whom or what the action is aimed at."""
        return target_of(parameters, self.operation.target)

    def consequence(self, parameters: dict[str, Any], classed: Classed | None = None) -> str:
        """The sentence that says what will happen; empty where the operation has no template.

        What carries a class of data (``classed``; None: of all that may) stands in it as a mark.
        """
        shown = marked(parameters, self.operation.classed if classed is None else classed)
        return consequence_of(self.operation.consequence, shown, self.money(parameters))


@dataclass(frozen=True, slots=True)
class MayUse:
    """One line of "this agent may": what was granted, by whom and why, and its use in 90 days; lately: in 30."""

    permission: OperationPermission
    operation: Operation
    is_live: bool
    used: int
    used_lately: int
    last_used_at: datetime | None
    most_minor: int | None
    missing: list[str]


@dataclass(frozen=True, slots=True)
class Health:
    """How a connector did: its newest calls within a week, at most 2,000 of them, against its error budget.

    That somebody tests the connection is no use of it: it counts only where what just happened says that it fails.

    ``error_share`` and its 95 % ``interval`` are None without a call; ``p50_ms`` and ``p95_ms`` are of calls that were
    answered, the latter of twenty or more. ``waiting``: effects that have not come to an end.
    """

    condition: Condition
    last_call_at: datetime | None
    calls: int
    troubled: int
    errors_per_1000: int
    interval: tuple[float, float] | None
    codes: dict[str, int]
    p50_ms: int | None
    p95_ms: int | None
    waiting: int

    @property
    def error_share(self) -> float | None:
        """How much of it went wrong, 0..1."""
        return self.troubled / self.calls if self.calls else None

    @property
    def allowed(self) -> float:
        """How many of these calls may go wrong."""
        return self.calls * self.errors_per_1000 / 1000


def permitted_operation_for(actor: User, slug: str) -> Permitted:
    """The operation if ``actor`` may use it now, with the permitted fields; one query. Raises NotFoundError."""
    found = _permission.first(user=actor.pk, slug=slug)
    if found is None:
        raise NotFoundError
    return Permitted(found.content_object, found.fields, found.until, found.limit)


def operations_for(actor: User) -> list[Permitted]:
    """What ``actor`` may use now, by slug."""
    rows = _usable(actor.pk).order_by("content_object__slug")
    return [Permitted(row.content_object, row.fields, row.until, row.limit) for row in rows]


def _usable(user: UUID | Slot) -> "QuerySet[OperationPermission]":
    return OperationPermission.objects.select_related("content_object__connector__unit").filter(
        OperationPermission.live(),
        user=user,
        user__is_active=True,
        content_object__state=ConnectorState.ACTIVE,
        content_object__connector__state=ConnectorState.ACTIVE,
    )


_permission = Prepared(lambda: _usable(Slot("user")).filter(content_object__slug=Slot("slug")).order_by("pk")[:1])


def connectors_for(actor: User) -> QuerySet[Connector]:
    """Systems that ``actor`` manages or may use, by slug. One without a unit is seen by all who see any."""
    rows = Connector.objects.select_related("unit", "inside_asked_by", "test_inside_asked_by").order_by("slug")
    seen = Q(pk__in=visible(actor, MANAGE, Connector.objects.all())) | Q(
        pk__in=visible(actor, USE, Operation.objects.all()).values("connector")
    )
    if _holds_somewhere(actor):
        seen |= Q(unit=None)
    return rows.filter(seen)


def _holds_somewhere(actor: User) -> bool:
    return any(scope.everywhere or scope.units for scope in (scope_for(actor, MANAGE), scope_for(actor, USE)))


def connector_for(actor: User, slug: str) -> Connector:
    """One system that ``actor`` may see. Raises NotFoundError."""
    if found := connectors_for(actor).filter(slug=slug).first():
        return found
    raise NotFoundError


def all_operations_for(actor: User) -> QuerySet[Operation]:
    """Operations that ``actor`` may see, by slug: those of the systems it sees."""
    return (
        Operation.objects.select_related("connector__unit").filter(connector__in=connectors_for(actor)).order_by("slug")
    )


def operation_for(actor: User, slug: str) -> Operation:
    """One operation that ``actor`` may see. Raises NotFoundError."""
    if "\x00" not in slug and (found := all_operations_for(actor).filter(slug=slug).first()):
        return found  # PostgreSQL takes no NUL, and no operation is called so
    raise NotFoundError


def irreversible_operations() -> set[str]:
    """The operations whose effect nobody can take back (``settings.POLICY_IRREVERSIBLE``)."""
    return set(Operation.objects.filter(effect=EffectClass.IRREVERSIBLE).values_list("slug", flat=True))


def operation_homes() -> dict[str, str]:
    """The connector of each operation that is not retired with it or by itself (``settings.POLICY_HOMES``)."""
    rows = Operation.objects.exclude(state=ConnectorState.RETIRED).exclude(connector__state=ConnectorState.RETIRED)
    return dict(rows.values_list("slug", "connector__slug"))


def secrets_for(actor: User, connector: Connector) -> QuerySet[ConnectorSecret]:
    """The versions of its secrets, newest first, for those who manage the connector; what is sealed stays where it is.

    Those of the live address come first. The first of an address is in use unless it was replaced: then there is none.
    """
    rows = ConnectorSecret.objects.filter(connector=connector).defer("sealed")
    return visible(actor, MANAGE, rows).select_related("made_by").order_by("credential", "-version")


def secret_for(actor: User, connector: Connector, environment: str = Environment.LIVE) -> ConnectorSecret | None:
    """The one in use at an address; None where there is none, or for those who do not manage the connector."""
    return secrets_for(actor, connector).filter(replaced_at=None, credential=CREDENTIALS[environment]).first()


def health_for(actor: User, connector: Connector) -> Health:
    """How a connector that ``actor`` may see does. Raises NotFoundError."""
    if not connectors_for(actor).filter(pk=connector.pk).exists():
        raise NotFoundError
    with connection.cursor() as cursor:
        cursor.execute(HEALTH, {"id": connector.pk, "days": WINDOW_DAYS, "most": CALLS_MAX, "recent": RECENT_S})
        calls, troubled, last, recent, recent_troubled, codes, answered, times = cursor.fetchone()
    budget = int(connector.limits.get("errors_per_1000", ERRORS_PER_1000))
    p50, p95 = times or (None, None)
    waiting = Effect.objects.filter(connector=connector, action__environment=Environment.LIVE)
    return Health(
        condition=condition_of(calls, troubled, errors_per_1000=budget, recent=recent, recent_troubled=recent_troubled),
        last_call_at=last,
        calls=calls,
        troubled=troubled,
        errors_per_1000=budget,
        interval=wilson_interval(troubled, calls),
        codes=dict(Counter(codes or []).most_common()),
        p50_ms=p50,
        p95_ms=p95 if answered >= ENOUGH_FOR_P95 else None,
        waiting=waiting.exclude(state__in=SETTLED).count(),
    )


HEALTH = """
SELECT count(*) FILTER (WHERE is_use), count(*) FILTER (WHERE is_use AND in_trouble), max(created_at),
       count(*) FILTER (WHERE is_recent), count(*) FILTER (WHERE is_recent AND in_trouble),
       array_agg(code) FILTER (WHERE is_use AND in_trouble), count(*) FILTER (WHERE is_use AND "end" = 'answered'),
       percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY duration_ms)
           FILTER (WHERE is_use AND "end" = 'answered')
FROM (SELECT *, purpose <> 'probe' AS is_use,
             created_at > statement_timestamp() - %(recent)s * interval '1 second' AS is_recent
      FROM connectors_connectorcall
      WHERE connector_id = %(id)s AND environment = 'live'
            AND created_at > statement_timestamp() - %(days)s * interval '1 day'
      ORDER BY created_at DESC LIMIT %(most)s) AS lately
"""


def calls_for(actor: User, connector: Connector) -> QuerySet[ConnectorCall]:
    """What a system was asked within five weeks, newest first: of a connector that ``actor`` may see."""
    rows = ConnectorCall.objects.filter(connector__in=connectors_for(actor).order_by(), connector=connector)
    return rows.select_related("operation").order_by("-created_at", "-id")


def operations_of_for(actor: User, connector: Connector) -> QuerySet[Operation]:
    """A system's operations that are not retired, each with how many may use it now (``holders``)."""
    holders = Count("permissions", filter=Q(permissions__until=None) | Q(permissions__until__gt=ClockTimestamp()))
    rows = all_operations_for(actor).filter(connector=connector).exclude(state=ConnectorState.RETIRED)
    return rows.select_related("pin").annotate(holders=holders)


def what_agent_may_for(actor: User, agent: Agent) -> list[MayUse]:
    """What an agent was granted, ended grants too, and its use in 90 days. Empty if ``actor`` may not see the agent."""
    if not agents_for(actor).filter(pk=agent.pk).exists():
        return []
    rows = list(
        OperationPermission.objects.filter(user=agent.user_id)
        .annotate(is_live=OperationPermission.live())
        .select_related("content_object__connector", "granted_by")
        .order_by("content_object__slug")
    )
    used: dict[str, dict[str, Any]] = {
        str(row["operation"]): dict(row)
        for row in Action.objects.filter(
            agent=agent,
            environment=Environment.LIVE,
            operation__in=[row.content_object.slug for row in rows],
            created_at__gt=ClockTimestamp() - timedelta(days=RECENT_DAYS),
        )
        .values("operation")
        .annotate(times=Count("id"), last=Max("created_at"), most=Max("amount_minor"))
        .annotate(lately=Count("id", filter=Q(created_at__gt=ClockTimestamp() - timedelta(days=LATELY_DAYS))))
    }
    return [_may_use(row, used.get(row.content_object.slug, {})) for row in rows]


def _may_use(row: Any, used: dict[str, Any]) -> MayUse:
    operation: Operation = row.content_object
    usable = operation.state == ConnectorState.ACTIVE and operation.connector.state == ConnectorState.ACTIVE
    return MayUse(
        permission=row,
        operation=operation,
        is_live=bool(row.is_live) and usable,
        used=used.get("times", 0),
        used_lately=used.get("lately", 0),
        last_used_at=used.get("last"),
        most_minor=used.get("most"),
        missing=uncallable(row.fields, operation.parameters, operation.path),
    )


def who_may_use_for(actor: User, connector: Connector) -> list[OperationPermission]:
    """Live permissions on a connector's operations, of agents that ``actor`` may see, and of workflows."""
    seen = agents_for(actor).exclude(state=AgentState.RETIRED).values("user")
    return list(
        OperationPermission.objects.filter(
            OperationPermission.live(), Q(user__in=seen) | Q(user__kind="system"), content_object__connector=connector
        )
        .filter(content_object__in=all_operations_for(actor))
        .select_related("content_object", "user__agent", "granted_by")
        .order_by("content_object__slug", "user__username")
    )


def requests_for(actor: User, *, agent: str = "", state: str = "") -> QuerySet[AccessRequest]:
    """What agents asked for, newest first: of those that one may see; an agent sees its own.

    ``state``: ``open`` or what became of them; what nobody answered in time is ``lapsed``.
    """
    rows = AccessRequest.objects.filter(agent__in=agents_for(actor).order_by().values("pk"))
    if agent:
        rows = rows.filter(agent__slug=agent)
    if state == "open":
        rows = rows.filter(AccessRequest.open())
    elif state == RequestEnd.LAPSED:
        rows = rows.filter(Q(outcome=state) | Q(ended_at=None) & ~AccessRequest.open())
    elif state:
        rows = rows.filter(outcome=state)
    rows = rows.annotate(is_open=AccessRequest.open())
    return rows.select_related("agent__unit", "agent__owner", "agent__user", "ended_by").order_by("-id")


def request_for(actor: User, request_id: UUID) -> AccessRequest:
    """One of them. Raises NotFoundError."""
    if found := requests_for(actor).filter(pk=request_id).first():
        return found
    raise NotFoundError


def effect_for(actor: User, action: Action) -> Effect | None:
    """The effect of an action that the caller fetched through ``action_for``; None before there is one."""
    assert actor.is_active
    return Effect.objects.select_related("operation", "connector").filter(action=action).first()
