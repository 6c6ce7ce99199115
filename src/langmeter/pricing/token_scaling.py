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
    text_in = max(tokens.input_tokens - (tokens.input_image or 0) - (tokens.input_audio or 0), 0)
    text_out = max(tokens.output_tokens - (tokens.output_image or 0) - (tokens.output_audio or 0), 0)
    # Text is taken to be cached before images and audio, as everywhere in pricing.
    left = text_in - min(tokens.cache_read or 0, text_in)
    return tokens._replace(
        input_tokens=tokens.input_tokens - text_in + round(text_in * ratio),
        output_tokens=tokens.output_tokens - text_out + round(text_out * ratio),
        cache_read=_part(tokens.cache_read, text_in, ratio),
        cache_write=_part(tokens.cache_write, left, ratio),
        cache_write_1h=_part(tokens.cache_write_1h, left, ratio),
        reasoning=_part(tokens.reasoning, text_out, ratio),
        input_text=_part(tokens.input_text, text_in, ratio),
        output_text=_part(tokens.output_text, text_out, ratio),
    )


def _part(count: int | None, text: int, ratio: float) -> int | None:
    """A part of which up to `text` tokens are text."""
    if count is None:
        return None
    scaled = min(count, text)
    return int(scaled * ratio) + count - scaled
