"""What the provider billed, read from LangChain's usage figures with every integration's peculiarities undone.

`input_tokens` of LangChain includes cached and cache-written tokens, `output_tokens` includes reasoning, but not every
integration keeps to it. Each repair below names the integration that needs it. Everything here is pure, never raises and
may be called from any thread.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import NamedTuple

from langmeter.events import ReportedUsage, TokenUsage

_LARGEST_COUNT = 10**15
"""A figure beyond this is no count of tokens, and floats would lose its last digits."""

_TIER_PREFIXES = ("flex", "priority", "fast", "ultrafast", "scale", "batch")
_PLAIN_DETAILS = frozenset(
    {
        "audio",
        "cache_creation",
        "cache_read",
        "ephemeral_1h_input_tokens",
        "ephemeral_5m_input_tokens",
        "image",
        "reasoning",
        "text",
    }
)
_STANDARD_TIERS = frozenset(
    {
        "default",
        "not_available",
        "none",
        "normal",
        "on_demand",
        "on-demand",
        "online",
        "realtime",
        "standard",
        "standard_only",
        "unspecified",
    }
)
_SAYS_NOTHING = frozenset({"", "auto"})
_TIER_SPELLINGS = {"on_demand_flex": "flex", "on_demand_priority": "priority"}  # Vertex AI's traffic types
_WORLDWIDE = frozenset({"", "global", "not_available"})
_NO_DETAILS: Mapping[str, object] = {}


def reported_usage(
    usage_metadata: Mapping[str, object] | None,
    response_metadata: Mapping[str, object] | None = None,
    *,
    service_tier: str | None = None,
    processing: str | None = None,
    speed: str | None = None,
) -> ReportedUsage:
    """Billed tokens, tier and gateway charge of one answer.

    Figures that the provider did not send stay None; contradictory ones are clamped and marked (`consistent=False`).

    Args:
        usage_metadata: `AIMessage.usage_metadata`.
        response_metadata: `AIMessage.response_metadata`: tier, residency and, from gateways, the charge.
        service_tier: the tier asked for; what the answer says goes before it.
        processing: `batch` for the Batch API, which no answer mentions.
        speed: `fast` for Anthropic's fast mode; what the answer says goes before it.

    Returns:
        `tokens` is None when input or output is missing: a zero is never invented. Any garbage gives an empty value.
    """
    try:
        usage = _mapping(usage_metadata)
        answer = _mapping(response_metadata)
        tokens, prefix = _tokens(usage) if usage else (None, None)
        tier: str | None = prefix
        if answer or service_tier or processing or speed:
            tier = _tier(prefix, answer, service_tier, processing, speed)
        return ReportedUsage(
            tokens,
            tier,
            _gateway_charge(answer, tokens) if answer else None,
            "total_cost" in usage and _is_zero(usage["total_cost"]),
        )
    except Exception:  # noqa: BLE001  (a mapping of the application may raise from any method; its usage is unknown then)
        return ReportedUsage()


def _mapping(value: object) -> Mapping[str, object]:
    if type(value) is dict:  # nearly always; the check against the abstract class is slow
        return value
    return value if isinstance(value, Mapping) else _NO_DETAILS


def _is_zero(value: object) -> bool:
    """True for the mark that langchain-core puts on an answer from its response cache."""
    return type(value) in (int, float) and value == 0


class _Figures(NamedTuple):
    """The counts as sent. None: not sent."""

    input: int
    output: int
    total: int | None
    cache_read: int | None
    cache_write: int | None
    cache_write_1h: int | None
    reasoning: int | None


def _tokens(usage: Mapping[str, object]) -> tuple[TokenUsage | None, str | None]:
    """The counts, repaired; and the tier, where langchain-openai has put it into the names of the details."""
    read_in = _mapping(usage.get("input_token_details"))
    read_out = _mapping(usage.get("output_token_details"))
    prefix = None
    if not (read_in.keys() <= _PLAIN_DETAILS and read_out.keys() <= _PLAIN_DETAILS):
        prefix = _tier_prefix(read_in) or _tier_prefix(read_out)
        if prefix:
            read_in, read_out = _without_prefix(read_in, prefix), _without_prefix(read_out, prefix)
    billed_input, billed_output = _count(usage.get("input_tokens")), _count(usage.get("output_tokens"))
    if billed_input is None or billed_output is None:
        return None, prefix
    hour = _count(read_in.get("ephemeral_1h_input_tokens"))
    written = _written(read_in, hour)
    figures = _Figures(
        billed_input,
        billed_output,
        _count(usage.get("total_tokens")),
        _count(read_in.get("cache_read")),
        written,
        hour,
        _count(read_out.get("reasoning")),
    )
    return _consistent(figures, read_in, read_out, whole=_is_whole(usage, read_in, read_out)), prefix


def _count(value: object) -> int | None:
    """A number of tokens, possibly negative, fractions cut; None for everything that is no number."""
    if type(value) is int:
        return value if -_LARGEST_COUNT < value < _LARGEST_COUNT else None
    if value is None or isinstance(value, (bool, str, bytes)):
        return None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and abs(value) < _LARGEST_COUNT else None
    try:
        return _count(int(operator.index(value)))  # type: ignore[arg-type]  # whole numbers of numpy and the like
    except Exception:  # noqa: BLE001  (an `__index__` of the application may raise anything)
        return None


def _is_whole(*parts: Mapping[str, object]) -> bool:
    """False when a count had a fraction, which no provider bills."""
    for part in parts:
        for value in part.values():
            if type(value) is float and not value.is_integer():
                return False
    return True


def _written(details: Mapping[str, object], hour: int | None) -> int | None:
    """All tokens written to the prompt cache.

    langchain-anthropic and langchain-aws set `cache_creation` to 0 when they report counts per lifetime.
    """
    generic = _count(details.get("cache_creation"))
    five_minutes = _count(details.get("ephemeral_5m_input_tokens"))
    if hour is None and five_minutes is None:
        return generic
    return (generic or 0) + (five_minutes or 0) + (hour or 0)


def _tier_prefix(details: Mapping[str, object]) -> str | None:
    for key in details:
        for tier in _TIER_PREFIXES:
            if key == tier or (isinstance(key, str) and key.startswith(tier + "_")):
                return tier
    return None


def _without_prefix(details: Mapping[str, object], tier: str) -> dict[str, object]:
    """The details under their plain names.

    The bare figure (`flex`) is input less cache reads and still contains cache writes, so it is never added.
    """
    return {key.removeprefix(tier + "_"): value for key, value in details.items() if key != tier}


def _consistent(
    figures: _Figures, read_in: Mapping[str, object], read_out: Mapping[str, object], *, whole: bool
) -> TokenUsage | None:
    """The counts in billed semantics, every part at most as large as its whole."""
    if figures.total and figures.total != figures.input + figures.output:
        figures, agreed = _reconciled(figures)
        whole = whole and agreed
    billed_input, billed_output, _, cache_read, cache_write, hour, reasoning = figures
    image_in, audio_in = _count(read_in.get("image")), _count(read_in.get("audio"))
    image_out, audio_out = _count(read_out.get("image")), _count(read_out.get("audio"))
    text_in, text_out = _count(read_in.get("text")), _count(read_out.get("text"))
    clamp = _Clamp()
    billed_input, billed_output = clamp.whole(billed_input), clamp.whole(billed_output)
    cache_read = clamp.part(cache_read, billed_input)
    cache_write = clamp.part(cache_write, billed_input - (cache_read or 0))
    tokens = TokenUsage(
        billed_input,
        billed_output,
        cache_read,
        cache_write,
        clamp.part(hour, cache_write or 0),
        clamp.part(reasoning, billed_output),
        clamp.part(text_in, billed_input),
        clamp.part(image_in, billed_input),
        clamp.part(audio_in, billed_input),
        clamp.part(text_out, billed_output),
        clamp.part(image_out, billed_output),
        clamp.part(audio_out, billed_output),
        whole and not clamp.acted,
    )
    # Nothing but wrong figures: a price of $0 would be invented.
    return None if clamp.acted and not billed_input and not billed_output else tokens


class _Clamp:
    """Limits counts and remembers whether it had to."""

    __slots__ = ("acted",)

    def __init__(self) -> None:
        self.acted = False

    def whole(self, count: int) -> int:
        if count >= 0:
            return count
        self.acted = True
        return 0

    def part(self, count: int | None, limit: int) -> int | None:
        if count is None or 0 <= count <= limit:
            return count
        self.acted = True
        return 0 if count < 0 else limit


def _reconciled(figures: _Figures) -> tuple[_Figures, bool]:
    """The counts brought into agreement with their total, and whether that was possible.

    Each formula is one integration's known mistake; a total that none explains leaves the counts as they are.
    """
    both = figures.input + figures.output
    reasoning, cache_read = figures.reasoning or 0, figures.cache_read or 0
    if both + reasoning == figures.total:  # langchain-google-vertexai leaves thoughts out of the output
        return figures._replace(output=figures.output + reasoning), True
    if both - reasoning == figures.total and reasoning <= figures.output:  # langchain-xai adds reasoning twice
        return figures._replace(output=figures.output - reasoning), reasoning != cache_read
    if both - cache_read == figures.total and cache_read <= figures.input:  # ChatDatabricks adds cache reads twice
        return figures._replace(input=figures.input - cache_read), True
    return figures, False


def _tier(
    prefix: str | None, answer: Mapping[str, object], service_tier: object, processing: object, speed: object
) -> str | None:
    """The tier that decides the price, None for the standard one; several facts are joined by `+`."""
    billing = _mapping(answer.get("usage"))  # langchain-anthropic keeps the provider's usage block here
    converse = _mapping(answer.get("serviceTier"))  # langchain-aws Converse
    tier = prefix or _first_said(
        answer.get("service_tier"), billing.get("service_tier"), converse.get("type"), service_tier
    )
    region = _word(billing.get("inference_geo"))
    facts = (
        _first_said(processing),
        tier,
        _first_said(billing.get("speed"), speed),
        None if region in _WORLDWIDE else f"geo-{region}",
    )
    return "+".join(dict.fromkeys(fact for fact in facts if fact)) or None


def _first_said(*values: object) -> str | None:
    """The first value that says something, None if that is the standard tier."""
    for value in values:
        word = _word(value)
        if word not in _SAYS_NOTHING:
            return None if word in _STANDARD_TIERS else _TIER_SPELLINGS.get(word, word)
    return None


def _word(value: object) -> str:
    return value.strip().lower()[:40] if isinstance(value, str) else ""


def _gateway_charge(answer: Mapping[str, object], tokens: TokenUsage | None) -> float | None:
    """What a gateway charged, in US dollars; None when none says so."""
    if "cost" in answer:  # langchain-openrouter
        return _openrouter_charge(answer)
    if "response_cost" in answer:  # langchain-litellm
        charge = _dollars(answer["response_cost"])
        # litellm says 0 for models that it does not know, so a 0 for tokens that were used is no statement.
        used = tokens is not None and tokens.input_tokens + tokens.output_tokens > 0
        return None if charge == 0 and used else charge
    billing = _mapping(answer.get("token_usage"))  # langchain-openai talking to OpenRouter
    return _openrouter_charge(billing) if "cost" in billing else None


def _openrouter_charge(billing: Mapping[str, object]) -> float | None:
    """OpenRouter's charge, with the upstream provider's bill where the application's own key was used.

    With an own key `cost` is only OpenRouter's fee. The flag `is_byok` does not reach LangChain, but a fee is always a
    small part of the upstream cost, while an ordinary charge is never below it.
    """
    charge = _dollars(billing.get("cost"))
    upstream = _dollars(_mapping(billing.get("cost_details")).get("upstream_inference_cost"))
    if not upstream or billing.get("is_byok") is False:
        return charge
    if charge is None:
        return upstream
    own_key = billing.get("is_byok") is True or upstream > charge
    return charge + upstream if own_key else charge


def _dollars(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < _LARGEST_COUNT else None
