"""The pipeline of logs: on its own, because importing the SDK's part for logs is the one thing that can be impossible.

`opentelemetry.sdk._logs` detects a resource while it is imported and needs a thread for that, which an interpreter that is
shutting down does not give (RuntimeError). A set-up that late goes without logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    LogRecordExporter,
    LogRecordExportResult,
    SimpleLogRecordProcessor,
)

from langmeter.bootstrap.exporters import exporters
from langmeter.bootstrap.outlets import Holding, Outlet
from langmeter.bootstrap.pipeline import Pipeline, positive_number, way_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.resources import Resource


class LogOutlet(LogRecordExporter):
    """An outlet as the exporter of a log record processor."""

    def __init__(self, way: Outlet, capacity: int) -> None:
        self._outlet = way
        self.holding: Holding[ReadableLogRecord] = Holding(way, capacity)

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Deliver `batch`, after the records that had to wait."""
        return LogRecordExportResult.SUCCESS if self.holding.deliver(batch) else LogRecordExportResult.FAILURE

    def shutdown(self) -> None:
        """Close the connection."""
        self._outlet.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002  (the SDK's interface)
        """Try again to deliver what had to wait."""
        return self.holding.drain()


def pipeline(resource: Resource) -> Pipeline:
    """The logger provider that the standard variables describe."""
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    ways, holdings = [], []
    for exporter in exporters("logs"):
        way = way_out("logs", exporter)
        log_outlet = LogOutlet(way, positive_number("OTEL_BLRP_MAX_QUEUE_SIZE", 2048))
        ways.append(way)
        holdings.append(log_outlet.holding)
        try:
            provider.add_log_record_processor(BatchLogRecordProcessor(log_outlet))
        except RuntimeError:  # no more threads
            provider.add_log_record_processor(SimpleLogRecordProcessor(log_outlet))
    return Pipeline("logs", provider, tuple(ways), tuple(holdings))
