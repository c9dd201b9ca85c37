"""The colours of series stay apart for every eye: simulated colour blindness, both themes."""

import re
from itertools import combinations
from pathlib import Path

import pytest

SHEET = (Path(__file__).resolve().parents[2] / "static" / "acp.css").read_text()
# Machado, Oliveira and Fernandes 2009, severity 1: rows of matrices over linear RGB
EYES = {
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
WHITE = (0.9505, 1.0, 1.089)
APART = 25


def linear(hexed: str) -> list[float]:
    parts = [int(hexed[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]


def times(matrix: tuple[tuple[float, ...], ...], vector: list[float]) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def lab(rgb: list[float]) -> tuple[float, float, float]:
    xyz = [one / white for one, white in zip(times(TO_XYZ, rgb), WHITE, strict=True)]
    x, y, z = (one ** (1 / 3) if one > 0.008856 else 7.787 * one + 16 / 116 for one in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("eye", EYES)
def test_series_are_told_apart(theme: int, eye: str) -> None:
    found = re.findall(r"--series-[1-4]:\s*light-dark\((#[0-9a-f]{6}),\s*(#[0-9a-f]{6})\)", SHEET)
    assert len(found) == 4
    seen = [lab([min(1.0, max(0.0, one)) for one in times(EYES[eye], linear(pair[theme]))]) for pair in found]
    for one, other in combinations(seen, 2):
        assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 >= APART
