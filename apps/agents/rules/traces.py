"""The trace that the plane gives to work, so that what agents report of it is known by it (W3C Trace Context).

Nothing is stored for it: a run's id, 128 bits, *is* its trace id, an action's where there is no run; and the last
64 bits of a task's or action's id, all random but two, are the id of the span that stands for it.
"""

from uuid import UUID

SAMPLED = "01"


def trace_id_of(trail: UUID) -> str:
    """The trace of a run, or of an action outside of runs: 32 hex digits."""
    return trail.hex


def span_id_of(work: UUID) -> str:
    """The span that stands for a task or an action: 16 hex digits. What an agent does for it comes below."""
    return work.hex[16:]


def traceparent_of(trail: UUID, work: UUID) -> str:
    """What an agent continues: the value of W3C's header ``traceparent``."""
    return f"00-{trace_id_of(trail)}-{span_id_of(work)}-{SAMPLED}"


def baggage_of(*, run: UUID | None, task: UUID | None, action: UUID | None = None) -> str:
    """The ids of the work, as W3C's header ``baggage`` has them; empty where there is none."""
    named = (("acp.run.id", run), ("acp.step.id", task), ("acp.action.id", action))
    return ",".join(f"{name}={value}" for name, value in named if value is not None)


def trail_of_trace(trace_id: str) -> UUID:
    """The id whose trace this would be; whether there is such a run or action is another question."""
    return UUID(hex=trace_id)
