"""Edit and approve: the rules judge the edited parameters, and what that means for the item."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from django.db.models import F
from django.db.models.functions import Least
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.agents.selectors import hidden_of
from apps.audit.services import record
from apps.classification.rules import Veil, carried, data_classes_in, restored, united
from apps.classification.rules.terms import ANY
from apps.connectors.models import Operation
from apps.connectors.rules import Money
from apps.connectors.selectors import Permitted, permitted_operation_for
from apps.core.differences import masks_in, unmasked
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.models import ClockTimestamp, User
from apps.core.rules import ValueProblem, highest_risk
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.rules import EDIT, EscalationState, action_digest, marked_patch, patch_between
from apps.oversight.services.arrivals import arrival_times
from apps.oversight.services.decisions import void_votes
from apps.oversight.services.endings import end_approvals_on
from apps.oversight.services.items import Wanted, title_of, wanted_of
from apps.oversight.services.stages import follow_stages
from apps.policies.rules import (
    USUAL_BULK,
    AgentFacts,
    Effect,
    Facts,
    RunFacts,
    Verdict,
    is_stricter,
    joined,
    verdict_of,
)
from apps.policies.rules.quiet import quieted
from apps.policies.selectors.quiet import quieted_for
from apps.policies.services import evaluate_action
from apps.policies.services.reserving import reserve_again


@dataclass(frozen=True, slots=True)
class Edit:
    """Edited parameters, judged. ``is_stricter``: the rules now demand what they did not before."""

    parameters: dict[str, Any]
    digest: str
    patch: list[dict[str, Any]]
    verdict: Verdict
    is_stricter: bool
    money: Money | None
    target: str
    consequence: str
    permitted: Permitted
    classed: dict[str, list[list[str]]]


def weigh_edit(actor: User, item: Escalation, parameters: dict[str, Any]) -> Edit | None:
    """The edit if there is one (None: nothing differs). Writes nothing.

    Raises InvalidError where the parameters miss the operation's schema or the agent's permission, or where the rules
    deny them.
    """
    action = item.action
    if action is None:
        raise InvalidError(errors={"parameters": [_("Only an action's parameters can be edited.")]})
    parameters = _with_hidden(actor, action, cast("dict[str, Any]", unmasked(parameters, action.parameters)))
    if lost := masks_in(parameters):
        raise InvalidError(errors={f"parameters.{path}": [_("Type the secret anew.")] for path in lost})
    try:
        permitted = permitted_operation_for(action.principal, action.operation)
        digest = action_digest(action.operation, parameters)
    except NotFoundError as error:
        raise InvalidError(errors={"parameters": [_("The agent may no longer use this operation.")]}) from error
    except ValueProblem as problem:
        raise InvalidError(errors={f"parameters.{problem.path}".rstrip("."): [str(problem)]}) from problem
    if digest == item.digest:
        return None
    _require_taken(action)
    if found := permitted.errors(parameters):
        told = _told(actor, action, parameters, found)
        raise InvalidError(errors={f"parameters.{path}".rstrip("."): texts for path, texts in told.items()})
    money, target = permitted.money(parameters), permitted.target(parameters)
    classed = _cleared(action, permitted, parameters)
    verdict = evaluate_action(actor, facts=facts_of(item, action, permitted, parameters))
    if verdict.effect is Effect.DENY:
        raise InvalidError(_("The rules deny this."), errors={"parameters": _denials(actor, verdict)})
    classed = permitted.operation.hiding(classed, verdict.obligations.redact, parameters)
    return Edit(
        parameters=parameters,
        digest=digest,
        patch=patch_between((item.asked or {}).get("parameters", action.parameters), parameters),
        verdict=verdict,
        is_stricter=is_stricter(verdict, verdict_of(item.verdict)),
        money=money,
        target=target,
        consequence=permitted.consequence(parameters, classed),
        permitted=permitted,
        classed=classed,
    )


def _with_hidden(actor: User, action: Action, parameters: dict[str, Any]) -> dict[str, Any]:
    """What the editor may not see, as it is. Raises InvalidError where they gave something else for it."""
    if not action.classed:
        return parameters
    hide = hidden_of(actor, action)
    given, wrong = restored(parameters, action.parameters, action.classed, hide)
    if wrong:
        text = _("You may not see this value, so you cannot change it.")
        raise InvalidError(errors={f"parameters.{path}".rstrip("."): [text] for path in wrong})
    return cast("dict[str, Any]", given)


def _told(actor: User, action: Action, parameters: dict[str, Any], found: dict[str, list[str]]) -> dict[str, list[str]]:
    """What does not fit, quoting nothing that the editor may not see: not even a part, where a text was cut."""
    hide = hidden_of(actor, action)
    hidden = {slug: action.classed[slug] for slug in hide}
    at = [path for paths in hidden.values() for path in paths]
    veil = Veil([(hidden, parameters)])

    def is_near(path: str) -> bool:
        names = path.split(".") if path else []
        return any(all(a in (b, ANY) for a, b in zip(one, names, strict=False)) for one in at)

    said = _("As a whole this does not fit what the operation takes.")
    return {path: [said] if is_near(path) else veil.over(texts) for path, texts in found.items()}


def _carried(action: Action, operation: Operation, parameters: dict[str, Any]) -> dict[str, list[list[str]]]:
    """The classes of the operation, and those that the action's run handed on."""
    return united(carried(operation.classed, parameters), carried(action.classed, parameters))


def _cleared(action: Action, permitted: Permitted, parameters: dict[str, Any]) -> dict[str, list[list[str]]]:
    """The classes that edited parameters carry. Raises InvalidError where the system is not cleared for one."""
    classed = _carried(action, permitted.operation, parameters)
    if lacking := permitted.operation.not_cleared(classed):
        text = _("%(system)s is not cleared for the class %(slug)s.")
        raise InvalidError(
            errors={
                f"parameters.{'.'.join(path)}": [text % {"system": permitted.operation.connector, "slug": slug}]
                for slug in lacking
                for path in classed[slug]
            }
        )
    return classed


def _require_taken(action: Action) -> None:
    """Raise InvalidError where whoever asked would run what it asked for, not what a person made of it."""
    if EDIT in action.cannot_take:
        text = _("The agent's framework takes no edited parameters: approve it as it is, or reject it.")
        raise InvalidError(errors={"parameters": [text]})


def _denials(actor: User, verdict: Verdict) -> list[str]:
    rules = quieted_for(actor, verdict.as_json())["rules"]
    said = [rule["message"] or f"{rule['policy']}/{rule['rule']}" for rule in rules if rule["effect"] == Effect.DENY]
    return said or [verdict.reason or _("No rule allows it.")]


def facts_of(item: Escalation, action: Action, permitted: Permitted, parameters: dict[str, Any]) -> Facts:
    """What the rules know: these parameters, the agent as it is now, the run as it was when asked.

    The action is no part of its own history, and what it used of waivers still lifts.
    """
    money, target = permitted.money(parameters), permitted.target(parameters)
    told = item.verdict.get("facts", {})
    agent, operation = action.agent, permitted.operation
    asks = AgentFacts(
        risk=str(told.get("agent.risk", "medium")),
        owner=str(told.get("agent.owner", "")),
        unit=str(told.get("agent.unit", "")),
    )
    if agent is not None:
        asks = AgentFacts(
            slug=agent.slug,
            unit=action.unit.slug,
            risk=agent.risk,
            state=agent.state,
            version=action.version.number if action.version else 0,
            owner=agent.owner.username,
            capabilities=tuple(agent.capabilities),
        )
    return Facts(
        operation=operation.slug,
        effect=operation.effect,
        connector=action.connector,
        parameters=parameters,
        amount_minor=money.minor if money else None,
        currency=money.currency if money else "",
        target=target,
        reference=action.reference,
        environment=str(told.get("action.environment", "live")),
        confidence=action.confidence,
        is_compensable=operation.compensation is not None,
        agent=asks,
        data_classes=data_classes_in(_carried(action, operation, parameters)),
        run=RunFacts(
            workflow=item.workflow,
            step=item.step,
            started_by=item.run_starter,
            key=str(told.get("run.key", "")),
        ),
        on_behalf_of=action.on_behalf_of.username if action.on_behalf_of else "",
        unit_id=action.unit_id,
        run_unit_id=item.run_unit_id,
        action_id=action.pk,
    )


def apply_edit(actor: User, item: Escalation, edit: Edit) -> None:
    """Put the edited parameters into the locked item and its action: version + 1, all votes void.

    Stricter: the demands of the new verdict join the old ones, and the editor may not vote. Else the verdict and
    its quorum stay as they were: an edit never talks the plane out of asking. What may be approved at once narrows
    either way, and what was approved in advance on it ends. What it holds of budgets follows.
    """
    assert item.action is not None
    void_votes(actor, item, why="edited")
    end_approvals_on(actor, item.action, why="item_edited")  # the like of it would be the like of something else
    columns: dict[str, Any] = {
        "digest": edit.digest,
        "release": edit.verdict.release,
        "patch": edit.patch,
        "asked": item.asked or {"parameters": item.action.parameters, "digest": item.digest},
        "edited": True,
        "consequence": edit.consequence,
        "bulk": joined_bulk(item, edit.verdict),
    }
    _amend_action(actor, item.action, edit)
    columns["title"] = title_of(item.action, edit.permitted.operation)
    if edit.is_stricter:
        columns |= joined_demands(item, edit.verdict)
        columns["editors"] = sorted({*item.editors, actor.username})
    was = item.digest
    changed = Escalation.objects.filter(
        Escalation.unexpired(), pk=item.pk, state=EscalationState.PENDING, version=item.version
    ).update(version=F("version") + 1, **columns)
    if changed != 1:
        raise ConflictError(_("It has expired; nothing will run."), code="expired")
    item.refresh_from_db(fields=["version", "expires_at", *columns])
    follow_stages(actor, item)
    record(
        actor,
        item,
        "escalation.edited",
        payload={
            "patch": marked_patch(edit.patch, edit.classed),
            "from": was,
            "digest": edit.digest,
            "stricter": edit.is_stricter,
            "version": item.version,
            "verdict": Veil([(edit.classed, edit.parameters)]).over(quieted(edit.verdict.as_json())),
        },
    )
    reserve_again(actor, action=item.action, budgets=edit.verdict.covering)


def joined_demands(item: Escalation, verdict: Verdict) -> dict[str, Any]:
    """The columns of an item that the rules judge stricter now: what the new verdict demands joins what the old did."""
    demands = verdict.obligations
    for wanted in wanted_of(verdict):
        _join_group(item, wanted)
    columns: dict[str, Any] = {
        "verdict": joined(verdict, verdict_of(item.verdict)).as_json(),
        "release": verdict.release,
        "exclude": sorted({*item.exclude, *(str(word) for word in demands.exclude)}),
        "step_up": item.step_up or demands.step_up,
        "bulk": joined_bulk(item, verdict),
        "hold_s": max(item.hold_s, demands.hold_s or 0),
        "risk": highest_risk(item.risk, verdict.risk),
        "claimed_by": None,
        "claimed_until": None,
    }
    if demands.expires_in_s:
        # PostgreSQL's least() skips NULL: an item without an expiry gets this one.
        columns["expires_at"] = Least(F("expires_at"), ClockTimestamp() + timedelta(seconds=demands.expires_in_s))
    return columns


def joined_bulk(item: Escalation, verdict: Verdict) -> dict[str, Any] | None:
    """What both verdicts let be approved at once: the smaller of each, where a silent one says the usual."""
    if verdict.effect is not Effect.REQUIRE_APPROVAL:
        return item.bulk
    return (item.bulk_let() | (verdict.obligations.bulk or USUAL_BULK)).as_json()


def _join_group(item: Escalation, wanted: Wanted) -> None:
    """The larger quorum and the later stage of a queue that is named already, or a further queue."""
    found = next(
        (
            group
            for group in item.group_list()
            if group.queue_id == wanted.queue.pk and group.role_id == (wanted.role.pk if wanted.role else None)
        ),
        None,
    )
    if found is None:
        is_first = wanted.stage <= min(group.stage for group in item.group_list())
        EscalationGroup.objects.create(
            escalation=item,
            queue=wanted.queue,
            role=wanted.role,
            needed=wanted.needed,
            distinct_units=wanted.distinct_units,
            position=len(item.group_list()),
            stage=wanted.stage,
            is_asked=is_first,
            is_open=is_first,
            **(arrival_times(item, wanted.queue) if is_first else {}),
        )
    else:
        EscalationGroup.objects.filter(pk=found.pk).update(
            needed=max(found.needed, wanted.needed),
            distinct_units=found.distinct_units or wanted.distinct_units,
            stage=max(found.stage, wanted.stage),
        )
    item.forget_groups()


def _amend_action(actor: User, action: Action, edit: Edit) -> None:
    """The action asks for the edited parameters from now on; what was asked first stays in the item and the ledger."""
    columns: dict[str, Any] = {
        "parameters": edit.parameters,
        "classed": edit.classed,
        "digest": edit.digest,
        "amount_minor": edit.money.minor if edit.money else None,
        "currency": edit.money.currency if edit.money else "",
        "target": edit.target,
        "consequence": edit.consequence,
        "release_number": edit.verdict.release,
    }
    if edit.is_stricter:
        columns["verdict"] = joined(edit.verdict, verdict_of(action.verdict)).as_json()
    same = Action.objects.filter(pk=action.pk, state=ActionState.PENDING_APPROVAL, digest=action.digest)
    if same.update(**columns) != 1:
        raise ConflictError(state=action.state)
    was = action.digest
    for name, value in columns.items():
        setattr(action, name, value)
    patch = marked_patch(edit.patch, edit.classed)
    record(actor, action, "action.edited", payload={"from": was, "digest": edit.digest, "patch": patch})
