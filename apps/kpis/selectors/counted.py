"""What each run behind a number adds to it, in a column of its own."""

from collections.abc import Iterable
from uuid import UUID

from django.utils.translation import gettext as _

from apps.core.models import User
from apps.kpis.models import RunFact
from apps.kpis.rules.definitions import Definition, Unit
from apps.kpis.rules.definitions.kinds import Behind, Kind
from apps.kpis.rules.formats import count_text, duration_text

COUNTED = {
    "flow_ms": ("flow_ms", "cycle_ms"),
    "failed_tries": ("failed_tries", "tries"),
    "automated_steps": ("automated_steps", "worked_steps"),
}
"""What of a run is held against what, by the numerator."""


def counted_for(actor: User, definition: Definition, rows: Iterable[RunFact]) -> dict[UUID, str]:
    """What each of these runs adds to a sum over runs, by the run's id; nothing where all runs count alike."""
    if not actor.is_active or definition.behind != Behind.FINISHED:
        return {}
    if definition.kind == Kind.PART:
        names = COUNTED[definition.numerator]
        return {run.run_id: _("%s of %s") % tuple(_text(run, name) for name in names) for run in rows}
    if definition.kind == Kind.QUOTIENT and definition.unit in {Unit.SECONDS, Unit.HANDOVERS}:
        return {run.run_id: _text(run, definition.numerator) for run in rows}
    return {}


def _text(run: RunFact, name: str) -> str:
    value = (run.cycle_ms or 0) - run.wait_ms if name == "flow_ms" else getattr(run, name)
    return duration_text(value / 1000) if name.endswith("_ms") else count_text(value)
