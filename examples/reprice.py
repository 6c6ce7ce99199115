"""Recorded calls at other prices: what a new contract would have changed.

Nothing that was recorded is rewritten; the difference is what to publish.
"""

from langmeter.whatif import Record, reprice

CALLS = [
    {
        "provider": "openai",
        "model": "gpt-4o",
        "start_time": "2026-11-15T12:00:00Z",
        "usage": {"input_tokens": 5_701, "output_tokens": 620, "cache_read": 3_177},
        "cost_usd": "0.01648125",
    },
    {
        "provider": "openai",
        "model": "acme-large-2",
        "start_time": "2026-11-15T12:00:05Z",
        "usage": {"input_tokens": 1_000, "output_tokens": 100},
    },
]
CONTRACT = {
    "models": [
        {
            "match": {"provider": "openai", "model": "gpt-4o"},
            "price": {"input_mtok": 2, "output_mtok": 8, "cache_read_mtok": 1},
        },
        {"match": {"provider": "openai", "model": "acme-*"}, "price": {"input_mtok": 8, "output_mtok": 40}},
    ]
}

result = reprice([Record.from_dict(call) for call in CALLS], prices=CONTRACT)
for each in result.records:
    before = "no price" if each.old is None else f"${each.old}"
    print(f"{each.record.model}: {before} before, ${each.new} by the contract")
total = result.total
print(f"{total.calls} call with a price before and now: difference ${total.difference}")
print(f"{total.newly_priced} call that had no price: ${total.newly_priced_cost}")
