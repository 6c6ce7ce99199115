"""One run of the demo: a provider or a recording, the application, the totals, and a view of them."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import langmeter
from langmeter.demo.extras import Extra, missing
from langmeter.demo.provider import Provider
from langmeter.demo.workload import STEPS_PER_ROUND, Action, SupportDesk

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from langmeter.demo.ledger import Ledger
    from langmeter.demo.logbook import Logbook
    from langmeter.demo.view import View
    from langmeter.tracking import Usage


class Result(NamedTuple):
    """What a run leaves behind."""

    usage: Usage
    seconds: float
    interrupted: bool = False
    failures: int = 0
    """Exceptions that reached the application."""
    ledger: Ledger | None = None
    """The provider's own books; None in a replay."""
    skipped: tuple[str, ...] = ()
    """Recorded exchanges that no installed class can make, each with the reason."""
    logbook: Logbook | None = None
    """What the application did beside calling models; None in a replay."""
    missing: tuple[Extra, ...] = ()
    """Packages whose part of the application was left out."""


class _Stage:
    """What the application reports to: counts failures and passes the rest on to the view."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.failures = 0

    def report(self, action: Action) -> None:
        self.failures += action.failure is not None
        self.view.action(action)


def serve(view_of: Callable[[Usage, str], View], *, rounds: int, seed: int, speed: float) -> Result:
    """Run the support desk against a provider of our own. Ctrl-C ends it early, with what there is.

    `view_of(usage, title)` makes the view. Call it after `langmeter.instrument()`.
    """
    title = "the support desk of a bicycle shop"
    with Provider(seed=seed, speed=speed) as provider, langmeter.track() as usage, ExitStack() as stack:
        stage = _Stage(stack.enter_context(view_of(usage, title)))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="langmeter-demo-")))
        desk = stack.enter_context(SupportDesk(provider.base_url, seed=seed, scratch=scratch, report=stage.report))

        def on_step(round_number: int, step: int) -> None:
            done = (round_number - 1) * STEPS_PER_ROUND + step - 1
            stage.view.progress(done, rounds * STEPS_PER_ROUND, f"round {round_number} of {rounds}")

        seconds, interrupted = _timed(lambda: desk.work(rounds, on_step))
    return Result(usage, seconds, interrupted, stage.failures, provider.ledger, logbook=desk.logbook, missing=missing())


def replay(view_of: Callable[[Usage, str], View], directory: Path) -> Result:
    """Drive the LangChain classes through every recorded exchange of a directory.

    Raises:
        RecordingError: the directory has no recordings, or one of them cannot be read.
    """
    from langmeter.demo.replay import ReplayServer, Unsupported, call  # noqa: PLC0415  (only replays need it)

    skipped: list[str] = []
    with ReplayServer(directory) as server, langmeter.track() as usage, ExitStack() as stack:
        stage = _Stage(stack.enter_context(view_of(usage, f"recorded exchanges of {directory}")))

        def play(exchange: Any) -> None:
            start = time.perf_counter()
            try:
                succeeded = call(exchange, server.base_url)
            except Unsupported as reason:
                skipped.append(f"{exchange.id}: {reason}")
                return
            subject = f"{exchange.endpoint} {exchange.id}"
            failure = None if succeeded else "failed"
            stage.report(Action(exchange.provider, subject, time.perf_counter() - start, failure))

        def play_all() -> None:
            for number, exchange in enumerate(server.exchanges):
                stage.view.progress(number, len(server.exchanges), "replay")
                play(exchange)

        seconds, interrupted = _timed(play_all)
    return Result(usage, seconds, interrupted, stage.failures, skipped=tuple(skipped))


def _timed(work: Callable[[], None]) -> tuple[float, bool]:
    """Seconds that the work took, and whether Ctrl-C ended it."""
    start = time.perf_counter()
    try:
        work()
    except KeyboardInterrupt:
        return time.perf_counter() - start, True
    return time.perf_counter() - start, False
