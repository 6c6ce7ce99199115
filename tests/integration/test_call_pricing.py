"""What an application says about the price of its calls, through real LangChain classes to the spans."""

import asyncio
import contextvars
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import genai_prices
import httpx
import pytest
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_openai import AzureChatOpenAI
from models import AsyncChat, Chat, PlainChat, Text

import langmeter
from langmeter.errors import PriceFileError, SettingsError
from langmeter.events import PricingTerms
from langmeter.langchain.terms import deployment
from langmeter.pricing.terms import call_pricing, scoped_terms

pytestmark = pytest.mark.skipif(
    genai_prices.__version__ < "0.2", reason="this release of genai-prices has few prices by tier"
)
# 10 tokens in, 5 out; gpt-5 costs $1.25 and $10 per million tokens, half of it by batch or flex.
STANDARD, HALF, PRIORITY = 0.0000625, 0.00003125, 0.000125


def priced(telemetry) -> list[tuple[Any, ...]]:
    """Amount, tier and match of each call, in order of ending."""
    names = ("langchain.usage.cost.amount", "langchain.price.tier", "langchain.price.match")
    return [tuple(span.attributes.get(name) for name in names) for span in telemetry.spans()]


def metadata(**terms):
    return {"metadata": {"langmeter_pricing": terms}}


def test_a_block_prices_every_call_that_starts_in_it(instrumented):
    chat = PlainChat(model="gpt-5")
    with call_pricing(processing="batch"):
        chat.invoke("one")
        chat.batch(["two", "three"])
    chat.invoke("four")
    assert priced(instrumented) == [(HALF, "batch", "exact")] * 3 + [(STANDARD, None, "exact")]


def test_the_innermost_block_wins_field_by_field(instrumented):
    chat = PlainChat(model="no-such-model")
    with call_pricing(processing="batch", base_model="gpt-5"):
        with call_pricing(multiplier=2):
            chat.invoke("both")
        with call_pricing(processing="standard", multiplier="0.5"):
            chat.invoke("no batch")
        chat.invoke("the outer one again")
        assert scoped_terms() == PricingTerms(processing="batch", base_model="gpt-5")
    assert scoped_terms() is None
    assert priced(instrumented) == [
        (2 * HALF, "batch", "override"),
        (STANDARD / 2, None, "override"),
        (HALF, "batch", "override"),
    ]


def test_block_then_metadata_then_parameters(instrumented):
    chat = PlainChat(model="gpt-5")
    with call_pricing(service_tier="priority"):
        chat.invoke("block", metadata(service_tier="flex"), service_tier="flex")
    chat.invoke("metadata", metadata(service_tier="priority"), service_tier="flex")
    chat.invoke("parameter", service_tier="flex")
    chat.invoke("nested parameter", extra_body={"service_tier": "flex"})
    chat.invoke("left to the provider", service_tier="auto")
    with call_pricing(multiplier=2):
        chat.invoke("all three", metadata(processing="batch"), service_tier="priority")
    assert priced(instrumented)[:5] == [
        (PRIORITY, "priority", "exact"),
        (PRIORITY, "priority", "exact"),
        (HALF, "flex", "exact"),
        (HALF, "flex", "exact"),
        (STANDARD, None, "exact"),
    ]
    _, tier, match = priced(instrumented)[5]
    assert (set(tier.split("+")), match) == ({"batch", "priority"}, "override")


def test_fast_mode_of_anthropic_is_read_from_the_request(instrumented):
    class Claude(PlainChat):
        def _get_ls_params(self, stop=None, **kwargs):
            return {"ls_provider": "anthropic", "ls_model_name": self.model, "ls_model_type": "chat"}

    chat = Claude(model="claude-opus-5")
    chat.invoke("x")
    chat.invoke("x", speed="fast")
    chat.invoke("x", model_kwargs={"speed": "fast"})
    (standard, *_), *fast = priced(instrumented)
    assert fast == [(2 * standard, "fast", "exact")] * 2


def test_an_override_for_one_call_and_a_text_model(instrumented):
    with call_pricing(override={"input_mtok": 1, "output_mtok": "2"}):
        PlainChat(model="no-such-model").invoke("x")
        Text().invoke("x")
    assert [amount for amount, _, _ in priced(instrumented)] == [0.00002, 0.00002]
    (chat, _) = instrumented.spans()
    assert chat.attributes["langchain.price.source"] == "override"
    assert chat.attributes["langchain.price.version"].startswith("ovr:")


def test_tasks_threads_and_streams_see_the_block_that_they_started_in(instrumented):
    async def ask(tier):
        with call_pricing(service_tier=tier):
            await asyncio.sleep(0)
            await AsyncChat(model="gpt-5").ainvoke("x")

    async def main():
        await asyncio.gather(ask("flex"), ask("priority"), AsyncChat(model="gpt-5").ainvoke("x"))

    asyncio.run(main())
    assert sorted(priced(instrumented), key=str) == sorted(
        [(HALF, "flex", "exact"), (PRIORITY, "priority", "exact"), (STANDARD, None, "exact")], key=str
    )
    chat = Chat(model="gpt-5")
    parallel = RunnableParallel(a=RunnableLambda(chat.invoke), b=RunnableLambda(chat.invoke))
    with call_pricing(processing="batch"):
        parallel.invoke("x")
        list(chat.stream("x"))
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(chat.invoke, "x"))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(chat.invoke, "a thread of one's own has no part in it").result()
    assert priced(instrumented)[3:] == [(HALF, "batch", "exact")] * 4 + [(STANDARD, None, "exact")]


def test_a_block_in_a_generator_that_is_closed_elsewhere_does_no_harm(instrumented):
    def answers():
        with call_pricing(processing="batch"):
            yield PlainChat(model="gpt-5").invoke("x")

    generator = answers()
    contextvars.copy_context().run(next, generator)
    generator.close()
    assert scoped_terms() is None
    assert priced(instrumented) == [(HALF, "batch", "exact")]


def test_one_block_may_be_used_by_tasks_and_threads_at_once(instrumented):
    batch = call_pricing(processing="batch")

    async def ask(enter, entered, leave, left):
        await enter.wait()
        with batch:
            entered.set()
            await leave.wait()
            await AsyncChat(model="gpt-5").ainvoke("in the block")
        left.set()
        await AsyncChat(model="gpt-5").ainvoke("behind it")

    async def main():
        one_in, two_in, one_out, two_out = (asyncio.Event() for _ in range(4))
        start = asyncio.Event()
        start.set()
        # Who came first goes first.
        await asyncio.gather(ask(start, one_in, two_in, one_out), ask(one_in, two_in, one_out, two_out))

    asyncio.run(main())
    assert sorted(amount for amount, _, _ in priced(instrumented)) == [HALF, HALF, STANDARD, STANDARD]


def test_a_block_inside_itself_and_blocks_that_end_out_of_order():
    batch, twice = call_pricing(processing="batch"), call_pricing(multiplier=2)
    with batch:
        with batch:
            pass
        assert scoped_terms() == PricingTerms(processing="batch")
    assert scoped_terms() is None
    batch.__enter__()
    twice.__enter__()
    batch.__exit__(None, None, None)
    assert scoped_terms() == PricingTerms(multiplier=2)
    twice.__exit__(None, None, None)
    assert scoped_terms() is None


def test_wrong_metadata_is_left_out_and_said_once(instrumented, caplog):
    caplog.set_level(logging.WARNING, "langmeter.pricing")
    chat = PlainChat(model="gpt-5")
    for _ in range(2):
        chat.invoke("x", metadata(processing="batch", multiplier=-1, colour="blue"))
        chat.invoke("x", {"metadata": {"langmeter_pricing": "batch"}})
    assert priced(instrumented) == [(HALF, "batch", "exact"), (STANDARD, None, "exact")] * 2
    messages = sorted(record.getMessage() for record in caplog.records)
    assert len(messages) == 3
    assert "must be a mapping, got str" in messages[0]
    assert "pricing of a call has no key 'colour'" in messages[2]
    assert "multiplier must be a number of at least 0, got -1; it is ignored" in messages[1]


def test_wrong_arguments_are_refused_before_any_call():
    with pytest.raises(SettingsError, match="call_pricing: processing must be"):
        call_pricing(processing="bulk")
    assert scoped_terms() is None


# -- what a provider leaves out --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("estimates", "status"), [(True, "estimated"), (False, "unpriced")])
def test_a_usage_of_nothing_is_none_and_costs_no_0_dollars(telemetry, instrument, estimates, status):
    # langchain-openai makes counts of 0 of an empty `usage`, as servers with OpenAI's interface send it.
    instrument(telemetry, estimates=estimates)
    azure("chat-eu", usage={}).invoke("What is the capital of France?")
    (span,) = telemetry.spans()
    assert span.attributes["langchain.usage.cost.status"] == status
    assert span.attributes.get("langchain.usage.cost.amount", 1) > 0
    assert "gen_ai.usage.input_tokens" not in span.attributes


# -- the whole way of a file -----------------------------------------------------------------------------------------

FILE = """\
models:
  - match: {provider: azure, deployment: chat-eu}
    base_model: {provider: openai, model: gpt-4o}
    multiplier: 1.1
  - match: {provider: openai, model: my-llama}
    per_hour: {usd: 3600}
discounts: [{provider: openai, multiplier: 0.9}]
"""


@pytest.fixture
def prices(tmp_path):
    path = tmp_path / "prices.yaml"
    path.write_text(FILE)
    return str(path)


def azure(deployment, usage=None):
    def answer(request):
        assert f"/deployments/{deployment}/" in request.url.path
        choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
        used = {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100} if usage is None else usage
        head = {"id": "1", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024-08-06"}
        return httpx.Response(200, json={**head, "choices": [choice], "usage": used})

    return AzureChatOpenAI(
        azure_deployment=deployment,
        azure_endpoint="http://azure.invalid",
        api_version="2024-10-21",
        api_key="key",
        http_client=httpx.Client(transport=httpx.MockTransport(answer)),
    )


def test_the_deployment_is_read_from_the_parameters_or_from_the_serialized_model():
    serialized = {"kwargs": {"deployment_name": "b"}}
    assert deployment({"azure_deployment": "a"}, {"type": "not_implemented"}) == "a"
    assert deployment({"azure_deployment": None}, serialized) == "b"
    assert (deployment({}, None), deployment({}, {"kwargs": [3]}), deployment({"deployment_name": 3}, {})) == (
        None,
    ) * 3


def test_a_deployment_a_discount_and_an_hourly_model(telemetry, instrument, prices):
    instrument(telemetry, prices=prices)
    with langmeter.track() as usage:
        azure("chat-eu").invoke("x")
        azure("chat-us").invoke("x")
        PlainChat(model="gpt-5").invoke("x")
        PlainChat(model="my-llama").invoke("x")
    amounts = priced(telemetry)
    assert amounts[:3] == [
        (0.00385, None, "override"),
        (0.0035, None, "dated"),
        (0.00005625, None, "exact"),
    ]
    hourly = telemetry.spans()[3]
    assert hourly.attributes["langchain.usage.cost.status"] == "allocated"
    duration = (hourly.end_time - hourly.start_time) / 10**9
    assert hourly.attributes["langchain.usage.cost.amount"] == pytest.approx(duration, rel=0.01)
    assert float(usage.cost_usd) == pytest.approx(sum(amount for amount, _, _ in priced(telemetry)), rel=1e-9)


def test_a_bad_file_named_in_code_stops_instrument_and_nothing_is_installed(telemetry, instrument, prices, tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text(FILE.replace("1.1", "-1"))
    with pytest.raises(PriceFileError, match=r"bad\.yaml, line 4: multiplier must be a number of at least 0"):
        instrument(telemetry, prices=str(bad))
    PlainChat(model="gpt-5").invoke("x")
    assert telemetry.spans() == []
    instrument(telemetry, prices=prices)
    PlainChat(model="gpt-5").invoke("x")
    assert len(telemetry.spans()) == 1


def test_a_bad_file_named_by_the_environment_never_stops_anything(telemetry, instrument, monkeypatch, tmp_path, caplog):
    caplog.set_level(logging.WARNING, "langmeter.pricing")
    monkeypatch.setenv("LANGMETER_PRICES", str(tmp_path / "missing.yaml"))
    instrument(telemetry)
    PlainChat(model="gpt-5").invoke("x")
    assert priced(telemetry) == [(STANDARD, None, "exact")]
    assert ["there is no such file" in record.getMessage() for record in caplog.records] == [True]
