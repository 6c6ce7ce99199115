"""A finished call with its bill: estimates where nothing was reported, the price, and what a cache hit was worth.

Everything is decided here once, before any sink sees the call.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from langmeter import worker
from langmeter.boundary import swallow
from langmeter.events import CacheLookup, ModelCall, ModelResponse, PricedCall, ReportedUsage
from langmeter.latency import Latencies
from langmeter.pricing.catalog import Catalog, cached_cost
from langmeter.pricing.estimate import Estimator, marked, total_usage
from langmeter.pricing.names import endpoint_provider
from langmeter.pricing.tiers import agreed_tier

if TYPE_CHECKING:
    from langmeter.events import Cost, Failure
    from langmeter.runs import CallTable, OpenCall
    from langmeter.settings import Settings

_NANOSECONDS: Final = 1_000_000_000


class Billing:
    """Prices finished calls. Safe from any thread; raises nothing that the call's content or a price could cause."""

    __slots__ = ("_catalog", "_estimator", "_latencies", "_runs")

    def __init__(self, settings: Settings, runs: CallTable) -> None:
        """Read the price files that the settings name.

        Args:
            settings: prices and estimates.
            runs: the calls under way: they share a model that is paid by the hour.

        Raises:
            PriceFileError: prices named in code cannot be used.
        """
        self._catalog = Catalog(settings)
        worker.submit(self._catalog.preload)  # the price table takes 70 ms to load: no model call is to wait for it
        self._estimator = Estimator(settings) if settings.estimates else None
        self._latencies = Latencies()
        self._runs = runs

    def billed(self, call: OpenCall, outcome: ModelResponse | Failure) -> PricedCall:
        """What the sinks get to see of a call that has ended. Its content is let go of here."""
        if isinstance(outcome, ModelResponse) and _says_nothing(outcome.usage):
            outcome = outcome._replace(usage=outcome.usage._replace(tokens=None))
        finished = self._estimated(call, _finished(call, outcome))
        if finished.cache is not None:
            finished = self._compared(finished, finished.cache)
        return PricedCall(finished, *self._price(finished))

    def _estimated(self, call: OpenCall, finished: ModelCall) -> ModelCall:
        """The call with an estimate where the provider reported too little."""
        content, answer = call.content, call.answer
        call.content = call.answer = None
        # What a model inside this one used is on that one's call; a batch has its usage on its first prompt.
        counted_there = call.nested or (call.later_in_batch and answer is None)
        if self._estimator is None or content is None or counted_there or finished.cache_hit:
            return finished
        try:
            return self._estimator.completed(finished, content, answer)
        except Exception as error:  # noqa: BLE001  (the application's own messages are read: the estimate is lost, not the call)
            swallow("estimate", error)
            return finished

    def _compared(self, call: ModelCall, lookup: CacheLookup) -> ModelCall:
        """A hit with the time that its call would have taken; other calls teach how long that is."""
        if not call.cache_hit:
            self._latencies.learn(call)
            return call
        expected = self._latencies.expected(call)
        if expected is None:
            return call
        return call._replace(cache=lookup._replace(expected_duration=expected.seconds, expected_from=expected.source))

    def _price(self, call: ModelCall) -> tuple[Cost | None, Cost | None]:
        """The cost of a call, and on a hit what it would have cost."""
        if call.cache_hit:
            lookup = call.cache
            if lookup is None or (lookup.saved is None and lookup.saved_cost_usd is None):
                return cached_cost(), None
            stored = ReportedUsage(lookup.saved, lookup.saved_tier, lookup.saved_cost_usd)
            return cached_cost(), self._price_usage(call, stored)
        response = call.response
        if response is not None and response.usage_counted_elsewhere:
            return None, None
        usage = response.usage if response is not None else ReportedUsage()
        if usage.tokens is None and usage.cost_usd is None and _surely_free(call):
            return None, None
        if call.estimated is not None:
            return marked(self._price_usage(call, total_usage(call, usage))), None
        return self._price_usage(call, usage), None

    def _price_usage(self, call: ModelCall, usage: ReportedUsage) -> Cost:
        request, response = call.request, call.response
        model = (response.model if response is not None else None) or request.model
        if request.terms is not None:
            usage = usage._replace(tier=agreed_tier(usage, request.terms))
        return self._catalog.price(
            endpoint_provider(request.provider, request.server_address),
            model,
            usage,
            at=call.start_time / _NANOSECONDS,
            requested=None if model == request.model else request.model,
            deployment=request.deployment,
            terms=request.terms,
            model_time=None if call.cache_hit else lambda: self._model_time(call),
        )

    def _model_time(self, call: ModelCall) -> float:
        """Seconds of the model's time that the call had to itself: an allocation, not a measurement."""
        return call.duration / (1 + self._runs.count(call.request.provider, call.request.model))


def _says_nothing(usage: ReportedUsage) -> bool:
    """True for counts of 0 of an answered call: what langchain-openai makes of the empty `usage` that some servers send."""
    tokens = usage.tokens
    return tokens is not None and not (tokens.input_tokens or tokens.output_tokens or usage.replayed)


def _finished(call: OpenCall, outcome: ModelResponse | Failure) -> ModelCall:
    if call.stopped is None:
        call.stopped = time.perf_counter()
    cache = call.cache
    if cache is None and isinstance(outcome, ModelResponse) and outcome.usage.replayed:
        # LangChain's own mark of a replayed answer: all there is when the look-up itself was not seen.
        usage = outcome.usage
        cache = CacheLookup("hit", saved=usage.tokens, saved_tier=usage.tier, saved_cost_usd=usage.cost_usd)
    hit = cache is not None and cache.status == "hit"
    first_chunk = None if hit else call.first_chunk
    return ModelCall(
        call.request,
        outcome,
        call.start_time,
        call.stopped - call.started,
        None if first_chunk is None else first_chunk - call.started,
        tuple(call.chunk_gaps or ()),
        not hit and (call.streams or first_chunk is not None),
        cache,
        key=call.key,
        content=call.captured,
    )


def _surely_free(call: ModelCall) -> bool:
    """A call that was refused before any output, or never left because its cache failed: nobody bills for it."""
    failure = call.failure
    if failure is None or call.time_to_first_chunk is not None:
        return False
    not_sent = call.cache is not None and call.cache.status == "error" and not call.cache.swallowed
    return failure.refused or not_sent
