"""Taking over what an OpenAPI document describes: new operations disabled, changed ones quarantined, nothing run."""

import hashlib
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.services import require_manager
from apps.audit.services import advance, record
from apps.connectors.models import Connector, Operation, OperationPin
from apps.connectors.rules import OperationSpec, OperationState
from apps.connectors.rules.openapi import Contents, Described, Unfit, read_openapi
from apps.connectors.rules.pins import Change, Known, Plan, Waiting, merged, plan_of
from apps.connectors.rules.secrets import looks_secret
from apps.connectors.selectors import MANAGE
from apps.connectors.services.operations import save_operation, spec_errors
from apps.connectors.services.pins import note_quarantine
from apps.core.errors import ConflictError, InvalidError
from apps.core.models import User
from apps.core.rules import ValueProblem

HTTP = "http"
"""The adapter of systems that such documents describe."""


def import_openapi(actor: User, *, connector: Connector, text: str, dry_run: bool = False) -> tuple[Contents, Plan]:
    """Import a document; what it describes and what became of it. With ``dry_run`` nothing is changed.

    New operations come in disabled, operations that are changed or gone are quarantined; both wait for a person.
    Raises InvalidError when nothing of the document can be used: that leaves an entry, and no other trace. Raises
    ConflictError for a system that is retired or not called over HTTP.
    """
    require_manager(actor, connector.unit, MANAGE)
    if connector.adapter != HTTP:
        raise ConflictError(_("OpenAPI documents describe systems that are called over HTTP; this one is not."))
    try:
        contents = read_openapi(text, connector=connector.slug, base_url=connector.base_url)
    except ValueProblem as problem:
        record_refusal(actor, connector=connector, text=text, problem=problem)
        raise InvalidError(errors={"document": [told_of(problem)]}) from problem
    digest = digest_of_text(text)
    return contents, take_contents(actor, connector=connector, contents=contents, digest=digest, dry_run=dry_run)


@transaction.atomic
def take_contents(
    actor: User, *, connector: Connector, contents: Contents, digest: str, dry_run: bool = False, brings_in: bool = True
) -> Plan:
    """Carry out the plan against what is there now: nobody changes the system's operations meanwhile.

    Without ``brings_in`` what nobody confirmed is left for a person to import, and nothing is noted of what stays.
    """
    asked = connector.base_url
    connector = Connector.objects.select_for_update(no_key=True, of=("self",)).get(pk=connector.pk)
    if connector.base_url != asked:
        raise ConflictError(_("Its address changed meanwhile: look again."), code="stale")
    if connector.state == OperationState.RETIRED:
        raise ConflictError(_("The connector is retired."), state=connector.state)
    pins = {
        pin.operation.slug: pin
        for pin in OperationPin.objects.select_for_update(of=("self", "operation"))
        .filter(operation__connector=connector)
        .select_related("operation__connector__unit")
        .order_by("operation__slug")
    }
    slugs = [described.slug for described in contents.operations]
    plan = plan_of(contents, [_known(pin) for pin in pins.values()], _others(connector, slugs, pins))
    _leave_unfit(connector, plan)
    if not brings_in:
        confirmed = {slug for slug, pin in pins.items() if pin.confirmed_at is not None}
        plan.new, plan.changed = [], [change for change in plan.changed if change.known.slug in confirmed]
    if dry_run or not (brings_in or plan.changed or plan.removed):
        return plan
    for described in plan.new:
        _bring_in(actor, connector, contents, described, digest)
    stopped = [change.known.slug for change in plan.changed if _note_change(actor, pins, contents, change, digest)]
    stopped += [known.slug for known in plan.removed if _note_removal(actor, pins[known.slug], digest)]
    note_quarantine(actor, connector, slugs=stopped, document=contents.title)
    for slug in plan.same:
        OperationPin.objects.filter(pk=pins[slug].pk).update(digest=digest)
    counts = {name: len(getattr(plan, name)) for name in ("new", "changed", "removed", "same", "unfit")}
    record(actor, connector, "imported", payload={"document": contents.title, "digest": digest, **counts})
    return plan


def _known(pin: OperationPin) -> Known:
    return Known(
        slug=pin.operation.slug,
        key=pin.key,
        document=pin.document,
        definition=pin.definition,
        proposed=pin.proposed,
        waiting=pin.waiting,
        is_retired=pin.operation.state == OperationState.RETIRED,
    )


def _others(connector: Connector, slugs: list[str], pins: dict[str, OperationPin]) -> dict[str, tuple[str, str]]:
    """Operations that no document described, of this system or of these slugs: retired ones keep their slug only."""
    rows = Operation.objects.exclude(slug__in=pins)
    by_slug = dict.fromkeys(rows.filter(slug__in=slugs).values_list("slug", flat=True), ("", ""))
    here = rows.filter(connector=connector).exclude(state=OperationState.RETIRED)
    return by_slug | {slug: (method, path) for slug, method, path in here.values_list("slug", "method", "path")}


def _leave_unfit(connector: Connector, plan: Plan) -> None:
    """What an operation may not be however it is described goes to the unfit, in a dry run as in an import."""
    fit = []
    for described in plan.new:
        if errors := spec_errors(described.slug, connector, _spec(described)):
            path, messages = next(iter(errors.items()))
            plan.unfit.append(Unfit(described.where, messages[0], path))
        else:
            fit.append(described)
    plan.new = fit


def _spec(described: Described) -> OperationSpec:
    return OperationSpec(
        **described.definition,
        effect=described.guess.effect,
        amount=described.amount,
        consequence=described.consequence,
    )


def _bring_in(actor: User, connector: Connector, contents: Contents, described: Described, digest: str) -> None:
    operation, _outcome = save_operation(actor, slug=described.slug, connector=connector, spec=_spec(described))
    OperationPin.objects.create(
        operation=operation,
        key=described.key,
        document=contents.title,
        digest=digest,
        definition=described.definition,
        waiting=Waiting.NEW,
        guess=_guess(described),
    )
    payload = {"document": contents.title, "digest": digest, "key": described.key, "guess": _guess(described)}
    advance(actor, operation, OperationState.DISABLED, payload={**payload, "reason": "imported"})


def _guess(described: Described) -> dict[str, str]:
    return {"effect": str(described.guess.effect), "reason": described.guess.reason}


def _note_change(actor: User, pins: dict[str, OperationPin], contents: Contents, change: Change, digest: str) -> bool:
    """Keep what the document says now beside what a person confirmed; what nobody confirmed yet is replaced.

    Whether that stopped what was in use.
    """
    pin = pins[change.known.slug]
    described, operation = change.described, pin.operation
    pin.key, pin.document, pin.digest, pin.guess = described.key, contents.title, digest, _guess(described)
    if pin.confirmed_at is None:
        values = merged(pin.now, pin.definition, described.definition)
        spec = {name: getattr(operation, name) for name in OperationSpec.__dataclass_fields__}
        fitting = OperationSpec(**{**spec, **values})
        if spec_errors(operation.slug, operation.connector, fitting):
            fitting = _spec(described)
        save_operation(actor, slug=operation.slug, connector=operation.connector, spec=fitting)
        pin.definition, pin.proposed, pin.waiting = described.definition, None, Waiting.NEW
    else:
        pin.proposed, pin.waiting = described.definition, Waiting.CHANGED
    pin.save()
    return _quarantine(actor, operation, {"document": pin.document, "digest": digest, "differs": change.fields})


def _note_removal(actor: User, pin: OperationPin, digest: str) -> bool:
    pin.digest, pin.proposed, pin.waiting = digest, None, Waiting.REMOVED
    pin.save()
    return _quarantine(actor, pin.operation, {"document": pin.document, "digest": digest, "differs": list(pin.now)})


def _quarantine(actor: User, operation: Operation, payload: dict[str, Any]) -> bool:
    """Stop what is in use, which is answered; what is not stays so, and cannot be used before a person looked."""
    if operation.state == OperationState.ACTIVE:
        advance(actor, operation, OperationState.QUARANTINED, payload=payload)
        return True
    record(actor, operation, "differs", payload=payload)
    return False


@transaction.atomic
def record_refusal(actor: User, *, connector: Connector, text: str, problem: ValueProblem) -> None:
    """That somebody tried, and why not; nothing of the document but its digest and size."""
    said = {"reason": str(problem), "at": problem.path}
    shown = {name: "…" if looks_secret(told) else told for name, told in said.items()}
    record(
        actor, connector, "import_refused", payload={"digest": digest_of_text(text), "characters": len(text), **shown}
    )


def digest_of_text(text: str) -> str:
    """How a document is known again."""
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()}"


def told_of(problem: ValueProblem) -> str:
    """The problem in one line, with where it is."""
    return f"{problem.path}: {problem}" if problem.path else str(problem)
