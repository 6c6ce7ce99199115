"""What the advisor counts while it listens: integers and sums, by cache and model. Not safe for threads: their owner locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langmeter.value.durations import Durations
from langmeter.value.ghost import LIFETIMES
from langmeter.value.prompt_cache import WriteWindow

if TYPE_CHECKING:
    from langmeter.events import CacheLookup, Cost, ModelCall, PricedCall, TokenUsage
    from langmeter.value.lookup_costs import LookupCosts

_NANOSECONDS = 1_000_000_000


class LookupTally:
    """The look-ups in response caches of one type for one model, in tokens, pico-dollars and seconds."""

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self.errors = 0
        self.bypasses = 0
        self.hit_seconds = Durations()
        self.miss_seconds = Durations()
        self.saved_input_tokens = 0
        self.saved_output_tokens = 0
        self.saved = 0
        self.unpriced_hits = 0
        self.seconds_saved = 0.0
        self.seconds_lost = 0.0
        self.expected_seconds = 0.0
        """Of the hits whose call's duration is known, what the calls would have taken."""
        self.timed_by_original = 0
        self.timed_by_model = 0
        self.lookup_cost = 0
        self.write_cost = 0
        self.costed_lookups = 0
        self.costed_writes = 0
        self.stored = 0
        """Answers that went into the cache after a look-up."""
        self.miss_cost = 0
        self.priced_misses = 0
        self.call_seconds = 0.0
        self.timed_calls = 0

    def add(self, priced: PricedCall, lookup: CacheLookup, costs: LookupCosts) -> None:
        """Count one call."""
        if lookup.status == "hit":
            self._add_hit(priced, lookup)
        elif lookup.status == "miss":
            self._add_miss(priced, lookup)
        elif lookup.status == "error":
            self.errors += 1
            self.seconds_lost += lookup.duration or 0.0
        else:
            self.bypasses += 1
            return
        self._add_lookup_cost(priced.call, lookup, costs)

    def _add_hit(self, priced: PricedCall, lookup: CacheLookup) -> None:
        self.hits += 1
        if lookup.duration is not None:
            self.hit_seconds.add(lookup.duration)
        if lookup.saved is not None:
            self.saved_input_tokens += lookup.saved.input_tokens
            self.saved_output_tokens += lookup.saved.output_tokens
        saved = priced.saved.picodollars if priced.saved is not None else None
        self.saved += saved or 0
        self.unpriced_hits += saved is None
        gained = lookup.time_saved
        if gained is None or lookup.expected_duration is None:
            return
        self.expected_seconds += lookup.expected_duration
        self.timed_by_original += lookup.expected_from == "original"
        self.timed_by_model += lookup.expected_from != "original"
        self.seconds_saved += max(gained, 0.0)
        self.seconds_lost += max(-gained, 0.0)

    def _add_miss(self, priced: PricedCall, lookup: CacheLookup) -> None:
        self.misses += 1
        call, duration = priced.call, lookup.duration or 0.0
        self.seconds_lost += duration
        if lookup.duration is not None:
            self.miss_seconds.add(duration)
        cost = priced.cost.picodollars if priced.cost is not None else None
        if cost is not None:
            self.miss_cost += cost
            self.priced_misses += 1
        if call.failure is None:
            # LangChain looks up inside a chat call and before a text model's.
            self.call_seconds += max(0.0, call.duration - (duration if call.request.operation == "chat" else 0.0))
            self.timed_calls += 1

    def _add_lookup_cost(self, call: ModelCall, lookup: CacheLookup, costs: LookupCosts) -> None:
        usage = lookup.saved if lookup.status == "hit" else call.usage
        looked_up = costs.lookup(lookup.type, usage)
        if looked_up is not None:
            self.lookup_cost += looked_up
            self.costed_lookups += 1
        if lookup.status != "hit" and call.failure is None:
            self.stored += 1
            written = costs.write(lookup.type, usage)
            if written is not None:
                self.write_cost += written
                self.costed_writes += 1


class PromptCacheTally:
    """What one model's calls did in the provider's prompt cache, in tokens and pico-dollars."""

    def __init__(self) -> None:
        self.calls = 0
        self.read_tokens = 0
        self.write_tokens = 0
        self.write_1h_tokens = 0
        self.saved = 0
        self.premium = 0
        self.priced_read_tokens = 0
        self.priced_write_tokens = 0
        self.unpriced_calls = 0
        self.writes = WriteWindow()
        self.now = 0.0

    def add(self, call: ModelCall, usage: TokenUsage, cost: Cost | None) -> None:
        """Count one call that read from the prompt cache or wrote to it."""
        read, written = usage.cache_read or 0, usage.cache_write or 0
        written_1h = min(usage.cache_write_1h or 0, written)
        saved, premium = (cost.prompt_cache_saved, cost.prompt_cache_premium) if cost is not None else (0, 0)
        self.calls += 1
        self.read_tokens += read
        self.write_tokens += written
        self.write_1h_tokens += written_1h
        if cost is not None and cost.picodollars is not None:
            self.saved += saved
            self.premium += premium
            self.priced_read_tokens += read
            self.priced_write_tokens += written
        else:
            self.unpriced_calls += 1
        # Calls are told of as they end, which is not the order in which they began.
        self.now = max(self.now, call.start_time / _NANOSECONDS)
        self.writes.record(self.now, read=read, written_5m=written - written_1h, written_1h=written_1h, premium=premium)


class GhostTally:
    """What imagined caches would have done for one model; one figure for each of `LIFETIMES`."""

    def __init__(self) -> None:
        self.calls = 0
        self.not_looked_at = 0
        self.hits = [0] * len(LIFETIMES)
        self.saved = [0] * len(LIFETIMES)
        self.unpriced_hits = [0] * len(LIFETIMES)
        self.seconds_saved = [0.0] * len(LIFETIMES)
        self.saved_input_tokens = [0] * len(LIFETIMES)
        self.saved_output_tokens = [0] * len(LIFETIMES)

    def add(self, priced: PricedCall, hits: tuple[bool, ...]) -> None:
        """Count one call, which was made and paid for, with what each imagined cache would have said to it."""
        self.calls += 1
        call = priced.call
        usage, cost = call.usage, priced.cost.picodollars if priced.cost is not None else None
        for index, hit in enumerate(hits):
            if hit:
                self.hits[index] += 1
                self.saved[index] += cost or 0
                self.unpriced_hits[index] += cost is None
                self.seconds_saved[index] += call.duration
                self.saved_input_tokens[index] += usage.input_tokens if usage is not None else 0
                self.saved_output_tokens[index] += usage.output_tokens if usage is not None else 0
