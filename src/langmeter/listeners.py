"""Sinks that the application adds while it runs: every finished call of the process is handed to each of them."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from langmeter.events import PricedCall


class Listener(Protocol):
    """Something that wants to know of every finished model call."""

    wants_keys: bool
    """Whether calls must come with the hash that ghost mode knows equal calls by."""

    def record(self, priced: PricedCall) -> None:
        """Take note of one call, quickly: this runs on the thread that made it. An exception is swallowed and counted."""


class Listeners:
    """The listeners in force. Reading takes no lock: writers swap a new tuple."""

    __slots__ = ("_lock", "all", "want_keys")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.all: tuple[Listener, ...] = ()
        self.want_keys = False

    def add(self, listener: Listener) -> None:
        """Hand every call that ends from now on to `listener` too. Adding it again has no effect."""
        with self._lock:
            if listener not in self.all:
                self._swap((*self.all, listener))

    def remove(self, listener: Listener) -> None:
        """Stop handing calls to `listener`."""
        with self._lock:
            self._swap(tuple(other for other in self.all if other is not listener))

    def after_fork_in_child(self) -> None:
        """Make the lock anew: another thread of the parent may have held it."""
        self._lock = threading.RLock()

    def _swap(self, new: tuple[Listener, ...]) -> None:
        self.all = new
        self.want_keys = any(listener.wants_keys for listener in new)


listeners = Listeners()
"""The process's listeners. A forked child inherits them."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=listeners.after_fork_in_child)
