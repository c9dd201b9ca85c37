"""One document and the trace it must leave, per pattern that is executed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from apps.workflows.rules.checks import check_document
from apps.workflows.rules.definition import compile_document, definition_of
from apps.workflows.rules.planner import events as on
from apps.workflows.rules.source import read_sources
from apps.workflows.rules.states import TimerKind, Unwinding
from tests.workflows.world import World

PATTERNS = sorted((Path(__file__).parent / "patterns").glob("*.yaml"))


def play(world: World, line: Any) -> None:
    """One line of a script: something that happens to the run."""
    if line == "taken_back":
        world.taken_back()
        return
    if line == "cancel":
        world.send(on.EndRequested(Unwinding.CANCELLED, "cancelled", "Enough."))
        return
    ((what, said),) = line.items()
    said = {"step": said} if isinstance(said, str) else dict(said)
    if what == "timer":
        step = said.get("step", "")
        round_ = world.run.steps[step].round if step else 0
        world.send(on.TimerFired(TimerKind(said["kind"]), step, round_))
    elif what == "resolved":
        world.send(on.ExceptionResolved(round=world.run.steps[said["step"]].round, **said))
    elif what == "refused":
        round_ = world.run.steps[said["step"]].round
        world.send(on.ItemRefused(said["step"], round_, 0, said["outcome"], {"decided_by": ["ada"]}))
    else:
        getattr(world, what)(**said)


@pytest.mark.parametrize("path", PATTERNS, ids=lambda path: path.stem)
def test_pattern(path: Path) -> None:
    document, _ = read_sources(path.read_text())
    told = list(yaml.safe_load_all(path.read_text()))[1]
    assert check_document(document) == []
    definition = definition_of(compile_document(document.value, queues=frozenset({"clerks"})))
    world = World(definition, told.get("input")).start()
    for line in told["script"]:
        play(world, line)
    assert world.trace == told["trace"]
    if "output" in told:
        assert world.run.output == told["output"]
