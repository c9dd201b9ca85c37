"""Commands on baselines: entered by one person, approved by another, and then as they are."""

from datetime import date
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from apps.access.services.units import require_manager, write_if_changed
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User
from apps.kpis.models import Baseline
from apps.kpis.models.clock import database_now, reporting_currency, reporting_zone
from apps.kpis.models.goals import LIVE
from apps.kpis.rules.buckets import local_day
from apps.kpis.services.goals import MANAGE, direction_of, hold_figure, said_of, unit_of, value_for

PROPOSED = "proposed"
SAID = ("workflow", "kpi", "value", "currency", "valid_from", "source", "n", "period", "owner")
"""What a baseline says; all else is who said it, and when."""


@transaction.atomic
def save_baseline(
    actor: User,
    *,
    slug: str,
    kpi: str,
    value: Decimal | float,
    valid_from: date,
    source: str,
    workflow: str = "",
    n: int | None = None,
    period: str = "",
    owner: User | None = None,
    reason: str = "",
) -> tuple[Baseline, str]:
    """Say how a KPI was before automation; with ``created``, ``changed``, ``unchanged`` or ``proposed``.

    ``value`` is in the KPI's own unit, counts and sums per day; no ``workflow`` means all of them. ``owner`` answers
    for it: without one whoever did, or the person who enters it. One that was approved is not changed: its correction
    waits for somebody else. Raises InvalidError at ``reason`` where weeks that are over would be counted otherwise and
    nobody says why.
    """
    require_manager(actor, unit_of(workflow), MANAGE)
    direction_of(kpi, workflow)
    found = _live(slug)
    if found is not None:  # who moves it to another workflow must be allowed to touch the one it leaves
        require_manager(actor, unit_of(found.workflow, known=False), MANAGE)
    _refuse_clash(workflow, kpi, valid_from, slug)
    values: dict[str, Any] = {
        "workflow": workflow,
        "kpi": kpi,
        "value": value_for(kpi, value),
        "currency": reporting_currency() if kpi.endswith("_minor") else "",
        "valid_from": valid_from,
        "source": source,
        "n": n,
        "period": period,
        "owner": owner or (found.owner if found else actor if actor.kind == "human" else None),
    }
    if found is not None and all(getattr(found, name) == one for name, one in values.items()):
        return found, "unchanged"
    if found is not None and found.approved_at is not None:
        return _propose(actor, found, values, reason.strip())
    if not reason.strip() and _rewrites(workflow, kpi, valid_from, slug):
        raise InvalidError(errors={"reason": [_("Weeks that are over would be counted otherwise: say why.")]})
    row = found or Baseline(slug=slug)
    values |= {"number": row.number + 1 if found else _next_number(slug), "entered_by": actor, "reason": reason.strip()}
    said = write_if_changed(actor, row, is_new=found is None, values=values)
    Baseline.objects.filter(pk=row.pk).update(changed_at=ClockTimestamp())
    return row, said


@transaction.atomic
def approve_baseline(actor: User, *, slug: str, number: int | None = None) -> Baseline:
    """Approve what waits of a baseline: itself, its correction, or its removal. Not by whoever entered or asked it.

    Whoever ran a command in the name of a system is known to nobody: of what a system entered or asked for, the first
    who approves answers from then on, and it waits for another (``approved_at`` stays None, the removal is not done).
    ``number``: the version that was looked at. Raises NotFoundError; ConflictError where nothing waits, where it is
    another version by now, or where what waits would change weeks that are over by now; NotAllowedError
    ``not_eligible`` for one's own.
    """
    require_human(actor)
    held = Baseline.objects.filter(LIVE, slug=slug).values_list("kpi", flat=True).first()
    hold_figure(held or "")
    live = _locked(actor, slug)
    waiting = live.corrections.select_for_update().filter(ended_at=None).first()
    row = waiting or live
    is_seen = number is None or number == (live if live.removal_by_id else row).number
    if not is_seen or live.kpi != held:
        raise ConflictError(_("It was changed since: look at it again."))
    if live.removal_by_id is not None:
        if _is_nobodys(live.removal_by):
            return _answer_for(actor, live, removal_by=actor)
        _refuse_own(actor, live.removal_by)
        return _end(actor, live)
    if waiting is None and live.approved_at is not None:
        raise ConflictError(_("Nothing waits to be approved."))
    if _is_nobodys(row.entered_by):
        return _answer_for(actor, row, entered_by=actor)
    _refuse_own(actor, row.entered_by)
    if waiting is not None:
        _refuse_clash(waiting.workflow, waiting.kpi, waiting.valid_from, slug)
        Baseline.objects.filter(pk=live.pk).update(ended_at=ClockTimestamp())
    elif not row.reason and _rewrites(row.workflow, row.kpi, row.valid_from, slug):
        raise ConflictError(
            _("Its day has passed, and another baseline counted since: enter it anew, with the reason.")
        )
    Baseline.objects.filter(pk=row.pk).update(
        corrects=None, approved_by=actor, approved_at=ClockTimestamp(), changed_at=ClockTimestamp()
    )
    row.refresh_from_db()
    record(actor, row, "approved", payload={**said_of(row), "number": row.number, "reason": row.reason})
    return row


@transaction.atomic
def decline_baseline(actor: User, *, slug: str) -> Baseline:
    """Decline a correction or a removal that waits, or take back one's own. Raises ConflictError where none does."""
    require_human(actor)
    live = _locked(actor, slug)
    waiting = live.corrections.select_for_update().filter(ended_at=None).first()
    if waiting is None and live.removal_by_id is None:
        raise ConflictError(_("Nothing waits to be declined."))
    if live.removal_by_id is not None:
        Baseline.objects.filter(pk=live.pk).update(removal_by=None)
        live.refresh_from_db()
        record(actor, live, "declined", payload=said_of(live))
    else:
        assert waiting is not None
        Baseline.objects.filter(pk=waiting.pk).update(ended_at=ClockTimestamp())
        record(actor, waiting, "declined", payload={**said_of(waiting), "number": waiting.number})
    return live


@transaction.atomic
def remove_baseline(actor: User, *, slug: str) -> bool:
    """Remove a baseline that nobody approved; of an approved one ask somebody else to. Whether it counts no more."""
    live = _locked(actor, slug)
    if live.approved_at is None:
        # it stays, ended: its number is never that of another that somebody then approves unseen
        Baseline.objects.filter(pk=live.pk).update(ended_at=ClockTimestamp())
        record(actor, live, "deleted", payload=said_of(live))
        return True
    if live.removal_by_id is None:
        Baseline.objects.filter(pk=live.pk).update(removal_by=actor)
        record(actor, live, "removal_asked", payload=said_of(live))
    return False


def refuse_approved(*, kpi: str) -> None:
    """Raise ConflictError where an approved baseline holds against a figure of one's own: its removal takes two.

    Callers hold the figure, so that none is approved meanwhile.
    """
    rows = Baseline.objects.select_for_update().filter(LIVE, kpi=kpi).order_by("slug")
    if approved := [row.slug for row in rows if row.approved_at is not None]:
        words = _("An approved baseline holds against it (%(slugs)s): somebody else has to agree to its removal first.")
        raise ConflictError(words % {"slugs": ", ".join(approved)}, code="invalid_state")


def reopen_baselines(actor: User, *, kpi: str) -> None:
    """After a figure of one's own was defined anew: what was said of it was said of another figure.

    A new version has its values: entered by ``actor``, whom it then takes somebody else to agree with, whoever had
    entered it before. Callers hold a transaction, the figure, and have seen that nobody approved any.
    """
    reason = _("The figure was defined anew.")
    for live in Baseline.objects.select_for_update().filter(LIVE, kpi=kpi).order_by("slug"):
        values = {name: getattr(live, name) for name in SAID}
        _end(actor, live)
        row = Baseline(slug=live.slug, **values, number=_next_number(live.slug), entered_by=actor, reason=reason)
        row.save(force_insert=True)
        record(actor, row, "created", payload={**said_of(row), "number": row.number, "reason": reason})


def _propose(actor: User, found: Baseline, values: dict[str, Any], reason: str) -> tuple[Baseline, str]:
    """A correction of an approved one; it takes the place of a correction that waits already."""
    if found.removal_by_id is not None:
        raise ConflictError(_("Its removal waits: approve or decline that first."))
    if (found.workflow, found.kpi) != (values["workflow"], values["kpi"]):
        raise ConflictError(_("It was approved for its workflow and KPI: remove it, and enter another one."))
    waiting = found.corrections.select_for_update().filter(ended_at=None).first()
    if waiting is not None and all(getattr(waiting, name) == one for name, one in values.items()):
        return waiting, PROPOSED
    if not reason:
        raise InvalidError(errors={"reason": [_("It was approved: say why it is corrected.")]})
    if waiting is not None:
        Baseline.objects.filter(pk=waiting.pk).update(ended_at=ClockTimestamp())
    row = Baseline(slug=found.slug, **values, entered_by=actor, reason=reason, corrects=found)
    row.number = _next_number(found.slug)
    row.save(force_insert=True)
    record(actor, row, "proposed", payload={**said_of(row), "number": row.number, "reason": reason})
    return row, PROPOSED


def _live(slug: str) -> Baseline | None:
    """Locked; who waited for the lock finds the version that took its place meanwhile."""
    rows = Baseline.objects.select_for_update().filter(LIVE, slug=slug)
    return rows.first() or rows.first()


def _locked(actor: User, slug: str) -> Baseline:
    live = _live(slug)
    if live is None:
        raise NotFoundError
    require_manager(actor, unit_of(live.workflow, known=False), MANAGE)
    return live


def _end(actor: User, live: Baseline) -> Baseline:
    """It counts no more; what it said stays, in the ledger and here."""
    live.corrections.filter(ended_at=None).update(ended_at=ClockTimestamp())
    Baseline.objects.filter(pk=live.pk).update(ended_at=ClockTimestamp())
    record(actor, live, "ended", payload=said_of(live))
    live.refresh_from_db()
    return live


def _is_nobodys(by: User | None) -> bool:
    return by is None or not by.is_human


def _answer_for(actor: User, row: Baseline, **asked: User) -> Baseline:
    """The first of two people, in the place of a system."""
    Baseline.objects.filter(pk=row.pk).update(**asked)
    row.refresh_from_db()
    record(actor, row, "answered_for", payload={**said_of(row), "number": row.number})
    return row


def _refuse_own(actor: User, by: User | None) -> None:
    if by is not None and by.pk == actor.pk:
        words = _("Somebody else has to approve it: it was you who entered it, or asked for it.")
        raise NotAllowedError(words, code="not_eligible", why="requester")


def _refuse_clash(workflow: str, kpi: str, valid_from: date, slug: str) -> None:
    rows = Baseline.objects.filter(LIVE, workflow=workflow, kpi=kpi, valid_from=valid_from).exclude(slug=slug)
    if rows.exists():
        raise ConflictError("There is a baseline of this workflow and KPI from this day on already.")


def _rewrites(workflow: str, kpi: str, valid_from: date, slug: str) -> bool:
    """Whether it would take the place of an approved one for days that are over."""
    if valid_from >= local_day(database_now(), reporting_zone()):
        return False
    approved = Baseline.objects.filter(LIVE, Q(workflow=workflow) | Q(workflow=""), kpi=kpi, approved_at__isnull=False)
    return approved.exclude(slug=slug).exists()


def _next_number(slug: str) -> int:
    last = Baseline.objects.filter(slug=slug).order_by("-number").values_list("number", flat=True).first()
    return (last or 0) + 1
