"""What-if, repricing and the ranking of candidates: figures worked out by hand, and what is left out of them."""

import json
import math
import pickle
import random
import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from langmeter.errors import PriceFileError, SettingsError
from langmeter.events import Cost, CostParts, TokenUsage, usd
from langmeter.whatif import (
    Bounds,
    Counts,
    ModelRepricing,
    ModelWhatIf,
    Record,
    RecordError,
    RecordProblem,
    RecordWhatIf,
    cheapest,
    read,
    reprice,
    what_if,
)

NOON = datetime(2026, 11, 15, 12, tzinfo=UTC).timestamp()
VERSION = "genai-prices/"
MICRO = 10**6
"""Pico-dollars in a millionth of a dollar: what one token costs at $1 per million tokens."""


USAGE = TokenUsage(1_000, 100)


def record(tokens=USAGE, model="gpt-4o", **facts):
    """A gpt-4o call that cost 1,000 x $2.50 + 100 x $10 per million tokens, unless it says otherwise."""
    known = {"cost": 3_500 * MICRO, "status": "priced", **facts}
    return Record("openai", model, tokens, NOON, **known)


def hit():
    return record(TokenUsage(0, 0), cost=0, status="cached")


# -- the worked example ----------------------------------------------------------------------------------------------

WORKLOAD = [record(TokenUsage(5_701, 620, cache_read=3_177), cost=16_481_250_000)] * 1_000
"""1,000 calls: 2,524 plain input tokens x $2.50, 3,177 cached x $1.25, 620 output x $10 per million: $0.01648125 each."""
WORKED = {
    # 2,524 x 2 + 3,177 x 0.5 + 620 x 8 = 11,596.5; without a cache 5,701 x 2 + 620 x 8 = 16,362
    "gpt-4.1": ("11.5965", "16.362"),
    # 2,524 x 0.25 + 3,177 x 0.025 + 620 x 2 = 1,950.425; 5,701 x 0.25 + 620 x 2 = 2,665.25
    "gpt-5-mini": ("1.950425", "2.66525"),
    # 2,524 x 0.1 + 3,177 x 0.01 + 620 x 0.5 = 594.17; 5,701 x 0.1 + 620 x 0.5 = 880.1
    "gpt-6-luna": ("0.59417", "0.8801"),
}


@pytest.mark.parametrize("model", WORKED)
def test_a_thousand_calls_on_another_model_to_the_last_digit(model):
    same, without = map(Decimal, WORKED[model])
    result = what_if(WORKLOAD, model=model)
    recorded = Decimal("16.48125")
    version = result.price_versions[0]
    assert version.startswith(VERSION)
    assert result._asdict() == {
        "provider": "openai",
        "model": model,
        "recorded": recorded,
        "same_caching": same,
        "no_caching": without,
        "unrecorded": Bounds(Decimal(0), Decimal(0)),
        "counts": Counts(calls=1_000),
        "by_model": (ModelWhatIf("openai", "gpt-4o", 1_000, recorded, same, without),),
        "price_versions": (version,),
        "token_ratio": None,
        "records": (),
    }
    assert result.saving == Bounds(recorded - same, recorded - without)


def test_the_candidates_of_the_worked_example_by_saving():
    ranked = cheapest(WORKED, for_usage=WORKLOAD)
    assert [(found.model, found.provider, found.cost, found.saving, found.quality) for found in ranked] == [
        (
            model,
            "openai",
            Bounds(*map(Decimal, WORKED[model])),
            Bounds(*(Decimal("16.48125") - Decimal(cost) for cost in WORKED[model])),
            "unknown",
        )
        for model in ("gpt-6-luna", "gpt-5-mini", "gpt-4.1")
    ]


# -- what_if ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "ratio", "rate"),
    [
        (272_000, None, 100_000),
        (272_001, None, 200_000),
        (247_272, 1.1, 100_000),  # 271,999.2 -> 271,999
        (247_273, 1.1, 100_000),  # 272,000.3 -> 272,000
        (247_274, 1.1, 200_000),  # 272,001.4 -> 272,001
        (300_000, 0.9, 100_000),
    ],
)
def test_the_threshold_for_long_inputs_is_that_of_each_record_after_scaling(tokens, ratio, rate):
    short = record(TokenUsage(1_000, 0))
    result = what_if([short, record(TokenUsage(tokens, 0))], model="gpt-6-luna", token_ratio=ratio)
    scaled = [round(count * (ratio or 1)) for count in (1_000, tokens)]
    assert result.no_caching == usd(scaled[0] * 100_000 + scaled[1] * rate)
    assert result.counts == Counts(calls=2, scaled=0 if ratio is None else 2)


def test_scaling_leaves_sound_and_images_alone_and_keeps_parts_within_wholes():
    tokens = TokenUsage(1_001, 101, cache_read=333, cache_write=77, cache_write_1h=7, reasoning=51, input_audio=200)
    (priced,) = what_if([record(tokens)], model="gpt-4.1", token_ratio=1.1, per_record=True).records
    # 801 text tokens -> 881, with 200 of sound 1,081; 333 -> 366 and 77 -> 84 (rounded down); 101 -> 111 output.
    parts = CostParts((1_081 - 366 - 84) * 2 * MICRO, 366 * MICRO // 2, 84 * 2 * MICRO, 111 * 8 * MICRO)
    assert priced.same_caching.parts == parts
    assert priced.no_caching.parts == CostParts(1_081 * 2 * MICRO, 0, 0, 111 * 8 * MICRO)


def test_cached_sound_is_not_scaled_with_the_cached_text():
    tokens = TokenUsage(1_000, 0, cache_read=500, input_audio=900)
    (priced,) = what_if([record(tokens)], model="gpt-4.1", token_ratio=2, per_record=True).records
    # 100 text tokens, all of them cached, become 200; 400 of the 900 of sound are cached and stay 400.
    assert priced.same_caching.parts == CostParts(500 * 2 * MICRO, 600 * MICRO // 2)


def test_a_model_that_is_paid_by_the_hour_has_no_price_for_a_record():
    result = what_if([record()], model="gpt-4-hourly", provider="openai", prices=PRICES)
    assert result.counts == Counts(unpriced=1)
    assert reprice([record(model="gpt-4-hourly")], prices=PRICES).total.no_longer_priced == 1


def test_a_ratio_for_some_models_leaves_the_others_as_counted():
    records = [record(), record(model="gpt-4.1", cost=2_800 * MICRO)]
    result = what_if(records, model="gpt-5-mini", token_ratio={"gpt-4o": 2})
    assert result.counts == Counts(calls=2, scaled=1)
    assert [(row.model, row.same_caching) for row in result.by_model] == [
        ("gpt-4o", usd((2_000 * 250_000) + 200 * 2 * MICRO)),
        ("gpt-4.1", usd((1_000 * 250_000) + 100 * 2 * MICRO)),
    ]
    assert "Text tokens scaled by the token ratio given: 1 call." in result.assumptions


@pytest.mark.parametrize("ratio", [0, -1, math.nan, math.inf, "1.1", True, {"gpt-4o": 0}])
def test_a_ratio_that_is_none_is_refused(ratio):
    with pytest.raises(SettingsError, match=r"token_ratio must be a positive number.*1\.1 says"):
        what_if([record()], model="gpt-4.1", token_ratio=ratio)


def test_cache_hits_unpriced_and_estimated_calls_are_told_apart():
    unrecorded = record(cost=None, status="unpriced")
    unknown = record(None, cost=None, status="unpriced")
    estimated = record(status="estimated", estimated=True)
    contradictory = record(TokenUsage(10, 0, cache_read=20, consistent=False))
    records = [record(), hit(), unrecorded, unknown, estimated, contradictory]
    result = what_if(records, model="gpt-4.1")
    call = 1_000 * 2 * MICRO + 100 * 8 * MICRO
    assert result.counts == Counts(calls=4, unrecorded=1, estimated=1, partial=1, unpriced=1, cache_hits=1)
    assert result.unrecorded == Bounds(usd(call), usd(call))
    assert result.recorded == usd(3 * 3_500 * MICRO)
    assert result.no_caching == usd(2 * call + 10 * 2 * MICRO)
    assert result.cost.no_caching == usd(3 * call + 10 * 2 * MICRO)
    assert result.assumptions == (
        "Tokens are taken as the recorded model counted them; another tokeniser makes more or fewer of the same text.",
        "Answers are taken to be as long as they were.",
        "Left out, without a price there or without known tokens: 1 call.",
        "Not compared, without a recorded cost: 1 call.",
        "With estimated tokens: 1 call.",
        "Priced in part only, or from token counts that contradict one another: 1 call.",
        "Left out, because a response cache answered at no cost: 1.",
    )


def test_embeddings_are_not_what_a_chat_model_would_have_done():
    chat, embedding = (
        record(),
        record(TokenUsage(10_000, 0), "text-embedding-3-small", cost=200 * MICRO, embeddings=True),
    )
    mixed = what_if([chat, embedding], model="gpt-4.1")
    assert (mixed.counts.calls, mixed.counts.embeddings, mixed.recorded) == (1, 1, Decimal("0.0035"))
    assert "Left out, because embeddings are other work than the model's: 1 call." in mixed.assumptions
    alone = what_if([embedding, embedding], model="text-embedding-3-large")
    assert (alone.counts.calls, alone.counts.embeddings, alone.same_caching) == (2, 0, Decimal("0.0026"))
    assert what_if([chat, embedding], provider="azure").counts.calls == 2


def test_a_model_that_nobody_knows_prices_nothing():
    result = what_if([record(), hit()], model="no-such-model")
    assert (result.provider, result.counts) == (None, Counts(unpriced=1, cache_hits=1))
    assert result.recorded == result.same_caching == result.no_caching == 0
    assert result.price_versions == ()


def test_a_service_tier_is_kept_where_the_other_model_has_it():
    price = {"input_mtok": 2, "output_mtok": 8}
    tiers = {"batch": {"input_mtok": 1, "output_mtok": 4}}
    prices = {"models": [{"match": {"model": "acme-1"}, "price": price, "tiers": tiers}]}
    records = [record(tier="batch", cost=1_750 * MICRO), record(tier="flex"), record()]
    result = what_if(records, model="acme-1", prices=prices, per_record=True)
    standard = 1_000 * 2 * MICRO + 100 * 8 * MICRO
    assert [(priced.same_caching.picodollars, priced.same_caching.tier_unmatched) for priced in result.records] == [
        (standard // 2, False),
        (standard, True),
        (standard, False),
    ]
    assert result.counts == Counts(calls=3, tier_unmatched=1)
    assert [row.calls for row in result.by_model] == [3]


def test_another_provider_with_the_model_of_each_call():
    records = [record(), record(model="gpt-4o-mini", cost=210 * MICRO)]
    result = what_if(records, provider="azure")
    assert (result.provider, result.model) == ("azure", None)
    assert result.recorded == result.same_caching == usd(3_710 * MICRO)
    assert "another tokeniser" not in " ".join(result.assumptions)


def test_writes_to_a_prompt_cache_are_plain_input_without_it():
    tokens = TokenUsage(10_000, 0, cache_read=2_000, cache_write=5_000, cache_write_1h=1_000)
    (priced,) = what_if([record(tokens)], model="claude-sonnet-4-5", per_record=True).records
    # $3 plain, $0.30 read, $3.75 written for five minutes, $6 for an hour
    same = CostParts(3_000 * 3 * MICRO, 2_000 * 300_000, 4_000 * 3_750_000 + 1_000 * 6 * MICRO)
    assert (priced.same_caching.parts, priced.no_caching.parts) == (same, CostParts(10_000 * 3 * MICRO))
    assert isinstance(priced, RecordWhatIf)
    assert priced.record.usage is tokens


@pytest.mark.parametrize(
    ("model", "provider"),
    [("gpt-4.1", "openai"), ("claude-sonnet-4-5", "anthropic"), ("anthropic/claude-sonnet-4.5", "openrouter")],
)
def test_the_provider_is_the_maker_unless_given(model, provider):
    assert what_if([record()], model=model).provider == provider
    assert what_if([record()], model=model, provider="azure").provider == "azure"


def test_prices_are_those_of_the_request_or_of_one_instant():
    prices = {
        "models": [
            {"match": {"model": "acme-1"}, "until": "2026-11-01", "price": {"input_mtok": 1, "output_mtok": 1}},
            {"match": {"model": "acme-1"}, "from": "2026-11-01", "price": {"input_mtok": 3, "output_mtok": 3}},
        ]
    }
    october = datetime(2026, 10, 31, 23, 59, 59)  # noqa: DTZ001  (no zone means UTC)
    early = record()._replace(start_time=october.replace(tzinfo=UTC).timestamp())
    amounts = [
        what_if([early, record()], model="acme-1", prices=prices, at=at).same_caching
        for at in ("request", october, "now")
    ]
    assert amounts == [usd(1_100 * 4 * MICRO), usd(1_100 * 2 * MICRO), usd(1_100 * 6 * MICRO)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "what_if needs a model, a provider, or both"),
        ({"model": "gpt-4.1", "at": "yesterday"}, "at must be 'request', 'now' or a datetime, got 'yesterday'"),
    ],
)
def test_wrong_arguments_of_what_if(arguments, message):
    with pytest.raises(SettingsError, match=message):
        what_if([record()], **arguments)


def test_the_sum_is_that_of_the_records_for_any_workload():
    rng = random.Random(4)
    records = []
    for _ in range(300):
        billed, output = rng.randrange(400_000), rng.randrange(9_000)
        read = rng.randrange(billed + 1)
        tokens = TokenUsage(billed, output, read, rng.randrange(billed - read + 1), reasoning=rng.randrange(output + 1))
        model, tier = rng.choice(("gpt-4o", "gpt-4.1")), rng.choice((None, "batch", "flex"))
        records.append(record(tokens, model, tier=tier, cost=rng.randrange(10**12)))
    for model in ("gpt-6-luna", "claude-sonnet-4-5", "gemini-2.5-pro"):
        result = what_if(records, model=model, per_record=True, token_ratio=rng.choice((None, 1.17)))
        assert len(result.records) == len(records)
        assert result.same_caching == usd(sum(priced.same_caching.picodollars for priced in result.records))
        assert result.no_caching == usd(sum(priced.no_caching.picodollars for priced in result.records))
        assert result.recorded == sum(row.recorded for row in result.by_model)
        assert result.same_caching == sum(row.same_caching for row in result.by_model)
        assert result == what_if(iter(records), model=model, per_record=True, token_ratio=result.token_ratio)


# -- reprice ---------------------------------------------------------------------------------------------------------

PRICES = {
    "models": [
        {"match": {"provider": "openai", "model": "gpt-4o"}, "price": {"input_mtok": 2, "output_mtok": "8"}},
        {"match": {"provider": "openai", "model": "acme-1"}, "price": {"input_mtok": 1, "output_mtok": 1}},
        {"match": {"provider": "openai", "model": "gpt-4-hourly"}, "per_hour": {"usd": 3}},
    ]
}


def test_at_the_same_prices_nothing_changes():
    result = reprice([record(), record(TokenUsage(5_701, 620, cache_read=3_177), cost=16_481_250_000)])
    assert (result.total.old, result.total.new, result.total.difference) == (usd(19_981_250_000),) * 2 + (0,)
    assert [priced.difference for priced in result.records] == [0, 0]
    assert result.records[0].cost.match == "exact"


def test_old_and_new_by_record_and_by_model():
    records = [
        record(),
        record(),
        hit(),
        record(model="acme-1", cost=None, status="unpriced"),
        record(model="acme-2", cost=7, status="priced"),
        record(model="acme-2", cost=None, status="unpriced"),
        record(None, cost=None, status="unpriced"),
        record(model="gpt-4-hourly", cost=40 * MICRO, status="allocated"),
        record(cost=5_000 * MICRO, status="reported"),
        record(status="estimated", estimated=True, cost=3_000 * MICRO),
    ]
    result = reprice(records, prices=PRICES)
    zero = Decimal(0)
    new = 1_000 * 2 * MICRO + 100 * 8 * MICRO
    gpt_4o = ModelRepricing(
        "openai", "gpt-4o", 4, usd(15_000 * MICRO), usd(3 * new + 5_000 * MICRO), 0, zero, 0, zero, 1
    )
    assert result.by_model == (
        gpt_4o,
        ModelRepricing("openai", "acme-1", 0, zero, zero, 1, usd(1_100 * MICRO), 0, zero, 0),
        ModelRepricing("openai", "acme-2", 0, zero, zero, 0, zero, 1, usd(7), 1),
        ModelRepricing("openai", "gpt-4-hourly", 1, usd(40 * MICRO), usd(40 * MICRO), 0, zero, 0, zero, 0),
    )
    assert result.total == ModelRepricing(
        "", "", 5, usd(15_040 * MICRO), usd(3 * new + 5_040 * MICRO), 1, usd(1_100 * MICRO), 1, usd(7), 2
    )
    assert [(priced.cost.status, priced.old, priced.new) for priced in result.records] == [
        ("priced", usd(3_500 * MICRO), usd(new)),
        ("priced", usd(3_500 * MICRO), usd(new)),
        ("priced", None, usd(1_100 * MICRO)),
        ("unpriced", usd(7), None),
        ("unpriced", None, None),
        ("unpriced", None, None),
        ("allocated", usd(40 * MICRO), usd(40 * MICRO)),
        ("reported", usd(5_000 * MICRO), usd(5_000 * MICRO)),
        ("estimated", usd(3_000 * MICRO), usd(new)),
    ]
    assert (result.kept, result.estimated, result.partial, result.cache_hits, result.skipped) == (2, 1, 0, 1, 0)
    assert [priced.record for priced in result.records] == [each for each in records if each.status != "cached"]
    assert result.price_versions[0].startswith("ovr:")


def test_a_dictionary_takes_the_place_of_the_environments_file_as_a_file_does(tmp_path, monkeypatch):
    path = tmp_path / "contract.json"
    path.write_text(json.dumps({"models": [{"match": {"model": "gpt-4o"}, "price": {"input_mtok": 7}}]}))
    expected = reprice([record()], prices=PRICES)
    monkeypatch.setenv("LANGMETER_PRICES", str(path))
    assert reprice([record()], prices=PRICES) == expected


def test_prices_from_a_file_are_those_of_the_dictionary(tmp_path):
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(PRICES))
    assert (
        reprice([record()], prices=path) == reprice([record()], prices=str(path)) == reprice([record()], prices=PRICES)
    )


def test_a_bad_price_file_is_refused(tmp_path):
    path = tmp_path / "prices.json"
    path.write_text('{"models": [{"match": {"model": "x"},\n "price": {"input_mtok": -1}}]}')
    with pytest.raises(PriceFileError, match=r"prices\.json, line 2"):
        reprice([record()], prices=path)


def test_an_estimate_without_a_price_stays_unpriced():
    (priced,) = reprice([record(model="acme-9", cost=None, status="unpriced", estimated=True)]).records
    assert priced.cost == Cost("unpriced", reason="unknown_model")


# -- cheapest --------------------------------------------------------------------------------------------------------


def test_scores_decide_what_is_adequate_and_never_what_is_used():
    scores = {"gpt-6-luna": [0.4, 0.6], "gpt-5-mini": (0.9, 0.8, 1), ("azure", "gpt-4.1"): 0.85}
    candidates = ["gpt-6-luna", "gpt-5-mini", ("azure", "gpt-4.1"), "gpt-4o-mini", "no-such-model"]
    ranked = cheapest(candidates, for_usage=WORKLOAD, scores=scores, at_least=0.8)
    assert [(found.model, found.provider, found.score, found.scored_runs, found.adequate) for found in ranked] == [
        ("gpt-4o-mini", "openai", None, 0, None),
        ("gpt-5-mini", "openai", pytest.approx(0.9), 3, True),
        ("gpt-4.1", "azure", 0.85, 1, True),
        ("no-such-model", None, None, 0, None),
        ("gpt-6-luna", "openai", 0.5, 2, False),
    ]
    assert [found.quality for found in ranked] == [
        "unknown",
        "0.9 over 3 runs",
        "0.85 over 1 run",
        "unknown",
        "0.5 over 2 runs",
    ]
    assert [found.saving is None for found in ranked] == [False, False, False, True, False]


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 1_000, "output_tokens": 100, "total_tokens": 1_100},
        TokenUsage(1_000, 100),
        [Record("openai", "gpt-4o", TokenUsage(1_000, 100), NOON)],
    ],
)
def test_for_a_usage_without_a_recorded_cost_the_order_is_by_cost(usage):
    ranked = cheapest(["gpt-4o", "gpt-4.1"], for_usage=usage)
    assert [(found.model, found.cost.same_caching, found.saving) for found in ranked] == [
        ("gpt-4.1", Decimal("0.0028"), None),
        ("gpt-4o", Decimal("0.0035"), None),
    ]


def test_a_candidate_that_prices_only_some_calls_comes_after_those_that_price_all():
    prices = {
        "models": [{"match": {"model": "acme-1"}, "from": "2026-11-16", "price": {"output_mtok": 0, "input_mtok": 0}}]
    }
    records = [record(), record()._replace(start_time=NOON + 2 * 86_400)]
    ranked = cheapest([("acme", "acme-1"), "gpt-4.1"], for_usage=records, prices=prices)
    assert [(found.model, found.what_if.counts.unpriced) for found in ranked] == [("gpt-4.1", 0), ("acme-1", 1)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scores": {"gpt-4": 1}}, "scores names 'gpt-4', which is no candidate; candidates are 'gpt-4.1'"),
        ({"token_ratio": {"gpt-4": 1}}, "token_ratio names 'gpt-4', which is no candidate"),
        ({"scores": {"gpt-4.1": [1, math.nan]}}, "scores of 'gpt-4.1' must be finite numbers, got nan"),
        ({"scores": {"gpt-4.1": "good"}}, "scores of 'gpt-4.1' must be finite numbers, got 'g'"),
        ({"for_usage": {"input_tokens": 5}}, "for_usage must have 'input_tokens' and 'output_tokens', or be records"),
    ],
)
def test_wrong_arguments_of_cheapest(arguments, message):
    with pytest.raises(SettingsError, match=message):
        cheapest(["gpt-4.1"], **{"for_usage": [record()], **arguments})


# -- records ---------------------------------------------------------------------------------------------------------

FULL = Record(
    "azure",
    "gpt-4o-2024-08-06",
    TokenUsage(1_000, 100, 300, 200, 50, 40, 700, 200, 100, 60, 20, 20, consistent=False),
    NOON + 0.25,
    "flex",
    1_234_567,
    "estimated",
    "genai-prices/0.2.3",
    "gpt-4o",
    "chat-eu",
    estimated=True,
)
LEAST = {"provider": "openai", "model": "gpt-4o", "start_time": 0}


@pytest.mark.parametrize("given", [FULL, record(), record(None, cost=None, status="unpriced"), hit()], ids=repr)
def test_a_record_survives_its_dictionary_and_json(given):
    assert Record.from_dict(given.to_dict()) == given
    assert Record.from_dict(json.loads(json.dumps(given.to_dict()))) == given


def test_a_dictionary_shows_what_is_known_and_nothing_else():
    assert record(cost=1).to_dict() == {
        "provider": "openai",
        "model": "gpt-4o",
        "usage": {"input_tokens": 1_000, "output_tokens": 100},
        "start_time": NOON,
        "cost_usd": "0.000000000001",
        "status": "priced",
    }


def test_usage_metadata_is_read_as_langchain_gives_it():
    usage = {
        "input_tokens": 1_000,
        "output_tokens": 100,
        "total_tokens": 1_100,
        "input_token_details": {"flex_cache_read": 300, "flex": 700},
    }
    found = Record.from_dict({**LEAST, "usage_metadata": usage})
    assert (found.usage, found.tier, found.status) == (TokenUsage(1_000, 100, cache_read=300), "flex", "unpriced")
    replayed = Record.from_dict({**LEAST, "usage_metadata": {**usage, "total_cost": 0}})
    assert replayed.status == "cached"


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [("2026-11-15T12:00:00Z", NOON), ("2026-11-15T12:00:00", NOON), ("2026-11-15T13:00:00+01:00", NOON), (NOON, NOON)],
)
def test_times_are_unix_seconds_or_iso_8601(moment, seconds):
    assert Record.from_dict({**LEAST, "start_time": moment}).start_time == seconds


def test_parts_larger_than_their_whole_mark_the_usage():
    usage = {"input_tokens": 10, "output_tokens": 1, "cache_read": 8, "cache_write": 3}
    assert Record.from_dict({**LEAST, "usage": usage}).usage == TokenUsage(10, 1, 8, 3, consistent=False)


BAD = {
    "no provider": ({"provider": None}, "provider", "must be a text that is not empty, and is missing"),
    "empty model": ({"model": " "}, "model", "must be a text that is not empty, got ' '"),
    "no time": ({"start_time": None}, "start_time", "must be unix seconds or ISO 8601 such as 2026-11-22T12:00:00Z"),
    "word for a time": ({"start_time": "noon"}, "start_time", "must be unix seconds or ISO 8601"),
    "true as a time": ({"start_time": True}, "start_time", "must be unix seconds or ISO 8601"),
    "milliseconds": (
        {"start_time": 1_794_744_000_000},
        "start_time",
        "looks like milliseconds or nanoseconds: divide it",
    ),
    "misspelt key": ({"cost_us": 1}, "cost_us", "is not known; did you mean 'cost_usd'?"),
    "strange key": ({"zzz": 1}, "zzz", "is not known; known keys: provider, model, usage, start_time, tier, status,"),
    "usage twice": ({"usage": {}, "usage_metadata": {}}, "usage_metadata", "stands beside 'usage'"),
    "no counts": ({"usage_metadata": {"input_tokens": 5}}, "usage_metadata", "lacks 'input_tokens' or 'output_tokens'"),
    "usage as text": ({"usage": "12"}, "usage", "must be a mapping, got '12'"),
    "no output": ({"usage": {"input_tokens": 1}}, "usage.output_tokens", "of at least 0, and is missing"),
    "negative": ({"usage": {"input_tokens": -1, "output_tokens": 0}}, "usage.input_tokens", "of at least 0, got -1"),
    "fraction": ({"usage": {"input_tokens": 1.5, "output_tokens": 0}}, "usage.input_tokens", "whole number of tokens"),
    "misspelt count": (
        {"usage": {"input_tokens": 1, "output_tokens": 1, "cached_read": 1}},
        "usage.cached_read",
        "is not known; did you mean 'cache_read'?",
    ),
    "cost as words": ({"cost_usd": "cheap"}, "cost_usd", "must be US dollars, a number or a decimal text"),
    "cost that is none": ({"cost_usd": math.nan}, "cost_usd", "must be US dollars"),
    "negative cost": ({"cost_usd": -0.1}, "cost_usd", "must be US dollars"),
    "unknown status": ({"status": "free"}, "status", "must be one of priced, reported, cached, estimated, allocated,"),
    "hit with a cost": ({"status": "cached", "cost_usd": 1}, "cost_usd", "must be left out with status 'cached'"),
    "priced without": ({"status": "priced"}, "cost_usd", "is missing, and status 'priced' says that it is known"),
    "flag as text": ({"estimated": "yes"}, "estimated", "must be true or false, got 'yes'"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_names_the_key_and_the_fix(name):
    change, key, reason = BAD[name]
    with pytest.raises(RecordError) as caught:
        Record.from_dict({**LEAST, **change})
    (problem,) = caught.value.problems
    assert (problem.where, problem.key) == ("record", key)
    assert reason in problem.reason
    assert str(caught.value) == f"record: {key!r} {problem.reason}"


# -- reading many ----------------------------------------------------------------------------------------------------


def test_bad_lines_are_all_named_and_lose_nothing_silently(tmp_path):
    path = tmp_path / "calls.jsonl"
    good = json.dumps(record().to_dict())
    path.write_text("\n".join([good, "", "{nope", json.dumps({**LEAST, "cost": 1}), "7", good]) + "\n")
    with pytest.raises(RecordError) as caught:
        read(path)
    assert caught.value.count == 3
    assert [(problem.where, problem.key) for problem in caught.value.problems] == [
        (f"{path}, line 3", None),
        (f"{path}, line 4", "cost"),
        (f"{path}, line 5", None),
    ]
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems  # noqa: S301  (our own)
    found = read(path, skip_bad=True)
    assert (list(found), found.skipped, len(found.problems)) == ([record()] * 2, 3, 3)
    assert what_if(found, model="gpt-4.1").counts == Counts(calls=2, skipped=3)
    assert reprice(found).skipped == 3
    with pytest.raises(RecordError):
        what_if(path, model="gpt-4.1")


def test_only_the_first_problems_are_kept_and_all_are_counted():
    with pytest.raises(RecordError) as caught:
        read([{}] * 1_000)
    assert (len(caught.value.problems), caught.value.count) == (100, 1_000)
    assert str(caught.value).splitlines()[0] == "record 1: 'provider' must be a text that is not empty, and is missing"
    assert str(caught.value).splitlines()[-1] == "and 995 more"


def test_a_json_document_is_read_whole(tmp_path):
    path = tmp_path / "calls.json"
    path.write_text(json.dumps([record().to_dict()] * 2, indent=2))
    assert list(read(path)) == [record()] * 2
    path.write_text(json.dumps(record().to_dict(), indent=2))
    assert list(read(str(path))) == [record()]
    path.write_text("{}\n{}")
    with pytest.raises(RecordError, match=r"calls\.json: is no JSON .*name it \.jsonl"):
        read(path)


def test_what_is_no_record_is_named():
    with pytest.raises(RecordError) as caught:
        read([record(), 7, None])
    assert caught.value.problems == (
        RecordProblem("record 2", None, "is a int, not a record, a mapping or a span"),
        RecordProblem("record 3", None, "is a NoneType, not a record, a mapping or a span"),
    )


def test_records_are_a_sequence():
    found = read([record(), hit()])
    assert (len(found), found[1], found[:1]) == (2, hit(), (record(),))
    assert read(found) is found


def test_a_record_of_the_present_has_the_prices_of_the_present():
    now = record()._replace(start_time=time.time())
    assert what_if([now], model="gpt-4.1") == what_if([now], model="gpt-4.1", at="now")
