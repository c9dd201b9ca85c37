"""Commands on operations: what can be done in a system, described so that the plane can govern it."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from apps.access.services import require_manager
from apps.access.services.units import write_if_changed
from apps.agents.rules import EffectClass
from apps.audit.services import advance
from apps.classification.rules import ANYTHING, classed_by, covers, named
from apps.classification.selectors import known_classes
from apps.connectors.models import Connector, Operation, OperationPin
from apps.connectors.rules import (
    ConnectorState,
    ExecutedBy,
    Idempotency,
    OnConflict,
    OperationSpec,
    path_names,
    path_problem,
    schema_problem,
    template_problem,
)
from apps.connectors.rules.exclusive import exclusive_problem
from apps.connectors.rules.mails import methods_of, sending_errors
from apps.connectors.rules.queries import asking_errors
from apps.connectors.rules.tools import calling_errors
from apps.connectors.rules.trying import does_it, plan_problem
from apps.connectors.rules.verifying import JUDGING, verify_errors
from apps.connectors.selectors import MANAGE
from apps.connectors.selectors.beside import writes_beside
from apps.core.errors import ConflictError, InvalidError
from apps.core.expressions import Declarations, ExpressionError, Kind, compile_expression
from apps.core.models import User

SLUG = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*")
DOTTED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
TIMEOUT_S_MAX = 120
SLUG_MAX, NAME_MAX, PATH_MAX, TEMPLATE_MAX, EXCLUSIVE_MAX = 120, 160, 500, 500, 500
REASON_MAX = 500
EXPRESSIONS = Declarations({"request": Kind.MAP, "response": Kind.DYN})
"""What the parameters of a compensation, or of a look at what is on file, are made of."""


@transaction.atomic
def save_operation(actor: User, *, slug: str, connector: Connector, spec: OperationSpec) -> tuple[Operation, str]:
    """Make or change an operation; it and ``created``, ``changed`` or ``unchanged``. A retired one comes back."""
    require_manager(actor, connector.unit, MANAGE)
    if errors := spec_errors(slug, connector, spec):
        raise InvalidError(errors=errors)
    found = (
        Operation.objects.select_for_update(no_key=True, of=("self",))
        .select_related("connector")
        .filter(slug=slug)
        .first()
    )
    if found and found.connector_id != connector.pk:
        raise ConflictError(_("An operation stays with its connector; this slug belongs to another."))
    operation = found or Operation(slug=slug)
    classed, _problems = classed_by(spec.parameters, ANYTHING)
    values: dict[str, Any] = {"connector": connector, **asdict(spec), "classed": classed}
    outcome = write_if_changed(actor, operation, is_new=found is None, values=values)
    if outcome == "changed":
        Operation.objects.filter(pk=operation.pk).update(version=F("version") + 1)
        operation.refresh_from_db(fields=["version"])
    if operation.state == ConnectorState.RETIRED:
        _refuse_unreviewed(operation)
        advance(actor, operation, ConnectorState.ACTIVE)
        outcome = "changed"
    return operation, outcome


@transaction.atomic
def change_operation_state(actor: User, *, operation: Operation, to: str, reason: str = "") -> Operation:
    """Use, disable or retire an operation; it acts on the next request."""
    require_manager(actor, operation.connector.unit, MANAGE)
    if operation.state == to:
        return operation
    if to not in list(ConnectorState):
        raise InvalidError(errors={"state": [_("One of: %s.") % ", ".join(ConnectorState)]})
    if to != ConnectorState.ACTIVE and not reason.strip() and actor.is_human:
        raise InvalidError(errors={"reason": [_("Say why.")]})
    if problem := _too_long(reason, REASON_MAX):
        raise InvalidError(errors={"reason": [problem]})
    if to == ConnectorState.ACTIVE:
        _refuse_unreviewed(operation)
    advance(actor, operation, to, payload={"reason": reason.strip()})
    return operation


def _refuse_unreviewed(operation: Operation) -> None:
    """Raise ConflictError while its imported definition waits for a person. Holds the row, as an import does."""
    Operation.objects.select_for_update(no_key=True, of=("self",)).get(pk=operation.pk)
    if OperationPin.objects.filter(operation=operation).exclude(waiting="").exists():
        raise ConflictError(_("What its document says of it waits for a person: review it first."))


def spec_errors(slug: str, connector: Connector, spec: OperationSpec) -> dict[str, list[str]]:
    """Everything that does not fit, by field."""
    values: dict[str, Any] = {"connector": connector, **asdict(spec)}
    schema = values["parameters"]
    checks = {
        "slug": ""
        if SLUG.fullmatch(slug) and len(slug) <= SLUG_MAX
        else _("Small letters, digits, “-”, “_” and dots."),
        "name": "" if 1 <= len(values["name"].strip()) <= NAME_MAX else _("From 1 to 160 characters."),
        "method": _one_of(values["method"], methods_of(connector.adapter)),
        "effect": _one_of(values["effect"], EffectClass),
        "execution": _one_of(values["execution"], ExecutedBy),
        "on_conflict": _one_of(values["on_conflict"], OnConflict),
        "idempotency": _one_of(values["idempotency"], Idempotency),
        "path": path_problem(values["path"]) or _too_long(values["path"], PATH_MAX),
        "parameters": schema_problem(schema),
        "timeout_s": "" if 1 <= values["timeout_s"] <= TIMEOUT_S_MAX else _("From 1 to 120 seconds."),
        "fee_minor": "" if values["fee_minor"] >= 0 else _("Not negative."),
        "target": "" if not values["target"] or DOTTED.fullmatch(values["target"]) else _("The path of a parameter."),
        "consequence": _too_long(values["consequence"], TEMPLATE_MAX),
        "exclusive": exclusive_problem(values["exclusive"]) or _too_long(values["exclusive"], EXCLUSIVE_MAX),
    }
    found = {name: [problem] for name, problem in checks.items() if problem}
    if not found:
        found |= _fitting_errors(schema, values)
    return found


def _fitting_errors(schema: Mapping[str, Any], values: dict[str, Any]) -> dict[str, list[str]]:
    """What does not fit together: path, amount and sentence with the parameters; effect with the method."""
    amount = values["amount"]
    found = _class_errors(schema, amount) | _amount_errors(amount, schema)
    found |= _other_errors("compensation", values["compensation"], {"parameters"})
    found |= _other_errors("on_file", values["on_file"], {"parameters", "values"})
    found |= asking_errors(values, adapter=values["connector"].adapter)
    found |= sending_errors(values, adapter=values["connector"].adapter)
    found |= calling_errors(values, adapter=values["connector"].adapter)
    found |= _verify_errors(values["verify"], is_read=values["effect"] == EffectClass.READ)
    if values["on_conflict"] != OnConflict.QUEUE and not values["exclusive"]:
        found["on_conflict"] = [_("Without a key of what runs one at a time nothing meets.")]
    missing = [name for name in path_names(values["path"]) if name not in schema.get("required", [])]
    if missing:
        found["path"] = [_("Every parameter in the path must be required: %s.") % ", ".join(missing)]
    if values["target"] and not has_parameter(schema, values["target"]):
        found["target"] = [_("The operation has no such parameter.")]
    if problem := template_problem(values["consequence"], schema=schema, has_amount=amount is not None):
        found["consequence"] = [problem]
    if problem := _plan_problem(values):
        found["dry_run"] = [problem]
    if values["effect"] == EffectClass.READ and values["method"] == "DELETE":
        found["effect"] = [_("A DELETE does not only read.")]
    return found


def _class_errors(schema: Mapping[str, Any], amount: Any) -> dict[str, list[str]]:
    """Where a data class of the schema does not fit, and why."""
    classed, problems = classed_by(schema, known_classes() if named(schema) else ())
    found = {f"parameters.{where}": [problem] for where, problem in problems.items()}
    for key in ("path", "currency_path"):
        if isinstance(amount, dict) and covers(classed, str(amount.get(key, "")).split(".")):
            found[f"amount.{key}"] = [_("Limits, budgets and figures count it: an amount carries no data class.")]
    return found


def _plan_problem(values: dict[str, Any]) -> str:
    """What is wrong with a dry run; it must not be the call of anything that does something."""
    plan = values["dry_run"]
    if plan is None:
        return ""
    if problem := plan_problem(plan, schema=values["parameters"], adapter=values["connector"].adapter):
        return problem
    own = [] if values["effect"] == EffectClass.READ else [(values["method"], values["path"])]
    if does_it(plan, [*own, *writes_beside(values["connector"].pk)]):
        return str(_("This very call does something: a dry run has a call of its own."))
    return ""


def _amount_errors(amount: Any, schema: Mapping[str, Any]) -> dict[str, list[str]]:
    if amount is None:
        return {}
    if not isinstance(amount, dict) or set(amount) not in ({"path", "currency_path"}, {"path", "currency"}):
        return {"amount": [_("An object with path, and either currency_path or currency.")]}
    return {
        f"amount.{key}": [_("The operation has no such parameter.")]
        for key in ("path", "currency_path")
        if key in amount and not has_parameter(schema, str(amount[key]))
    }


def has_parameter(schema: Mapping[str, Any], path: str) -> bool:
    """Whether the schema can have a value at the dotted path."""
    here: Any = schema
    for name in path.split("."):
        properties = here.get("properties") if isinstance(here, Mapping) else None
        if not isinstance(properties, Mapping):
            return isinstance(here, Mapping) and here.get("additionalProperties") is not False
        if name not in properties:
            return False
        here = properties[name]
    return True


def _other_errors(name: str, other: Any, tables: set[str]) -> dict[str, list[str]]:
    """Of a key that names another operation and what its parameters (and more ``tables``) are made of."""
    if other is None:
        return {}
    if not isinstance(other, dict) or set(other) - {"operation", *tables}:
        return {name: [_("An object with operation and %s.") % ", ".join(sorted(tables))]}
    if not isinstance(other.get("operation"), str) or not SLUG.fullmatch(other["operation"]):
        return {f"{name}.operation": [_("The slug of an operation.")]}
    found: dict[str, list[str]] = {}
    for table in sorted(tables & set(other)):
        found |= _table_errors(f"{name}.{table}", other[table])
    return found


def _verify_errors(verify: Any, *, is_read: bool) -> dict[str, list[str]]:
    found = verify_errors(verify, is_read=is_read)
    if found or verify is None:
        return found
    return _other_errors("verify", {name: verify[name] for name in verify if name not in JUDGING}, {"parameters"})


def _table_errors(path: str, sources: Any) -> dict[str, list[str]]:
    if not isinstance(sources, dict):
        return {path: [_("An object of expressions.")]}
    found: dict[str, list[str]] = {}
    for name, source in sources.items():
        try:
            compile_expression(str(source), EXPRESSIONS)
        except ExpressionError as error:
            found[f"{path}.{name}"] = [str(error)]
    return found


def _one_of(value: str, allowed: Any) -> str:
    return "" if value in list(allowed) else str(_("One of: %s.") % ", ".join(allowed))


def _too_long(text: str, most: int) -> str:
    return str(_("At most %d characters.") % most) if len(text) > most else ""
