"""The tests of a policy edited as rows, one of them open as a form. Each look runs them on the rules as edited."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.http import QueryDict
from django.utils.translation import gettext as _

from apps.connectors.selectors.facts import amount_paths, operation_facts
from apps.console.forms import CaseChoices, Choices, PolicyCaseForm
from apps.console.selectors.cases import case_begun_for
from apps.console.views.desk import Desk, as_text
from apps.core.errors import NotFoundError
from apps.core.expressions import ExpressionError
from apps.core.models import User
from apps.policies.models import Policy
from apps.policies.rules import DocumentError, Effect, RuleInForce, compile_rule, read_cases, read_rule
from apps.policies.rules.case_sheets import filled_case, questions_of
from apps.policies.rules.cases import MAX_CASES
from apps.policies.selectors import units_known

MOVES = frozenset({"case", "case-add", "case-remove", "case-copy", "tests-text", "tests-rows"})
STAYING = frozenset({"case-run"})
"""What leaves the open test open."""

type Schemas = dict[str, dict[str, Any]]


def unit_of(found: Policy) -> str:
    """Where a test happens that does not say: in the unit that the policy covers."""
    if found.in_force:
        return found.in_force.unit
    return found.unit.slug if found.unit else ""


def compiled(rules: Iterable[dict[str, Any]]) -> list[RuleInForce]:
    """Those of the edited rules that compile."""
    found = []
    for rule in rules:
        try:
            found.append(compile_rule(read_rule(dict(rule))))
        except (DocumentError, ExpressionError):
            continue
    return found


def open_case(desk: Desk, choices: Choices, schemas: Schemas, place: int, data: QueryDict | None = None) -> None:
    """Show one test as a form, with what was sent where something was."""
    desk.open_case = place
    before = desk.tests[place]
    asked = questions_of(compiled(desk.rules), before)
    operation = filled_case(before, digits=0)["operation"]
    paths = amount_paths(operation) if operation in schemas else []
    offered = CaseChoices.of(choices, schemas, desk.rules, asked, paths)
    desk.case_form = PolicyCaseForm(data, choices=offered, before=before)


def fold_case(actor: User, desk: Desk, choices: Choices, schemas: Schemas, data: QueryDict, do: str) -> bool:
    """Whether the open test was taken into the tests, so that what the button says may follow."""
    place = desk.open_case
    if place is None:
        return True
    if do == "case-drop":
        _leave(desk, place)
        return True
    open_case(desk, choices, schemas, place, data)
    form = desk.case_form
    assert form is not None, "just opened"
    if not form.is_valid():
        return False
    told = form.document()
    _refuse_misfits(actor, desk, form, told)
    if not _is_known(schemas, told, before=desk.tests[place]):
        form.refuse("action.operation", _("There is no operation of this name."))
    if form.errors:
        return False
    before, desk.tests[place] = desk.tests[place], told
    if do in STAYING:
        desk.was = desk.was or before
        open_case(desk, choices, schemas, place)
        return False
    desk.open_case, desk.case_form, desk.is_fresh, desk.was = None, None, False, None
    return True


def _leave(desk: Desk, place: int) -> None:
    """The open test as it was before it was opened; a new one goes."""
    if desk.is_fresh:
        del desk.tests[place]
    elif desk.was is not None:
        desk.tests[place] = desk.was
    desk.open_case = None


def _is_known(schemas: Schemas, told: dict[str, Any], *, before: dict[str, Any]) -> bool:
    """Whether there is the operation that a test asks, or the test asked it before: what is gone since may stay."""
    asked = before.get("action")
    was = asked.get("operation") if isinstance(asked, dict) else None
    return told["action"]["operation"] in {*schemas, str(was)}


def _refuse_misfits(actor: User, desk: Desk, form: PolicyCaseForm, told: dict[str, Any]) -> None:
    """Say at its fields what is wrong with the open test."""
    slugs = [str(rule.get("slug")) for rule in desk.rules]
    for misfit in read_cases([told], rules=slugs, units=units_known(actor))[1]:
        form.refuse(misfit.field.removeprefix("tests.0").lstrip("."), misfit.message)
    if told["name"] in [test.get("name") for at, test in enumerate(desk.tests) if at != desk.open_case]:
        form.refuse("name", _("There is a test of this name already."))


def move_case(desk: Desk, choices: Choices, schemas: Schemas, do: str, at: str) -> None:
    """What a button of the tests says."""
    if do in {"tests-text", "tests-rows"}:
        _turn(desk, do)
        return
    if desk.tests_text is not None:  # these buttons are not on that page
        return
    place = int(at) if at.isdecimal() and int(at) < len(desk.tests) else None
    if do == "case-add":
        _begin(desk, choices, schemas)
    elif place is None:
        return
    elif do == "case":
        open_case(desk, choices, schemas, place)
    elif do == "case-remove":
        del desk.tests[place]
    else:
        _add(desk, choices, schemas, {**desk.tests[place], "name": ""})


def _begin(desk: Desk, choices: Choices, schemas: Schemas) -> None:
    if not desk.new_operation:
        desk.said.append(_("Name the operation that the test is about."))
    elif desk.new_operation not in schemas:
        desk.said.append(_("There is no operation %s.") % desk.new_operation)
    else:
        _add(desk, choices, schemas, _begun(desk.new_operation, choices))


def _add(desk: Desk, choices: Choices, schemas: Schemas, case: dict[str, Any]) -> None:
    if len(desk.tests) >= MAX_CASES:
        desk.said.append(_("There are %d tests already, which is as many as there may be.") % MAX_CASES)
        return
    desk.tests.append(case)
    desk.is_fresh = True
    open_case(desk, choices, schemas, len(desk.tests) - 1)


def begin_from(actor: User, desk: Desk, choices: Choices, schemas: Schemas, action_id: str) -> None:
    """Open a test of an action that was asked in earnest. Raises NotFoundError, ConflictError."""
    try:
        wanted = UUID(action_id)
    except ValueError as error:
        raise NotFoundError from error
    desk.begun_from = case_begun_for(actor, wanted, questions=questions_of(compiled(desk.rules), {}))
    made = desk.begun_from.case
    names = [test.get("name") for test in desk.tests]
    if made["name"] in names:
        desk.begun_from = None
        open_case(desk, choices, schemas, names.index(made["name"]))
    else:
        _add(desk, choices, schemas, made)


def _begun(operation: str, choices: Choices) -> dict[str, Any]:
    """A test of an operation before anybody says more: what the operation is, without a name yet."""
    about = operation_facts(operation)
    has_amount = about.pop("has_amount", False)
    currency = {"currency": choices.currency} if has_amount and choices.currency else {}
    return {"name": "", "action": {"operation": operation, **about, **currency}, "expect": Effect.ALLOW.value}


def _turn(desk: Desk, to: str) -> None:
    """The tests as text, or as rows where they can be read."""
    if to == "tests-text":
        desk.tests_text = as_text(desk.tests)
        return
    if desk.troubles:
        return
    if not isinstance(desk.tests, list) or not all(isinstance(test, dict) for test in desk.tests):
        desk.said.append(_("These are no tests that can be shown as rows: they stay text."))
        return
    desk.tests_text = None
