"""Faults of response caches that LangChain does not report: failures kept quiet, and entries that cannot be loaded."""

from __future__ import annotations

import inspect
import logging
import re
import sys
import threading
from typing import Any, Final

from langmeter.boundary import shield
from langmeter.langchain import extract
from langmeter.langchain.state import current_frame

# What `langchain_core.load.dumps` makes of a generation.
_DUMPED: Final = re.compile(r'\s*\{"lc":\s*1,\s*"type":\s*"')

_LOOK_UPS: Final = "langmeter.langchain.cache"
"""The module whose functions are around every look-up."""


def is_unreadable(found: list[Any]) -> bool:
    """Whether a cache answered with the stored text of an entry that it could not load.

    langchain-community's SQLAlchemy and Redis caches do so, also for messages of a class of the application's own.
    """
    text = getattr(found[0], "text", None) if found else None
    return isinstance(text, str) and getattr(found[0], "message", None) is None and _DUMPED.match(text) is not None


class QuietFailures(logging.Filter):
    """Notices look-ups that fail without raising: langchain-community's `RedisCache` logs the error and says "not found".

    A filter on the logger of a cache's module sees that record on the thread, and in the context, of the look-up. It lets
    every record through. Safe from any thread.
    """

    def __init__(self) -> None:
        super().__init__()
        self._loggers: set[logging.Logger] = set()
        self._lock = threading.Lock()

    def watch(self, module: str) -> None:
        """Notice the failures that a module logs."""
        logger = _logger_of(module)
        with self._lock:
            if logger not in self._loggers:
                self._loggers.add(logger)
                logger.addFilter(self)

    def restore(self) -> None:
        """Take the filters off."""
        with self._lock:
            for logger in self._loggers:
                logger.removeFilter(self)
            self._loggers.clear()

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the record through; take note of it if a look-up is under way and an exception is being handled."""
        if record.levelno >= logging.ERROR:
            with shield("cache log"):
                frame, error = current_frame(), sys.exc_info()[1]
                if frame is not None and frame.busy and error is not None and _is_of_look_up(error):
                    frame.quiet_failure = extract.error_type(error)
        return True


def _is_of_look_up(error: BaseException) -> bool:
    """Whether an exception being handled was caught inside the look-up: the application may be handling one around it."""
    catcher = error.__traceback__.tb_frame if error.__traceback__ is not None else None
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") != _LOOK_UPS:
        if frame is catcher:
            return True
        frame = frame.f_back
    return False


def _logger_of(module: str) -> logging.Logger:
    """The logger that a module writes to: langchain-community's is called after its file, not after the module."""
    own = getattr(sys.modules.get(module), "logger", None)
    return own if isinstance(own, logging.Logger) else logging.getLogger(module)
