"""Usage figures brought into billed semantics: every integration's known mistake undone, contradictions clamped. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from langmeter.events import TokenUsage
from langmeter.pricing.reading import count, mapping
from langmeter.pricing.tiers import tier_prefix

if TYPE_CHECKING:
    from collections.abc import Mapping

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


class _Figures(NamedTuple):
    """The counts as sent. None: not sent."""

    input: int
    output: int
    total: int | None
    cache_read: int | None
    cache_write: int | None
    cache_write_1h: int | None
    reasoning: int | None


def repaired(usage: Mapping[str, object]) -> tuple[TokenUsage | None, str | None]:
    """The counts, repaired; and the tier, where langchain-openai has put it into the names of the details."""
    read_in = mapping(usage.get("input_token_details"))
    read_out = mapping(usage.get("output_token_details"))
    prefix = None
    if not (read_in.keys() <= _PLAIN_DETAILS and read_out.keys() <= _PLAIN_DETAILS):
        prefix = tier_prefix(read_in) or tier_prefix(read_out)
        if prefix:
            read_in, read_out = _without_prefix(read_in, prefix), _without_prefix(read_out, prefix)
    billed_input, billed_output = count(usage.get("input_tokens")), count(usage.get("output_tokens"))
    if billed_input is None or billed_output is None:
        return None, prefix
    hour = count(read_in.get("ephemeral_1h_input_tokens"))
    written = _written(read_in, hour)
    figures = _Figures(
        billed_input,
        billed_output,
        count(usage.get("total_tokens")),
        count(read_in.get("cache_read")),
        written,
        hour,
        count(read_out.get("reasoning")),
    )
    whole = _is_whole(usage, read_in, read_out)
    if "citation_tokens" in read_out:
        figures, whole = _with_reasoning_outside(figures), whole and not count(read_out["citation_tokens"])
    return _consistent(figures, read_in, read_out, whole=whole), prefix


def _with_reasoning_outside(figures: _Figures) -> _Figures:
    """The counts of Perplexity's research models: neither output nor total hold the reasoning, which is billed on top.

    The tokens of citations are billed too, and there is no place for them: the usage counts as contradictory, so that its
    price is said to be partial.
    """
    return figures._replace(output=figures.output + (figures.reasoning or 0), total=None)


def _is_whole(*parts: Mapping[str, object]) -> bool:
    """False when a count had a fraction, which no provider bills."""
    return not any(
        type(value) is float and not value.is_integer()
        for part in parts
        for key, value in part.items()
        if key != "total_cost"
    )


def _written(details: Mapping[str, object], hour: int | None) -> int | None:
    """All tokens written to the prompt cache.

    langchain-anthropic and langchain-aws set `cache_creation` to 0 when they report counts per lifetime.
    """
    generic = count(details.get("cache_creation"))
    five_minutes = count(details.get("ephemeral_5m_input_tokens"))
    if hour is None and five_minutes is None:
        return generic
    return (generic or 0) + (five_minutes or 0) + (hour or 0)


def _without_prefix(details: Mapping[str, object], tier: str) -> dict[str, object]:
    """The details under their plain names.

    The bare figure (`flex`) is input less cache reads and still contains cache writes, so it is never added.
    """
    plain: dict[str, object] = {}
    for key, value in details.items():
        name = str(key).removeprefix(tier + "_")
        plain[name] = (count(value) or 0) + (count(plain[name]) or 0) if name in plain else value
    return plain


def _consistent(
    figures: _Figures, read_in: Mapping[str, object], read_out: Mapping[str, object], *, whole: bool
) -> TokenUsage | None:
    """The counts in billed semantics, every part at most as large as its whole."""
    if figures.total and figures.total != figures.input + figures.output:
        figures, agreed = _reconciled(figures)
        whole = whole and agreed
    billed_input, billed_output, _, cache_read, cache_write, hour, reasoning = figures
    image_in, audio_in = count(read_in.get("image")), count(read_in.get("audio"))
    image_out, audio_out = count(read_out.get("image")), count(read_out.get("audio"))
    text_in, text_out = count(read_in.get("text")), count(read_out.get("text"))
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
    total = figures.total or 0
    if reasoning and both + reasoning <= total:  # langchain-google-vertexai leaves thoughts out of the output
        # It leaves out the prompts of Google's own tools too, which are in nothing but the total.
        return figures._replace(output=figures.output + reasoning), both + reasoning == total
    if both - reasoning == total and reasoning <= figures.output:  # langchain-xai adds reasoning twice
        return figures._replace(output=figures.output - reasoning), reasoning != cache_read
    if both - cache_read == total and cache_read <= figures.input:  # ChatDatabricks adds cache reads twice
        return figures._replace(input=figures.input - cache_read), True
    return figures, False
