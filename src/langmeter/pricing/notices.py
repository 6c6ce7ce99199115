"""What is said, once per process, when a price is missing or doubtful."""

from __future__ import annotations

import logging

_LOGGER = logging.getLogger("langmeter.pricing")
_MAX_NOTICES = 4_096

_said: set[tuple[str, ...]] = set()


def first_time(*about: str) -> bool:
    """True the first time in this process; never again, and never once 4,096 things were said."""
    if about in _said or len(_said) >= _MAX_NOTICES:
        return False
    _said.add(about)
    return True


def unavailable(source: str, error: Exception) -> None:
    """A price source cannot answer."""
    if first_time("unavailable", source):
        _LOGGER.warning(
            "Prices from %s are not available, so calls are counted as unpriced (%s: %.200s).",
            source,
            type(error).__name__,
            error,
        )


def loose_match(provider: str, model: str, found: str | None, version: str | None) -> None:
    """A rule on prefixes chose another model's price."""
    if first_time("loose", provider, model):
        _LOGGER.warning(
            "Model %.80r of provider %.80r is priced as %r, which a rule of %s on names chose: the price table may be "
            "older than the model. Upgrade genai-prices.",
            model,
            provider,
            found,
            version,
        )


def unknown_model(provider: str, model: str, table: str, nearest: str | None) -> None:
    """No source has a price."""
    _LOGGER.warning(
        "No price for model %.80r of provider %.80r in %s: its calls are counted as unpriced, not as $0. %s"
        "Upgrade genai-prices if the model is new, or price its usage by hand (USD per million tokens):\n"
        "langmeter.price(provider=%.80r, model=%.80r, usage_metadata=...,\n"
        "                override={'input_mtok': ..., 'output_mtok': ...})",
        model,
        provider,
        table,
        f"The nearest known model is {nearest!r}. " if nearest else "",
        provider,
        model,
    )
