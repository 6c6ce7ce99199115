"""One model call: what was asked, what came back or went wrong, what the response cache did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from langmeter.events.usage import ReportedUsage, TokenUsage

if TYPE_CHECKING:
    from langmeter.events.cost import Cost

Operation: TypeAlias = Literal["chat", "text_completion", "embeddings"]
CacheStatus: TypeAlias = Literal["hit", "miss", "error", "bypass"]
ParameterValue: TypeAlias = str | int | float | bool | tuple[str, ...]
Content: TypeAlias = Mapping[str, object]
"""Opt-in content by its attribute's name, JSON-ready, in the shape that the conventions give it, not yet redacted."""


class PricingTerms(NamedTuple):
    """What is known about the price of a call that no answer states: from the request, its metadata or `call_pricing`."""

    service_tier: str | None = None
    processing: str | None = None
    """`batch` for the Batch API."""
    speed: str | None = None
    base_model: str | None = None
    """The model whose prices apply, as `model` or `provider/model`: an inference profile hides it."""
    multiplier: Decimal | None = None
    override: tuple[tuple[str, Decimal], ...] | None = None
    """Price key to US dollars, as in a price file."""


class ModelRequest(NamedTuple):
    """One model call as the application asked for it."""

    operation: Operation
    provider: str
    """A `gen_ai.provider.name` value; `unknown` if nothing tells."""
    model: str | None = None
    server_address: str | None = None
    server_port: int | None = None
    parameters: tuple[tuple[str, ParameterValue], ...] = ()
    """Sampling parameters and the like: (`semconv` attribute name, value)."""
    attribution: tuple[tuple[str, str], ...] = ()
    """Attribution, (key, value): on the span."""
    metric_attribution: tuple[tuple[str, str], ...] = ()
    """The part of it that is allowed on metrics, already bounded in distinct values."""
    deployment: str | None = None
    """The name of an Azure deployment, which price overrides may name."""
    terms: PricingTerms | None = None


class ToolCall(NamedTuple):
    """A tool call that the model asked for; its arguments are content and stay out."""

    name: str
    id: str | None = None


class ModelResponse(NamedTuple):
    """What the model answered, without its content."""

    usage: ReportedUsage = ReportedUsage()
    model: str | None = None
    id: str | None = None
    finish_reasons: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    service_tier: str | None = None
    """As the provider spelt it."""
    system_fingerprint: str | None = None
    api_type: str | None = None
    usage_counted_elsewhere: bool = False
    """True for the later prompts of a text-model batch: LangChain puts the usage of the whole batch on its first prompt."""
    made_by: str | None = None
    """The run that made the answer, where LangChain named the message after it: a replay keeps the original's."""


class Failure(NamedTuple):
    """A call that did not end normally. Text only: keeping the exception would keep the generators of its traceback alive."""

    kind: Literal["error", "cancelled", "abandoned"]
    """`abandoned` is a stream that its consumer closed: not an error."""
    error_type: str
    """Fully qualified class name, builtins bare."""
    message: str = ""
    stacktrace: str | None = None
    refused: bool = False
    """True when the provider said no or was not reached: such a call is not billed."""
    partial: ModelResponse | None = None
    """What had arrived before the end, usage included where the provider sent it."""
    reported: bool = False
    """True when a run inside this one has reported the same exception: it is logged once."""


class CacheLookup(NamedTuple):
    """What the response cache of LangChain did for one call. The provider's prompt cache is something else."""

    status: CacheStatus
    type: str | None = None
    duration: float | None = None
    """Seconds spent looking up; None when nothing was looked up (`bypass`)."""
    saved: TokenUsage | None = None
    """On a hit, the usage stored with the answer; None where the cache has lost it."""
    error_type: str | None = None
    saved_tier: str | None = None
    """The service tier that the stored answer was billed at."""
    saved_cost_usd: float | None = None
    """What a gateway charged for the stored answer, in US dollars."""
    swallowed: bool = False
    """With status `error`: the cache kept its failure to itself, and the model was called as after a miss."""
    unreadable: bool = False
    """On a hit: the cache could not load the stored answer and gave its raw text instead."""
    expected_duration: float | None = None
    """Seconds that the call would have taken without the cache; None where nothing tells."""
    expected_from: Literal["original", "model"] | None = None
    """Whether `expected_duration` is the original call's own time, or made from the means of its model."""

    @property
    def time_saved(self) -> float | None:
        """Seconds that a hit saved, negative where the look-up took longer than the call; None where that is not known."""
        if self.expected_duration is None or self.duration is None:
            return None
        return self.expected_duration - self.duration


class ModelCall(NamedTuple):
    """One finished model call: all that a sink needs, and the only thing that it gets besides the cost."""

    request: ModelRequest
    outcome: ModelResponse | Failure
    start_time: int
    """Unix time in nanoseconds."""
    duration: float
    """Seconds, from a monotonic clock."""
    time_to_first_chunk: float | None = None
    """Seconds; only for streamed answers."""
    chunk_gaps: tuple[float, ...] = ()
    """Seconds between consecutive chunks; filled only when `Settings.time_per_output_chunk` or `legacy_metrics` is on."""
    streamed: bool = False
    cache: CacheLookup | None = None
    """None when no response cache was configured or it was switched off for this call."""
    key: Callable[[], int] | None = None
    """Makes the hash that ghost mode knows equal calls by; None while no listener wants it."""
    estimated: TokenUsage | None = None
    """Our estimate of what was used, where the provider reported nothing; never mixed with what it reports."""
    content: Content | None = None
    """None unless content is captured and somebody wants this call's."""

    @property
    def response(self) -> ModelResponse | None:
        """The answer, or the part of it that had arrived before a failure."""
        return self.outcome.partial if isinstance(self.outcome, Failure) else self.outcome

    @property
    def failure(self) -> Failure | None:
        """How the call failed, if it did."""
        return self.outcome if isinstance(self.outcome, Failure) else None

    @property
    def error_type(self) -> str | None:
        """The error type to report; None for success and for a stream that its consumer abandoned."""
        if isinstance(self.outcome, Failure) and self.outcome.kind != "abandoned":
            return self.outcome.error_type
        return None

    @property
    def cache_hit(self) -> bool:
        """True when the response cache answered and no provider was called."""
        return self.cache is not None and self.cache.status == "hit"

    @property
    def usage(self) -> TokenUsage | None:
        """The tokens billed for this call; None when unknown, and on a hit, where nothing was billed."""
        if self.cache_hit:
            return None
        response = self.response
        return None if response is None else response.usage.tokens


class PricedCall(NamedTuple):
    """A finished call with its cost: what every sink consumes."""

    call: ModelCall
    cost: Cost | None
    """None when nothing is to be priced: the usage was counted on another call of the same batch, or no call was made."""
    saved: Cost | None = None
    """On a cache hit, what the stored usage would have cost now."""
