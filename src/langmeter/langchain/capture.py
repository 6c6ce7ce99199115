"""Keeping content on open runs: only where somebody records it, and never at the expense of the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from langmeter.boundary import shield
from langmeter.langchain.captured import Captured
from langmeter.runs import OpenRun

if TYPE_CHECKING:
    from langmeter.observer import Observer

Read: TypeAlias = Callable[..., Captured]


def capture(observer: Observer, run: OpenRun | None, read: Read, *values: Any) -> None:
    """Keep what `read` makes of these values of a run that begins. Nothing is read where nobody records it."""
    # The setting first: nearly every application leaves content off.
    if run is not None and observer.settings.content != "off" and observer.wants_content(run):
        run.captured = {}
        add(run, read, *values)
        if run.stopped is None:
            run.move(time.perf_counter())  # reading is our work, and none of the run's


def add(run: object, read: Read, *values: Any) -> None:
    """Add what is known later to a run whose content is kept."""
    kept = getattr(run, "captured", None)
    if kept is not None:
        with shield("content"):
            kept.update(read(*values))


def add_answer(run: object, read: Read, *values: Any) -> None:
    """Add what a run that is over has given; reading it is none of its duration."""
    if isinstance(run, OpenRun) and run.captured is not None and run.stopped is None:
        run.stopped = time.perf_counter()
    add(run, read, *values)
