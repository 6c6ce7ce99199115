"""What one model call used, in tokens."""

from __future__ import annotations

from typing import NamedTuple


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
