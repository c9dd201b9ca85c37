"""Erasing what agents reported with the trail that it is about: words go, what was counted and when stays."""

from collections.abc import Iterable
from datetime import timedelta
from time import monotonic
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from apps.agents.models import Action
from apps.agents.rules.traces import trace_id_of, trail_of_trace
from apps.core.models import User
from apps.telemetry.models import LogRecord, Span
from apps.workflows.models import Run
from apps.workflows.services.erasing import hold_off_erasures

AT_ONCE = 10_000
FORGET_S = 5.0
"""So long one round deletes, and then leaves the rest to the next."""


@transaction.atomic
def erase_reports(actor: User, *, trail: UUID) -> int:
    """Blank spans and logs of a trail whose words were erased; how many. Whoever erased answered for the permission."""
    return _blank([trail])


def blank_erased(traces: Iterable[str], named: Iterable[UUID] = ()) -> int:
    """The same for what arrives after its trail was erased: sent late, or once more. Call where it was just written.

    ``named``: trails that it belongs to whatever its trace is.

    What is erased from here on is erased after the caller's rows are there for all to see (``hold_off_erasures``).
    """
    hold_off_erasures()
    trails = {trail_of_trace(trace) for trace in traces} | set(named)
    linked = Span.objects.filter(trace_id__any_of=list(traces))
    for run, action in linked.values_list("run_id", "action_id").distinct():
        trails |= {one for one in [run or action] if one}
    runs = Run.objects.filter(pk__any_of=list(trails)).exclude(erased_at=None).values_list("pk", flat=True)
    actions = Action.objects.filter(pk__any_of=list(trails)).exclude(erased_at=None).values_list("pk", flat=True)
    erased = [*runs, *actions]
    return _blank(erased) if erased else 0


def _blank(trails: list[UUID]) -> int:
    """A row stays, so that what is sent again changes nothing and what models used counts once."""
    of_them = Q(run_id__any_of=trails) | Q(action_id__any_of=trails, run_id=None)
    in_them = Q(trace_id__any_of=[trace_id_of(trail) for trail in trails])
    spans = Span.objects.filter(of_them | in_them)
    said_in = spans.filter(agent=OuterRef("agent"), trace_id=OuterRef("trace_id"), span_id=OuterRef("span_id"))
    beside = Q(trace_id__in=spans.values("trace_id")) & Q(Exists(said_in))
    words: dict[str, object] = {"attributes": {}, "service": ""}
    logs = LogRecord.objects.filter(of_them | in_them | beside).update(**words, body="", event="")
    return logs + spans.update(**words, name="", conversation="", told_version="")


def forget_old(kind: type[Span] | type[LogRecord]) -> int:
    """Delete what is older than ``ACP_SPAN_DAYS``, ``AT_ONCE`` rows a statement, for ``FORGET_S`` at most; how many."""
    old = kind._default_manager.filter(created_at__lt=Now() - timedelta(days=settings.ACP_SPAN_DAYS))
    gone, until = 0, monotonic() + FORGET_S
    while True:
        batch = list(old.values_list("pk", flat=True)[:AT_ONCE])
        gone += kind._default_manager.filter(pk__any_of=batch).delete()[0]
        if len(batch) < AT_ONCE or monotonic() > until:
            return gone
