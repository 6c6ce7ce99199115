"""Decision models: calls of a model that LangChain reports as chains with `run_type="llm"`. One chat span each."""

import asyncio
from importlib.metadata import version
from typing import Any, NamedTuple

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import Runnable, RunnableLambda, RunnableSequence
from langchain_openai import ChatOpenAI
from models import Boom, Chat
from openai_server import ANSWER_ID, OpenAIServer
from opentelemetry import context as otel_context
from opentelemetry.trace import SpanKind, StatusCode

from langmeter.langchain.instrumentor import open_runs

REQUEST = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
}
PRICED = {
    "gen_ai.usage.input_tokens": 20,
    "gen_ai.usage.output_tokens": 12,
    "langchain.usage.cost.status": "priced",
    "langchain.usage.cost.amount": 0.00017,
    "langchain.usage.cost.currency": "USD",
    "langchain.usage.cost.source": "local",
    "langchain.usage.cost.input": 0.00005,
    "langchain.usage.cost.output": 0.00012,
    "langchain.price.source": "genai-prices",
    "langchain.price.version": f"genai-prices/{version('genai-prices')}",
}
SAME_MODEL = {"gen_ai.response.model": "gpt-4o", "langchain.price.match": "exact"}
RELEASE = {"gen_ai.response.model": "gpt-4o-2024-08-06", "langchain.price.match": "dated"}


def a_span(attributes, status=(StatusCode.UNSET, None)):
    return ("chat gpt-4o", SpanKind.CLIENT, status, attributes)


def seen(telemetry):
    """Name, kind, status and attributes of the model spans; none may be open, and nothing current."""
    assert open_runs() == 0
    assert otel_context.get_current() == {}
    return [
        (span.name, span.kind, (span.status.status_code, span.status.description), dict(span.attributes))
        for span in telemetry.spans()
        if span.kind is SpanKind.CLIENT
    ]


def totals(telemetry):
    """Counters by name, over all series."""
    names = ("langchain.inference.requests", "gen_ai.client.inference.usage.input_tokens", "langchain.usage.cost")
    metrics = telemetry.metrics()
    return [sum(value for _, value in metrics.get(name, [])) for name in names]


class Counts(NamedTuple):
    """Usage as an object with attributes."""

    input_tokens: int | None
    output_tokens: int | None


class Decision(NamedTuple):
    """What a decision model returns."""

    choice: str
    usage: Any
    model: str | None = "gpt-4o"


USAGES = {
    "mapping": {"input_tokens": 20, "output_tokens": 12, "total_tokens": 32},
    "object": Counts(20, 12),
}


class Decider(Runnable):
    """The smallest decision model: its call is a chain of the type `llm`."""

    def __init__(self, usage=USAGES["mapping"], work=None):
        self.usage = usage
        self.work = work or (lambda _: None)

    def _config(self, config):
        facts = {"ls_provider": "openai", "ls_model_name": "gpt-4o", "ls_model_type": "chat"}
        return {**(config or {}), "metadata": {**((config or {}).get("metadata") or {}), **facts}}

    def _decide(self, question):
        self.work(question)
        return Decision("yes", self.usage)

    async def _adecide(self, question):
        await asyncio.sleep(0)
        return self._decide(question)

    def invoke(self, input, config=None, **kwargs):  # noqa: A002  (LangChain's name)
        return self._call_with_config(self._decide, input, self._config(config), run_type="llm")

    async def ainvoke(self, input, config=None, **kwargs):  # noqa: A002  (LangChain's name)
        return await self._acall_with_config(self._adecide, input, self._config(config), run_type="llm")


async def drain(stream):
    return [item async for item in stream]


CALLS = {
    "invoke": (1, lambda model: model.invoke("x")),
    "ainvoke": (1, lambda model: asyncio.run(model.ainvoke("x"))),
    "batch": (3, lambda model: model.batch(["x", "y", "z"])),
    "abatch": (3, lambda model: asyncio.run(model.abatch(["x", "y", "z"]))),
    "stream": (1, lambda model: list(model.stream("x"))),
    "astream": (1, lambda model: asyncio.run(drain(model.astream("x")))),
    "chain": (1, lambda model: RunnableSequence(RunnableLambda(str), model).invoke("x")),
}


@pytest.mark.parametrize("usage", USAGES.values(), ids=USAGES)
@pytest.mark.parametrize(("calls", "call"), CALLS.values(), ids=CALLS)
def test_a_decision_is_a_chat_call(instrumented, usage, calls, call):
    call(Decider(usage))
    assert seen(instrumented) == [a_span({**REQUEST, **PRICED, **SAME_MODEL})] * calls
    assert totals(instrumented) == [calls, calls * 20, pytest.approx(calls * 0.00017, abs=1e-15)]


@pytest.mark.parametrize("usage", [None, {}, Counts(None, None)], ids=["none", "empty", "object without counts"])
def test_a_decision_without_usage_is_unpriced(instrumented, usage):
    Decider(usage).invoke("x")
    unpriced = {
        "gen_ai.response.model": "gpt-4o",
        "langchain.usage.cost.status": "unpriced",
        "langchain.price.match": "none",
        "langchain.usage.unpriced.reason": "no_usage",
    }
    assert seen(instrumented) == [a_span({**REQUEST, **unpriced})]
    assert totals(instrumented) == [1, 0, 0]


@pytest.mark.parametrize(("calls", "call"), CALLS.values(), ids=CALLS)
def test_what_a_decision_model_requests_is_nested_in_it(instrumented, calls, call):
    tracer = instrumented.tracer_provider.get_tracer("application")

    def work(_):
        with tracer.start_as_current_span("HTTP"):
            pass

    call(Decider(work=work))
    spans = instrumented.spans()
    decisions = {span.context.span_id for span in spans if span.name == "chat gpt-4o"}
    assert len(decisions) == calls
    assert {span.parent.span_id for span in spans if span.name == "HTTP"} == decisions
    assert [span.parent for span in spans if span.name == "chat gpt-4o"] == [None] * calls


@pytest.mark.parametrize("call", [call for calls, call in CALLS.values() if calls == 1])
def test_a_decision_that_fails(instrumented, call):
    failure = Boom("secret")

    def work(_):
        raise failure

    with pytest.raises(Boom) as caught:
        call(Decider(work=work))
    assert caught.value is failure
    error = {**REQUEST, "error.type": "models.Boom"}
    assert seen(instrumented) == [a_span(error, (StatusCode.ERROR, None))]
    ((attributes, duration),) = instrumented.metrics()["gen_ai.client.inference.duration"]
    assert (attributes, duration.count) == (error, 1)
    (event,) = instrumented.logs()
    assert event.log_record.event_name == "gen_ai.client.operation.exception"
    assert event.log_record.attributes["exception.type"] == "models.Boom"
    assert "exception.message" not in event.log_record.attributes


def test_a_decision_that_is_cancelled(instrumented):
    reached = asyncio.Event()

    class Hanging(Decider):
        async def _adecide(self, question):
            reached.set()
            await asyncio.Event().wait()

    async def scenario():
        task = asyncio.create_task(Hanging().ainvoke("x"))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    ((_, _, status, attributes),) = seen(instrumented)
    assert status == (StatusCode.ERROR, None)
    assert attributes["error.type"] == "asyncio.exceptions.CancelledError"


def test_each_attempt_of_a_decision_is_a_call(instrumented):
    failures = [Boom("once")]

    def work(_):
        if failures:
            raise failures.pop()

    Decider(work=work).with_retry(wait_exponential_jitter=False, stop_after_attempt=2).invoke("x")
    assert [status.name for _, _, (status, _), _ in seen(instrumented)] == ["ERROR", "UNSET"]


def test_other_chains_are_no_calls(instrumented):
    (RunnableLambda(str) | StrOutputParser()).invoke("x")
    asyncio.run((RunnableLambda(str) | StrOutputParser()).ainvoke("x"))
    assert seen(instrumented) == []
    assert totals(instrumented) == [0, 0, 0]


def test_a_decision_about_a_model_and_a_model_inside_a_decision(instrumented):
    Decider(work=Chat(model="gpt-4.1").invoke).invoke(Chat(model="gpt-4.1").invoke("x").text)
    spans = {span.context.span_id: span for span in instrumented.spans()}
    nested = [(span.name, span.parent and spans[span.parent.span_id].name) for span in spans.values()]
    assert nested == [("chat gpt-4.1", None), ("chat gpt-4.1", "chat gpt-4o"), ("chat gpt-4o", None)]


def test_other_handlers_hear_of_a_decision_as_before(instrumented):
    class Recorder(BaseCallbackHandler):
        def __init__(self):
            self.heard = []

        def on_chain_start(self, serialized, inputs, **kwargs):
            self.heard.append(("start", kwargs.get("run_type")))

        def on_chain_end(self, outputs, **kwargs):
            self.heard.append(("end", outputs.choice))

    recorder = Recorder()
    Decider().invoke("x", {"callbacks": [recorder]})
    assert recorder.heard == [("start", "llm"), ("end", "yes")]


# -- the decision model of langchain-openai --------------------------------------------------------------------------


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def decide(server):
    """Ask OpenAI's decision model."""
    decisions = pytest.importorskip("langchain_openai.decisions", reason="this langchain-openai has no decision models")
    question = {"input": "Stripe is down", "questions": {"urgent": decisions.Predicate(instructions="Is it urgent?")}}

    def decide(*, asynchronous):
        model = decisions.OpenAIDecisions(model="gpt-4o", base_url=server.base_url, api_key="key", max_retries=0)
        return asyncio.run(model.ainvoke(question)) if asynchronous else model.invoke(question)

    return decide


@pytest.mark.filterwarnings("ignore:.*is in beta")
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_openai_decisions(instrumented, decide, asynchronous):
    assert decide(asynchronous=asynchronous).predicates["urgent"].probability == 0.9
    assert seen(instrumented) == [a_span({**REQUEST, "gen_ai.response.id": ANSWER_ID, **PRICED, **RELEASE})]
    assert totals(instrumented) == [1, 20, 0.00017]


@pytest.mark.filterwarnings("ignore:.*is in beta")
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_openai_decisions_refused(instrumented, server, decide, asynchronous):
    server.refuse = [429]
    with pytest.raises(Exception, match="secret") as caught:
        decide(asynchronous=asynchronous)
    error = f"{caught.type.__module__}.{caught.type.__qualname__}"
    assert error.endswith("RateLimitError")
    assert seen(instrumented) == [a_span({**REQUEST, "error.type": error}, (StatusCode.ERROR, None))]


@pytest.mark.filterwarnings("ignore:.*is in beta")
def test_a_fallback_from_a_decision_model_to_a_chat_model(instrumented, server):
    server.refuse = [429]
    failing = Decider(
        work=lambda _: ChatOpenAI(model="gpt-4o", base_url=server.base_url, api_key="key", max_retries=0).invoke("x")
    )
    failing.with_fallbacks([Chat(model="gpt-4.1")]).invoke("x")
    assert [(name, status.name) for name, _, (status, _), _ in seen(instrumented)] == [
        ("chat gpt-4o", "ERROR"),
        ("chat gpt-4o", "ERROR"),
        ("chat gpt-4.1", "UNSET"),
    ]
