"""Keeping content on open runs: only where somebody records it, and never at the expense of the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from langmeter.boundary import shield
from langmeter.langchain.captured import Captured

if TYPE_CHECKING:
    from langmeter.observer import Observer
    from langmeter.runs import OpenRun

Read: TypeAlias = Callable[..., Captured]


def capture(observer: Observer, run: OpenRun | None, read: Read, *values: Any) -> None:
    """Keep what `read` makes of these values of a run that begins. Nothing is read where nobody records it."""
    # The setting first: nearly every application leaves content off.
    if run is not None and observer.settings.content != "off" and observer.wants_content(run):
        run.captured = {}
        add(run, read, *values)


def add(run: object, read: Read, *values: Any) -> None:
    """Add what is known later to a run whose content is kept."""
    kept = getattr(run, "captured", None)
    if kept is not None:
        with shield("content"):
            kept.update(read(*values))
