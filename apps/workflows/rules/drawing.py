"""A layered drawing of a graph, left to right: ranks by longest path, few crossings, straight long edges.

Edges that would run backwards are reversed for the layout and marked; self-loops are drawn as loops. The same graph
always gives the same drawing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 172, 58, 36, 24, 12
DUMMY_HEIGHT = 12
SWEEPS, PLACINGS = 12, 9
MAX_NODES = 150

type Point = tuple[float, float]
type Cell = str | tuple[str, str, int]
"""A node, or the place where a long edge (from, to) passes a rank."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """An edge with the points it passes, from the right side of its source to the left side of its target."""

    source: str
    target: str
    points: tuple[Point, ...]
    is_back: bool = False

    @property
    def path(self) -> str:
        """The SVG path: cubic curves that leave and arrive level."""
        (x0, y0), *rest = self.points
        text = f"M{x0:.1f} {y0:.1f}"
        for x1, y1 in rest:
            middle = (x0 + x1) / 2
            text += f"C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
            x0, y0 = x1, y1
        return text


@dataclass(frozen=True, slots=True)
class Drawing:
    """Where everything is: the left upper corner of each node, the arrows, and the size of the whole."""

    corners: dict[str, Point]
    arrows: tuple[Arrow, ...]
    width: float
    height: float


def draw(nodes: Sequence[str], edges: Sequence[tuple[str, str]], *, gap: float = GAP_X) -> Drawing:
    """The drawing of ``nodes`` in their order, and ``edges`` between them. Raises ValueError above 150 nodes.

    ``gap``: the room between a column and the next; words beside arrows need more of it.
    """
    if len(nodes) > MAX_NODES:
        raise ValueError(f"More than {MAX_NODES} nodes.")
    known = set(nodes)
    wanted = [edge for edge in dict.fromkeys(edges) if edge[0] in known and edge[1] in known]
    back = _backward(nodes, wanted)
    forward = {edge: (edge[1], edge[0]) if edge in back else edge for edge in wanted if edge[0] != edge[1]}
    ranks = _ranks(nodes, set(forward.values()))
    layers, chains = _layers(nodes, ranks, list(dict.fromkeys(forward.values())))
    neighbours = _neighbours(layers, chains)
    layers = _untangle(layers, neighbours)
    y = _place(layers, neighbours)
    lowest = min(y.values(), default=0.0)
    corners: dict[str, Point] = {
        node: (MARGIN + ranks[node] * (WIDTH + gap), MARGIN + y[node] - HEIGHT / 2 - lowest + HEIGHT / 2)
        for node in nodes
    }
    arrows = []
    for edge in wanted:
        if edge[0] == edge[1]:
            arrows.append(_loop(edge[0], corners[edge[0]]))
            continue
        a, b = forward[edge]
        bends = [
            (MARGIN + (ranks[a] + step + 1) * (WIDTH + gap) + WIDTH / 2, MARGIN + y[cell] - lowest + HEIGHT / 2)
            for step, cell in enumerate(chains[a, b])
        ]
        points = (_right(corners[a]), *bends, _left(corners[b]))
        arrows.append(Arrow(*edge, tuple(reversed(points)) if edge in back else points, edge in back))
    width = max((x for x, _ in corners.values()), default=0.0) + WIDTH + MARGIN
    bottom = max((value for value in y.values()), default=0.0) - lowest
    return Drawing(corners, tuple(arrows), width, bottom + HEIGHT + 2 * MARGIN)


def _right(corner: Point) -> Point:
    return corner[0] + WIDTH, corner[1] + HEIGHT / 2


def _left(corner: Point) -> Point:
    return corner[0], corner[1] + HEIGHT / 2


def _loop(node: str, corner: Point) -> Arrow:
    x, y = corner
    points = ((x + WIDTH * 0.75, y), (x + WIDTH * 0.75, y - GAP_Y / 2), (x + WIDTH * 0.5, y))
    return Arrow(node, node, points, is_back=True)


def _backward(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """The edges that close a circle on a walk in depth; without recursion, because chains may be long."""
    after: dict[str, list[str]] = {node: [] for node in nodes}
    for a, b in edges:
        after[a].append(b)
    found: set[tuple[str, str]] = set()
    done: set[str] = set()
    for start in nodes:
        if start in done:
            continue
        way, open_ones = [(start, iter(after[start]))], {start}
        while way:
            node, following = way[-1]
            child = next(following, None)
            if child is None:
                way.pop()
                open_ones.discard(node)
                done.add(node)
            elif child in open_ones:
                found.add((node, child))
            elif child not in done:
                open_ones.add(child)
                way.append((child, iter(after[child])))
    return found


def _ranks(nodes: Sequence[str], edges: set[tuple[str, str]]) -> dict[str, int]:
    """The longest way to each node; nodes that nothing leads to stand right before what they lead to."""
    before: dict[str, list[str]] = {node: [] for node in nodes}
    after: dict[str, list[str]] = {node: [] for node in nodes}
    for a, b in sorted(edges):
        before[b].append(a)
        after[a].append(b)
    left = {node: len(before[node]) for node in nodes}
    ready = [node for node in nodes if not left[node]]
    ranks = dict.fromkeys(nodes, 0)
    for node in ready:  # grows while it is read
        for child in after[node]:
            ranks[child] = max(ranks[child], ranks[node] + 1)
            left[child] -= 1
            if not left[child]:
                ready.append(child)
    for node in nodes:
        if not before[node] and after[node]:
            ranks[node] = min(ranks[child] for child in after[node]) - 1
    return ranks


type Chains = dict[tuple[str, str], list[Cell]]
type Neighbours = tuple[dict[Cell, list[Cell]], dict[Cell, list[Cell]]]


def _layers(
    nodes: Sequence[str], ranks: dict[str, int], edges: Sequence[tuple[str, str]]
) -> tuple[list[list[Cell]], Chains]:
    """The nodes of each rank, with a cell wherever a long edge passes."""
    layers: list[list[Cell]] = [[] for _ in range(max(ranks.values(), default=0) + 1)]
    for node in nodes:
        layers[ranks[node]].append(node)
    chains: Chains = {}
    for a, b in edges:
        chains[a, b] = [(a, b, rank) for rank in range(ranks[a] + 1, ranks[b])]
        for rank, cell in enumerate(chains[a, b], start=ranks[a] + 1):
            layers[rank].append(cell)
    return layers, chains


def _neighbours(layers: list[list[Cell]], chains: Chains) -> Neighbours:
    up: dict[Cell, list[Cell]] = {cell: [] for layer in layers for cell in layer}
    down: dict[Cell, list[Cell]] = {cell: [] for layer in layers for cell in layer}
    for (a, b), cells in chains.items():
        for first, second in pairwise([a, *cells, b]):
            down[first].append(second)
            up[second].append(first)
    return up, down


def _crossings(layers: list[list[Cell]], down: dict[Cell, list[Cell]]) -> int:
    total = 0
    for layer, following in pairwise(layers):
        place = {cell: index for index, cell in enumerate(following)}
        ends = [place[child] for cell in layer for child in sorted(down[cell], key=place.__getitem__)]
        total += sum(1 for i, first in enumerate(ends) for second in ends[i + 1 :] if first > second)
    return total


def _untangle(layers: list[list[Cell]], neighbours: Neighbours) -> list[list[Cell]]:
    """Order each rank by the median of its neighbours, back and forth; the order with the fewest crossings wins."""
    up, down = neighbours
    best, fewest = [list(layer) for layer in layers], _crossings(layers, down)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        forwards = sweep % 2 == 0
        order = range(1, len(layers)) if forwards else range(len(layers) - 2, -1, -1)
        for rank in order:
            fixed = {cell: index for index, cell in enumerate(layers[rank - 1 if forwards else rank + 1])}
            layers[rank] = _by_median(layers[rank], fixed, up if forwards else down)
        if (found := _crossings(layers, down)) < fewest:
            best, fewest = [list(layer) for layer in layers], found
    return best


def _by_median(layer: list[Cell], fixed: dict[Cell, int], towards: dict[Cell, list[Cell]]) -> list[Cell]:
    def key(item: tuple[int, Cell]) -> tuple[float, int]:
        index, cell = item
        places = sorted(fixed[other] for other in towards[cell])
        half = len(places) // 2
        if not places:
            return float(index), index
        return (places[half] if len(places) % 2 else (places[half - 1] + places[half]) / 2), index

    return [cell for _, cell in sorted(enumerate(layer), key=key)]


def _height(cell: Cell) -> int:
    return HEIGHT if isinstance(cell, str) else DUMMY_HEIGHT


def _place(layers: list[list[Cell]], neighbours: Neighbours) -> dict[Cell, float]:
    """The middle of each cell: as near to its neighbours as order and gaps allow."""
    up, down = neighbours
    y: dict[Cell, float] = {}
    for layer in layers:
        at = 0.0
        for cell in layer:
            y[cell] = at + _height(cell) / 2
            at += _height(cell) + GAP_Y
    both = {cell: up[cell] + down[cell] for cell in up}
    for placing in range(PLACINGS):
        forwards = placing % 2 == 0
        towards = both if placing in (PLACINGS - 3, PLACINGS - 2) else up if forwards else down
        for layer in layers if forwards else layers[::-1]:
            _settle(layer, y, towards)
    return y


def _settle(layer: list[Cell], y: dict[Cell, float], towards: dict[Cell, list[Cell]]) -> None:
    """Least squares under the order of the rank (pool adjacent violators); bends pull harder, so that they are few."""
    offsets = [0.0]
    for first, second in pairwise(layer):
        offsets.append(offsets[-1] + _height(first) / 2 + GAP_Y + _height(second) / 2)
    pools: list[tuple[float, float, int]] = []
    for offset, cell in zip(offsets, layer, strict=False):
        near = towards[cell]
        wish = (sum(y[other] for other in near) / len(near) if near else y[cell]) - offset
        pools.append((wish, 1.0 + len(near) if isinstance(cell, str) else 8.0, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (first_y, first_weight, first_count), (second_y, second_weight, second_count) = pools[-2:]
            weight = first_weight + second_weight
            pools[-2:] = [
                ((first_y * first_weight + second_y * second_weight) / weight, weight, first_count + second_count)
            ]
    settled = [value for value, _, count in pools for _ in range(count)]
    for cell, value, offset in zip(layer, settled, offsets, strict=False):
        y[cell] = value + offset
