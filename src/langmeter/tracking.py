"""In-process totals of a block of code: what `langmeter.track()` hands out. A sink like any other."""

from __future__ import annotations

import contextvars
import os
import threading
import weakref
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from langmeter.events import usd
from langmeter.value.durations import Durations
from langmeter.value.response_cache import hit_ratio

if TYPE_CHECKING:
    from langmeter.events import ModelCall, PricedCall

_trackers: contextvars.ContextVar[tuple[Usage, ...]] = contextvars.ContextVar("langmeter_trackers", default=())
_all: Final[weakref.WeakSet[Usage]] = weakref.WeakSet()


def active() -> tuple[Usage, ...]:
    """The totals that the current context feeds, outermost first."""
    return _trackers.get()


def push(usage: Usage) -> None:
    """Feed `usage` too from here on, in this context and in those copied from it."""
    _trackers.set((*_trackers.get(), usage))


def pop(usage: Usage) -> None:
    """Stop feeding `usage` in this context. Not by a token: blocks may be left in another order, or another context."""
    _trackers.set(tuple(tracker for tracker in _trackers.get() if tracker is not usage))


class Usage:
    """Calls, tokens, money and time of the model calls made inside a `langmeter.track()` block.

    Read it at any time, from any thread, inside or after the block. Answers replayed by a response cache are hits: never
    calls, never spent. Calls whose price is unknown are counted in `unpriced_calls` and never as 0. Where a provider did
    not say what a call used, its tokens are estimated: they are in `estimated_tokens` and in no other figure of tokens, and
    their price is in `cost_usd` and, to tell how much of that is estimated, in `estimated_usd`.
    """

    def __init__(self, *, split: bool = True) -> None:
        _all.add(self)
        self._lock = threading.RLock()
        self._split = split
        self._by_model: dict[str, Usage] = {}
        self._cost = self._saved = self._estimated_cost = 0
        self._output_seconds = 0.0
        self._timed_output_tokens = 0
        self._durations = Durations()
        self._first_chunks = Durations()
        self.calls = 0
        """Model calls that went to a provider, failed ones included, cache hits not."""
        self.errors = 0
        """Calls that failed or were cancelled."""
        self.input_tokens = 0
        """Input tokens spent, cached ones included."""
        self.output_tokens = 0
        """Output tokens spent, reasoning included."""
        self.cache_read_tokens = 0
        """Input tokens read from the provider's prompt cache."""
        self.cache_write_tokens = 0
        """Input tokens written to the provider's prompt cache."""
        self.reasoning_tokens = 0
        """Output tokens spent on reasoning."""
        self.saved_tokens = 0
        """Tokens that response-cache hits did not spend."""
        self.cache_hits = 0
        """Answers served by LangChain's response cache."""
        self.cache_misses = 0
        """Look-ups in the response cache that found nothing."""
        self.cache_errors = 0
        """Look-ups in the response cache that failed."""
        self.cache_bypasses = 0
        """Calls that cannot use the configured response cache (streams)."""
        self.unpriced_calls = 0
        """Calls whose price is not known: money that `cost_usd` does not contain."""
        self.estimated_calls = 0
        """Calls whose provider did not report all that was used, so that tokens were estimated."""
        self.estimated_tokens = 0
        """Input and output tokens estimated for those calls; in no other figure."""

    def __repr__(self) -> str:
        return (
            f"<Usage calls={self.calls} tokens={self.total_tokens} cost_usd={self.cost_usd:f} "
            f"saved_usd={self.saved_usd:f} unpriced_calls={self.unpriced_calls}>"
        )

    @property
    def total_tokens(self) -> int:
        """Input plus output tokens spent."""
        return self.input_tokens + self.output_tokens

    @property
    def cost_usd(self) -> Decimal:
        """US dollars spent on priced calls: exact, but for `estimated_usd`; see `unpriced_calls` for what is not in it."""
        return usd(self._cost)

    @property
    def estimated_usd(self) -> Decimal:
        """US dollars of `cost_usd` for calls whose tokens are estimated."""
        return usd(self._estimated_cost)

    @property
    def saved_usd(self) -> Decimal:
        """US dollars that response-cache hits did not spend, at today's price of the stored usage."""
        return usd(self._saved)

    @property
    def hit_ratio(self) -> float | None:
        """Hits divided by hits and misses; None without a look-up."""
        return hit_ratio(self.cache_hits, self.cache_misses)

    @property
    def tokens_per_second(self) -> float | None:
        """Output tokens per second of model time, over the successful calls with known usage; None without any."""
        return self._timed_output_tokens / self._output_seconds if self._output_seconds else None

    @property
    def by_model(self) -> dict[str, Usage]:
        """The same figures by requested model. A copy of the mapping; its values keep counting."""
        with self._lock:
            return dict(self._by_model)

    def duration_percentile(self, quantile: float) -> float | None:
        """Seconds that the given share (0 to 1) of the calls stayed under, within 1 %; None without a call."""
        with self._lock:
            return self._durations.quantile(quantile)

    def time_to_first_chunk_percentile(self, quantile: float) -> float | None:
        """Seconds to the first chunk of streamed answers, within 1 %; None without a stream."""
        with self._lock:
            return self._first_chunks.quantile(quantile)

    def record(self, priced: PricedCall) -> None:
        """Count one finished call, here and under its model."""
        call = priced.call
        with self._lock:
            self._count_cache(priced)
            if not call.cache_hit:
                self._count_call(priced)
            model = self._model(call) if self._split else None
        if model is not None:
            model.record(priced)

    def to_dict(self) -> dict[str, Any]:
        """Everything as a JSON-ready dictionary; money as decimal strings, so that nothing is rounded."""
        figures = {name: getattr(self, name) for name in _FIGURES}
        amounts = {"cost_usd": self.cost_usd, "saved_usd": self.saved_usd, "estimated_usd": self.estimated_usd}
        figures |= {name: format(amount, "f") for name, amount in amounts.items()}
        figures["duration_seconds"] = {"p50": self.duration_percentile(0.5), "p95": self.duration_percentile(0.95)}
        figures["time_to_first_chunk_seconds"] = {
            "p50": self.time_to_first_chunk_percentile(0.5),
            "p95": self.time_to_first_chunk_percentile(0.95),
        }
        if self._split:
            figures["by_model"] = {model: usage.to_dict() for model, usage in sorted(self.by_model.items())}
        return figures

    def _model(self, call: ModelCall) -> Usage:
        response = call.response
        name = call.request.model or (response.model if response is not None else None) or "unknown"
        usage = self._by_model.get(name)
        if usage is None:
            usage = self._by_model[name] = Usage(split=False)
        return usage

    def _count_cache(self, priced: PricedCall) -> None:
        lookup = priced.call.cache
        if lookup is None:
            return
        if lookup.status == "hit":
            self.cache_hits += 1
            self.saved_tokens += lookup.saved.total_tokens if lookup.saved is not None else 0
            self._saved += (priced.saved.picodollars or 0) if priced.saved is not None else 0
        elif lookup.status == "miss":
            self.cache_misses += 1
        elif lookup.status == "error":
            self.cache_errors += 1
        else:
            self.cache_bypasses += 1

    def _count_call(self, priced: PricedCall) -> None:
        call, cost = priced.call, priced.cost
        self.calls += 1
        self.errors += call.error_type is not None
        self._durations.add(call.duration)
        if call.time_to_first_chunk is not None:
            self._first_chunks.add(call.time_to_first_chunk)
        tokens = call.usage
        if tokens is not None:
            self.input_tokens += tokens.input_tokens
            self.output_tokens += tokens.output_tokens
            self.cache_read_tokens += tokens.cache_read or 0
            self.cache_write_tokens += tokens.cache_write or 0
            self.reasoning_tokens += tokens.reasoning or 0
            if call.failure is None and tokens.output_tokens:
                self._output_seconds += call.duration
                self._timed_output_tokens += tokens.output_tokens
        if call.estimated is not None:
            self.estimated_calls += 1
            self.estimated_tokens += call.estimated.total_tokens
        if cost is not None:
            self._cost += cost.picodollars or 0
            self._estimated_cost += (cost.picodollars or 0) if cost.status == "estimated" else 0
            self.unpriced_calls += cost.status == "unpriced"


_FIGURES: Final = (
    "calls",
    "errors",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "saved_tokens",
    "cache_hits",
    "cache_misses",
    "cache_errors",
    "cache_bypasses",
    "hit_ratio",
    "unpriced_calls",
    "estimated_calls",
    "estimated_tokens",
    "tokens_per_second",
)


def _after_fork_in_child() -> None:
    for usage in list(_all):
        usage._lock = threading.RLock()  # noqa: SLF001  (another thread of the parent may have held it)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
