"""The wall between langmeter and the application: nothing of ours gets out.

Every callback and every patch runs behind `guarded` or inside `shield`. An exception of ours is counted by stage, logged
(the first three of a stage, then one a minute) and dropped. In our own tests `set_strict(True)` lets it through, so that
no bug can hide behind the wall.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from types import CodeType, TracebackType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_LOGGER = logging.getLogger("langmeter")
_LOGGED_IN_FULL = 3
_QUIET_SECONDS = 60.0
_FRAMES = 50
"""Of a stack, at most: the innermost ones."""

_lock = threading.RLock()
_counts: dict[str, int] = {}
_last_logged: dict[str, float] = {}
_strict = False


def set_strict(strict: bool) -> None:  # noqa: FBT001  (a switch for tests)
    """Let swallowed exceptions through (True, for tests) or drop them (False, the default)."""
    global _strict  # noqa: PLW0603  (one process-wide switch, set by the test suite only)
    _strict = strict


def error_counts() -> dict[str, int]:
    """Exceptions swallowed so far, by stage. A snapshot; safe from any thread."""
    with _lock:
        return dict(_counts)


def reset_counts() -> None:
    """Forget what was counted: a forked child starts afresh."""
    global _lock  # noqa: PLW0603  (the parent's lock may be held at the moment of the fork)
    _lock = threading.RLock()
    _counts.clear()


def swallow(stage: str, error: Exception) -> None:
    """Count and log an exception of ours that must not reach the application."""
    if _strict:
        raise error
    now = time.monotonic()
    with _lock:
        count = _counts[stage] = _counts.get(stage, 0) + 1
        speak = count <= _LOGGED_IN_FULL or now - _last_logged.get(stage, 0.0) > _QUIET_SECONDS
        if speak:
            _last_logged[stage] = now
    if speak:
        # The type alone: the message of an arbitrary exception may quote a prompt.
        _LOGGER.warning(
            "langmeter failed in %s (%s, %d so far); the application is not affected, some telemetry is missing. "
            "Set the log level of 'langmeter' to DEBUG for the place.",
            stage,
            type(error).__qualname__,
            count,
        )
        _LOGGER.debug("langmeter failed in %s: %s at\n%s", stage, type(error).__qualname__, raised_at(error))


def raised_at(error: BaseException) -> str:
    """Where an exception was raised, the outermost frame first: without source lines and messages, which may quote secrets."""
    # By hand: `traceback.extract_tb` reads the source files, a millisecond for a deep stack.
    places: deque[tuple[CodeType, int]] = deque(maxlen=_FRAMES)
    step = error.__traceback__
    while step is not None:
        places.append((step.tb_frame.f_code, step.tb_lineno))
        step = step.tb_next
    return "\n".join(f'File "{code.co_filename}", line {line}, in {code.co_name}' for code, line in places)


def guarded(stage: str) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Decorate a function of ours that the application's path runs through: it returns None instead of raising."""

    def decorate(function: Callable[P, R]) -> Callable[P, R | None]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R | None:
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001  (the wall)
                swallow(stage, error)
                return None

        return wrapper

    return decorate


class Shield:
    """`with shield("stage"):` around a few lines of ours in the middle of the application's path."""

    __slots__ = ("_stage",)

    def __init__(self, stage: str) -> None:
        self._stage = stage

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _tb: TracebackType | None
    ) -> bool:
        if isinstance(error, Exception):
            swallow(self._stage, error)
            return True
        return False


shield = functools.lru_cache(maxsize=64)(Shield)
