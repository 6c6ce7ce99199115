"""What is said, once per process, when a price is missing or doubtful."""

from __future__ import annotations

import json
import logging

_LOGGER = logging.getLogger("langmeter.pricing")
_MAX_NOTICES = 4_096
_LONGEST_NAME = 200

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
    # Quoted as JSON, which YAML reads alike: names of models have colons, stars and quotation marks.
    match = "{" + f"provider: {json.dumps(provider)}, model: {json.dumps(model[:_LONGEST_NAME])}" + "}"
    _LOGGER.warning(
        "No price for model %.80r of provider %.80r in %s: its calls are counted as unpriced, not as $0. %s"
        "Upgrade genai-prices if the model is new, or set its price (USD per million tokens) in the file that "
        "LANGMETER_PRICES names:\n"
        "models:\n"
        "  - match: %s\n"
        "    price: {input_mtok: ..., output_mtok: ...}",
        model,
        provider,
        table,
        f"The nearest known model is {nearest!r}. " if nearest else "",
        match,
    )


def unknown_base_model(provider: str, model: str, named_by: str) -> None:
    """A price is to be derived from a model that has none."""
    if first_time("base model", provider, model, named_by):
        _LOGGER.warning(
            "No price for base model %.80r of provider %.80r, which %.200s names: calls priced by it are counted as "
            "unpriced, not as $0.",
            model,
            provider,
            named_by,
        )


def price_file_refused(path: str, error: Exception, *, kept: bool) -> None:
    """A file of prices has a fault; the message of `error` says where and how to mend it."""
    if first_time("price file", path, str(error)):
        _LOGGER.warning(
            "The prices in %.200s are not used: %.500s. %s",
            path,
            error,
            "Those read before stay in force." if kept else "Published prices are used instead.",
        )
