"""The tables that the live view and the closing summary share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich import box
from rich.table import Table
from rich.text import Text

from langmeter.demo.figures import NOTHING, count, duration, money, rate, share

if TYPE_CHECKING:
    from collections.abc import Callable

    from langmeter.tracking import Usage

WIDE = 104
"""Columns of the terminal from which the wide tables fit."""
_CELL_WIDTHS = (26, 15, 12, 13, 12)
"""Shares of the totals: `3 unpriced, 11 estimated` is the widest remark, and has to fit on 80 columns."""


class _Column(NamedTuple):
    title: str
    value: Callable[[Usage], str]
    style: str = ""
    wide_only: bool = False


def _hits(usage: Usage) -> str:
    return count(usage.cache_hits)


def _spent(usage: Usage) -> str:
    if usage.cost_usd:
        return money(usage.cost_usd)
    return "unpriced" if usage.unpriced_calls else NOTHING


_COLUMNS = (
    _Column("calls", lambda usage: count(usage.calls)),
    _Column("failed", lambda usage: count(usage.errors), "red"),
    _Column("hits", _hits, "cyan"),
    _Column("input", lambda usage: count(usage.input_tokens)),
    _Column("cached", lambda usage: count(usage.cache_read_tokens), wide_only=True),
    _Column("output", lambda usage: count(usage.output_tokens)),
    _Column("reasoning", lambda usage: count(usage.reasoning_tokens), wide_only=True),
    _Column("p50", lambda usage: duration(usage.duration_percentile(0.5))),
    _Column("p95", lambda usage: duration(usage.duration_percentile(0.95)), wide_only=True),
    _Column("tokens/s", lambda usage: rate(usage.tokens_per_second), wide_only=True),
    _Column("spent", _spent, "green"),
)


def models_table(usage: Usage, width: int, *, footer: bool = False, limit: int | None = None) -> Table:
    """Every model with its figures, the most expensive first; with `footer` also the sums, with `limit` only so many."""
    columns = [column for column in _COLUMNS if width >= WIDE or not column.wide_only]
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
        expand=True,
        pad_edge=False,
        show_footer=footer,
        header_style="dim",
        show_edge=False,
    )
    table.add_column("model", footer="all", no_wrap=True, ratio=1, footer_style="bold")
    for column in columns:
        total = column.value(usage) if footer else ""
        table.add_column(
            column.title, total, justify="right", style=column.style, no_wrap=True, footer_style=f"bold {column.style}"
        )
    ranked = sorted(usage.by_model.items(), key=lambda item: (-item[1].cost_usd, item[0]))
    shown = ranked if limit is None or len(ranked) <= limit else ranked[: limit - 1]
    for model, figures in shown:
        table.add_row(model, *(column.value(figures) for column in columns))
    if len(shown) < len(ranked):
        table.add_row(Text(f"and {len(ranked) - len(shown)} more", "dim"))
    return table


def totals_grid(usage: Usage) -> Table:
    """The figures that matter most, side by side: a label, the figure, a remark."""
    looked_up = usage.cache_hits + usage.cache_misses
    cells = (
        ("spent", money(usage.cost_usd), "bold green", _without(usage)),
        ("cache saved", money(usage.saved_usd), "bold cyan", f"{usage.saved_tokens:,} tokens"),
        ("cache hits", share(usage.hit_ratio), "bold cyan", f"{usage.cache_hits} of {looked_up}"),
        ("tokens", f"{usage.total_tokens:,}", "bold", f"{usage.output_tokens:,} out"),
        ("calls", f"{usage.calls:,}", "bold", f"{usage.errors} failed"),
    )
    grid = Table.grid(expand=True, padding=(0, 2, 0, 0))
    for widest in _CELL_WIDTHS:  # fixed, so that nothing moves while the figures grow
        grid.add_column(ratio=widest, no_wrap=True)
    grid.add_row(*(Text(label, "dim") for label, *_ in cells))
    grid.add_row(*(Text(figure, style) for _, figure, style, _ in cells))
    grid.add_row(*(Text(remark, "dim") for *_, remark in cells))
    return grid


def _without(usage: Usage) -> str:
    doubts = [(usage.unpriced_calls, "unpriced"), (usage.estimated_calls, "estimated")]
    return ", ".join(f"{number} {doubt}" for number, doubt in doubts if number) or "all calls priced"
