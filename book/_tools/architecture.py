"""Draw how the package hangs together, from its import statements: ``python book/_tools/architecture.py``.

Writes ``book/_static/architecture.svg``, which the README shows. A box is a group of modules, an arrow leads from a
group to one that imports it. An arrow that follows from others is left out, as are those of `FOUNDATION`, which nearly
all import. A test compares the committed picture with what this draws.
"""

import ast
import sys
import textwrap
from collections.abc import Iterable
from html import escape
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "book" / "_static" / "architecture.svg"
PACKAGE = "course_utils"
FOUNDATION = "shared by all"
GROUPS = {  # name of a box -> what its modules do, and which they are
    "data": ("files to tensors", ("augment", "data", "sources")),
    "networks": ("models, layer tables", ("layers", "models")),
    "training": ("one loop for all", ("cuda_graph", "losses", "train")),
    "runs": ("one, or many at once", ("ensemble", "runs")),
    "studies": (
        "arms x seeds, resumed, published",
        ("lenet_studies", "network_studies", "published", "shipped_table", "store", "studies", "study", "workers"),
    ),
    "choosing": ("settings, on validation images", ("search",)),
    "trained networks": ("ship with the package", ("shipped",)),
    "statistics": ("intervals, differences", ("stats",)),
    "claims": ("sentences that can fail", ("claim_checks", "course_claims", "seed_claims", "claims", "seed_tables")),
    "figures": ("the only module with matplotlib", ("plotting",)),
    "photographs": ("pictures and a network for them", ("photographs",)),
    "explanations": (
        "of networks and of people",
        ("attention", "attribution", "faithfulness", "planted", "planted_results"),
    ),
    "failure clinic": ("trainings that are ill", ("clinic", "clinic_data")),
    "exercises": ("check themselves", ("check", "exercises", "judge")),
    "facts": ("history, as tables", ("facts",)),
    "neighbors": ("exact search", ("neighbors",)),
    "command line": (
        "python -m course_utils",
        ("__main__", "doctor", "explain_command", "study_commands"),
    ),
    FOUNDATION: ("arguments, device, modes", ("checks", "device", "modes")),
}
Graph = dict[str, set[str]]  # importer -> what it imports


def module_names(source: Path) -> list[str]:
    """Return the package's modules and subpackages."""
    found = {path.relative_to(source).parts[0].removesuffix(".py") for path in source.rglob("*.py")}
    return sorted(found - {"__init__"})


def imported(statement: ast.AST) -> Iterable[str]:
    """Yield the dotted names that an import statement imports."""
    if isinstance(statement, ast.Import):
        yield from (entry.name for entry in statement.names)
    elif isinstance(statement, ast.ImportFrom) and statement.module:
        yield from (f"{statement.module}.{entry.name}" for entry in statement.names)


def module_graph(source: Path = ROOT / "src" / PACKAGE) -> Graph:
    """Return which module imports which, imports inside functions included."""
    names = module_names(source)
    graph: Graph = {name: set() for name in names}
    for path in sorted(source.rglob("*.py")):
        importer = path.relative_to(source).parts[0].removesuffix(".py")
        if importer in graph:
            for statement in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                parts = [name.split(".") for name in imported(statement)]
                graph[importer] |= {part[1] for part in parts if part[0] == PACKAGE and part[1:2] and part[1] in graph}
    return {importer: its - {importer} for importer, its in graph.items()}


def group_graph(graph: Graph) -> Graph:
    """Return which group imports which.

    Raises
    ------
    ValueError
        If a module is in no group, or a group imports itself in a circle.
    """
    home = {module: group for group, (_, modules) in GROUPS.items() for module in modules}
    if homeless := sorted(set(graph) - set(home)):
        raise ValueError(f"name {', '.join(homeless)} in GROUPS of book/_tools/architecture.py, then run it")
    groups: Graph = {home[module]: set() for module in graph}
    for module, its in graph.items():
        groups[home[module]] |= {home[other] for other in its} - {home[module]}
    for group in groups:
        if group in reachable(groups, group):
            raise ValueError(f"the group {group!r} imports itself in a circle; divide it in GROUPS")
    return groups


def reachable(graph: Graph, start: str) -> set[str]:
    """Return what `start` imports, directly or through others."""
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        group = waiting.pop()
        if group not in found:
            found.add(group)
            waiting += graph[group]
    return found


def shown(groups: Graph) -> Graph:
    """Return the graph without the foundation, and without the arrows that follow from others."""
    left = {group: its - {FOUNDATION} for group, its in groups.items() if group != FOUNDATION}
    return {
        group: {one for one in its if not any(one in reachable(left, other) for other in its - {one})}
        for group, its in left.items()
    }


def columns(graph: Graph) -> tuple[list[list[str]], list[str]]:
    """Return the groups in columns, each right of all that it imports, and those that stand alone."""
    depth: dict[str, int] = {}

    def measure(group: str) -> int:
        depth[group] = 1 + max((measure(other) for other in graph[group]), default=-1)
        return depth[group]

    for group in graph:
        measure(group)
    used = {other for its in graph.values() for other in its}
    order = [group for group in GROUPS if group in graph]
    alone = [group for group in order if not graph[group] and group not in used]
    joined = [group for group in order if group not in alone]
    return [[group for group in joined if depth[group] == n] for n in range(max(depth.values()) + 1)], alone


# The picture: rows from top to bottom. An arrow that passes a row takes a place in it, like a narrow box.

WIDTH, LANE, GAP, ROW_GAP, MARGIN = 214, 26, 26, 44, 24
LINE, PAD, LETTERS = 17, 11, 28
INK, MUTED, EDGE, FILL, PAPER = "#1b2733", "#51606e", "#33658a", "#eef4f9", "#ffffff"
Node = tuple[str, int]  # a group and its own row; or a group and a row through which its arrow passes


class Layout:
    """Rows of boxes and lanes, ordered so that few arrows cross."""

    def __init__(self, graph: Graph) -> None:
        rows, self.alone = columns(graph)
        home = {group: number for number, row in enumerate(rows) for group in row}
        self.rows: list[list[Node]] = [[(group, number) for group in row] for number, row in enumerate(rows)]
        self.arrows: list[tuple[Node, Node]] = []  # from one row to the next
        self.heads: set[tuple[Node, Node]] = set()  # those that end at a box
        for group, number in home.items():
            for other in sorted(graph[group], key=lambda name: (home[name], name)):
                path = [(other, row) for row in range(home[other], number)] + [(group, number)]
                for node in path[1:-1]:
                    if node not in self.rows[node[1]]:
                        self.rows[node[1]].append(node)
                self.arrows += [pair for pair in pairwise(path) if pair not in self.arrows]
                self.heads.add((path[-2], path[-1]))
        self.home = home
        self.order()
        self.x = self.place()

    def is_box(self, node: Node) -> bool:
        """Tell a box from a lane."""
        return self.home[node[0]] == node[1]

    def width(self, node: Node) -> int:
        """Width of a box or a lane."""
        return WIDTH if self.is_box(node) else LANE

    def neighbors(self, node: Node, up: bool) -> list[Node]:
        """Nodes of the row above, or below, that an arrow joins to this one."""
        return [a for a, b in self.arrows if b == node] if up else [b for a, b in self.arrows if a == node]

    def crossings(self) -> int:
        """How many pairs of arrows cross."""
        rank = {node: place for row in self.rows for place, node in enumerate(row)}
        pairs = [(one, two) for one in self.arrows for two in self.arrows if one[0][1] == two[0][1]]
        return sum(rank[a] < rank[c] and rank[b] > rank[d] for (a, b), (c, d) in pairs)

    def order(self) -> None:
        """Sort each row by the mean place of its neighbors, down and up, and keep the best order seen."""
        best = [list(row) for row in self.rows]
        fewest = self.crossings()
        for sweep in range(12):
            up = sweep % 2 == 0
            for row in self.rows if up else self.rows[::-1]:
                rank = {node: place for other in self.rows for place, node in enumerate(other)}
                means = {}
                for node in row:
                    places = [rank[other] for other in self.neighbors(node, up)]
                    means[node] = sum(places) / len(places) if places else rank[node]
                row.sort(key=means.__getitem__)
            if (number := self.crossings()) < fewest:
                fewest, best = number, [list(row) for row in self.rows]
        self.rows = best

    def place(self) -> dict[Node, float]:
        """Return the middle of each node: near its neighbors, in order, without overlap."""
        x = {node: float(number * (WIDTH + GAP)) for row in self.rows for number, node in enumerate(row)}
        for _ in range(40):
            for row in self.rows:
                wanted = []
                for node in row:
                    near = self.neighbors(node, up=True) + self.neighbors(node, up=False)
                    wanted.append(sum(x[other] for other in near) / len(near) if near else x[node])
                places: list[float] = []
                for node, want in zip(row, wanted, strict=True):
                    apart = (self.width(row[len(places) - 1]) + self.width(node)) / 2 + GAP if places else 0.0
                    places.append(max(want, places[-1] + apart) if places else want)
                shift = sum(want - place for want, place in zip(wanted, places, strict=True)) / len(row)
                x |= {node: place + shift for node, place in zip(row, places, strict=True)}
        left = min(x[node] - self.width(node) / 2 for node in x)
        return {node: round(place - left + MARGIN, 1) for node, place in x.items()}


def lines_of(group: str) -> list[str]:
    """Return the names of a group's modules, broken into lines."""
    return textwrap.wrap(", ".join(GROUPS[group][1]), LETTERS)


def box(group: str, middle: float, top: float, height: float, dashed: bool = False) -> str:
    """Return one box with its title, what it does, and its modules."""
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    rows = [(group, f'font-weight="600" fill="{INK}"'), (GROUPS[group][0], f'font-size="12" fill="{MUTED}"')]
    rows += [(line, f'font-size="11.5" font-family="monospace" fill="{INK}"') for line in lines_of(group)]
    texts = [
        f'<text x="{middle:g}" y="{top + PAD + LINE * (number + 0.7):g}" {style}>{escape(text)}</text>'
        for number, (text, style) in enumerate(rows)
    ]
    frame = f'<rect x="{middle - WIDTH / 2:g}" y="{top:g}" width="{WIDTH}" height="{height:g}" rx="7"{dash}/>'
    return "\n".join([frame, *texts])


def draw(graph: Graph) -> str:
    """Return the picture as SVG."""
    layout = Layout(shown(group_graph(graph)))
    heights = [
        2 * PAD + LINE * max(2 + len(lines_of(node[0])) for node in row if layout.is_box(node)) for row in layout.rows
    ]
    tops = [MARGIN + sum(heights[:number]) + ROW_GAP * number for number in range(len(heights))]
    parts = []
    for start, end in layout.arrows:
        y1, y2 = tops[start[1]] + heights[start[1]], tops[end[1]]
        x1, x2, bend = layout.x[start], layout.x[end], (y2 - y1) / 2
        through = "" if layout.is_box(end) else f" V{y2 + heights[end[1]]:g}"
        head = ' marker-end="url(#head)"' if (start, end) in layout.heads else ""
        y2 -= 6 if head else 0
        parts.append(
            f'<path d="M{x1:g} {y1:g} C{x1:g} {y1 + bend:g} {x2:g} {y2 - bend:g} {x2:g} {y2:g}{through}"{head}/>'
        )
    for row, top, height in zip(layout.rows, tops, heights, strict=True):
        parts += [box(node[0], layout.x[node], top, height) for node in row if layout.is_box(node)]
    apart = [FOUNDATION, *layout.alone]
    below = tops[-1] + heights[-1] + ROW_GAP
    tallest = 2 * PAD + LINE * max(2 + len(lines_of(group)) for group in apart)
    right = max(layout.x[node] + layout.width(node) / 2 for node in layout.x)
    start = max(MARGIN + WIDTH / 2, right / 2 - (len(apart) - 1) * (WIDTH + GAP) / 2)
    parts += [box(group, start + n * (WIDTH + GAP), below, tallest, dashed=True) for n, group in enumerate(apart)]
    width, height = right + MARGIN, below + tallest + MARGIN
    title = "The package's modules in groups, with an arrow from each group to those that import it"
    return SVG.format(width=round(width), height=round(height), title=title, body="\n".join(parts))


SVG = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{width}} {{height}}" width="{{width}}" \
height="{{height}}" role="img" font-family="sans-serif" font-size="14" text-anchor="middle">
<title>{{title}}</title>
<style>path {{{{ fill: none; stroke: {EDGE}; stroke-width: 1.6 }}}} rect {{{{ fill: {FILL}; stroke: {EDGE} }}}}</style>
<defs><marker id="head" viewBox="0 0 10 10" refX="4" refY="5" markerWidth="7" markerHeight="7" orient="auto">\
<path d="M0 0L10 5L0 10Z" style="fill:{EDGE};stroke:none"/></marker></defs>
<rect width="{{width}}" height="{{height}}" style="fill:{PAPER};stroke:none"/>
{{body}}
</svg>
"""


def main() -> int:
    """Write the picture."""
    try:
        picture = draw(module_graph())
    except ValueError as error:
        print(f"architecture: {error}", file=sys.stderr)
        return 1
    PICTURE.write_text(picture, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
