"""Draw the course's mark, a kernel of nine weights: ``python book/_tools/logo.py`` writes favicon.svg and logo.svg.

The blue cell is where the kernel stands, the orange one where it stands after one step down and one to the right.
"""

from pathlib import Path

STATIC = Path(__file__).resolve().parents[1] / "_static"
# Okabe and Ito's blue and orange, as in the figures; the gray is seen on white and on black.
REST, MIDDLE, NEXT = "#90a4ae", "#0072b2", "#e69f00"
CELL, GAP = 4, 1  # of 16 units
SIDE = 3


def square(row: int, column: int) -> str:
    """The path of one cell."""
    x, y = (GAP + place * (CELL + GAP) for place in (column, row))
    return f"M{x} {y}h{CELL}v{CELL}h-{CELL}z"


def mark(size: int | None = None) -> str:
    """The mark as SVG; `size` in pixels, or none to fill what holds it."""
    colors = {(1, 1): MIDDLE, (2, 2): NEXT}
    rest = "".join(square(row, column) for row in range(SIDE) for column in range(SIDE) if (row, column) not in colors)
    side = SIDE * CELL + (SIDE + 1) * GAP
    given = f' width="{size}" height="{size}"' if size else ""
    paths = [(REST, rest), *((color, square(*cell)) for cell, color in colors.items())]
    lines = [f'  <path fill="{color}" d="{path}"/>' for color, path in paths]
    return "\n".join(
        [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}"{given}>', *lines, "</svg>\n"]
    )


FILES = {"favicon.svg": mark(), "logo.svg": mark(64)}

if __name__ == "__main__":
    for name, text in FILES.items():
        (STATIC / name).write_text(text, encoding="utf-8", newline="\n")
