"""`langmeter prices show`: one model's rates."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from langmeter.cli.price_figures import aligned, dollars, figures, iso, matched, pairs, plain, print_json
from langmeter.cli.price_lookup import Found, explain_missing, look_up, missing
from langmeter.events import PICODOLLARS_PER_DOLLAR
from langmeter.pricing.cards import Card, HourlyCard, Unpriced

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from langmeter.pricing.leaves import Rates

_NO_PRICE = 1
_PER_MTOK = Decimal(10**6) / PICODOLLARS_PER_DOLLAR
_PER_THOUSAND = Decimal(10**3) / PICODOLLARS_PER_DOLLAR
_RATES = (
    ("input", "input_mtok", "input"),
    ("cache_read", "cache_read_mtok", "cache read"),
    ("cache_write", "cache_write_mtok", "cache write"),
    ("cache_write_1h", "cache_write_1h_mtok", "cache write for 1 hour"),
    ("input_audio", "input_audio_mtok", "audio input"),
    ("cache_audio_read", "cache_audio_read_mtok", "audio cache read"),
    ("input_image", "input_image_mtok", "image input"),
    ("cache_image_read", "cache_image_read_mtok", "image cache read"),
    ("output", "output_mtok", "output"),
    ("reasoning", "output_reasoning_mtok", "reasoning"),
    ("output_audio", "output_audio_mtok", "audio output"),
    ("output_image", "output_image_mtok", "image output"),
)
"""(field of `Rates`, key of price files, words for people)."""
_WORDS = {key: words for _, key, words in _RATES}


def show_card(model: str, provider: str | None, at: datetime | None, tier: str | None, *, as_json: bool) -> int:
    """Print what a model costs; the exit status is 1 where nobody knows."""
    found = look_up(model, provider, tier, at)
    if isinstance(found.card, Unpriced):
        facts = missing(found.subject)
        if as_json:
            print_json(facts)
        else:
            explain_missing("show", facts)
        return _NO_PRICE
    facts = _facts(found, found.card)
    if as_json:
        print_json(facts)
    else:
        _print(Console(highlight=False), facts)
    return 0


def _facts(found: Found, card: Card | HourlyCard) -> dict[str, Any]:
    source = card.source
    return {
        "provider": source.provider_id or found.subject.provider,
        "model": found.subject.model,
        "at": iso(found.at),
        "tier": found.subject.tier,
        "tier_unmatched": source.tier_unmatched,
        **(_hourly(card) if isinstance(card, HourlyCard) else _amounts(card)),
        "source": source.name,
        "version": source.version,
        "match": source.match,
        "matched_model": source.model_id,
        "valid_from": iso(found.valid_from),
        "valid_until": iso(found.valid_until),
        "also_listed_by": list(found.others),
    }


def _hourly(card: HourlyCard) -> dict[str, Any]:
    return {"usd_per_hour": plain(Decimal(str(card.picodollars_per_hour)) / PICODOLLARS_PER_DOLLAR)}


def _amounts(card: Card) -> dict[str, Any]:
    """US dollars by the keys of price files; only the prices that the source gives, not their stand-ins."""
    steps = [{"above": above, **_rates(rates, card)} for above, rates in reversed(card.long_context)]
    return {
        "price": _rates(card.rates, card),
        "requests_kcount": plain(Decimal(str(card.fee)) * _PER_THOUSAND) if card.fee else None,
        "long_context": steps,
        "complete": card.slow_path is None,
    }


def _rates(rates: Rates, card: Card) -> dict[str, str]:
    priced = ((getattr(rates, field), key) for field, key, _ in _RATES if key in card.priced_keys)
    return {key: plain(Decimal(str(rate)) * _PER_MTOK) for rate, key in priced}


def _print(console: Console, facts: dict[str, Any]) -> None:
    console.print(Text.assemble((facts["model"], "bold"), f"  {facts['provider']}"))
    console.print()
    if facts.get("price"):
        columns = [facts["price"], *facts["long_context"]]
        titles = [f"above {step['above']:,} input tokens" for step in facts["long_context"]]
        table = figures("", "per 1M tokens", *titles)
        amounts = [aligned([Decimal(column[key]) for key in facts["price"]]) for column in columns]
        for key, *row in zip(facts["price"], *amounts, strict=True):
            table.add_row(_WORDS[key], *row)
        console.print(table)
        console.print()
    console.print(pairs(_remarks(facts)))


def _remarks(facts: dict[str, Any]) -> Iterator[tuple[str, str | Text]]:
    if facts.get("usd_per_hour"):
        yield "price", f"{dollars(Decimal(facts['usd_per_hour']))} per hour, shared by the calls under way"
    if facts.get("requests_kcount"):
        yield "request fee", f"{dollars(Decimal(facts['requests_kcount']))} per thousand requests"
    if facts.get("complete") is False:
        yield "not shown", Text("prices that only the table's own arithmetic knows", "yellow")
    for key, instead in (("cache_read_mtok", "cache read"), ("cache_write_mtok", "cache write")):
        if facts.get("price") and key not in facts["price"]:
            yield instead, "no rate of its own: billed as input"
    if facts["tier_unmatched"]:
        yield "tier", Text(f"{facts['tier']} has no price of its own: this is the standard price", "yellow")
    else:
        yield "tier", facts["tier"] or "standard"
    yield "source", f"{facts['source']}, {facts['version']}" if facts["source"] == "override" else facts["version"]
    yield "match", matched(facts["match"], facts["matched_model"])
    yield "in force", _period(facts["valid_from"], facts["valid_until"])
    if facts["also_listed_by"]:
        yield "also at", ", ".join(facts["also_listed_by"])


def _period(since: str | None, until: str | None) -> str:
    first = f"since {_short(since)}" if since else "since ever"
    return f"{first}, until {_short(until)}" if until else f"{first}, no end known"


def _short(instant: str) -> str:
    return instant.removesuffix("T00:00:00Z")
