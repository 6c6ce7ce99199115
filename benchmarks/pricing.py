"""Pricing: what one price costs in time, and whether it equals the price table's own arithmetic.

    python benchmarks/pricing.py            times, after checking the results
    python benchmarks/pricing.py --sweep    every model x tier x random usage x instant against genai-prices (a minute)

Targets: price one call, warm, reading the usage included: median <= 2 us, p99 <= 5 us. A model known to be unknown: <= 1 us.
"""

from __future__ import annotations

import argparse
import datetime as dt
import logging
import random
import statistics
import sys
import time
import warnings
from decimal import Decimal
from typing import NamedTuple

from langmeter.events import TokenUsage
from langmeter.pricing.catalog import Catalog, GenaiPrices, Subject
from langmeter.pricing.usage import reported_usage
from langmeter.settings import Settings

AT = 1_794_744_000.0  # 2026-11-15T12:00:00Z
TIERS = (None, "batch", "flex", "priority", "fast", "ultrafast")
SIZES = (0, 1, 700, 90_000, 100_000, 100_001, 128_001, 200_000, 200_001, 256_001, 272_000, 272_001, 900_000)


class Difference(NamedTuple):
    provider: str
    model: str
    tier: str | None
    at: float
    tokens: TokenUsage
    ours: Decimal | None
    theirs: Decimal | None


class Comparison(NamedTuple):
    compared: int
    priced: int
    refused: int
    """Usages that the library itself refuses."""
    differences: list[Difference]


def compare(seed: int, *, share: float = 1.0, vectors: int = 3) -> Comparison:
    """Our cost against the library's for random usages and instants of a random share of all models."""
    from genai_prices.data import providers

    rng, table = random.Random(seed), GenaiPrices()
    compared = priced = refused = 0
    differences = []
    for provider in providers:
        for model in provider.models:
            if rng.random() > share:
                continue
            for tier in TIERS if getattr(model, "price_variants", None) else (None, "flex"):
                for _ in range(vectors):
                    tokens, at = random_tokens(rng), random_instant(rng, model)
                    card = table.card(Subject(provider.id, model.id, tier), at, nothing_below)
                    cost = card.cost(tokens) if card else None
                    ours = cost.amount if cost else None
                    try:
                        theirs = library_price(provider.id, model.id, tier, at, tokens)
                    except ValueError:
                        refused += 1
                        continue
                    compared += 1
                    priced += ours is not None
                    # Where the table prices no tokens at all it says 0; we say that the call is unpriced.
                    same = not theirs if ours is None else abs(ours - (theirs or 0)) <= Decimal("3e-12")
                    if not same:
                        differences.append(Difference(provider.id, model.id, tier, at, tokens, ours, theirs))
    return Comparison(compared, priced, refused, differences)


def nothing_below(subject, at):
    return None


def random_tokens(rng: random.Random) -> TokenUsage:
    billed = rng.choice((*SIZES, rng.randrange(5_000), rng.randrange(1_200_000)))
    output = rng.randrange(9_000)
    read = rng.choice((0, rng.randrange(billed // 2 + 1)))
    write = rng.choice((0, rng.randrange((billed - read) // 2 + 1)))
    hour = rng.choice((0, rng.randrange(write + 1)))
    reasoning = rng.choice((0, rng.randrange(output // 2 + 1)))
    audio_in = rng.choice((0, 0, rng.randrange((billed - read - write) // 2 + 1)))
    image_in = rng.choice((0, 0, rng.randrange((billed - read - write) // 2 + 1)))
    audio_out = rng.choice((0, 0, rng.randrange(output // 4 + 1)))
    image_out = rng.choice((0, 0, rng.randrange(output // 4 + 1)))
    return TokenUsage(
        billed, output, read, write, hour, reasoning, None, image_in, audio_in, None, image_out, audio_out
    )


def random_instant(rng: random.Random, model) -> float:
    """Any time in two years, and one second either side of every change of price."""
    midnight = AT - AT % 86_400
    instants = [AT + rng.uniform(-700, 30) * 86_400 for _ in range(3)]
    constraints = [entry.constraint for entry in model.prices] if isinstance(model.prices, list) else []
    constraints += [variant.constraint for variant in getattr(model, "price_variants", None) or ()]
    for constraint in constraints:
        if hasattr(constraint, "start_date"):
            start = dt.datetime.combine(constraint.start_date, dt.time(), dt.UTC).timestamp()
            instants += [start - 1, start, start + 1]
        elif constraint is not None:
            for end in (constraint.start_time, constraint.end_time):
                second = midnight + end.hour * 3_600 + end.minute * 60 + end.second
                instants += [second - 1, second, second + 1]
    return rng.choice(instants)


def library_price(provider: str, model: str, tier: str | None, at: float, tokens: TokenUsage) -> Decimal | None:
    """What genai-prices says; None when it does not know the model."""
    import genai_prices

    counts = {
        "input_tokens": tokens.input_tokens,
        "output_tokens": tokens.output_tokens,
        "cache_read_tokens": tokens.cache_read,
        "cache_write_tokens": tokens.cache_write,
        "cache_write_1h_tokens": tokens.cache_write_1h,
        "input_image_tokens": tokens.input_image,
        "input_audio_tokens": tokens.input_audio,
        "output_image_tokens": tokens.output_image,
        "output_audio_tokens": tokens.output_audio,
        "output_reasoning_tokens": tokens.reasoning,
        "cache_audio_read_tokens": 0,
        "cache_image_read_tokens": 0,
    }
    context = dict.fromkeys(("service_tier", "processing", "speed"), tier) if tier else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # older releases warn about a tier without a price; we compare that price
        try:
            return genai_prices.calc_price(
                genai_prices.Usage(**counts),
                model,
                provider_id=provider,
                genai_request_timestamp=dt.datetime.fromtimestamp(at, dt.UTC),
                price_context=context,
            ).total_price
        except LookupError:
            return None


def measure(work, rounds: int = 40_000) -> tuple[float, float, float]:
    """Best, median and 99th percentile in microseconds of processor time, a hundred calls per sample."""
    clock, samples = time.thread_time_ns, []
    for _ in range(rounds // 100):
        start = clock()
        for _ in range(100):
            work()
        samples.append((clock() - start) / 100_000)
    empty = statistics.median(samples_of_nothing())
    samples.sort()
    return samples[0] - empty, samples[len(samples) // 2] - empty, samples[len(samples) * 99 // 100] - empty


def samples_of_nothing() -> list[float]:
    clock, samples = time.thread_time_ns, []
    for _ in range(100):
        start = clock()
        for _ in range(100):
            nothing()
        samples.append((clock() - start) / 100_000)
    return samples


def nothing() -> None:
    pass


USAGES = {
    "OpenAI, cached prompt": (
        "openai",
        "gpt-4o-mini-2024-07-18",
        {
            "input_tokens": 2006,
            "output_tokens": 300,
            "total_tokens": 2306,
            "input_token_details": {"audio": 0, "cache_read": 1920},
            "output_token_details": {"audio": 0, "reasoning": 0},
        },
        {"model_name": "gpt-4o-mini-2024-07-18", "service_tier": "default", "token_usage": {"total_tokens": 2306}},
        Decimal("0.0003369"),
    ),
    "Gemini, reasoning": (
        "gcp.gemini",
        "gemini-2.5-flash",
        {
            "input_tokens": 1000,
            "output_tokens": 700,
            "total_tokens": 1700,
            "input_token_details": {"cache_read": 0},
            "output_token_details": {"reasoning": 500},
        },
        {"model_name": "gemini-2.5-flash", "finish_reason": "STOP"},
        Decimal("0.00205"),
    ),
    "Anthropic, cache written for an hour": (
        "anthropic",
        "claude-sonnet-4-5-20250929",
        {
            "input_tokens": 9050,
            "output_tokens": 400,
            "total_tokens": 9450,
            "input_token_details": {
                "cache_read": 0,
                "cache_creation": 0,
                "ephemeral_5m_input_tokens": 1000,
                "ephemeral_1h_input_tokens": 8000,
            },
        },
        {"usage": {"service_tier": "standard", "inference_geo": "global"}},
        Decimal("0.0579"),
    ),
}


def timings() -> None:
    logging.getLogger("langmeter.pricing").setLevel(logging.ERROR)
    start = time.thread_time()
    catalog = Catalog(Settings())
    catalog.preload()
    print(f"{'load the table':<58}{(time.thread_time() - start) * 1e3:9.2f} ms")
    for label, (provider, model, usage, answer, expected) in USAGES.items():
        start = time.thread_time()
        cost = catalog.price(provider, model, reported_usage(usage, answer), at=AT)
        first = (time.thread_time() - start) * 1e3
        check(cost.amount == expected, f"{label}: {cost}")
        read = reported_usage(usage, answer)

        def both(provider=provider, model=model, usage=usage, answer=answer):
            return catalog.price(provider, model, reported_usage(usage, answer), at=AT)

        def only(provider=provider, model=model, read=read):
            return catalog.price(provider, model, read, at=AT)

        show(f"{label}: usage and price", both)
        show(f"{label}: price only", only)
        print(f"{label + ': first sight':<58}{first:9.2f} ms")
    usage = reported_usage({"input_tokens": 1, "output_tokens": 1, "total_tokens": 2})
    check(catalog.price("openai", "acme-private-7b", usage, at=AT).status == "unpriced", "priced an unknown model")
    show("a model known to be unknown", lambda: catalog.price("openai", "acme-private-7b", usage, at=AT))


def check(condition: bool, message: str) -> None:
    if not condition:
        raise SystemExit(f"wrong result, nothing to time: {message}")


def show(label: str, work) -> None:
    best, median, high = measure(work)
    print(f"{label:<58}{median:9.2f} us median{high:9.2f} us p99{best:9.2f} us best")


def sweep(seed: int) -> int:
    start = time.perf_counter()
    result = compare(seed)
    for difference in result.differences[:20]:
        print(difference)
    print(
        f"{result.compared} usages compared, {result.priced} priced, {result.refused} refused by the library, "
        f"{len(result.differences)} differences, {time.perf_counter() - start:.0f} s"
    )
    return 1 if result.differences else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", action="store_true", help="compare with genai-prices over its whole table")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    if arguments.sweep:
        return sweep(arguments.seed)
    timings()
    return 0


if __name__ == "__main__":
    sys.exit(main())
