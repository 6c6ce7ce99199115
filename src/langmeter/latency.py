"""How long a call would have taken that a response cache answered: from the original call, or else from its model's means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from langmeter.events import ModelCall

_ORIGINALS: Final = 5_000
_MODELS: Final = 1_000
_MEMORY: Final = 256.0
"""Calls after which the older half of a model's experience counts half: its speed changes over a day."""


_Answer: TypeAlias = tuple[str, str | None, str]


class Expected(NamedTuple):
    """What a call would have taken without the cache."""

    seconds: float
    source: Literal["original", "model"]


class Latencies:
    """The durations of calls that went into a response cache, by answer, and the means of their models: look-ups taken off.

    At most 10,000 answers and 1,000 models are remembered. Safe from any thread without a lock: what two threads learn at
    the same instant may count once, which an estimate can bear.
    """

    __slots__ = ("_models", "_older", "_younger")

    def __init__(self) -> None:
        # Two generations instead of an ordered dictionary: dropping the older one needs no lock that a fork could break.
        self._younger: dict[_Answer, float] = {}
        self._older: dict[_Answer, float] = {}
        self._models: dict[tuple[str, str | None], _Means] = {}

    def learn(self, call: ModelCall) -> None:
        """Take note of a call that a model answered."""
        response = call.response
        if response is None or call.failure is not None or call.cache_hit:
            return
        answer = _answer(call)
        if answer is not None:
            if len(self._younger) >= _ORIGINALS:
                self._older, self._younger = self._younger, {}
            self._younger[answer] = call.duration - _asking(call)
        if call.usage is not None and call.usage.output_tokens > 0:
            key = (call.request.provider, call.request.model)
            means = self._models.get(key)
            if means is None:
                if len(self._models) >= _MODELS:
                    self._models = {}
                means = self._models[key] = _Means()
            means.add(call, call.usage.output_tokens)

    def expected(self, call: ModelCall) -> Expected | None:
        """The time that the call of a hit would have taken; None if nothing tells.

        Formula (from the model's means): time to first chunk + output tokens / tokens per second of generation, where the
        model was streamed; output tokens / tokens per second of whole calls otherwise.
        """
        answer = _answer(call)
        if answer is not None:
            seconds = self._younger.get(answer)
            if seconds is None:
                seconds = self._older.get(answer)
            if seconds is not None:
                return Expected(seconds, "original")
        means = self._models.get((call.request.provider, call.request.model))
        stored = None if call.cache is None else call.cache.saved
        if means is None or stored is None:
            return None
        seconds = means.seconds(stored.output_tokens)
        return None if seconds is None else Expected(seconds, "model")


def _answer(call: ModelCall) -> _Answer | None:
    """What tells an answer again: a model that hands on another's answer takes its own time for it."""
    response = call.response
    name = None if response is None else response.id or response.made_by
    return None if name is None else (call.request.provider, call.request.model, name)


def _asking(call: ModelCall) -> float:
    """Seconds of the call that went into asking the cache: LangChain does so inside a chat call, before a text model's."""
    if call.cache is None or call.request.operation != "chat":
        return 0.0
    return min(call.cache.duration or 0.0, call.duration)


class _Means:
    """Decaying sums over the calls of one model."""

    __slots__ = ("calls", "first_chunks", "generated", "generation", "seconds_of_calls", "streams", "tokens")

    def __init__(self) -> None:
        self.calls = self.seconds_of_calls = self.tokens = 0.0
        self.streams = self.first_chunks = self.generation = self.generated = 0.0

    def add(self, call: ModelCall, output_tokens: int) -> None:
        if self.calls >= _MEMORY:
            for name in self.__slots__:
                setattr(self, name, getattr(self, name) / 2)
        asking = _asking(call)
        self.calls += 1
        self.seconds_of_calls += call.duration - asking
        self.tokens += output_tokens
        first = call.time_to_first_chunk
        if first is not None and call.duration > first:
            self.streams += 1
            self.first_chunks += max(0.0, first - asking)
            self.generation += call.duration - first
            self.generated += output_tokens

    def seconds(self, output_tokens: int) -> float | None:
        if self.streams and self.generated:
            return self.first_chunks / self.streams + output_tokens * self.generation / self.generated
        return output_tokens * self.seconds_of_calls / self.tokens if self.tokens else None
