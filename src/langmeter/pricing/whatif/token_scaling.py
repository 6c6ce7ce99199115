"""Recorded usage as another model, or the same one without a prompt cache, would have counted it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, TypeAlias

from langmeter.errors import SettingsError
from langmeter.events import TokenUsage

_build: Final = tuple.__new__
"""Builds a named tuple from all its fields at once: a fifth of the time of `_replace`, which counts here."""
TokenRatio: TypeAlias = "float | Mapping[str, float]"
"""Tokens of the other model for one token of the recorded model, on the same text; by recorded model as a mapping."""


def checked_ratio(ratio: TokenRatio | None) -> TokenRatio | None:
    """The ratio as it is.

    Raises:
        SettingsError: it is not a positive number, or a mapping to such numbers.
    """
    given: tuple[object, ...] = tuple(ratio.values()) if isinstance(ratio, Mapping) else (ratio,)
    for value in given if ratio is not None else ():
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
            raise SettingsError(
                f"token_ratio must be a positive number, or a mapping from the recorded model to one, got {value!r:.80}; "
                "1.1 says that the other model makes 110 tokens of the text that was 100"
            )
    return ratio


def ratio_for(ratio: TokenRatio | None, model: str) -> float | None:
    """The ratio for one recorded model; None when there is none, and its tokens stay as they were counted."""
    return ratio.get(model) if isinstance(ratio, Mapping) else ratio


def without_cache(tokens: TokenUsage) -> TokenUsage:
    """The same tokens with nothing read from or written to the provider's prompt cache."""
    billed, output, read, write, _, *rest = tokens
    return _build(TokenUsage, (billed, output, None, None, None, *rest)) if read or write else tokens


def scaled_usage(tokens: TokenUsage, ratio: float) -> TokenUsage:
    """The text among the tokens times `ratio`; images and audio, which no text tokeniser counts, stay as they are.

    Wholes are rounded to the nearest token and parts down, so that no part outgrows its whole.
    """
    (
        billed,
        output,
        read,
        write,
        hour,
        reasoning,
        plain_in,
        image_in,
        audio_in,
        plain_out,
        image_out,
        audio_out,
        fits,
    ) = tokens
    text_in = max(billed - (image_in or 0) - (audio_in or 0), 0)
    text_out = max(output - (image_out or 0) - (audio_out or 0), 0)
    # Text is taken to be cached before images and audio, as everywhere in pricing.
    left = text_in - min(read or 0, text_in)
    return _build(
        TokenUsage,
        (
            billed - text_in + round(text_in * ratio),
            output - text_out + round(text_out * ratio),
            read and _part(read, text_in, ratio),
            write and _part(write, left, ratio),
            hour and _part(hour, left, ratio),
            reasoning and _part(reasoning, text_out, ratio),
            plain_in and _part(plain_in, text_in, ratio),
            image_in,
            audio_in,
            plain_out and _part(plain_out, text_out, ratio),
            image_out,
            audio_out,
            fits,
        ),
    )


def _part(count: int, text: int, ratio: float) -> int:
    """A part of which up to `text` tokens are text."""
    scaled = min(count, text)
    return int(scaled * ratio) + count - scaled
