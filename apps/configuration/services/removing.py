"""How an object goes: retired where its past refers to it, removed where nothing does."""

from collections.abc import Callable, Mapping

from django.conf import settings
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit, Calendar, Queue, Role, Rota
from apps.access.services import end_person, note_second, require_two_by_name
from apps.access.services.removals import remove_calendar, remove_queue, remove_role, remove_rota, remove_unit
from apps.agents.models import Agent
from apps.agents.rules import AgentState
from apps.agents.services import apply_state
from apps.configuration.services.caps import released_by_second
from apps.configuration.services.classes import end_data_class
from apps.configuration.services.goals import approved_by_second
from apps.configuration.services.kinds import UNCHANGED
from apps.configuration.services.mappings import end_group_mapping
from apps.configuration.services.reading import Document, reason_of
from apps.connectors.models import Connector, Operation
from apps.connectors.rules import ConnectorState
from apps.connectors.services import change_connector_state, change_operation_state
from apps.core.errors import ConflictError, NotAllowedError
from apps.core.models import User
from apps.halts.models import Breaker
from apps.halts.services import end_breaker
from apps.kpis.models import Baseline, Kpi, Target
from apps.kpis.models.goals import LIVE
from apps.kpis.services.baselines import remove_baseline
from apps.kpis.services.business import delete_kpi
from apps.kpis.services.goals import delete_target
from apps.notifications.models import ChatTarget
from apps.notifications.services import remove_chat_target
from apps.policies.models import Budget, Policy, Proposal
from apps.policies.rules import PolicyState, ProposalState
from apps.policies.selectors import rights_to_release
from apps.policies.services import publish_policy, retire_policy
from apps.policies.services.budgets import PROPOSED, end_budget
from apps.workflows.models import Workflow
from apps.workflows.services.definitions import retire_workflow

REMOVED = "removed"


def _calendar(actor: User, document: Document) -> str:
    found = Calendar.objects.filter(slug=document.slug).first()
    return _done(found and remove_calendar(actor, calendar=found))


def _unit(actor: User, document: Document) -> str:
    found = BusinessUnit.objects.filter(slug=document.slug).first()
    return _done(found and remove_unit(actor, unit=found))


def _role(actor: User, document: Document) -> str:
    found = Role.objects.filter(slug=document.slug).first()
    return _done(found and remove_role(actor, role=found))


def _queue(actor: User, document: Document) -> str:
    found = Queue.objects.filter(slug=document.slug).select_related("unit").first()
    return _done(found and remove_queue(actor, queue=found))


def _chat_target(actor: User, document: Document) -> str:
    rows = ChatTarget.objects.filter(slug=document.slug, removed_at=None).select_related("queue__unit")
    found = rows.first()
    return _done(found and remove_chat_target(actor, target=found))


def _user(actor: User, document: Document) -> str:
    found = User.objects.filter(username=document.slug, kind="human", is_active=True).first()
    if found:
        end_person(actor, user=found, reason=reason_of(document))
    return _done(found)


def _connector(actor: User, document: Document) -> str:
    found = Connector.objects.filter(slug=document.slug).exclude(state=ConnectorState.RETIRED).first()
    to = ConnectorState.RETIRED
    return _done(found and change_connector_state(actor, connector=found, to=to, reason=reason_of(document)))


def _operation(actor: User, document: Document) -> str:
    rows = Operation.objects.select_related("connector__unit").exclude(state=ConnectorState.RETIRED)
    found = rows.filter(slug=document.slug).first()
    to = ConnectorState.RETIRED
    return _done(found and change_operation_state(actor, operation=found, to=to, reason=reason_of(document)))


def _agent(actor: User, document: Document) -> str:
    rows = Agent.objects.select_related("unit").exclude(state=AgentState.RETIRED)
    found, to = rows.filter(slug=document.slug).first(), AgentState.RETIRED
    return _done(
        found and apply_state(actor, agent=found, to=to, reason=reason_of(document), agreed_by=document.approved_by)
    )


def _workflow(actor: User, document: Document) -> str:
    found = Workflow.objects.select_related("unit").filter(slug=document.slug, retired_at=None).first()
    return _done(found and retire_workflow(actor, workflow=found, reason=reason_of(document)))


def _policy(actor: User, document: Document) -> str:
    rows = Policy.objects.select_related("unit").exclude(state=PolicyState.RETIRED)
    found = rows.filter(slug=document.slug).first()
    if found:
        made = retire_policy(actor, policy=found, reason=reason_of(document))
        _release(actor, document, made)
    return _done(found)


def _release(actor: User, document: Document, proposal: Proposal) -> None:
    """In the second person's name, where it takes two. Raises NotAllowedError where none is named who may."""
    if proposal.state != ProposalState.OPEN:
        return
    second = document.approved_by
    rights = rights_to_release(actor, proposal.policy, proposal.version)
    require_two_by_name(actor, proposal.policy, second=second, rights=rights, at="state")
    if second is None:
        raise NotAllowedError(_("Without this policy more may be allowed: name who agrees with --approved-by."))
    publish_policy(second, policy=proposal.policy, version=proposal.version.number)
    if not settings.IN_PRODUCTION:
        note_second(actor, proposal.policy, second=second, of="state")


def _budget(actor: User, document: Document) -> str:
    found = Budget.objects.select_related("unit").filter(slug=document.slug, ended_at=None).first()
    if found is None:
        return UNCHANGED
    change = end_budget(actor, budget=found, reason=reason_of(document))
    return REMOVED if released_by_second(actor, document, change) else PROPOSED


def _breaker(actor: User, document: Document) -> str:
    found = Breaker.objects.select_related("unit").filter(slug=document.slug, ended_at=None).first()
    if found is None:
        return UNCHANGED
    change = end_breaker(actor, breaker=found, reason=reason_of(document))
    return REMOVED if released_by_second(actor, document, change) else PROPOSED


def _kpi(actor: User, document: Document) -> str:
    found = Kpi.objects.filter(slug=document.slug).first()
    if found:
        delete_kpi(actor, kpi=found)
    return _done(found)


def _target(actor: User, document: Document) -> str:
    value = document.source.value
    about = {"workflow": value.get("workflow") or "", "kpi": value.get("kpi", "")}
    found = Target.objects.filter(**({"slug": value["slug"]} if "slug" in value else about)).first()
    if found:
        delete_target(actor, target=found)
    return _done(found)


def _baseline(actor: User, document: Document) -> str:
    value = document.source.value
    about = {"workflow": value.get("workflow") or "", "kpi": value.get("kpi", ""), "valid_from": value.get("from")}
    rows = Baseline.objects.filter(LIVE, **({"slug": value["slug"]} if "slug" in value else about))
    found = rows.first()
    if found is None or remove_baseline(actor, slug=found.slug):
        return _done(found)
    found.refresh_from_db()
    return REMOVED if approved_by_second(actor, document, found, asked_by=found.removal_by) else PROPOSED


def _done(found: object) -> str:
    return REMOVED if found else UNCHANGED


def _rota(actor: User, document: Document) -> str:
    found = Rota.objects.select_related("unit").filter(slug=document.slug).first()
    return _done(found and remove_rota(actor, rota=found))


def _price(actor: User, document: Document) -> str:
    """Raises ConflictError: what work cost is counted by it."""
    raise ConflictError(_("Prices stay, because what work cost is counted by them: say another from a later day."))


def _rate(actor: User, document: Document) -> str:
    """Raises ConflictError: what work cost is counted by it."""
    raise ConflictError(_("Rates stay, because what work cost is counted by them: a later one ends an earlier one."))


REMOVE: Mapping[str, Callable[[User, Document], str]] = {
    "Calendar": _calendar,
    "BusinessUnit": _unit,
    "Role": _role,
    "GroupMapping": lambda actor, document: _done(end_group_mapping(actor, document)),
    "User": _user,
    "Rota": _rota,
    "Queue": _queue,
    "ChatTarget": _chat_target,
    "DataClass": lambda actor, document: _done(end_data_class(actor, document)),
    "Connector": _connector,
    "Operation": _operation,
    "Agent": _agent,
    "Workflow": _workflow,
    "Policy": _policy,
    "Budget": _budget,
    "Breaker": _breaker,
    "Kpi": _kpi,
    "Target": _target,
    "Baseline": _baseline,
    "Price": _price,
    "Rate": _rate,
}
