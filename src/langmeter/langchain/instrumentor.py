"""Switching langmeter on and off for the whole process, and counting a block of code."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, Final

from opentelemetry._logs import NoOpLoggerProvider
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider

from langmeter import bootstrap, tracking
from langmeter.attribution_scope import propagation
from langmeter.boundary import shield
from langmeter.errors import SettingsError
from langmeter.langchain.anthropic_spans import anthropic_spans
from langmeter.langchain.cache import CacheWatch
from langmeter.langchain.embeddings import EmbeddingPatches
from langmeter.langchain.handler import CallbackHandler, installed, register_hook
from langmeter.langchain.patches import Patches
from langmeter.observer import Providers, observer_for, open_calls
from langmeter.pricing.catalog import updates
from langmeter.settings import Settings
from langmeter.telemetry import duplicates

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider


class _Installation:
    """One installed handler with its patches."""

    def __init__(self, settings: Settings, providers: Providers, *, steps_back: bool = False) -> None:
        self.settings = settings
        self.providers = providers
        observer = observer_for(settings, providers)
        self.handler = CallbackHandler(observer=observer)
        self.handler.steps_back = steps_back
        self._watch = self.handler.watch = CacheWatch(settings.cache_types)
        self._patches = Patches(observer, self._watch)
        self._embeddings = EmbeddingPatches(observer, self._watch)

    def install(self) -> None:
        register_hook()
        self._patches.apply()
        self._embeddings.apply()
        if self.settings.suppress_nested:
            duplicates.watch()
            anthropic_spans.apply()
        self.handler.retired = False
        installed.handler = self.handler
        propagation.on = self.settings.attribution_baggage
        if self.settings.auto_update:
            updates.start()

    def remove(self) -> None:
        installed.handler = None
        propagation.on = False
        self.handler.retired = True
        self._patches.remove()
        self._embeddings.remove()
        anthropic_spans.remove()
        self._watch.restore()
        if self.settings.auto_update:
            updates.stop()


_NOWHERE: Final = Providers(NoOpTracerProvider(), NoOpMeterProvider(), NoOpLoggerProvider())


class _Switch:
    """What is installed in this process: at most one thing at a time, under one lock."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.installation: _Installation | None = None
        self.counting: _Installation | None = None
        self.counters = 0

    def replace(self, new: _Installation | None) -> None:
        for old in (self.installation, self.counting):
            if old is not None:
                old.remove()
        self.installation, self.counting = new, None
        if new is not None:
            new.install()

    def count(self) -> None:
        """Install a handler for `track()` alone, unless something is installed."""
        if self.installation is None and self.counting is None:
            # What it counts it does not report, so nobody else is to keep silent about it.
            settings = Settings(bootstrap="never", suppress_nested=False)
            self.counting = _Installation(settings, _NOWHERE, steps_back=True)
            self.counting.install()


_switch: Final = _Switch()


def instrument(
    settings: Settings | None = None,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
    **overrides: Any,
) -> None:
    """Emit OpenTelemetry spans and metrics for every LangChain model call of this process from now on.

    Existing models and earlier imports are covered. Without providers the global ones are used; if the application has
    none by its first model call, providers with OTLP exporters are set up in the background (`Settings.bootstrap`).
    Calling it again with the same arguments does nothing. Safe from any thread; no model call waits for it.

    Args:
        settings: options; `Settings()` if left out.
        tracer_provider: where spans go; the global provider if left out.
        meter_provider: where metrics go; the global provider if left out.
        logger_provider: where exception events go; the global provider if left out.
        **overrides: single options by name, over `settings`.

    Raises:
        SettingsError: an option is unknown or has a wrong value, or langmeter is switched on already with other options.
    """
    wanted = _settings(settings, overrides)
    providers = Providers(tracer_provider, meter_provider, logger_provider)
    with _switch.lock:
        current = _switch.installation
        if current is not None:
            if (current.settings, current.providers) == (wanted, providers):
                return
            raise SettingsError(
                "langmeter is switched on already with other settings: call langmeter.uninstrument() first"
            )
        if not wanted.enabled:
            return
        _switch.replace(_Installation(wanted, providers))
    if tracer_provider is None and meter_provider is None:
        if wanted.bootstrap == "now":
            bootstrap.ensure(wanted, wait=True)
        elif wanted.bootstrap == "auto":
            bootstrap.prefetch()


def uninstrument() -> None:
    """Switch langmeter off and restore everything that was patched. Totals keep their values. Safe from any thread."""
    instrumentor = LangChainInstrumentor()
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()  # or it would take the next `instrument()` for the second one
    else:
        _switch_off()


def _switch_off() -> None:
    with _switch.lock:
        _switch.replace(None)
        if _switch.counters:
            _switch.count()  # blocks of `track()` go on


def flush(timeout: float = 5.0) -> bool:
    """Send what is recorded so far, through the global providers and those given to `instrument()`.

    True if all of it went out within `timeout` seconds. Never raises. Safe from any thread; waits for the exporters.
    """
    with _switch.lock:
        current = _switch.installation
    given = current.providers if current is not None else ()
    deadline = time.monotonic() + timeout
    complete = bootstrap.flush(timeout)
    for provider in given:
        if provider is not None:
            complete = _flush(provider, deadline) and complete
    return complete


def _flush(provider: object, deadline: float) -> bool:
    force_flush = getattr(provider, "force_flush", None)
    if force_flush is None:
        return True
    with shield("flush"):
        return bool(force_flush(max(1, int((deadline - time.monotonic()) * 1000))))
    return False


@contextlib.contextmanager
def track() -> Iterator[tracking.Usage]:
    """Count the model calls of a `with` block: tokens, spent and saved money, cache hits, time, by model.

    Blocks nest; calls made in threads and tasks that LangChain or asyncio starts inside the block are counted. A thread
    started by hand is counted if it runs in a copy of the context (`contextvars.copy_context().run`). Works with and
    without `instrument()`; without it, a handler is installed for the length of the block and nothing is exported.
    """
    usage = tracking.Usage()
    _start_counting()
    tracking.push(usage)
    try:
        yield usage
    finally:
        tracking.pop(usage)
        _stop_counting()


def open_runs() -> int:
    """Model calls under way that any handler of this process has seen start and not end."""
    return open_calls()


def _settings(settings: Settings | None, overrides: dict[str, Any]) -> Settings:
    if not overrides:
        return settings or Settings()
    given = {} if settings is None else {name: getattr(settings, name) for name in type(settings).model_fields}
    return Settings(**{**given, **overrides})


def _start_counting() -> None:
    with _switch.lock:
        _switch.counters += 1
        _switch.count()


def _stop_counting() -> None:
    with _switch.lock:
        _switch.counters -= 1
        if not _switch.counters and _switch.counting is not None:
            _switch.counting.remove()
            _switch.counting = None


class LangChainInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """The entry point for `opentelemetry-instrument`: `LangChainInstrumentor().instrument()` is `langmeter.instrument()`."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """The versions of LangChain that are supported."""
        return ("langchain-core >= 1.0, < 2",)

    def _instrument(self, **kwargs: Any) -> None:
        known = ("tracer_provider", "meter_provider", "logger_provider", "settings", *Settings.model_fields)
        instrument(**{name: value for name, value in kwargs.items() if name in known})

    def _uninstrument(self, **_: Any) -> None:
        _switch_off()
