"""A workflow, or a run of it, as a drawing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.core.models import User
from apps.workflows.rules.definition import PEOPLE_SAID_NO, Definition, Edge, StepDef
from apps.workflows.rules.drawing import HEIGHT, MAX_NODES, WIDTH, Arrow, Drawing, draw
from apps.workflows.rules.states import Kind, StepState, TakenBack
from apps.workflows.selectors.reading import StepShown

LABEL_CHARS = 20
ZOOMS = (50, 75, 100, 150, 200)
"""How large a drawing may be shown, in percent."""
CSS = {
    StepState.DONE: "ok",
    StepState.FAILED: "bad",
    StepState.OPEN: "now",
    StepState.SKIPPED: "idle",
    StepState.DEAD: "idle",
    StepState.CANCELLED: "idle",
}


@dataclass(frozen=True, slots=True)
class Box:
    """One step: its corner, its words, and its look."""

    name: str
    x: float
    y: float
    label: str
    title: str
    sub: str
    css: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One edge: its path, its head, the outcome that it carries and where that is written."""

    path: str
    head: str
    css: str
    label: str
    label_x: float
    label_y: float


@dataclass(frozen=True, slots=True)
class Picture:
    """The whole drawing. ``boxes``: from left to right, so that the keyboard goes along the edges.

    ``zoom``: how large it is shown, in percent.
    """

    boxes: list[Box]
    lines: list[Line]
    width: int
    height: int
    zoom: int = 100
    box_width: int = WIDTH
    box_height: int = HEIGHT

    @property
    def shown_width(self) -> int:
        """Its width as it is shown."""
        return self.width * self.zoom // 100

    @property
    def shown_height(self) -> int:
        """Its height as it is shown."""
        return self.height * self.zoom // 100

    @property
    def smaller(self) -> int | None:
        """The next smaller zoom; None where there is none."""
        return max((zoom for zoom in ZOOMS if zoom < self.zoom), default=None)

    @property
    def larger(self) -> int | None:
        """The next larger zoom; None where there is none."""
        return min((zoom for zoom in ZOOMS if zoom > self.zoom), default=None)


def zoom_of(text: str) -> int:
    """The zoom that a query asks for; 100 for anything that is none."""
    return next((zoom for zoom in ZOOMS if str(zoom) == text), 100)


def picture_for(
    actor: User, definition: Definition, steps: Sequence[StepShown] = (), chosen: str = "", zoom: int = 100
) -> Picture | None:
    """The drawing of a definition, in the states of a run's steps; None when it is too large to help."""
    assert actor.is_active
    if len(definition.steps) > MAX_NODES:
        return None
    now = {step.name: step for step in steps if step.current}
    rework = [(name, back.to) for name, step in definition.steps.items() for back in step.back.values()]
    edges = {(edge.source, name): edge for name, step in definition.steps.items() for edge in step.needs}
    drawing = draw(list(definition.steps), [*edges, *rework])
    boxes = [_box(step, drawing, now.get(step.name), chosen) for step in definition.steps.values()]
    boxes.sort(key=lambda box: box.x)  # by rank; what stands in one rank, as it was written
    lines = [_line(arrow, edges.get((arrow.source, arrow.target)), definition, now) for arrow in drawing.arrows]
    return Picture(boxes, lines, round(drawing.width), round(drawing.height), zoom)


def kind_word(kind: str) -> str:
    """Who does a step of this kind, in a word."""
    words = {
        Kind.AGENT: _("Agent"),
        Kind.OPERATION: _("System"),
        Kind.APPROVAL: _("People decide"),
        Kind.FORM: _("People fill in"),
        Kind.RULE: _("Rule"),
    }
    return words[Kind(kind)]


def _box(step: StepDef, drawing: Drawing, shown: StepShown | None, chosen: str) -> Box:
    x, y = drawing.corners[step.name]
    label = step.label if len(step.label) <= LABEL_CHARS else f"{step.label[: LABEL_CHARS - 1]}…"
    return Box(
        step.name,
        round(x, 1),
        round(y, 1),
        label,
        step.label,
        _sub(step, shown),
        _css(step, shown),
        step.name == chosen,
    )


def _css(step: StepDef, shown: StepShown | None) -> str:
    if shown is None:
        return ""
    if shown.state == StepState.OPEN and any(waiting.kind == "people" for waiting in shown.waiting_for):
        return "warn"
    if shown.undone:
        return "idle" if shown.undone == TakenBack.WHOLLY else "warn"
    if shown.state == StepState.DONE and shown.outcome in PEOPLE_SAID_NO:
        return "bad"
    return CSS.get(StepState(shown.state), "")


def _sub(step: StepDef, shown: StepShown | None) -> str:
    word = kind_word(step.kind)
    if shown is None:
        return f"{word} × n" if step.for_each else word
    state = _state_words().get(StepState(shown.state), shown.state)
    if shown.state == StepState.DONE and shown.outcome not in (None, "done"):
        state = str(shown.outcome).replace("_", " ")
    if shown.undone:
        state = _("taken back") if shown.undone == TakenBack.WHOLLY else _("taken back in part")
    again = f" · {_('round')} {shown.round}" if shown.round > 1 else ""
    return f"{word} · {state if shown.undone else shown.items or state}{again}"


def _state_words() -> Mapping[StepState, str]:
    return {
        StepState.PENDING: _("not yet"),
        StepState.OPEN: _("now"),
        StepState.DONE: _("done"),
        StepState.FAILED: _("failed"),
        StepState.SKIPPED: _("skipped"),
        StepState.DEAD: _("not taken"),
        StepState.CANCELLED: _("cancelled"),
    }


def _line(arrow: Arrow, edge: Edge | None, definition: Definition, now: Mapping[str, StepShown]) -> Line:
    css = "edge back" if arrow.is_back else "edge"
    if edge is not None and _taken(edge, definition, now.get(edge.source)):
        css += " taken"
    (_, before_y), (x, y) = arrow.points[-2:]
    towards = -1 if arrow.is_back else 1
    head = f"M{x:.1f} {y:.1f}l{-7 * towards} -3.5v7z"
    label = edge.outcome or "" if edge else ""
    return Line(
        arrow.path, head, css, label.replace("_", " "), round(x - 8, 1), round(y + (15 if before_y < y else -7), 1)
    )


def _taken(edge: Edge, definition: Definition, source: StepShown | None) -> bool:
    if source is None:
        return False
    if source.state == StepState.SKIPPED:
        return edge.outcome is None
    if source.state == StepState.DONE:
        if edge.outcome:
            return source.outcome == edge.outcome
        return definition.steps[edge.source].flows_through(source.outcome)
    return source.state == StepState.FAILED and source.outcome == "continued"
