"""Commands that narrow an agent's permissions together, and take that back."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apps.agents.models import Agent
from apps.audit.services import record
from apps.connectors.models import Operation, OperationPermission, RightSizing
from apps.connectors.rules import Money
from apps.connectors.rules.sizing import UNDO_DAYS, Size
from apps.connectors.services.permissions import authorise, grant_operation, narrow_operation, revoke_operation
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User, database_now

MAX_LINES = 200


@transaction.atomic
def right_size(actor: User, *, agent: Agent, sizes: Mapping[str, Size], reason: str) -> RightSizing:
    """Leave of each of these permissions, by the operation's slug, what its size says; all or nothing.

    Acts on the agent's next request. Raises InvalidError, at the operation, for what would be more than it has.
    """
    require_human(actor)
    authorise(actor, agent.user, None)
    if not 0 < len(sizes) <= MAX_LINES:
        raise InvalidError(errors={"lines": [_("From 1 to %d.") % MAX_LINES]})
    rows = OperationPermission.objects.select_for_update(of=("self",)).filter(user=agent.user)
    rows = rows.filter(content_object__slug__in=sizes).select_related("content_object__connector").order_by("pk")
    held = {row.content_object.slug: row for row in rows}
    before, after = [], []
    for slug, size in sorted(sizes.items()):
        if slug not in held:
            raise InvalidError(errors={slug: [_("The agent has no permission for this operation.")]})
        before.append(_told(held[slug]))
        if left := _resize(actor, agent, held[slug], size, reason):
            after.append(_told(left))
    made = RightSizing.objects.create(agent=agent, made_by=actor, reason=reason.strip(), before=before, after=after)
    made.refresh_from_db()
    told = {"id": made.pk, "before": before, "after": after, "reason": made.reason}
    record(actor, agent, "agent.right_sized", payload=told)
    return made


@transaction.atomic
def undo_right_sizing(actor: User, *, sizing: RightSizing, reason: str) -> list[str]:
    """Give back what a narrowing took, but for what somebody changed since or what would have ended meanwhile.

    The slugs of those it left alone. Raises ConflictError where it was undone, is too long ago or nothing of it can be
    given back; NotAllowedError where one of the systems is out of sight of who undoes it: somebody else gives back all.
    """
    require_human(actor)
    agent = sizing.agent
    authorise(actor, agent.user, None)
    since = ClockTimestamp() - timedelta(days=UNDO_DAYS)
    rows = RightSizing.objects.filter(pk=sizing.pk, undone_at=None, created_at__gt=since)
    if rows.update(undone_at=ClockTimestamp(), undone_by=actor) != 1:
        raise ConflictError(_("It was undone already, or is too long ago."))
    left = {line["operation"]: line for line in sizing.after}
    skipped = [line["operation"] for line in sizing.before if not _restore(actor, agent, line, left, reason)]
    if len(skipped) == len(sizing.before):
        raise ConflictError(_("Nothing of it can be given back: all of it was changed since, has ended or is retired."))
    told = {"id": sizing.pk, "skipped": skipped, "reason": reason.strip()}
    record(actor, agent, "agent.right_sizing_undone", payload=told)
    return skipped


def _resize(
    actor: User, agent: Agent, held: OperationPermission, size: Size, reason: str
) -> OperationPermission | None:
    about: dict[str, Any] = {"holder": agent.user, "operation": held.content_object, "reason": reason}
    if size.revoke:
        revoke_operation(actor, **about)
        return None
    try:
        return narrow_operation(actor, **about, fields=size.fields, until=held.until, limit=size.limit)
    except InvalidError as error:
        if "reason" in error.errors:
            raise
        inside = {f"{held.content_object.slug}.{path}": texts for path, texts in error.errors.items()}
        raise InvalidError(errors=inside) from error


def _restore(actor: User, agent: Agent, line: dict[str, Any], left: dict[str, dict[str, Any]], reason: str) -> bool:
    """Give one permission back; whether it was still as the narrowing left it."""
    slug = line["operation"]
    rows = OperationPermission.objects.filter(user=agent.user, content_object__slug=slug)
    now = next((_told(row) for row in rows.select_related("content_object")), None)
    until = datetime.fromisoformat(line["until"]) if line["until"] else None
    operation = Operation.objects.select_related("connector__unit").filter(slug=slug).first()
    if now != left.get(slug) or operation is None or (until is not None and until <= database_now()):
        return False
    limit = Money(line["limit"]["amount_minor"], line["limit"]["currency"]) if line["limit"] else None
    try:
        grant_operation(
            actor, holder=agent.user, operation=operation, fields=line["fields"], until=until, limit=limit,
            reason=reason,
        )  # fmt: skip
    except ConflictError:
        return False  # retired meanwhile
    except NotFoundError as error:
        raise NotAllowedError(_("You may not see %s. Somebody who does can undo it.") % slug) from error
    return True


def _told(held: OperationPermission) -> dict[str, Any]:
    limit = {"amount_minor": held.limit.minor, "currency": held.limit.currency} if held.limit else None
    until = held.until.isoformat() if held.until else None
    return {"operation": held.content_object.slug, "fields": held.fields, "until": until, "limit": limit}
