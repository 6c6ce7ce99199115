"""The live view of the demo: a calm dashboard in a terminal, plain lines everywhere else."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from langmeter.demo.feed import Feed, Line
from langmeter.demo.figures import count, duration, money
from langmeter.demo.tables import WIDE, models_table, totals_grid

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from langmeter.demo.workload import Action
    from langmeter.tracking import Usage

_LINES_KEPT = 20
_FEED_AT_LEAST = 3
_FIXED_LINES = 12
"""What the dashboard needs beside the models and the feed."""


class View(Protocol):
    """What the demo tells whoever is watching. Everything is called from the thread that does the work."""

    def progress(self, done: int, total: int, text: str) -> None:
        """So much of the work is done, and this comes next."""

    def action(self, action: Action) -> None:
        """The application has done something."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Dashboard:
    """Redraws itself four times a second, from the totals as they are at that moment."""

    def __init__(self, console: Console, usage: Usage, title: str, destination: str) -> None:
        self._usage, self._title, self._destination = usage, title, destination
        self._feed = Feed(usage)
        self._lines: deque[Line] = deque(maxlen=_LINES_KEPT)
        self._start = time.monotonic()
        self._done, self._total, self._text = 0, 1, "starting"
        self._live = Live(self, console=console, transient=True, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def progress(self, done: int, total: int, text: str) -> None:
        """Move the bar."""
        self._done, self._total, self._text = done, total, text

    def action(self, action: Action) -> None:
        """Add a line to the feed."""
        self._lines.append(self._feed.line(action))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        height = console.height - _FIXED_LINES
        models = models_table(self._usage, width, limit=max(height - _FEED_AT_LEAST, 2))
        room = max(height - models.row_count, _FEED_AT_LEAST)
        yield Group(
            self._header(width),
            Text(self._destination, "dim", no_wrap=True, overflow="ellipsis"),
            ProgressBar(total=self._total, completed=self._done, complete_style="cyan", finished_style="cyan"),
            Text(),
            totals_grid(self._usage),
            Text(),
            models,
            Rule(Text("latest", "dim"), style="dim", align="left"),
            feed_table(list(self._lines)[-room:][::-1], width),
        )

    def _header(self, width: int) -> Table:
        grid = Table.grid(expand=True)
        grid.add_column(ratio=1, no_wrap=True)
        grid.add_column(justify="right", no_wrap=True)
        title = Text.assemble(("langmeter demo", "bold cyan"), ("  " + self._title if width >= WIDE else "", ""))
        grid.add_row(title, Text(f"{self._text} · {time.monotonic() - self._start:.0f} s", "dim"))
        return grid


class PlainLines:
    """One line of text for every action: for pipes, logs and `--plain`."""

    def __init__(self, console: Console, usage: Usage, title: str, destination: str) -> None:
        self._console, self._title, self._destination = console, title, destination
        self._feed = Feed(usage)
        self._text = ""

    def __enter__(self) -> Self:
        self._console.print(f"langmeter demo: {self._title}", highlight=False, markup=False)
        self._console.print(self._destination, highlight=False, markup=False)
        return self

    def __exit__(self, *_: object) -> None:
        self._console.print()

    def progress(self, done: int, total: int, text: str) -> None:  # noqa: ARG002  (a log has no bar to move)
        """Announce a new round."""
        if text != self._text:
            self._text = text
            self._console.print(f"\n{text}", highlight=False, markup=False)

    def action(self, action: Action) -> None:
        """Print the line of an action."""
        self._console.print(feed_table([self._feed.line(action)], self._console.width))


class Nothing:
    """No view at all: for `--json`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def progress(self, done: int, total: int, text: str) -> None:
        """Not shown."""

    def action(self, action: Action) -> None:
        """Not shown."""


def feed_table(lines: list[Line], width: int) -> Table:
    """Actions, one a line, in columns of fixed width so that separate tables line up."""
    wide = width >= WIDE
    table = Table.grid(expand=True, padding=(0, 2, 0, 0))
    table.add_column(width=7, justify="right", style="dim", no_wrap=True)
    table.add_column(width=24 if wide else 22, no_wrap=True)
    table.add_column(width=14 if wide else 6, justify="right", no_wrap=True, style="dim")
    table.add_column(width=9, justify="right", no_wrap=True)
    table.add_column(width=12 if wide else 9, no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, style="dim")
    for line in lines:
        subject = f"{line.action.step}: {line.action.subject}" if wide else line.action.subject
        shown = (
            _models(line),
            _tokens(line, wide=wide),
            _price(line),
            _status(line),
            Text(subject, overflow="ellipsis"),
        )
        table.add_row(duration(line.action.seconds), *shown)
    return table


def _models(line: Line) -> Text:
    calls = line.added.calls + line.added.hits
    times = f" x{calls}" if calls > len(line.models) else ""
    return Text(" + ".join(line.models) + times, overflow="ellipsis")


def _tokens(line: Line, *, wide: bool) -> str:
    read, written = line.added.input_tokens, line.added.output_tokens
    return f"{read:,} + {written:,}" if wide and read + written else count(read + written)


def _price(line: Line) -> Text:
    if line.added.cost:
        return Text(money(line.added.cost), "green")
    return Text("unpriced", "yellow") if line.added.unpriced else Text(count(0), "dim")


def _status(line: Line) -> Text:
    if line.action.failure:
        return Text("failed", "red", overflow="ellipsis")
    if line.added.errors:
        return Text("recovered", "yellow", overflow="ellipsis")
    cache = "estimated" if line.added.estimated and not line.added.cache else line.added.cache
    return Text(cache, "cyan" if line.added.hits else "dim", overflow="ellipsis")
