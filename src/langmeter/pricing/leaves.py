"""Billed tokens taken apart into disjoint counts, each with one rate. Pure."""

from __future__ import annotations

from typing import NamedTuple

from langmeter.events import CostParts, TokenUsage


class Rates(NamedTuple):
    """Pico-dollars per token. A rate that the table does not give holds the one that is billed in its place."""

    input: float
    cache_read: float
    cache_write: float
    cache_write_1h: float
    input_audio: float
    cache_audio_read: float
    input_image: float
    cache_image_read: float
    output: float
    output_audio: float
    output_image: float
    reasoning: float


class Leaves(NamedTuple):
    """Disjoint counts that add up to the billed tokens."""

    text: int
    audio: int
    image: int
    text_read: int
    audio_read: int
    image_read: int
    write: int
    write_1h: int
    output: int
    output_audio: int
    output_image: int
    reasoning: int

    def parts(self, rates: Rates, fee: float) -> CostParts:
        """The cost by category, each rounded once to whole pico-dollars."""
        return CostParts(
            round(self.text * rates.input + self.audio * rates.input_audio + self.image * rates.input_image),
            round(
                self.text_read * rates.cache_read
                + self.audio_read * rates.cache_audio_read
                + self.image_read * rates.cache_image_read
            ),
            round(self.write * rates.cache_write + self.write_1h * rates.cache_write_1h),
            round(
                self.output * rates.output
                + self.output_audio * rates.output_audio
                + self.output_image * rates.output_image
                + self.reasoning * rates.reasoning
            ),
            round(fee),
        )


def leaves(tokens: TokenUsage) -> Leaves:
    """Every token in exactly one place.

    How audio and cached tokens overlap is not reported: text is taken to be read from the cache, and written to it, first.
    """
    billed, total_output = max(tokens.input_tokens, 0), max(tokens.output_tokens, 0)
    audio, left = _take(tokens.input_audio, billed)
    image, text = _take(tokens.input_image, left)
    read, left = _take(tokens.cache_read, billed)
    write, _ = _take(tokens.cache_write, left)
    write_1h, write_short = _take(tokens.cache_write_1h, write)
    text_read, text = _take(read, text)
    audio_read, audio = _take(read - text_read, audio)
    image_read, image = _take(read - text_read - audio_read, image)
    text_written, text = _take(write, text)
    audio_written, audio = _take(write - text_written, audio)
    _, image = _take(write - text_written - audio_written, image)
    output_audio, left = _take(tokens.output_audio, total_output)
    output_image, left = _take(tokens.output_image, left)
    reasoning, output = _take(tokens.reasoning, left)
    return Leaves(
        text,
        audio,
        image,
        text_read,
        audio_read,
        image_read,
        write_short,
        write_1h,
        output,
        output_audio,
        output_image,
        reasoning,
    )


def _take(wanted: int | None, available: int) -> tuple[int, int]:
    """As much of `wanted` as there is, and what remains."""
    taken = min(max(wanted or 0, 0), available)
    return taken, available - taken
