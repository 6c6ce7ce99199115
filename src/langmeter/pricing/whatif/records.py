"""One finished model call as it was recorded: what repricing works on. Values only; nothing here looks up a price."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from langmeter.events import CostStatus, TokenUsage, usd
from langmeter.pricing.usage import reported_usage
from langmeter.pricing.whatif.record_keys import Keys

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_STATUSES: Final = get_args(CostStatus)
_COUNTS: Final = TokenUsage._fields[:-1]
_REQUIRED: Final = ("input_tokens", "output_tokens")


class Record(NamedTuple):
    """One model call: all that decides its price, and what it was recorded to cost."""

    provider: str
    """A LangChain provider name or a `gen_ai.provider.name`."""
    model: str
    """As the answer named it, or else the request."""
    usage: TokenUsage | None
    """Billed tokens; None when they are not known."""
    start_time: float
    """Start of the request, unix seconds: the price in force at that instant applies."""
    tier: str | None = None
    """The service tier it was billed at; None for the standard one."""
    cost: int | None = None
    """As recorded, in pico-dollars (1e-12 USD); None when it was not known."""
    status: CostStatus = "unpriced"
    """How the recorded cost came about; a response cache's answer is `cached` and no call."""
    price_version: str | None = None
    requested_model: str | None = None
    """The name that the request gave, where that is another one: price overrides may name it."""
    deployment: str | None = None
    """The name of an Azure deployment, which price overrides may name. Spans do not carry it."""
    estimated: bool = False
    """Whether `usage` is an estimate, because the provider reported nothing."""
    embeddings: bool = False
    """Whether it is a call of an embeddings model."""

    @property
    def cost_usd(self) -> Decimal | None:
        """The recorded cost in US dollars; None when it was not known."""
        return None if self.cost is None else usd(self.cost)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Record:
        """The record that a mapping describes: one line of a JSONL file, or what `to_dict` gave.

        Keys: `provider`, `model`, `start_time` (unix seconds, or ISO 8601, UTC when it names no zone), and `usage` (the
        fields of `TokenUsage`) or `usage_metadata` (LangChain's own); optional `tier`, `cost_usd` (a number or, to lose
        nothing, a decimal string), `status`, `price_version`, `requested_model`, `deployment`, `estimated`,
        `embeddings`.

        Raises:
            RecordError: a key is missing, unknown, or has a value that it cannot have.
        """
        return record_in(values, "record")

    @classmethod
    def from_span(cls, span: ReadableSpan | Mapping[str, Any]) -> Record:
        """The record of a model call's span, by the attributes that langmeter and other GenAI instrumentation set.

        Args:
            span: an SDK span, its `to_json` document, or a span of an OTLP/JSON document.

        Raises:
            RecordError: the span is no billed model call's, or lacks what a record needs.
        """
        from langmeter.pricing.whatif.span_records import single_record  # noqa: PLC0415  (it builds the records defined here)

        return single_record(span)

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-ready values, what is not known left out; `from_dict` gives the same record back."""
        values = self._asdict()
        usage = values["usage"] = None if self.usage is None else _known(self.usage._asdict())
        if usage is not None and usage["consistent"]:
            del usage["consistent"]
        cost = values.pop("cost")
        values["cost_usd"] = None if cost is None else format(usd(cost), "f")
        values["estimated"] = self.estimated or None
        values["embeddings"] = self.embeddings or None
        return _known(values)


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


_KEYS: Final = (*(name for name in Record._fields if name != "cost"), "cost_usd", "usage_metadata")


def record_in(values: Mapping[str, Any], where: str) -> Record:
    """`Record.from_dict` with the record's place in its errors."""
    keys = Keys(values, where)
    keys.check_names(_KEYS)
    usage, tier, replayed = _usage(keys)
    cost = keys.amount("cost_usd")
    status = checked_status(keys, "status", "cost_usd", cost, replayed=replayed)
    return Record(
        keys.name("provider"),
        keys.name("model"),
        usage,
        keys.seconds("start_time"),
        keys.text("tier") or tier,
        cost,
        status,
        keys.text("price_version"),
        keys.text("requested_model"),
        keys.text("deployment"),
        keys.flag("estimated") or status == "estimated",
        keys.flag("embeddings"),
    )


def _usage(keys: Keys) -> tuple[TokenUsage | None, str | None, bool]:
    """Tokens, the tier that they tell, and whether a cache replayed them."""
    counts, metadata = keys.mapping("usage"), keys.mapping("usage_metadata")
    if counts is not None and metadata is not None:
        keys.refuse("usage_metadata", "stands beside 'usage', which says the same; remove one of them")
    if metadata is not None:
        reported = reported_usage(metadata)
        if reported.tokens is None:
            keys.refuse("usage_metadata", "lacks 'input_tokens' or 'output_tokens'; leave it out if there are none")
        return reported.tokens, reported.tier, reported.replayed
    return (None if counts is None else _token_usage(keys, counts)), None, False


def _token_usage(keys: Keys, counts: Mapping[str, Any]) -> TokenUsage:
    inner = keys.inside("usage", counts)
    inner.check_names((*_COUNTS, "consistent"))
    billed, output = (inner.count(name, required=True) or 0 for name in _REQUIRED)
    parts = (inner.count(name) for name in _COUNTS[len(_REQUIRED) :])
    tokens = TokenUsage._make((billed, output, *parts, inner.flag("consistent", missing=True)))
    return tokens if fits(tokens) else tokens._replace(consistent=False)


def fits(tokens: TokenUsage) -> bool:
    """Whether no part of the tokens is larger than what it is a part of."""
    cached = (tokens.cache_read or 0) + (tokens.cache_write or 0)
    media = (tokens.input_audio or 0) + (tokens.input_image or 0)
    output = max(tokens.reasoning or 0, (tokens.output_audio or 0) + (tokens.output_image or 0))
    hour_fits = (tokens.cache_write_1h or 0) <= (tokens.cache_write or 0)
    return hour_fits and max(cached, media) <= tokens.input_tokens and output <= tokens.output_tokens


def checked_status(
    keys: Keys, status_key: str, cost_key: str, cost: int | None, *, replayed: bool = False
) -> CostStatus:
    """The status of a recorded cost, by default what the cost itself says; one that contradicts the cost is refused."""
    default: CostStatus = "cached" if replayed else "unpriced" if cost is None else "priced"
    said = keys.text(status_key) or default
    status: CostStatus | None = next((known for known in _STATUSES if said == known), None)
    if status is None:
        keys.refuse(status_key, f"must be one of {', '.join(_STATUSES)}, got {said!r:.80}")
    free = status in {"cached", "unpriced"}
    if cost and free:
        keys.refuse(cost_key, f"must be left out with status {status!r}, which says that nothing was charged or known")
    if cost is None and not free:
        keys.refuse(cost_key, f"is missing, and status {status!r} says that it is known; give it, or leave status out")
    return status
