"""The Celery door: one task, which drains one lane."""

from typing import Any

from celery import shared_task
from django.conf import settings

from apps.core import services
from apps.core.clockwork import function_at
from apps.core.queue import answer_ring
from apps.core.tracing import TRACEPARENT, SpanKind, span
from apps.core.turns import gives_way, going_first


@shared_task(name="core.drain", ignore_result=True, bind=True)
def drain(self: Any, lane: str) -> int:
    """Do what waits in ``lane`` until nothing does; how much. Forgets the wake first: what comes now rings again."""
    rung = getattr(self.request, TRACEPARENT, None) or ""
    done = 0
    with span(f"drain {lane}", kind=SpanKind.CONSUMER, parent=rung), going_first(lane):
        answer_ring(lane)
        while not gives_way(lane) and (count := function_at(settings.LANES[lane])()):
            done += count
    return done


def sweep_idempotency_keys() -> int:
    """Forget answers older than 48 hours."""
    return services.forget_answers()
