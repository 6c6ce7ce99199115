"""A run as a waterfall picture: SVG that needs no fonts, scripts or network, for light and dark pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

_WIDTH, _MARGIN = 1000, 28
_ROW, _TOP = 32, 96
_INDENT = 20
_BARS = (360, 630)
"""Where the time axis begins and ends."""
_COLUMNS = (716, 786, 840, 972)
"""Right edges of the columns: duration, tokens in, tokens out, cost."""
_THINNEST = 3.0
_MARKS = 4.6
_BAR_HEIGHT = 12

_STYLE = """\
  :root { --page: #ffffff; --edge: #d1d9e0; --text: #1f2328; --quiet: #59636e; --line: #e6eaef; --tree: #b7c0ca;
    --invoke_agent: #8250df; --chat: #0969da; --execute_tool: #bc6c00; --retrieval: #1a7f37; --embeddings: #0d8a8a; }
  @media (prefers-color-scheme: dark) {
    :root { --page: #0d1117; --edge: #3d444d; --text: #f0f6fc; --quiet: #9198a1; --line: #232a33; --tree: #4b535d;
      --invoke_agent: #ab7df8; --chat: #4493f8; --execute_tool: #e09b13; --retrieval: #3fb950; --embeddings: #39c5bb; }
  }
  text { font: 13px ui-sans-serif, system-ui, -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif;
    fill: var(--text); font-variant-numeric: tabular-nums; }
  .title { font-size: 16px; font-weight: 600; }
  .quiet { fill: var(--quiet); }
  .small { font-size: 12px; }
  .strong { font-weight: 600; }
  .end { text-anchor: end; }
  .middle { text-anchor: middle; }
  .page { fill: var(--page); stroke: var(--edge); }
  .line { stroke: var(--line); stroke-width: 1; fill: none; }
  .tree { stroke: var(--tree); stroke-width: 1; fill: none; }"""


class Figures(NamedTuple):
    """Tokens and US dollars; None is not shown."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: Decimal | None = None

    def texts(self) -> tuple[str, str, str]:
        """Tokens in, tokens out and cost, as they are shown."""
        read, written = ("" if number is None else f"{number:,}" for number in self[:2])
        return read, written, "" if self.cost is None else f"${self.cost:.9f}"


class Row(NamedTuple):
    """One span."""

    depth: int
    name: str
    operation: str
    start: float
    """Seconds after the start of the first one."""
    seconds: float
    figures: Figures


def draw(rows: Sequence[Row], sums: Sequence[tuple[str, Figures]]) -> str:
    """The picture of a run: a row for each span, and under them the sums. The same for the same arguments."""
    sums_top = _TOP + len(rows) * _ROW + 20
    height = sums_top + len(sums) * 24 + 40
    total = max(row.start + row.seconds for row in rows)
    body = [*_head(rows[0], total), *_axis(total, _TOP + len(rows) * _ROW)]
    for index, row in enumerate(rows):
        body += _row(row, _TOP + index * _ROW, total)
    body += [*_branches(rows), *_sums(sums, sums_top)]
    operations = dict.fromkeys(row.operation for row in rows)
    style = "\n".join([_STYLE, *(f"  .{operation} {{ fill: var(--{operation}); }}" for operation in operations)])
    label = escape(f"A run of {rows[0].name} as a tree of {len(rows)} spans with durations, tokens and costs")
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    page = f'<rect x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="8" class="page"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}">'
    return "\n".join([head, f"<style>\n{style}\n</style>", page, *body, "</svg>", ""])


def _head(root: Row, total: float) -> Iterator[str]:
    yield _text(_MARGIN, 40, "One run of an agent", "title")
    yield _text(_COLUMNS[-1], 40, f"{root.name}, {_time(total)}", "quiet end")
    for edge, title in zip(_COLUMNS, ("duration", "tokens in", "out", "cost"), strict=True):
        yield _text(edge, _TOP - 16, title, "quiet small end")


def _axis(total: float, bottom: float) -> Iterator[str]:
    """Where the time axis has its marks."""
    step = _step(total)
    for number in range(int(total / step) + 1):
        x = _x(number * step, total)
        yield f'<path class="line" d="M{x:.1f} {_TOP - 8}V{bottom}"/>'
        yield _text(x, _TOP - 16, _time(number * step) if number else "0", "quiet small middle")


def _row(row: Row, top: float, total: float) -> Iterator[str]:
    middle = top + _ROW / 2
    baseline = middle + 4.5
    strong = " strong" if row.depth == 0 else ""
    yield _text(_MARGIN + row.depth * _INDENT, baseline, row.name, strong.strip())
    left = _x(row.start, total)
    width = max(_x(row.start + row.seconds, total) - left, _THINNEST)
    yield (
        f'<rect class="{row.operation}" x="{left:.1f}" y="{middle - _BAR_HEIGHT / 2:.1f}" width="{width:.1f}" '
        f'height="{_BAR_HEIGHT}" rx="{min(3, width / 2):.1f}"/>'
    )
    texts = (_time(row.seconds), *row.figures.texts())
    for edge, text in zip(_COLUMNS, texts, strict=True):
        if text:
            yield _text(edge, baseline, text, f"end{strong}")


def _branches(rows: Sequence[Row]) -> Iterator[str]:
    """A line from every row's parent to it."""
    above: dict[int, int] = {}
    for index, row in enumerate(rows):
        above[row.depth] = index
        if row.depth:
            x = _MARGIN + (row.depth - 1) * _INDENT + 6
            parent = _TOP + above[row.depth - 1] * _ROW + _ROW / 2 + 9
            y = _TOP + index * _ROW + _ROW / 2
            yield f'<path class="tree" d="M{x} {parent:.1f}V{y:.1f}h9"/>'


def _sums(sums: Sequence[tuple[str, Figures]], top: float) -> Iterator[str]:
    yield f'<path class="line" d="M{_MARGIN} {top:.1f}H{_WIDTH - _MARGIN}"/>'
    for index, (title, figures) in enumerate(sums):
        baseline = top + 28 + index * 24
        yield _text(_COLUMNS[0], baseline, title, "quiet end")
        for edge, text in zip(_COLUMNS[1:], figures.texts(), strict=True):
            if text:
                yield _text(edge, baseline, text, "end strong")


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{style}">{escape(text)}</text>'


def _x(seconds: float, total: float) -> float:
    return _BARS[0] + seconds / total * (_BARS[1] - _BARS[0])


def _step(total: float) -> float:
    """The smallest step of 1, 2 or 5 whose marks have room beside one another."""
    steps = [base * 10.0**power for power in range(-4, 4) for base in (1, 2, 5)]
    return next((step for step in steps if total / step < _MARKS), steps[-1])


def _time(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"  # noqa: PLR2004  (one digit more)
