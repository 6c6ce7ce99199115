"""Running totals by themselves: exact, bounded, restartable."""

import threading
import time

import pytest

from langmeter import semconv
from langmeter.telemetry.totals import Totals

COST = semconv.COST
REQUESTS = semconv.REQUESTS
OTHER = semconv.FOLDED


def attributes(tenant="acme", model="gpt-5-mini", provider="openai", **more):
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "langchain.attribution.tenant": tenant,
        **more,
    }


def count(totals, sets, metric=REQUESTS):
    for each in sets:
        totals.add([(totals.cell(metric, each), 1)])


def by(totals, name, metric=REQUESTS):
    sums = {}
    for each, value in totals.snapshot(metric):
        sums[each.get(name)] = sums.get(each.get(name), 0) + value
    return sums


def test_one_cell_for_equal_sets_in_any_order_and_a_snapshot_of_what_was_added():
    totals = Totals([REQUESTS, COST], 100)
    first = totals.cell(REQUESTS, {"a": "x", "b": 1})
    assert totals.cell(REQUESTS, {"b": 1, "a": "x"}) is first
    totals.add([(first, 2), (totals.cell(COST, {"a": "x"}), 5), (first, 3)])
    assert totals.snapshot(REQUESTS) == [({"a": "x", "b": 1}, 5)]
    assert totals.snapshot(COST) == [({"a": "x"}, 5)]


def test_ruling_11_a_million_additions_of_one_picodollar_are_a_millionth_of_a_dollar():
    totals = Totals([COST], 10)
    cell = totals.cell(COST, {})
    for _ in range(10**6):
        totals.add([(cell, 1)])
    assert totals.snapshot(COST) == [({}, 10**6)]


class Interrupted(int):
    """An amount whose addition lets another thread run: what the lock has to hold off."""

    def __radd__(self, other):
        time.sleep(0)
        return int(other) + int(self)


def test_eight_threads_lose_nothing():
    totals = Totals([REQUESTS, COST], 100)
    one, three = Interrupted(1), Interrupted(3)

    def work():
        for number in range(5_000):
            each = attributes(model=f"model-{number % 7}")
            totals.add([(totals.cell(REQUESTS, each), one), (totals.cell(COST, each), three)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(value for _, value in totals.snapshot(REQUESTS)) == 40_000
    assert sum(value for _, value in totals.snapshot(COST)) == 120_000
    assert len(totals.snapshot(COST)) == 7


def test_ruling_4_surplus_tenants_fold_into_other_and_keep_provider_and_model():
    totals = Totals([REQUESTS], 100)
    sets = [attributes(f"tenant-{number}", f"model-{number % 5}", f"provider-{number % 2}") for number in range(1_000)]
    count(totals, sets)
    snapshot = totals.snapshot(REQUESTS)
    assert len(snapshot) == 80 + 10
    assert sum(value for _, value in snapshot) == 1_000
    assert by(totals, "gen_ai.request.model") == {f"model-{number}": 200 for number in range(5)}
    assert by(totals, "gen_ai.provider.name") == {"provider-0": 500, "provider-1": 500}
    assert by(totals, "langchain.attribution.tenant")[OTHER] == 920


def test_ruling_4_surplus_models_fold_too_and_keep_the_provider():
    totals = Totals([REQUESTS], 100)
    sets = [attributes("acme", f"model-{number}", **{"server.port": number + 1}) for number in range(1_000)]
    count(totals, sets)
    snapshot = totals.snapshot(REQUESTS)
    assert len(snapshot) == 80 + 15 + 1
    assert by(totals, "gen_ai.provider.name") == {"openai": 1_000}
    folded = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": OTHER,
        "langchain.attribution.tenant": OTHER,
    }
    assert (folded, 905) in snapshot


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 10, 1_500])
def test_ruling_4_no_more_sets_than_the_limit_whatever_is_unbounded_and_the_total_is_exact(limit):
    totals = Totals([REQUESTS], limit)
    sets = [
        attributes(f"t{number}", f"m{number}", f"p{number}", **{"error.type": f"e{number}"}) for number in range(4_000)
    ]
    count(totals, sets)
    snapshot = totals.snapshot(REQUESTS)
    assert len(snapshot) <= limit
    assert sum(value for _, value in snapshot) == 4_000
    everything = {"gen_ai.provider.name": OTHER, "gen_ai.request.model": OTHER}
    assert dict(by(totals, "gen_ai.provider.name"))[OTHER] == next(v for each, v in snapshot if each == everything)


def test_ruling_3_restart_forgets_everything_or_goes_back_to_the_last_snapshot():
    seen, unseen = attributes("seen"), attributes("unseen")
    expected = {False: [], True: [(seen, 1)]}
    for keep_observed, values in expected.items():
        totals = Totals([REQUESTS], 100)
        count(totals, [seen])
        totals.snapshot(REQUESTS)
        count(totals, [seen, unseen])
        assert totals
        totals.restart(keep_observed=keep_observed)
        assert totals.snapshot(REQUESTS) == values
        assert bool(totals) is keep_observed
