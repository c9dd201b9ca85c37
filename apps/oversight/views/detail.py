"""What the detail's template gets, for a first look and after every decision."""

from typing import Any

from apps.core.amounts import EXPONENTS
from apps.core.formats import number
from apps.core.gate import scope_for
from apps.core.http import Request
from apps.halts.selectors import engaged_for
from apps.oversight.forms import RETRY, SPANS, CommentForm, Priced, answer_form, parameters_form
from apps.oversight.models import Escalation
from apps.oversight.rules import EscalationState, Kind, VoteVerdict, is_grave
from apps.oversight.selectors import (
    NO_CHANGES,
    WHY_NOT,
    eligible_for,
    next_level_of,
    other_queues_for,
    standing_for,
    successor_for,
)
from apps.oversight.selectors.sheets import Sheet, sheet_for
from apps.oversight.selectors.veils import Sight, sight_of
from apps.oversight.selectors.words import REASONS

MOVE_PANELS = {"snooze", "more"}
PANELS = MOVE_PANELS | {"approve", "reject", "request_changes", "edit", "answer"}


def detail_context(request: Request, item: Escalation, **extra: Any) -> dict[str, Any]:
    """The context of ``_detail.html``. ``extra``: ``decision`` (the form as typed), ``problem``, ``panel``, forms."""
    sheet = sheet_for(request.user, item)
    panel = extra.get("panel") or request.GET.get("decide", "")
    item.why = why_of(item)  # type: ignore[attr-defined] # what its row's second line says
    sight = sight_of(request.user, item)
    value, exponent = item.restated(sight.values(item.values()))
    context: dict[str, Any] = {
        "sheet": sheet,
        "item": item,
        "view_hash": item.view_hash(),
        "allowed": _with_edit(sheet.allowed),
        "restate_label": item.restate,
        "restate_value": value if exponent is None else number(value / 10**exponent, exponent),
        "why_not": WHY_NOT.get(sheet.why_not or "", sheet.why_not),
        "reasons": REASONS,
        "retries": RETRY,
        "comment_form": CommentForm(),
        "list_query": query_of(request),
        "is_grave": is_grave(item.tier),
        "successor": None if item.state == EscalationState.PENDING else successor_for(request.user, item),
        "piece_open": request.GET.get("piece", ""),
        "error": _error(sight, item),
        **extra,
        "panel": panel if panel in PANELS else "",
    }
    # what the page is known by has been hashed: from here on the item is read alone
    item.title, item.consequence = sight.text(item.title), sight.text(item.consequence)
    if sheet.may_decide and "edit" in context["allowed"] and "edit_form" not in context:
        context["edit_form"] = parameters_form(schema_of(sheet), sheet.parameters, priced=priced_of(sheet))
    if sheet.may_decide and "answer" in context["allowed"] and "answer_form" not in context:
        context["answer_form"] = answer_form(item.schema, item.options)
    if item.state == EscalationState.PENDING:
        context["spans"] = SPANS
        context["may_move"] = standing_for(request.user).may_decide_in(item.unit_id)
        if context["panel"] == "more":
            context |= _more(request, item)
        if context["panel"] == "more" or not (sheet.may_decide or context["may_move"]):
            context["stoppable"] = _stoppable(request, item)
    return context


def _error(sight: Sight, item: Escalation) -> dict[str, Any]:
    """What went wrong before people were asked, as far as whoever looks may read it."""
    error = item.subject.get("error")
    if not isinstance(error, dict):
        return {}
    return dict(sight.over({**error, "message": sight.text(str(error.get("message") or ""))}))


def _more(request: Request, item: Escalation) -> dict[str, Any]:
    """What the small forms offer: who could decide, where it could go. Read only when they are opened."""
    could = {person.username: person for people in eligible_for(request.user, item).values() for person in people}
    return {
        "could": [person for name, person in sorted(could.items()) if name != request.user.username],
        "elsewhere": other_queues_for(request.user, item),
        "next_level": next_level_of(request.user, item),
        "no_changes": None if VoteVerdict.REQUEST_CHANGES in item.sayable() else NO_CHANGES[Kind(item.kind)],
    }


def _stoppable(request: Request, item: Escalation) -> list[tuple[str, str, str]]:
    """``(scope, target, name)`` of what a halt from this item could stop, and none does, for those who may engage."""
    scope = scope_for(request.user, "halts.engage_halt")
    found = []
    if item.agent and (scope.everywhere or item.agent.unit_id in scope.units):
        found.append(("agent", item.agent.slug, str(item.agent)))
    if item.workflow and (scope.everywhere or item.unit_id in scope.units):
        found.append(("workflow", item.workflow, item.workflow))
    stopped = set(engaged_for(request.user).values_list("scope", "target"))
    return [each for each in found if each[:2] not in stopped]


def why_of(row: Escalation) -> str:
    """Why a person is asked, in the rule's words; for steps and questions, what it is about."""
    asking = [rule for rule in row.verdict.get("rules", []) if rule.get("effect") == "require_approval"]
    return str(asking[0].get("message") or row.consequence) if asking else row.consequence


def query_of(request: Request) -> str:
    """The list's state (view, filters) as the links of an item carry it on."""
    params = request.GET.copy()
    for name in ("after", "selected", "shown", "since", "decide", "piece", "ids", "verdict", "all", "job", "ticked"):
        params.pop(name, None)
    return f"?{params.urlencode()}" if params else ""


def _with_edit(allowed: dict[str, Any]) -> dict[str, Any]:
    """``edit`` beside the verdicts where approving may go with an edit: a button of its own."""
    return {**allowed, "edit": allowed["approve"]} if allowed.get("approve", {}).get("edit") else allowed


def schema_of(sheet: Sheet) -> dict[str, Any] | None:
    """The parameter schema of the operation that would run."""
    return sheet.operation.parameters if sheet.operation else None


def priced_of(sheet: Sheet) -> Priced:
    """Which of the parameters are money, and in what currency they were asked for."""
    amount = (sheet.operation.amount if sheet.operation else None) or {}
    fixed = str(amount.get("currency") or "")
    beside = sheet.item.values().get("currency")
    asked = sheet.item.action.currency if sheet.item.action else ""
    return Priced(
        path=str(amount.get("path") or ""),
        currency_path=str(amount.get("currency_path") or ("" if fixed else "currency")),
        currency=asked or fixed or (beside if isinstance(beside, str) and beside in EXPONENTS else ""),
    )
