"""The map of an imported log: its activities and what directly follows what, drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

from apps.core.gate import require
from apps.core.models import User
from apps.kpis.models import EventLog
from apps.kpis.rules.formats import count_text, duration_text
from apps.kpis.selectors.definitions import VIEW
from apps.workflows.rules.drawing import GAP_X, HEIGHT, MAX_NODES, WIDTH, Arrow, draw

SHARES = (0, 5, 10, 25, 50)
"""What follows so seldom, in percent of what follows most often, may be left out."""
THINNEST, THICKEST = 1.0, 7.0
LABEL_CHARS = 20
CHAR_WIDTH, LABEL_HEIGHT, BESIDE = 6.5, 12, 8
"""Of the words beside an arrow at most, as the sheet sets them, and the room to their left and right."""


@dataclass(frozen=True, slots=True)
class Activity:
    """One activity: its corner, its words, in how many events it is."""

    name: str
    x: float
    y: float
    label: str
    sub: str


@dataclass(frozen=True, slots=True)
class Flow:
    """What follows what: its path, its head, how thick it is, how often and after which median wait."""

    before: str
    after: str
    path: str
    head: str
    width: float
    label: str
    label_x: float
    label_y: float


@dataclass(frozen=True, slots=True)
class LogMap:
    """The drawing, from its upper left corner on.

    ``left_out``: flows that are rarer than was asked for. Empty ``activities``: too many to draw.
    """

    activities: list[Activity]
    flows: list[Flow]
    left: int
    top: int
    width: int
    height: int
    share: int
    left_out: int
    shares: tuple[int, ...] = SHARES
    box_width: int = WIDTH
    box_height: int = HEIGHT


def share_of(text: str) -> int:
    """The share that a query asks for, in percent; 0 for anything that is none."""
    return next((share for share in SHARES if str(share) == text), 0)


def log_map_for(actor: User, log: EventLog, share: int = 0) -> LogMap:
    """The map of a log (fetched through ``event_log_for``) without what is rarer than ``share`` percent of the most."""
    require(actor, VIEW)
    return log_map_of(log.figures["map"]["arrows"], log.figures["activities"], share)


def log_map_of(arrows: Sequence[Mapping[str, Any]], activities: Sequence[Mapping[str, Any]], share: int) -> LogMap:
    """The drawing of these arrows; the same gives the same drawing."""
    most = max((arrow["count"] for arrow in arrows), default=0)
    kept = {(one["from"], one["to"]): one for one in arrows if 100 * one["count"] >= share * most}
    events = {one["activity"]: one["events"] for one in activities}
    names = list(dict.fromkeys([*_in_order(events, kept), *(name for pair in kept for name in pair)]))
    left_out = len(arrows) - len(kept)
    if not kept or len(names) > MAX_NODES:
        return LogMap([], [], 0, 0, 0, 0, share, left_out)
    widest = max(len(_label(one)) for one in kept.values())
    drawing = draw(names, list(kept), gap=max(GAP_X, widest * CHAR_WIDTH + 2 * BESIDE))
    boxes = [
        Activity(name, round(x, 1), round(y, 1), _short(name), count_text(events[name]) if name in events else "")
        for name, (x, y) in ((name, drawing.corners[name]) for name in names)
    ]
    boxes.sort(key=lambda box: box.x)
    flows = [_flow(arrow, kept[arrow.source, arrow.target], most) for arrow in drawing.arrows]
    left, top, right, bottom = _room(flows, drawing.width, drawing.height)
    return LogMap(boxes, flows, left, top, right - left, bottom - top, share, left_out)


def _room(flows: Sequence[Flow], width: float, height: float) -> tuple[int, int, int, int]:
    """From where to where the drawing goes with the words beside its arrows: those of an outer one stand out."""
    halves = [(one.label_x, len(one.label) * CHAR_WIDTH / 2) for one in flows]
    return (
        floor(min([0, *(x - half for x, half in halves)])),
        floor(min([0, *(one.label_y - LABEL_HEIGHT for one in flows)])),
        ceil(max([width, *(x + half for x, half in halves)])),
        ceil(max([height, *(one.label_y + LABEL_HEIGHT / 2 for one in flows)])),
    )


def _in_order(events: Mapping[str, int], kept: Mapping[tuple[str, str], Any]) -> list[str]:
    """Activities that something follows or that follow, the most frequent first."""
    drawn = {name for pair in kept for name in pair}
    return [name for name in events if name in drawn]


def _flow(arrow: Arrow, one: Mapping[str, Any], most: int) -> Flow:
    x, y = arrow.points[-1]
    towards = -1 if arrow.is_back and arrow.source != arrow.target else 1
    (x0, y0), (x1, y1) = arrow.points[0], arrow.points[1]
    return Flow(
        before=arrow.source,
        after=arrow.target,
        path=arrow.path,
        head=f"M{x:.1f} {y:.1f}l{-7 * towards} -3.5v7z",
        width=round(THINNEST + (THICKEST - THINNEST) * one["count"] / most, 1),
        label=_label(one),
        label_x=round((x0 + x1) / 2, 1),
        label_y=round((y0 + y1) / 2 - 5, 1),
    )


def _label(one: Mapping[str, Any]) -> str:
    return f"{count_text(one['count'])} · {duration_text(one['wait_p50_s'])}"


def _short(name: str) -> str:
    return name if len(name) <= LABEL_CHARS else f"{name[: LABEL_CHARS - 1]}…"
