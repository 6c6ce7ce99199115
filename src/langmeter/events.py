"""The frozen values that travel from LangChain's edge to the sinks.

They know neither LangChain nor OpenTelemetry. All are `NamedTuple`s: as immutable as a frozen dataclass and about five
times cheaper to build, which matters because a model call builds four of them. Money is an integer number of
pico-dollars (1e-12 USD), so that adding never rounds; `Decimal` appears only in the public properties.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

PICODOLLARS_PER_DOLLAR = 10**12

Operation: TypeAlias = Literal["chat", "text_completion"]
CostStatus: TypeAlias = Literal["priced", "reported", "cached", "estimated", "allocated", "partial", "unpriced"]
UnpricedReason: TypeAlias = Literal["unknown_model", "no_usage", "pricing_unavailable"]
PriceMatch: TypeAlias = Literal["exact", "dated", "loose", "override", "none"]
CacheStatus: TypeAlias = Literal["hit", "miss", "error", "bypass"]
ParameterValue: TypeAlias = str | int | float | bool | tuple[str, ...]


def usd(picodollars: int) -> Decimal:
    """Pico-dollars as an exact `Decimal` number of US dollars."""
    whole, rest = divmod(picodollars, PICODOLLARS_PER_DOLLAR)
    return Decimal(picodollars).scaleb(-12).normalize() if rest else Decimal(whole)


class TokenUsage(NamedTuple):
    """What one call used, in billed tokens.

    `input_tokens` includes cached and cache-written tokens, `output_tokens` includes reasoning: every other field is a
    part of one of the two. `None` means that the provider did not say, which is not the same as 0.
    """

    input_tokens: int
    output_tokens: int
    cache_read: int | None = None
    cache_write: int | None = None
    """All tokens written to the provider's prompt cache, the one-hour ones included."""
    cache_write_1h: int | None = None
    """The part of `cache_write` kept for an hour, which some providers bill at a rate of its own."""
    reasoning: int | None = None
    input_text: int | None = None
    input_image: int | None = None
    input_audio: int | None = None
    output_text: int | None = None
    output_image: int | None = None
    output_audio: int | None = None
    consistent: bool = True
    """False when the provider's figures contradict one another and were clamped."""

    @property
    def total_tokens(self) -> int:
        """Input plus output."""
        return self.input_tokens + self.output_tokens


class ReportedUsage(NamedTuple):
    """Everything about one answer that decides its price."""

    tokens: TokenUsage | None = None
    """None when the provider reported no usage."""
    tier: str | None = None
    """The service tier that the answer was billed at: `flex`, `priority`, `batch`, `fast`, …; None for the standard one."""
    cost_usd: float | None = None
    """What a gateway says it charged, in US dollars."""
    replayed: bool = False
    """True when LangChain marked the answer as served by its response cache (`total_cost: 0`)."""
    tier_is_final: bool = False
    """True when the answer itself named its tier, the standard one included: what the request asked for is void then."""
    speed_is_final: bool = False
    """The same of the speed (Anthropic's fast mode), which is named apart from the tier."""


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
    """Attribution allowed on metrics: (key, value), already bounded in number and in distinct values."""
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


class CostParts(NamedTuple):
    """The categories that make up a cost, in pico-dollars. They partition the total."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    other: int = 0


class Cost(NamedTuple):
    """What one call cost, or why that is not known.

    `amount` is an exact `Decimal` number of US dollars, or None when the call is unpriced: an unknown price is never 0.
    Values are immutable and safe to share between threads.
    """

    status: CostStatus
    parts: CostParts | None = None
    """None when unpriced."""
    source: str | None = None
    """Where the price came from: `genai-prices`, `override`, `provider`, …"""
    version: str | None = None
    match: PriceMatch = "none"
    tier: str | None = None
    tier_unmatched: bool = False
    """True when the price table has no row for the tier and the standard price was used."""
    reason: UnpricedReason | None = None
    prompt_cache_saved: int = 0
    """Pico-dollars that reads from the provider's prompt cache saved against plain input."""
    prompt_cache_premium: int = 0
    """Pico-dollars that writes to the provider's prompt cache cost on top of plain input."""

    @property
    def picodollars(self) -> int | None:
        """The total as an integer of 1e-12 US dollars; None when unpriced."""
        return None if self.parts is None else sum(self.parts)

    @property
    def amount(self) -> Decimal | None:
        """The total in US dollars; None when unpriced."""
        return None if self.parts is None else usd(sum(self.parts))

    @property
    def input(self) -> Decimal | None:
        """US dollars for plain input tokens."""
        return None if self.parts is None else usd(self.parts.input)

    @property
    def cache_read(self) -> Decimal | None:
        """US dollars for tokens read from the provider's prompt cache."""
        return None if self.parts is None else usd(self.parts.cache_read)

    @property
    def cache_write(self) -> Decimal | None:
        """US dollars for tokens written to the provider's prompt cache."""
        return None if self.parts is None else usd(self.parts.cache_write)

    @property
    def output(self) -> Decimal | None:
        """US dollars for output tokens."""
        return None if self.parts is None else usd(self.parts.output)

    @property
    def other(self) -> Decimal | None:
        """US dollars for anything that is not a token: request fees, tools."""
        return None if self.parts is None else usd(self.parts.other)


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
