"""Fixtures for every test: real SDK providers with in-memory exporters, never the global ones."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from langmeter import boundary, semconv

# Taken out of the environment: langmeter would warn about it in every process that a test starts.
_REQUIRE_STACK = os.environ.pop("LANGMETER_REQUIRE_STACK", None)

# A shell starts its background jobs with Ctrl-C switched off, and their children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).parents[1]
_SUMMARY = pytest.StashKey[Counter[str]]()

Point = tuple[dict[str, Any], int | float | HistogramDataPoint]


class Telemetry:
    """One application's OpenTelemetry: three real providers, and what has come out of them so far."""

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        resource = Resource({"service.name": "test", "service.instance.id": "test"})
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self._logs = InMemoryLogRecordExporter()
        self.tracer_provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meter_provider = MeterProvider([self._reader], resource=resource, shutdown_on_exit=False)
        self.logger_provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._logs))

    @property
    def providers(self) -> dict[str, Any]:
        """As keyword arguments of `langmeter.instrument`."""
        return {
            "tracer_provider": self.tracer_provider,
            "meter_provider": self.meter_provider,
            "logger_provider": self.logger_provider,
        }

    def spans(self) -> list[ReadableSpan]:
        """Every span ended so far, in order of ending."""
        return list(self._spans.get_finished_spans())

    def metrics(self) -> dict[str, list[Point]]:
        """Collect now: metric name -> (attributes, value or histogram point) of each series."""
        data = self._reader.get_metrics_data()
        found: dict[str, list[Point]] = {}
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == semconv.PRICE_AGE.name:
                        continue  # grows by itself; it has tests of its own
                    points = found.setdefault(metric.name, [])
                    for point in metric.data.data_points:
                        value = point if isinstance(point, HistogramDataPoint) else point.value
                        points.append((dict(point.attributes or {}), value))
        return found

    def logs(self) -> list[ReadableLogRecord]:
        """Every log record emitted so far."""
        return list(self._logs.get_finished_logs())

    def shutdown(self) -> None:
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()
        self.logger_provider.shutdown()


@pytest.fixture
def make_telemetry() -> Iterator[Callable[..., Telemetry]]:
    """Makes telemetry with another sampler: `make_telemetry(ALWAYS_OFF)`."""
    made: list[Telemetry] = []

    def make(sampler: Sampler = ALWAYS_ON) -> Telemetry:
        made.append(Telemetry(sampler))
        return made[-1]

    yield make
    for telemetry in made:
        telemetry.shutdown()


@pytest.fixture
def telemetry(make_telemetry: Callable[..., Telemetry]) -> Telemetry:
    return make_telemetry()


@pytest.fixture
def instrument() -> Iterator[Callable[..., Telemetry]]:
    """`instrument(telemetry, **settings)`: instruments until the test ends; no call may have been left open then."""
    import langmeter
    from langmeter.langchain import instrumentor

    def instrument(telemetry: Telemetry, **settings: Any) -> Telemetry:
        langmeter.instrument(**telemetry.providers, **settings)
        return telemetry

    open_before = instrumentor.open_runs()  # what an earlier test has leaked is that test's failure
    yield instrument
    left_open = instrumentor.open_runs() - open_before
    langmeter.uninstrument()
    assert left_open <= 0


@pytest.fixture
def instrumented(telemetry: Telemetry, instrument: Callable[..., Telemetry]) -> Telemetry:
    """Telemetry that langmeter writes into, with default settings."""
    return instrument(telemetry)


@pytest.fixture(autouse=True)
def _strict_boundary() -> Iterator[None]:
    """Nothing of ours is swallowed while we test."""
    boundary.set_strict(True)
    yield
    boundary.set_strict(False)
    boundary.reset_counts()


@pytest.fixture(autouse=True)
def _nothing_learnt() -> None:
    """What estimates have learnt from the calls of one test must not change the figures of another."""
    if "langmeter.pricing.calibration" in sys.modules:
        sys.modules["langmeter.pricing.calibration"].shared.clear()


@pytest.fixture(autouse=True)
def _no_llm_cache() -> Iterator[None]:
    """A response cache left behind by one test must not answer another."""
    yield
    if "langchain_core.globals" in sys.modules:
        sys.modules["langchain_core.globals"].set_llm_cache(None)


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture(autouse=True)
def _context_is_restored() -> Iterator[None]:
    """OpenTelemetry only logs when a context is detached in the wrong place; here that is a failure."""
    records = _Records()
    logger = logging.getLogger("opentelemetry.context")
    logger.addHandler(records)
    yield
    logger.removeHandler(records)
    assert [message for message in records.messages if "Failed to detach context" in message] == []


@pytest.fixture
def require_program() -> Callable[[str], Path]:
    """`require_program("otelcol")`: its path, from `.tools/bin` or PATH. Without it the test skips, or fails in CI."""

    def require(name: str) -> Path:
        local = REPOSITORY / ".tools" / "bin" / name
        found = str(local) if os.access(local, os.X_OK) else shutil.which(name)
        if found is None:
            reason = f"{name} is neither in .tools/bin nor on the PATH: run `make stack-tools`"
            if _REQUIRE_STACK == "1":
                pytest.fail(reason)
            pytest.skip(reason)
        return Path(found)

    return require


@pytest.fixture(scope="session")
def corpus_summary(pytestconfig: pytest.Config) -> Counter[str]:
    """Counts by description; printed after the last test."""
    return pytestconfig.stash.setdefault(_SUMMARY, Counter())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Version 3 stream events came with langchain-core 1.4.0: without them, what tests them skips and says so."""
    from langchain_core.language_models import BaseChatModel

    if hasattr(BaseChatModel, "stream_events"):
        return
    reason = pytest.mark.skip(reason="this langchain-core has no version 3 stream events (1.4.0 brought them)")
    for item in items:
        if "v3 " in item.name or "version_3" in item.name or item.get_closest_marker("version_3"):
            item.add_marker(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash.get(_SUMMARY, Counter())
    if counts:
        terminalreporter.section("recorded provider traffic")
        for line, count in sorted(counts.items()):
            terminalreporter.write_line(f"{count:6}  {line}")
