"""What bootstrap says to the application: every notice once per process, on the logger `langmeter`."""

from __future__ import annotations

import logging

_LOGGER = logging.getLogger("langmeter")
_said: set[str] = set()

UNDELIVERED = "undelivered"
"""Shared by everything that says "your telemetry does not arrive", so that a process says it once."""


def say_once(key: str, message: str, *, level: int = logging.WARNING) -> None:
    """Log `message` unless something was said under `key` before. Safe from any thread; never raises."""
    if key not in _said:
        _said.add(key)
        _LOGGER.log(level, "%s", message)
