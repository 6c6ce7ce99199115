"""A periodic metric reader that survives a fork and can be told not to collect during one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.sdk.metrics.export import MetricReader, MetricsData

from langmeter.boundary import shield

_FORK_PATIENCE = 2.0
_COLLECT_TIMEOUT_MILLIS = 30_000.0


class PeriodicReader(MetricReader):
    """Collects every `interval` seconds, and at a flush, and hands the result to `send`.

    The SDK's own reader keeps one lock through collection and export. A fork meanwhile leaves that lock, and the SDK's
    lock around collection, taken for ever in the child. Here collection has a gate that a fork waits for (`hold`), and
    sending happens outside it.
    """

    def __init__(
        self,
        send: Callable[[MetricsData], bool],
        close: Callable[[], object],
        *,
        interval: float,
        temporality: Mapping[type, Any] | None = None,
        aggregation: Mapping[type, Any] | None = None,
    ) -> None:
        super().__init__(
            preferred_temporality=dict(temporality) if temporality else None,
            preferred_aggregation=dict(aggregation) if aggregation else None,
        )
        self._send = send
        self._close = close
        self._interval = interval
        self._collected: MetricsData | None = None
        self._renew()

    def _renew(self) -> None:
        self._gate = threading.Lock()
        self._held = False
        self._sending = threading.Lock()
        self._closed = threading.Event()

    def start(self) -> None:
        """Start the thread that collects.

        Raises:
            RuntimeError: the interpreter is shutting down (Python 3.12 and later); flushes work without it.
        """
        threading.Thread(target=self._tick, args=(self._closed,), name="langmeter-metrics", daemon=True).start()

    def _tick(self, closed: threading.Event) -> None:
        while not closed.wait(self._interval):
            with shield("bootstrap.collect"):
                self.force_flush()

    def force_flush(self, timeout_millis: float = 10_000) -> bool:  # noqa: ARG002  (the exporter has a timeout of its own)
        """Collect and send now; True if that worked or there was nothing."""
        with self._sending:  # so that figures arrive in the order in which they were taken
            with self._gate:
                self.collect(timeout_millis=_COLLECT_TIMEOUT_MILLIS)
                collected, self._collected = self._collected, None
            return collected is None or self._send(collected)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> None:  # noqa: ARG002  (the SDK's interface)
        self._collected = metrics_data

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:  # noqa: ARG002  (the SDK's interface)
        """Stop collecting. What was recorded since the last flush is not sent: flush first."""
        self._closed.set()
        self._close()

    def hold(self) -> None:
        """Keep collections from starting, having waited up to two seconds for one under way: called before a fork."""
        self._held = self._gate.acquire(timeout=_FORK_PATIENCE)

    def release(self) -> None:
        """Let collections start again: called in the parent after a fork."""
        if self._held:
            self._held = False
            self._gate.release()

    def after_fork(self) -> None:
        """Start over in a forked child."""
        closed = self._closed.is_set()
        self._renew()
        self._collected = None
        if closed:
            self._closed.set()
        else:
            self.start()
