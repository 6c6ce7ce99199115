"""Every published price case, through the public door."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import genai_prices
import pytest

from langmeter.pricing.quote import price

CASES = json.loads((Path(__file__).parents[1] / "data" / "price-cases.json").read_text())["cases"]
RELEASE = tuple(int(part) for part in genai_prices.__version__.split(".")[:3])
pytestmark = pytest.mark.skipif(RELEASE < (0, 2, 3), reason="the cases are younger than this release of genai-prices")
PRICED = {"priced", "reported", "cached", "estimated", "allocated", "partial"}


def quoted(case):
    context = case.get("context", {})
    return price(
        provider=case["provider"],
        model=case["model"],
        usage_metadata=case["usage_metadata"],
        at=datetime.fromisoformat(case["price_date"]),
        response_metadata=context.get("response_metadata"),
        service_tier=context.get("service_tier"),
        processing=context.get("processing"),
        speed=context.get("speed"),
        cache_hit=context.get("response_cache_hit", False),
        override=case.get("price_override"),
    )


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_a_published_price_is_met_and_an_unknown_one_is_unpriced(case):
    cost = quoted(case)
    if case["expected_usd"] is None:
        assert (cost.status, cost.amount) == ("unpriced", None)
        return
    expected = Decimal(case["expected_usd"])
    assert cost.amount is not None
    assert abs(cost.amount - expected) <= max(expected * Decimal("1e-9"), Decimal("1e-12"))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_ruling_19_every_status_but_unpriced_counts_as_priced_and_none_is_a_silent_zero(case):
    cost = quoted(case)
    assert (cost.status in PRICED) == (case["expected_status"] == "priced")
    if case["expected_usd"] is None:
        assert cost.parts is None
    else:
        assert (cost.amount == 0) == (Decimal(case["expected_usd"]) == 0)
