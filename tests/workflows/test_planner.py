"""Properties of the planner: any process ends, joins wait for what lives, nothing happens twice."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.workflows.rules.definition import Definition, definition_of
from apps.workflows.rules.planner import commands as do
from apps.workflows.rules.planner import events as on
from apps.workflows.rules.states import StepState, Unwinding
from tests.workflows.world import World, definition_from

NAMES = ["a", "b", "c", "d", "e", "f", "g"]


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    """A random process of agents, people and rules; rejections may send work back."""
    steps: list[dict[str, Any]] = []
    before: dict[str, list[str]] = {}
    for place, name in enumerate(NAMES[: draw(st.integers(1, 7))]):
        step: dict[str, Any] = {"name": name}
        kind = draw(st.sampled_from(["agent", "operation", "approval", "rule"]))
        outcomes = _make(step, kind)
        if place:
            chosen = draw(st.lists(st.sampled_from(NAMES[:place]), max_size=3, unique=True))
            ends = {other: draw(st.sampled_from([*[None] * 3, *before[other]])) for other in chosen}
            step["needs"] = [f"{other}.{end}" if end else other for other, end in ends.items()]
        if draw(st.booleans()):
            step["when"] = draw(st.sampled_from(["true", "false"]))
        if kind == "approval" and place and draw(st.booleans()):
            target = draw(st.sampled_from([*step.get("needs", [])] or [name])).split(".")[0]
            step["outcomes"] = {
                "rejected": {"back_to": target, "max": 2, "else": draw(st.sampled_from(["fail", "outcome"]))}
            }
        before[name] = outcomes
        steps.append(step)
    return definition_of({"slug": "s", "name": "S", "unit": "u", "steps": steps})


def _make(step: dict[str, Any], kind: str) -> list[str]:
    if kind == "agent":
        step |= {"agent": "lab.do", "decide": [{"yes": f"steps.{step['name']}.ok"}, {"no": "true"}]}
        return ["yes", "no"]
    if kind == "operation":
        step |= {"operation": "lab.do", "compensate": {"operation": "lab.undo"}}
        return ["done", "rejected"]
    if kind == "approval":
        step |= {"approval": {"subject": "1"}, "queue": "q", "due": {"after": "1h"}}
        return ["approved", "rejected", "expired"]
    step |= {"rule": {"value": "1"}}
    return ["done"]


def finish(world: World, choose: Any, limit: int = 400) -> None:
    """Let open work end in any order and any way until nothing is open."""
    for _ in range(limit):
        if world.run.is_over:
            return
        open_compensation = [c for c in world.run.compensations if c.state == "open"]
        open_steps = [view for view in world.run.steps.values() if view.is_open]
        assert open_compensation or open_steps, "A run that is not over waits for something."
        if open_compensation:
            world.taken_back()
            continue
        view = choose(st.sampled_from(open_steps))
        _end(world, view.name, choose)
    raise AssertionError("It never ends.")


def _end(world: World, name: str, choose: Any) -> None:
    match world.definition.steps[name].kind:
        case "approval":
            world.decided(name, choose(st.sampled_from(["approved", "rejected", "expired"])))
        case "operation":
            if choose(st.booleans()):
                world.done(name, {})
            else:
                round_ = world.run.steps[name].round
                world.send(on.ItemRefused(name, round_, 0, "rejected", {"decided_by": []}))
        case _:
            world.done(name, {"ok": choose(st.booleans())})


@given(definitions(), st.data())
@settings(max_examples=300, deadline=None)
def test_every_process_ends_with_every_step_settled(definition: Definition, data: st.DataObject) -> None:
    world = World(definition).start()
    finish(world, data.draw)
    assert all(view.state != StepState.OPEN for view in world.run.steps.values())
    if world.run.state == "succeeded":
        assert set(world.run.steps) == set(definition.steps)
    assert not world.run.unwinding


@given(definitions(), st.data())
@settings(max_examples=200, deadline=None)
def test_a_step_ran_only_if_something_led_to_it(definition: Definition, data: st.DataObject) -> None:
    world = World(definition).start()
    finish(world, data.draw)
    for name, view in world.run.steps.items():
        needs = definition.steps[name].needs
        if view.state == StepState.DEAD:
            assert needs
        if needs and view.state == StepState.DONE:
            sources = [world.run.steps[edge.source] for edge in needs]
            assert any(source.state in (StepState.DONE, StepState.SKIPPED, StepState.FAILED) for source in sources)


@given(definitions(), st.data(), st.integers(0, 6))
@settings(max_examples=200, deadline=None)
def test_cancelling_at_any_time_takes_back_every_effect_once(
    definition: Definition, data: st.DataObject, moment: int
) -> None:
    world = World(definition).start()
    for _ in range(moment):
        open_steps = [view for view in world.run.steps.values() if view.is_open]
        if world.run.is_over or world.run.unwinding or not open_steps:
            break
        _end(world, data.draw(st.sampled_from(open_steps)).name, data.draw)
    if world.run.is_over:
        return
    world.send(on.EndRequested(Unwinding.CANCELLED, "cancelled", "Enough."))
    finish(world, data.draw)
    assert world.run.state in ("cancelled", "failed")
    undone = [(c.step, c.round) for c in world.run.compensations if c.state == "done"]
    assert len(undone) == len(set(undone))
    for view in world.run.steps.values():
        if definition.steps[view.name].compensate and view.state == StepState.DONE and view.done:
            assert (view.name, view.round) in undone


@given(definitions(), st.data())
@settings(max_examples=100, deadline=None)
def test_what_comes_twice_or_too_late_changes_nothing(definition: Definition, data: st.DataObject) -> None:
    world = World(definition).start()
    for _ in range(4):
        open_steps = [view for view in world.run.steps.values() if view.is_open]
        if world.run.is_over or not open_steps or world.run.unwinding:
            break
        view = data.draw(st.sampled_from(open_steps))
        name, round_ = view.name, view.round
        _end(world, name, data.draw)
        before = {other.name: (other.state, other.round) for other in world.run.steps.values()}
        for late in (
            on.ItemDone(name, round_, 0, {"ok": True}),
            on.ItemFailed(name, round_, 0, "late", "Late."),
            on.PeopleAnswered(name, round_, "approved", {}),
        ):
            assert world.planner.on(late) == []
        assert before == {other.name: (other.state, other.round) for other in world.run.steps.values()}


def test_an_effect_in_flight_when_the_run_is_cancelled_is_waited_for_and_taken_back() -> None:
    world = World(
        definition_from(
            "kind: Workflow\nslug: s\nname: S\nunit: u\nsteps:\n"
            "  a: {operation: lab.pay, compensate: {operation: lab.refund, with: {id: steps.a.id}}}\n"
        )
    ).start()
    world.in_flight["a"] = 1
    world.send(on.EndRequested(Unwinding.CANCELLED, "cancelled", "Enough."))
    assert (world.run.state, world.state("a")) == ("compensating", "open")
    world.done("a", {"id": 7})
    assert world.compensation(1).parameters == {"id": 7}
    world.taken_back()
    assert world.run.state == "cancelled"


def test_a_compensation_that_fails_for_good_waits_for_a_person() -> None:
    world = World(
        definition_from(
            "kind: Workflow\nslug: s\nname: S\nunit: u\nsteps:\n"
            "  a: {operation: lab.pay, compensate: {operation: lab.refund}}\n"
            "  b: {needs: [a], agent: lab.do, on_error: {then: fail}}\n"
        )
    ).start()
    world.done("a", {}).failed("b")
    world.send(on.CompensationEnded(1, succeeded=False, code="refused", message="No."))
    assert world.run.state == "compensation_failed"
    assert world.exceptions[-1].resolutions == ("retry", "accept")
    world.send(on.CompensationResolved(1, "retry"))
    assert (world.run.state, world.compensating) == ("compensating", [1, 1])
    world.send(on.CompensationEnded(1, succeeded=False, code="refused", message="No."))
    world.send(on.CompensationResolved(1, "accept"))
    assert world.run.state == "failed"


def test_a_thousand_branches_join_once() -> None:
    world = World(
        definition_from(
            "kind: Workflow\nslug: s\nname: S\nunit: u\ninput: {type: array}\nsteps:\n"
            "  a: {for_each: input, agent: lab.do, with: {n: item}, join: {min: 700, cancel_rest: true}}\n"
        ),
        list(range(1000)),
    ).start()
    for item in range(1000):
        world.send(on.ItemDone("a", 1, item, item))
    assert world.run.output == {"a": list(range(700))}
    assert world.trace.count("a done done") == 1


def test_a_retry_waits_with_jitter_and_stops_at_its_maximum() -> None:
    world = World(
        definition_from(
            "kind: Workflow\nslug: s\nname: S\nunit: u\nsteps:\n"
            "  a: {agent: lab.do, retry: {max: 2, delay: 10s, factor: 3}, on_error: {then: fail}}\n"
        )
    ).start()
    world.failed("a", retryable=True, failures=1, jitter=0.5)
    world.failed("a", retryable=True, failures=2, jitter=1.0)
    assert [retry.wait_s for retry in world.retries] == [5.0, 30.0]
    world.failed("a", retryable=True, failures=3)
    assert world.run.state == "failed"


def test_an_exclusion_that_gives_no_names_fails_instead_of_excluding_nobody() -> None:
    world = World(
        definition_from(
            "kind: Workflow\nslug: s\nname: S\nunit: u\ninput: {type: object}\nsteps:\n"
            "  a: {approval: {subject: '1'}, queue: q, due: {after: 1h}, exclude: [input.n]}\n"
        ),
        {"n": 7},
    ).start()
    assert "a" not in world.asked
    assert isinstance(world.exceptions[0], do.RaiseException)
    assert world.exceptions[0].code == "expression_error"
