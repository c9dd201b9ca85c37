"""Posting weekly reports, beside all other messages: a report that is slow or at fault delays no other message.

Readers with the same rights share what was written for the first of them in one round.
"""

import time
from collections.abc import Hashable

import structlog

from apps.access.selectors import rights_key_for
from apps.core.errors import DomainError
from apps.notifications.adapters.mail import Post
from apps.notifications.models import Delivery
from apps.notifications.rules import Sent
from apps.notifications.services.letters import Written, report_letter_of, report_of
from apps.notifications.services.sending import AT_FAULT, BUDGET_S, Batch, claim_batch, hold_batch, settle_batch

log = structlog.get_logger(__name__)

LEASE_S = 1800
"""How long a report may be worked out before its worker counts as gone."""

type Reports = dict[Hashable, Written | Sent]


def send_reports() -> int:
    """Write and post the weekly reports that are due, for about ``BUDGET_S`` seconds; how many were dealt with."""
    done, ends = 0, time.monotonic() + BUDGET_S
    reports: Reports = {}
    with Post() as post:
        while time.monotonic() < ends and (batch := claim_batch(reports=True, lease_s=LEASE_S)):
            if not batch.rows:
                settle_batch(batch, None)
            elif sent := _sent(batch, post, reports):
                settle_batch(batch, sent)
            done += 1
    return done


def _sent(batch: Batch, post: Post, reports: Reports) -> Sent | None:
    """None where another took the report meanwhile, who sends it."""
    row = batch.rows[0]
    written = _written(row, reports)
    if isinstance(written, Sent):
        return written
    return post.send(report_letter_of(row, written)) if hold_batch(batch) else None


def _written(row: Delivery, reports: Reports) -> Written | Sent:
    assert row.notice.report is not None, "the notice is about a report"
    assert row.recipient is not None, "a report goes to people"
    rights, about = rights_key_for(row.recipient), (row.notice.entry.payload["week"], row.notice.report.unit_id)
    if (found := reports.get((rights, *about))) is not None:
        return found
    written = _tried(row)
    if rights_key_for(row.recipient) == rights:  # else it was written with other rights than those of its key
        reports[rights, *about] = written
    return written


def _tried(row: Delivery) -> Written | Sent:
    try:
        return report_of(row)
    except DomainError as error:
        return Sent(ok=False, text=str(error.message), is_final=True)
    except AT_FAULT as error:
        name = type(error).__name__
        log.warning("report_failed", error=name, delivery=str(row.pk))
        return Sent(ok=False, text=f"The report could not be worked out ({name}).")
