"""The drawing of any graph is readable: nothing overlaps, edges run forward or say that they do not."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from apps.workflows.rules.drawing import HEIGHT, WIDTH, draw

NAMES = [f"n{number}" for number in range(12)]
graphs = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=40)


@given(graphs)
def test_no_two_nodes_overlap(edges: list[tuple[str, str]]) -> None:
    corners = list(draw(NAMES, edges).corners.values())
    for index, (x, y) in enumerate(corners):
        for other_x, other_y in corners[index + 1 :]:
            assert abs(x - other_x) >= WIDTH or abs(y - other_y) >= HEIGHT


@given(graphs)
def test_every_edge_is_drawn_forward_or_marked(edges: list[tuple[str, str]]) -> None:
    drawing = draw(NAMES, edges)
    assert {(arrow.source, arrow.target) for arrow in drawing.arrows} == set(edges)
    for arrow in drawing.arrows:
        assert arrow.is_back or drawing.corners[arrow.source][0] < drawing.corners[arrow.target][0]
        assert arrow.path.startswith("M")


@given(graphs)
def test_the_same_graph_is_drawn_the_same_inside_its_frame(edges: list[tuple[str, str]]) -> None:
    drawing = draw(NAMES, edges)
    assert drawing == draw(NAMES, edges)
    for x, y in drawing.corners.values():
        assert 0 <= x <= drawing.width - WIDTH
        assert 0 <= y <= drawing.height - HEIGHT


def test_a_chain_of_a_hundred_and_a_loop_are_drawn() -> None:
    names = [f"s{number}" for number in range(100)]
    drawing = draw(names, [*pairwise(names), ("s3", "s3"), ("s99", "s0")])
    assert {(arrow.source, arrow.target) for arrow in drawing.arrows if arrow.is_back} == {("s3", "s3"), ("s99", "s0")}
