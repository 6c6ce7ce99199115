"""Keeping the price table fresh over the network, for those who ask for it (`Settings.auto_update`).

The library's own updater does the work on its own daemon thread: one request an hour, and offline one line an hour on its
logger `genai-prices`. Here it is started and stopped off the caller's thread, started again in a forked child, and the
catalogs are told when new prices are in force. Nothing runs until `start` is called.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from langmeter import worker
from langmeter.boundary import shield
from langmeter.pricing.catalog import freshness
from langmeter.pricing.catalog.status import PriceDataStatus, check

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

__all__ = ["PriceDataStatus", "check", "on_new_prices", "start", "stop", "wake"]

_ARRIVAL: Final = 1.0
"""Seconds to wait for fetched prices to come into force, which the library does right after the fetch."""
_GLANCE: Final = 0.01


class _Updates:
    """The updater of this process. What is wanted is said on any thread and done on the worker's, so it needs no lock."""

    def __init__(self) -> None:
        self._wanted = False
        self._url: str | None = None
        self._asleep = False
        self._updater: Any = None
        self._listeners: tuple[weakref.WeakMethod[Callable[[], None]], ...] = ()

    def start(self, url: str | None) -> None:
        self._wanted, self._url, self._asleep = True, url, False
        worker.submit(self._settle)

    def stop(self) -> None:
        self._wanted = self._asleep = False
        worker.submit(self._settle)

    def listen(self, listener: Callable[[], None]) -> None:
        living = tuple(known for known in self._listeners if known() is not None)
        self._listeners = (*living, weakref.WeakMethod(listener))

    def wake(self) -> None:
        if self._asleep:
            self._asleep = False
            worker.submit(self._settle)

    def _settle(self) -> None:
        """Bring the updater to what is wanted."""
        if self._wanted and self._updater is None:
            with worker.importing():
                updater = _library_updater(self._fetched)
            if self._url is not None:
                updater.url = self._url
            updater.start()
            self._updater = updater
        elif not self._wanted and self._updater is not None:
            updater, self._updater = self._updater, None
            updater.stop()

    def _fetched(self, snapshot: Any) -> None:
        """Called on the library's thread, a moment before it puts the prices into force."""
        if snapshot is not None:
            worker.submit(lambda: self._arrived(snapshot.timestamp))

    def _arrived(self, timestamp: datetime) -> None:
        """Once the fetched prices are in force, have every catalog forget what it compiled from older ones."""
        deadline = time.monotonic() + _ARRIVAL
        while _in_force() != timestamp and time.monotonic() < deadline:
            time.sleep(_GLANCE)
        freshness.note_fetched(freshness.GENAI_PRICES, timestamp)
        self._tell()

    def _tell(self) -> None:
        for known in self._listeners:
            listener = known()
            if listener is not None:
                with shield("pricing.updates"):
                    listener()

    def after_fork_in_child(self) -> None:
        """The updater's thread is the parent's, and its lock may be held for ever.

        The child starts its own when it is first asked for a price, so that children which price nothing send nothing.
        """
        with shield("pricing.updates"):
            if not self._wanted:
                return
            if self._updater is not None:
                _forget_threads()
                self._updater.stop()
                self._updater = None
            self._asleep = True
            self._tell()


def _library_updater(fetched: Callable[[Any], None]) -> Any:
    from genai_prices import UpdatePrices  # noqa: PLC0415  (34 to 70 ms; only on the worker thread)

    class Updater(UpdatePrices):
        """The library's, with its requests hidden from the application's HTTP instrumentation."""

        def fetch(self) -> Any:
            with suppress_instrumentation():
                snapshot = super().fetch()
            fetched(snapshot)
            return snapshot

    return Updater()


def _in_force() -> object:
    """When the prices that the library uses were fetched; None for those that it ships with."""
    import genai_prices  # noqa: PLC0415  (imported long since)

    nothing = genai_prices.Usage(input_tokens=0, output_tokens=0)
    try:
        return genai_prices.calc_price(nothing, "gpt-4o", provider_id="openai").auto_update_timestamp
    except LookupError:  # fetched prices without this model: then nobody can tell
        return None


def _forget_threads() -> None:
    """Make the library's updater startable in a forked child.

    What all its instances share believes that its thread lives on, so that none would be started. Private, so optional:
    where a release has no such fields, the child keeps the prices that it was forked with.
    """
    shared: Any = getattr(sys.modules.get("genai_prices.update_prices"), "_shared_updater", None)
    for name, make in (("lock", threading.Lock), ("wake", threading.Event), ("ready", threading.Event)):
        if hasattr(shared, name):
            setattr(shared, name, make())
    if hasattr(shared, "thread"):
        shared.thread = None


_updates = _Updates()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_updates.after_fork_in_child)


def start(url: str | None = None) -> None:
    """Keep the price table fresh from now on. Returns at once, never raises; does nothing when it is being done already.

    An updater that the application runs is left alone: the library shares one thread among all of them. Without the
    library nothing happens but a count at the boundary.

    Args:
        url: where prices are fetched from; the library's own address by default.
    """
    _updates.start(url)


def stop() -> None:
    """End what `start` began; prices fetched so far stay in force. Returns at once; an application's own updater goes on."""
    _updates.stop()


def on_new_prices(listener: Callable[[], None]) -> None:
    """Call a bound method, on the worker thread, whenever fetched prices came into force. It is held weakly."""
    _updates.listen(listener)


def wake() -> None:
    """For the table: it is asked for a price. In a forked child this starts the updater that the parent had."""
    _updates.wake()
