"""The way out for each signal: the SDK's exporters, made to fail fast and to complain once.

Left alone, an exporter that finds no Collector retries for ten seconds and logs at every step, with nothing for the
reader to act on. Here a connection that fails is not retried within an export; spans and logs wait for the next one
(metrics are cumulative and need not), and the process says once what is wrong and how to put it right.
"""

from __future__ import annotations

import collections
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from langmeter.bootstrap.notices import UNDELIVERED, say_once

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

Item = TypeVar("Item")

_ITEMS_PER_REQUEST = 512
"""Keeps a request well below the 4 MiB that a gRPC server accepts by default."""
_FORK_PATIENCE = 1.0
_GRPC_UNREACHABLE = ("StatusCode.UNAVAILABLE", "StatusCode.DEADLINE_EXCEEDED")


class _Export(threading.local):
    """What the export under way on this thread has logged; `lines` is None while none is."""

    lines: list[str] | None = None
    unreachable: str | None = None


_export = _Export()


class _Capture(logging.Filter):
    """Keeps what an exporter logs while it works for us; everybody else's records pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _export.lines is None:
            return True
        _export.lines.append(record.getMessage())
        return False


_capture = _Capture()


@contextmanager
def _captured() -> Iterator[list[str]]:
    lines: list[str] = []
    _export.lines, _export.unreachable = lines, None
    try:
        yield lines
    finally:
        _export.lines = None


def unreachable(reason: str) -> None:
    """Note that the export under way on this thread failed because nobody answered."""
    _export.unreachable = reason


class Outlet:
    """The way out of one signal to one destination. `send` may be called from any thread; it never raises.

    The exporter is built at the first send and again in a forked child: a child that wrote to the connections of its
    parent would garble both. gRPC moreover aborts a child that was forked in the middle of a call, so with `fork_waits`
    a fork waits for a send under way.
    """

    def __init__(self, signal: str, destination: str, build: Callable[[], Any], *, fork_waits: bool = False) -> None:
        self.failures = 0
        """Sends that failed so far."""
        self.lost_contact = False
        """True when the last send found nobody answering, so that the same data may be sent again."""
        self._signal = signal
        self._destination = destination
        self._build = build
        self._exporter: Any = None
        self._inherited: list[Any] = []
        self._closed = False
        self._fork_waits = fork_waits
        self._held = False
        self._lock = threading.Lock()

    def exporter(self) -> Any:
        """The SDK's exporter, built now if need be; raises what its constructor raises."""
        if self._exporter is None:
            self._exporter = self._build()
            for kind in type(self._exporter).__mro__:
                if kind.__module__.startswith("opentelemetry.exporter."):
                    filters = logging.getLogger(kind.__module__).filters
                    if _capture not in filters:
                        filters.insert(0, _capture)  # before the SDK's own filter, which drops what repeats
        return self._exporter

    def send(self, batch: Any) -> bool:
        """True if `batch` was delivered. Blocks for as long as the exporter's timeout."""
        if self._closed:  # at the exit, after the last flush
            return False
        with self._lock, suppress_instrumentation(), _captured() as lines:
            try:
                delivered = bool(self.exporter().export(batch).name == "SUCCESS")
            except Exception as error:  # noqa: BLE001  (an exporter may raise anything; the data is lost, the application goes on)
                lines.append(f"{type(error).__name__}: {error}")
                delivered = False
        reason = _export.unreachable or _grpc_reason(lines)
        self.lost_contact = not delivered and reason is not None
        if not delivered and not self._closed:
            self.failures += 1
            self._complain(reason, lines)
        return delivered

    def close(self) -> bool:
        """Shut the exporter down; a send under way in another thread goes on."""
        self._closed = True
        if self._exporter is not None:
            with _captured():
                self._exporter.shutdown()
        return True

    def hold(self) -> None:
        """Keep sends from starting, having waited a second at most for one under way: called before a fork."""
        self._held = self._fork_waits and self._lock.acquire(timeout=_FORK_PATIENCE)

    def release(self) -> None:
        """Let sends start again: called in the parent after a fork."""
        if self._held:
            self._held = False
            self._lock.release()

    def after_fork(self) -> None:
        """Start over in a forked child, leaving the parent's connections alone."""
        self._lock = threading.Lock()
        self._held = False
        self.lost_contact = False
        if self._exporter is not None:
            self._inherited.append(self._exporter)  # collecting it would close what the parent still uses
            self._exporter = None

    def _complain(self, reason: str | None, lines: list[str]) -> None:
        if reason is not None:
            say_undelivered(self._destination, reason)
            return
        detail = lines[-1] if lines else "the exporter does not say why"
        say_once(f"rejected {self._signal}", f"{self._signal} do not arrive at {self._destination}: {detail}")


def _grpc_reason(lines: list[str]) -> str | None:
    """The end of what the gRPC exporter logged if nobody answered it: the part that a person can use."""
    line = next((line for line in lines if any(code in line for code in _GRPC_UNREACHABLE)), None)
    return line.rpartition(": ")[2] if line else None


def say_undelivered(destination: str, reason: str) -> None:
    """Say once per process that nobody takes its telemetry, and what to do."""
    # A full queue is the same news again.
    logging.getLogger("opentelemetry.sdk._shared_internal").addFilter(_drop_full_queue)
    say_once(
        UNDELIVERED,
        f"no OpenTelemetry Collector at {destination} ({' '.join(reason.split())}); telemetry is not delivered, the "
        "application is not affected. Start a Collector there, or set OTEL_EXPORTER_OTLP_ENDPOINT, or turn this off with "
        "LANGMETER_BOOTSTRAP=never.",
    )


def _drop_full_queue(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Queue full")


class Holding(Generic[Item]):
    """Sends items through an outlet and keeps those that found nobody answering for the next attempt.

    At most `capacity` are kept, the newest. A batch that timed out may have arrived, so an item can arrive twice.
    """

    def __init__(self, outlet: Outlet, capacity: int) -> None:
        self._outlet = outlet
        self._held: collections.deque[Item] = collections.deque(maxlen=capacity)
        self._lock = threading.Lock()

    def deliver(self, items: Sequence[Item]) -> bool:
        """True if these items and all those kept before were delivered."""
        with self._lock:
            waiting = [*self._held, *items]
            self._held.clear()
            delivered = True
            while waiting:
                if not self._outlet.send(waiting[:_ITEMS_PER_REQUEST]):
                    delivered = False
                    if self._outlet.lost_contact:
                        self._held.extend(waiting)
                        break
                waiting = waiting[_ITEMS_PER_REQUEST:]
            return delivered

    def drain(self) -> bool:
        """Try again to deliver what was kept; True if nothing is left."""
        return self.deliver(())

    def after_fork(self) -> None:
        """Forget, in a forked child, what the parent will deliver itself."""
        self._lock = threading.Lock()
        self._held.clear()


class SpanOutlet(SpanExporter):
    """An outlet as the exporter of a span processor."""

    def __init__(self, way: Outlet, capacity: int) -> None:
        self._outlet = way
        self.holding: Holding[ReadableSpan] = Holding(way, capacity)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Deliver `spans`, after those that had to wait."""
        return SpanExportResult.SUCCESS if self.holding.deliver(spans) else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Close the connection."""
        self._outlet.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002  (the SDK's interface)
        """Try again to deliver what had to wait."""
        return self.holding.drain()
