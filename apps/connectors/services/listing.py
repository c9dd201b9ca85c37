"""Asking MCP servers which tools they have: for a person who imports them, and by the clock for what was imported."""

from dataclasses import dataclass, replace

import structlog
from django.utils.translation import gettext as _

from apps.access.services import require_manager
from apps.agents.rules import Environment
from apps.connectors.adapters.mcp import Offer, offered_by
from apps.connectors.models import Connector, OperationPin
from apps.connectors.rules import FINE, CallEnd, ConnectorState, OperationState
from apps.connectors.rules.health import Purpose
from apps.connectors.rules.openapi import BYTES_MAX, Contents
from apps.connectors.rules.pins import Plan
from apps.connectors.rules.tools import DOCUMENT, MCP, canonical_text, read_tools, refuse_secrets
from apps.connectors.selectors import MANAGE
from apps.connectors.services.calls import call_at
from apps.connectors.services.importing import digest_of_text, record_refusal, take_contents, told_of
from apps.connectors.services.noting import note_call
from apps.core.errors import ConflictError, DomainError, InvalidError, UnavailableError
from apps.core.models import User
from apps.core.rules import ValueProblem
from apps.core.services import system_user
from apps.halts.selectors import require_running

TIMEOUT_S = 15
"""A person waits."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a server offers, and what became of it. ``digest``: of the list as the server gave it."""

    contents: Contents
    plan: Plan
    digest: str


def import_tools(actor: User, *, connector: Connector, seen: str = "", dry_run: bool = False) -> Listing:
    """Ask a server for its tools and take them over as a document is; with ``dry_run`` nothing is changed.

    ``seen``: the digest of the list that a person looked at. Never inside a transaction. Raises ConflictError where it
    is another by now (``stale``), for a system that is retired or no MCP server; UnavailableError, NotConfiguredError,
    HaltedError where it cannot be asked; InvalidError where nothing of the list can be used.
    """
    require_manager(actor, connector.unit, MANAGE)
    if connector.adapter != MCP:
        raise ConflictError(_("Only MCP servers are asked for tools; this system is none."))
    if connector.state == ConnectorState.RETIRED:
        raise ConflictError(_("The connector is retired."), state=connector.state)
    return _imported(actor, connector, seen=seen, dry_run=dry_run, brings_in=True)


def _imported(actor: User, connector: Connector, *, seen: str, dry_run: bool, brings_in: bool) -> Listing:
    contents, digest = _described(actor, connector, _offer(connector), is_watch=not brings_in)
    if seen and seen != digest:
        raise ConflictError(_("The server lists other tools than you looked at: look again."), code="stale")
    plan = take_contents(
        actor, connector=connector, contents=contents, digest=digest, dry_run=dry_run, brings_in=brings_in
    )
    return Listing(contents, plan, digest)


def _offer(connector: Connector) -> Offer:
    """What the server lists, noted as a call. Raises UnavailableError and as ``call_at``."""
    require_running(units=[connector.unit_id] if connector.unit_id else [], connector=connector.slug)
    call = replace(call_at(connector, Environment.LIVE, timeout_s=TIMEOUT_S), most_bytes=BYTES_MAX)
    result, offer = offered_by(call)
    note_call(connector, purpose=Purpose.TOOLS, call=result)
    if result.end != CallEnd.ANSWERED or result.status not in FINE:
        raise UnavailableError(_("The server gave no list of its tools. %s") % result.error)
    return offer


def _described(actor: User, connector: Connector, offer: Offer, *, is_watch: bool) -> tuple[Contents, str]:
    """The list as operations, and its digest. Raises InvalidError, which leaves an entry, and no other trace.

    A secret refuses all of a list that is imported; of one that is watched the tool alone, or it would hide the others.
    """
    text = ""
    try:
        text = canonical_text(offer.tools)
        if not is_watch:
            refuse_secrets(offer.tools, server=offer.server)
        contents = read_tools(offer.tools, server=offer.server, connector=connector.slug)
    except ValueProblem as problem:
        record_refusal(actor, connector=connector, text=text, problem=problem)
        raise InvalidError(errors={"document": [told_of(problem)]}) from problem
    return contents, digest_of_text(text)


def watch_tools() -> int:
    """Look at the tools that were imported: what is described differently, or not any more, is quarantined; how many.

    Nothing new comes in. A server that gives no list, or is halted, is looked at the next time.
    """
    plane = system_user("plane")
    imported = OperationPin.objects.filter(document=DOCUMENT).exclude(operation__state=OperationState.RETIRED)
    rows = Connector.objects.filter(
        adapter=MCP, state=ConnectorState.ACTIVE, pk__in=imported.values("operation__connector")
    )
    found = 0
    for connector in rows.select_related("unit").order_by("slug"):
        try:
            plan = _imported(plane, connector, seen="", dry_run=False, brings_in=False).plan
        except DomainError as error:
            log.warning("tools_not_listed", connector=connector.slug, code=error.code)
        else:
            found += len(plan.changed) + len(plan.removed)
    return found
