"""Ten digits as bitmaps of 7 x 12: the patterns that the 84 units of LeNet-5's layer F6 are compared with.

The drawings are this course's own. LeCun et al. 1998 (figure 3) show theirs, for all printable ASCII characters.
"""

from __future__ import annotations

import torch
from torch import Tensor

WIDTH, HEIGHT = 7, 12

# Digits side by side, five in a row.
_DRAWINGS = (
    """
    ..###.. ...#... ..###.. .#####. ....##.
    .##.##. ..##... .##.##. ##...## ....##.
    ##...## .###... ##...## .....## ...###.
    ##...## ...#... .....## .....## ...#.#.
    ##...## ...#... .....## ....##. ..##.#.
    ##...## ...#... ....##. ..###.. ..#..#.
    ##...## ...#... ...##.. ....##. .##..#.
    ##...## ...#... ..##... .....## .#...#.
    ##...## ...#... .##.... .....## #######
    ##...## ...#... ##..... .....## .....#.
    .##.##. ...#... ##..... ##...## .....#.
    ..###.. .#####. ####### .#####. .....#.
    """,
    """
    ####### ..####. ####### .#####. .#####.
    ##..... .##.... ......# ##...## ##...##
    ##..... ##..... .....## ##...## ##...##
    ##..... ##..... .....#. ##...## ##...##
    ######. ##.###. ....##. .##.##. ##...##
    ##...## ###..## ....#.. ..###.. ##..###
    .....## ##...## ...##.. .##.##. .###.##
    .....## ##...## ...#... ##...## .....##
    .....## ##...## ..##... ##...## .....##
    .....## ##...## ..#.... ##...## .....##
    ##...## .##.##. .##.... ##...## ....##.
    .#####. ..###.. .#..... .#####. .####..
    """,
)


def digit_bitmaps() -> Tensor:
    """The ten digits, shape (10, 12, 7): 1 where there is ink, -1 elsewhere."""
    digits = []
    for drawing in _DRAWINGS:
        rows = [line.split() for line in drawing.strip().splitlines()]
        for digit in zip(*rows, strict=True):
            digits.append([[1.0 if pixel == "#" else -1.0 for pixel in row] for row in digit])
    return torch.tensor(digits)
