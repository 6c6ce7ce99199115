"""What-if and repricing: records per second, after checking the sums.

    python benchmarks/whatif.py

Target: 300,000 records a second. The floor is the arithmetic alone: a loop that looks up no card, adds nothing up and
only asks one card for the cost of each usage.
"""

from __future__ import annotations

import argparse
import statistics
import time
from decimal import Decimal

from langmeter.events import TokenUsage
from langmeter.pricing.catalog import Catalog, Subject
from langmeter.settings import Settings
from langmeter.whatif import Record, Records, read, reprice, what_if

AT = 1_794_744_000.0  # 2026-11-15T12:00:00Z


def records(count: int, usage: TokenUsage, cost: int) -> Records:
    """Calls of one model, a second apart."""
    return read([Record("openai", "gpt-4o", usage, AT + i, None, cost, "priced") for i in range(count)])


def rate(work, count: int, rounds: int) -> float:
    """Records per second of processor time, the median of some rounds."""
    seconds = []
    for _ in range(rounds):
        begin = time.process_time()
        work()
        seconds.append(time.process_time() - begin)
    return count / statistics.median(seconds)


def floor(found: Records, card) -> None:
    for record in found:
        card.cost(record.usage)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    count, rounds = arguments.records, arguments.rounds
    cached = records(count, TokenUsage(5_701, 620, cache_read=3_177), 16_481_250_000)
    plain = records(count, TokenUsage(5_701, 620), 20_452_500_000)
    card = Catalog(Settings()).card(Subject("openai", "gpt-4.1"), AT)
    assert what_if(cached, model="gpt-4.1").same_caching == Decimal("0.0115965") * count
    assert what_if(plain, model="gpt-4.1").no_caching == Decimal("0.016362") * count
    assert reprice(cached).total.difference == 0
    jobs = {
        "floor: card.cost": lambda: floor(cached, card),
        "reprice": lambda: reprice(cached, per_record=False),
        "reprice, per record": lambda: reprice(cached),
        "what_if, nothing cached": lambda: what_if(plain, model="gpt-4.1"),
        "what_if, two bounds": lambda: what_if(cached, model="gpt-4.1"),
        "what_if, two bounds, per record": lambda: what_if(cached, model="gpt-4.1", per_record=True),
        "what_if, tokens scaled": lambda: what_if(cached, model="gpt-4.1", token_ratio=1.1),
    }
    for name, work in jobs.items():
        print(f"{name:<34}{rate(work, count, rounds):>12,.0f} records/s")


if __name__ == "__main__":
    main()
