"""`langmeter demo`: sets the stage, runs the demo, shows the bill and where to look at the rest."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console

import langmeter
from langmeter import semconv
from langmeter.cli.collector import SIGNALS, destinations
from langmeter.demo.extras import COMMAND
from langmeter.demo.session import replay, serve
from langmeter.demo.summary import Outcome, print_summary
from langmeter.demo.view import Dashboard, Nothing, PlainLines
from langmeter.errors import LangmeterError
from langmeter.settings import standard_flag, standard_variable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from langmeter.demo.session import Result
    from langmeter.demo.view import View
    from langmeter.tracking import Usage

_ENVIRONMENT = {"OTEL_METRIC_EXPORT_INTERVAL": "15000", "OTEL_SERVICE_NAME": "langmeter-demo"}
"""What a first look needs, unless the caller has decided: figures within seconds, under a name that can be found."""
_ALL_IN_ONE = "docker run --rm -p 3000:3000 -p 4317:4317 -p 4318:4318 grafana/otel-lgtm"
_INTERRUPTED = 130
_KILLED_BY = 128
_USAGE_ERROR = 2
_STOPS = tuple(signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if name in signal.Signals.__members__)
"""Told to stop, or the terminal is gone."""


class Options(NamedTuple):
    """What the caller asked for."""

    rounds: int
    seed: int
    speed: float
    replay: Path | None
    plain: bool
    as_json: bool


class Export(NamedTuple):
    """Where the demo's telemetry goes, if anywhere."""

    url: str
    live: bool
    """Whether somebody answers there."""
    delivered: bool | None = None
    """Whether the last flush got through; None where there was none."""

    @property
    def line(self) -> str:
        """One line for people."""
        if self.live:
            return f"OTLP goes to {self.url}, service {standard_variable('OTEL_SERVICE_NAME')}"
        return f"No Collector at {self.url}: nothing is sent (the end says more)"


class _Notes(logging.Handler):
    """Keeps what langmeter has to say until the view is gone."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.append(record.getMessage())

    def show(self) -> None:
        """Print the messages on stderr."""
        console = Console(stderr=True, highlight=False)
        for message in self._messages:
            console.print(f"\nnote: {message}", style="dim", markup=False, soft_wrap=True)


def run_demo(options: Options) -> int:
    """Run the demo and show it; returns the exit status."""
    set_environment()
    for stop in _STOPS:
        signal.signal(stop, _exit)
    warnings.simplefilter("ignore")  # those of other packages about the demo's own code are of no use to its reader
    notes = _Notes()
    logging.getLogger("langmeter").addHandler(notes)
    export = _export()
    console = Console(stderr=options.as_json, highlight=False)
    langmeter.instrument(operation_cost=True, bootstrap="now" if export.live else "never")
    try:
        result = _run(options, console, export)
    except LangmeterError as error:
        Console(stderr=True, highlight=False).print(f"langmeter demo: {error}", markup=False)
        return _USAGE_ERROR
    if export.live:
        export = export._replace(delivered=langmeter.flush())
    if options.as_json:
        sys.stdout.write(json.dumps(_document(options, result, export), indent=2) + "\n")
    else:
        outcome = Outcome(result.seconds, result.interrupted, tuple(_remarks(result)), result.logbook)
        print_summary(console, result.usage, outcome, list(_where_to_look(export)))
    notes.show()
    return _INTERRUPTED if result.interrupted else 0


def _exit(number: int, _frame: FrameType | None) -> None:
    """Leave by way of every `with` block, so that the demo's scratch files go: a signal alone would skip them."""
    raise SystemExit(_KILLED_BY + number)


def set_environment() -> None:
    """Give the standard variables what a first look needs, where the caller has not set them."""
    for name, value in _ENVIRONMENT.items():
        if standard_variable(name) is None:
            os.environ[name] = value


def _export() -> Export:
    targets = {found.url: found for kind in SIGNALS for found in destinations(kind) if found.url is not None}
    url = next(iter(targets), "no OTLP endpoint")
    live = not standard_flag("OTEL_SDK_DISABLED") and any(target.answers() for target in targets.values())
    return Export(url, live=live)


def _run(options: Options, console: Console, export: Export) -> Result:
    def view_of(usage: Usage, title: str) -> View:
        if options.as_json:
            return Nothing()
        kind = PlainLines if options.plain or not console.is_terminal else Dashboard
        return kind(console, usage, title, export.line)

    if options.replay is not None:
        return replay(view_of, options.replay)
    return serve(view_of, rounds=options.rounds, seed=options.seed, speed=options.speed)


def _document(options: Options, result: Result, export: Export) -> dict[str, Any]:
    """The totals of `track()` at the top, and beside them how the run went and what the provider booked."""
    run = {"rounds": options.rounds, "seed": options.seed, "speed": options.speed}
    return {
        **result.usage.to_dict(),
        "demo": {
            **({"replay": str(options.replay), "skipped": result.skipped} if options.replay else run),
            "seconds": round(result.seconds, 3),
            "interrupted": result.interrupted,
            "failures": result.failures,
            "not_installed": [extra.package for extra in result.missing],
        },
        "work": result.logbook.to_dict() if result.logbook is not None else None,
        "provider": result.ledger.to_dict() if result.ledger is not None else None,
        "otlp": export._asdict(),
    }


def _remarks(result: Result) -> Iterator[str]:
    if result.usage.estimated_calls:
        yield (
            f"Calls that reported no tokens: {result.usage.estimated_calls}. Theirs are estimated from the length of the text, "
            "and marked as estimates wherever they appear."
        )
    if result.usage.unpriced_calls:
        yield (
            f"Calls without a known price: {result.usage.unpriced_calls}. No price list has their model, or nothing tells what "
            "they used. They are counted, never billed as 0."
        )
    if result.missing:
        without = ", ".join(f"{extra.package} ({extra.without})" for extra in result.missing)
        yield f"Not installed: {without}. To see everything: {COMMAND}"
    if result.skipped:
        yield f"Left out, because no installed LangChain class can make them: {len(result.skipped)} of the recorded exchanges."


def _where_to_look(export: Export) -> Iterator[tuple[str, str]]:
    if export.live:
        service = standard_variable("OTEL_SERVICE_NAME")
        yield "sent to", export.url if export.delivered else f"{export.url}, but not everything arrived in time"
        yield "traces", f'service.name = "{service}": one trace for every request, its agents, tools and calls in it'
        yield "metrics", f"{semconv.COST.name}, {semconv.CACHE_SAVED_COST.name}, {semconv.INFERENCE_DURATION.name}"
        yield "Grafana", "http://localhost:3000, if the Collector is the one of the container below"
        yield "container", _ALL_IN_ONE
    else:
        yield "nothing was sent", f"no Collector answers at {export.url}"
        yield "start one", _ALL_IN_ONE
        yield "then", f"{_command()} demo, and look at http://localhost:3000"
        yield "another address", f"OTEL_EXPORTER_OTLP_ENDPOINT=http://host:4318 {_command()} demo"
    yield "your application", f"{_command()} run app.py, or langmeter.instrument() at its start"


def _command() -> str:
    """How the reader can call this command again: by its name if the shell finds it, else by its path."""
    path = Path(sys.argv[0])
    if path.name != "langmeter" or shutil.which("langmeter") == str(path.resolve()):
        return "langmeter"
    return os.path.relpath(path)
