"""Attribution through the public door: on every span, on the metrics that may carry it, and nowhere else."""

import asyncio
import contextvars
import gc
import re
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.store.memory import InMemoryStore
from models import INPUT_TOKENS, USAGE, AsyncChat, Chat, PlainChat, Text
from openai_server import OpenAIServer
from opentelemetry import context as otel_context
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import langmeter
from langmeter import Settings, SettingsError, semconv
from langmeter.attribution_scope import current_scope
from langmeter.events import ModelCall, ModelRequest, ModelResponse, PricedCall, ReportedUsage, TokenUsage
from langmeter.langchain.attribution import Attribution
from langmeter.telemetry.distinct_values import distinct_values
from langmeter.telemetry.instruments import instruments_for
from langmeter.telemetry.metrics import metrics_for

PREFIX = "langchain.attribution."
PROMPT = ("gen_ai.prompt.name", "gen_ai.prompt.version")
OTHER = "__other__"


@pytest.fixture(autouse=True)
def _nothing_remembered():
    distinct_values.clear()
    yield
    assert current_scope() is None
    assert otel_context.get_current() == {}
    distinct_values.clear()


def attributed(telemetry) -> list[tuple[str, dict[str, Any]]]:
    """Every span with what it says of attribution and of a prompt, sorted by name."""
    return sorted(
        (
            (
                span.name,
                {
                    name.removeprefix(PREFIX): value
                    for name, value in span.attributes.items()
                    if name.startswith(PREFIX) or name in PROMPT
                },
            )
            for span in telemetry.spans()
        ),
        key=repr,
    )


def by_tenant(points) -> dict[str | None, float]:
    sums: dict[str | None, float] = {}
    for attributes, value in points:
        tenant = attributes.get(f"{PREFIX}tenant")
        sums[tenant] = sums.get(tenant, 0) + value
    return sums


# -- every kind of span ----------------------------------------------------------------------------------------------


class Caller(PlainChat):
    """Asks for the tool once, then answers."""

    def bind_tools(self, tools, **kwargs):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **kwargs) -> ChatResult:
        calls = [{"name": "search", "args": {"text": "x"}, "id": "call-1"}]
        done = any(isinstance(message, ToolMessage) for message in messages)
        message = AIMessage("done" if done else "", tool_calls=[] if done else calls, usage_metadata=USAGE)
        return ChatResult(generations=[ChatGeneration(message=message)])


@tool
def search(text: str) -> str:
    """Search."""
    return ", ".join(document.page_content for document in RETRIEVER.invoke(text))


RETRIEVER = InMemoryVectorStore(DeterministicFakeEmbedding(size=4)).as_retriever(search_kwargs={"k": 1})
AGENT = create_agent(Caller(), [search], name="helper")
QUESTION = {"messages": [HumanMessage("x")]}
SPANS = ["chat gpt-4o", "chat gpt-4o", "embeddings", "execute_tool search", "invoke_agent helper", "retrieval"]


def run_agent(**config):
    AGENT.invoke(QUESTION, config=config)


def arun_agent(**config):
    asyncio.run(AGENT.ainvoke(QUESTION, config=config))


@pytest.mark.parametrize("run", [run_agent, arun_agent])
def test_a_block_is_on_every_span_inside_and_its_prompt_on_model_calls(instrumented, run):
    with langmeter.attribution(tenant="acme", feature="search", prompt_name="greeting", prompt_version=3):
        run()
    keys = {"tenant": "acme", "feature": "search"}
    prompt = dict(zip(PROMPT, ("greeting", "3"), strict=True))
    assert attributed(instrumented) == [
        (name, {**keys, **prompt} if name.startswith("chat") else keys) for name in SPANS
    ]


@pytest.mark.parametrize("run", [run_agent, arun_agent])
def test_metadata_of_the_outermost_run_is_on_every_span_inside(telemetry, instrument, run):
    instrument(telemetry, attribution_keys=["tenant", "seats"])
    run(metadata={"tenant": "acme", "seats": 3, "other": "x"})
    assert attributed(telemetry) == [(name, {"tenant": "acme", "seats": "3"}) for name in SPANS]


def test_what_has_no_metadata_of_its_own_has_that_of_the_run_around_it(telemetry, instrument):
    instrument(telemetry, attribution_keys="tenant,feature")
    store, embeddings = InMemoryStore(), DeterministicFakeEmbedding(size=4)

    def work(text):
        store.put(("notes",), "x", {"text": text})
        return embeddings.embed_query(text)

    RETRIEVER.invoke("x", config={"metadata": {"tenant": "acme"}})
    chain = RunnableLambda(work).with_config(metadata={"feature": "search"})
    (chain | RunnableLambda(len)).invoke("x", config={"metadata": {"tenant": "zenith"}, "run_name": "notes"})
    both = {"tenant": "zenith", "feature": "search"}
    assert attributed(telemetry) == [
        ("embeddings", {"tenant": "acme"}),
        ("embeddings", both),
        ("invoke_workflow notes", {"tenant": "zenith"}),
        ("retrieval", {"tenant": "acme"}),
        ("upsert_memory", both),
    ]


def test_without_a_setting_metadata_is_not_read(instrumented):
    run_agent(metadata={"tenant": "acme"})
    assert attributed(instrumented) == [(name, {}) for name in SPANS]


def test_a_block_goes_before_metadata_key_by_key(telemetry, instrument):
    instrument(telemetry, attribution_keys="tenant,feature,environment")
    with langmeter.attribution(tenant="block", environment=None):
        run_agent(metadata={"tenant": "meta", "feature": "search", "environment": "prod"})
    assert attributed(telemetry) == [(name, {"tenant": "block", "feature": "search"}) for name in SPANS]


def test_a_handler_alone_sees_blocks_and_metadata(telemetry):
    settings = Settings(attribution_keys=["feature"])
    handler = langmeter.CallbackHandler(
        settings, tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    with langmeter.attribution(tenant="acme"):
        Chat().invoke("x", config={"callbacks": [handler], "metadata": {"feature": "search"}})
    assert attributed(telemetry) == [("chat gpt-4o", {"tenant": "acme", "feature": "search"})]


# -- threads, tasks, graphs, streams ---------------------------------------------------------------------------------


def chain_of(model):
    return RunnableLambda(lambda text: text) | model


async def tasks():
    async def one(tenant):
        async with langmeter.attribution(tenant=tenant):
            await asyncio.gather(*(asyncio.create_task(AsyncChat().ainvoke("x")) for _ in range(2)))

    await asyncio.gather(one("a"), one("b"))


def each(tenant, work):
    with langmeter.attribution(tenant=tenant):
        work()


def in_two(work):
    for tenant in ("a", "b"):
        each(tenant, work)


GRAPH = StateGraph(dict)
GRAPH.add_node("one", lambda state: {**state, "one": Chat().invoke("x").content})
GRAPH.add_node("two", lambda state: {**state, "two": Chat().invoke("x").content})
GRAPH.add_edge(START, "one")
GRAPH.add_edge("one", "two")
GRAPH.add_edge("two", END)
GRAPH = GRAPH.compile()

SCENARIOS = {
    "tasks": lambda: asyncio.run(tasks()),
    "batch": lambda: in_two(lambda: Chat().batch(["x", "y"])),
    "chain batch": lambda: in_two(lambda: chain_of(Chat()).batch(["x", "y"])),
    "parallel": lambda: in_two(lambda: RunnableParallel(one=Chat(), two=Chat()).invoke("x")),
    "sync model in async code": lambda: in_two(lambda: asyncio.run(Chat().abatch(["x", "y"]))),
    "streams": lambda: in_two(lambda: [list(Chat().stream("x")) for _ in range(2)]),
    "graph": lambda: in_two(lambda: GRAPH.invoke({"x": 1})),
    "graph streamed": lambda: in_two(lambda: list(GRAPH.stream({"x": 1}))),
    "async graph": lambda: in_two(lambda: asyncio.run(GRAPH.ainvoke({"x": 1}))),
    "threads in a copied context": lambda: in_two(
        lambda: [pool_of_one(contextvars.copy_context().run, Chat().invoke, "x") for _ in range(2)]
    ),
}


def pool_of_one(function, *arguments):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_every_call_carries_its_own_block(instrumented, scenario):
    scenario()
    calls = [keys for name, keys in attributed(instrumented) if name == "chat gpt-4o"]
    assert calls == [{"tenant": "a"}] * 2 + [{"tenant": "b"}] * 2
    others = {keys.get("tenant") for name, keys in attributed(instrumented) if name != "chat gpt-4o"}
    assert others <= {"a", "b"}


def test_a_bare_thread_carries_metadata_only(telemetry, instrument):
    instrument(telemetry, attribution_keys="feature")
    with langmeter.attribution(tenant="acme"):
        pool_of_one(lambda: Chat().invoke("x", config={"metadata": {"feature": "search"}}))
    assert attributed(telemetry) == [("chat gpt-4o", {"feature": "search"})]


def test_a_decorated_function_and_coroutine_function(instrumented):
    @langmeter.attribution(tenant="a")
    def ask():
        return Chat().invoke("x").content

    @langmeter.attribution(tenant="b")
    async def aask():
        return (await AsyncChat().ainvoke("x")).content

    assert (ask(), asyncio.run(aask())) == ("re: x", "re: x")
    assert attributed(instrumented) == [("chat gpt-4o", {"tenant": "a"}), ("chat gpt-4o", {"tenant": "b"})]


def test_a_stream_belongs_to_where_its_first_chunk_is_asked_for(instrumented):
    with langmeter.attribution(tenant="a"):
        outside = Chat().stream("x")
        inside = Chat().stream("x")
        next(inside)
    list(outside)
    list(inside)
    assert attributed(instrumented) == [("chat gpt-4o", {"tenant": "a"}), ("chat gpt-4o", {})]


# -- text models, cache hits, prompts --------------------------------------------------------------------------------


def test_hits_of_both_caches_belong_to_who_asked(telemetry, instrument):
    instrument(telemetry, attribution_keys="feature", metric_attribution_keys="tenant")
    chat, text = Chat(cache=InMemoryCache()), Text(cache=InMemoryCache())
    for tenant in ("a", "b"):
        with langmeter.attribution(tenant=tenant):
            for model in (chat, text):
                model.invoke("x", config={"metadata": {"feature": "search"}})
    keys = [{"tenant": tenant, "feature": "search"} for tenant in ("a", "b")]
    expected = [(name, each) for name in ("chat gpt-4o", "text_completion gpt-3.5-turbo-instruct") for each in keys]
    assert attributed(telemetry) == sorted(expected, key=repr)
    metrics = telemetry.metrics()
    statuses = {
        (attributes[f"{PREFIX}tenant"], attributes["langchain.cache.status"]): value
        for attributes, value in metrics["langchain.cache.requests"]
        if attributes["gen_ai.operation.name"] == "chat"
    }
    assert statuses == {("a", "miss"): 1, ("b", "hit"): 1}
    assert by_tenant(metrics["langchain.inference.requests"]) == {"a": 2}
    assert set(by_tenant(metrics["langchain.cache.saved.cost"])) == {"b"}


def test_a_prompt_of_the_hub_is_named_once_its_metadata_is_given_to_the_chain(instrumented):
    # As LangSmith's client marks a prompt that it pulls.
    known = {"lc_hub_owner": "acme", "lc_hub_repo": "greeting", "lc_hub_commit_hash": "abc123"}
    prompt = ChatPromptTemplate.from_messages([("user", "{text}")])
    prompt.metadata = known
    chain = prompt | Chat()
    chain.invoke({"text": "x"})
    chain.with_config(metadata=prompt.metadata).invoke({"text": "x"})
    calls = [keys for name, keys in attributed(instrumented) if name == "chat gpt-4o"]
    # LangChain shows a prompt's metadata to the run of the prompt alone; the class of a prompt is no name.
    assert calls == [dict(zip(PROMPT, ("acme/greeting", "abc123"), strict=True)), {}]


# -- metrics ---------------------------------------------------------------------------------------------------------


def test_metrics_of_calls_and_steps_carry_the_allowed_keys_only(telemetry, instrument):
    instrument(telemetry, metric_attribution_keys="tenant", operation_cost=True, legacy_metrics=True)
    with langmeter.attribution(tenant="acme", user="ada"):
        run_agent()
    for name, points in telemetry.metrics().items():
        for attributes, _ in points:
            carried = {key: value for key, value in attributes.items() if key.startswith(PREFIX)}
            assert carried == {f"{PREFIX}tenant": "acme"}, name


def test_metrics_do_not_depend_on_sampling(make_telemetry, instrument):
    telemetry = instrument(make_telemetry(ALWAYS_OFF), metric_attribution_keys="tenant")
    with langmeter.attribution(tenant="acme"):
        Chat().invoke("x")
    assert by_tenant(telemetry.metrics()["langchain.inference.requests"]) == {"acme": 1}


def test_the_first_values_keep_their_series_and_the_sum_is_whole(telemetry, instrument):
    instrument(telemetry, metric_attribution_keys="tenant", max_attribution_values=3)
    for number in range(10):
        with langmeter.attribution(tenant=f"t{number}"):
            Chat().invoke("x")
    Chat().invoke("x")
    metrics = telemetry.metrics()
    assert by_tenant(metrics["langchain.inference.requests"]) == {"t0": 1, "t1": 1, "t2": 1, OTHER: 7, None: 1}
    tokens = by_tenant(metrics["gen_ai.client.inference.usage.input_tokens"])
    assert (tokens[OTHER], sum(tokens.values())) == (7 * INPUT_TOKENS, 11 * INPUT_TOKENS)


@pytest.mark.parametrize("key", ["user_id", "session_id", "conversation_id", "run_id", "prompt_name"])
def test_keys_without_end_are_refused_for_metrics(key, caplog, monkeypatch):
    with pytest.raises(SettingsError, match=f"setting 'metric_attribution_keys'.*'{key}' is not for metrics"):
        langmeter.instrument(metric_attribution_keys=["tenant", key])
    monkeypatch.setenv("LANGMETER_METRIC_ATTRIBUTION_KEYS", f"tenant,{key}")
    assert Settings().metric_attribution_keys == ()
    assert [f"'{key}' is not for metrics" in record.getMessage() for record in caplog.records] == [True]


def test_wrong_keys_are_refused_in_both_settings():
    for name in ("attribution_keys", "metric_attribution_keys"):
        with pytest.raises(SettingsError, match=f"setting '{name}'.*'Tenant'.*a key is"):
            Settings(**{name: ["Tenant"]})
        assert getattr(Settings(**{name: "tenant,plan,tenant"}), name) == ("tenant", "plan")


# -- baggage ---------------------------------------------------------------------------------------------------------


class Recording(OpenAIServer):
    """A provider that keeps the headers of what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.headers = headers = []
        handler = self._server.RequestHandlerClass

        class Handler(handler):
            def do_POST(self) -> None:  # noqa: N802  (the name that http.server asks for)
                headers.append(dict(self.headers))
                super().do_POST()

        self._server.RequestHandlerClass = Handler

    def baggage(self) -> list[str | None]:
        """The `baggage` header of each request so far."""
        return [{name.lower(): value for name, value in each.items()}.get("baggage") for each in self.headers]


@pytest.fixture
def provider(telemetry):
    """A provider, asked by an application whose HTTP client is instrumented."""
    HTTPXClientInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
    with Recording() as server:
        yield server
    HTTPXClientInstrumentor().uninstrument()


def ask(provider):
    with httpx.Client() as client:
        ChatOpenAI(model="gpt-4o", base_url=provider.base_url, api_key="x", http_client=client).invoke("x")


def test_attribution_never_reaches_the_provider_unless_asked(telemetry, instrument, provider):
    instrument(telemetry, attribution_keys="feature", metric_attribution_keys="tenant")
    with langmeter.attribution(tenant="acme"):
        ask(provider)
    assert provider.baggage() == [None]
    assert "acme" not in repr(provider.headers) + repr(provider.requests)


def test_with_baggage_it_travels_with_every_request_inside_and_no_other(telemetry, instrument, provider):
    instrument(telemetry, attribution_baggage=True)
    with langmeter.attribution(tenant="acme", prompt_name="greeting"):
        ask(provider)
    ask(provider)
    langmeter.uninstrument()
    with langmeter.attribution(tenant="acme"):
        ask(provider)
    assert provider.baggage() == [f"{PREFIX}tenant=acme", None, None]


def test_a_service_downstream_reads_what_came_in(telemetry, instrument):
    token = otel_context.attach(W3CBaggagePropagator().extract({"baggage": f"{PREFIX}tenant=acme,x=y"}))
    instrument(telemetry, attribution_baggage=True, metric_attribution_keys="tenant")
    run_agent()
    with langmeter.attribution(tenant="block"):
        asyncio.run(AsyncChat().ainvoke("x"))
    langmeter.uninstrument()
    langmeter.instrument(**telemetry.providers)
    Chat().invoke("x")
    otel_context.detach(token)
    carried = [keys.get("tenant") for _, keys in attributed(telemetry)]
    assert sorted(carried, key=str) == [None, *["acme"] * len(SPANS), "block"]
    assert by_tenant(telemetry.metrics()["langchain.inference.requests"]) == {"acme": 3, "block": 1, None: 1}


# -- a million users -------------------------------------------------------------------------------------------------

USERS = 1_000_000
THROUGH_THE_DOOR = 6_000
"""Of them; a million calls of LangChain take minutes. The rest go through a block, its reader and the totals: what could grow."""
COUNTED = {semconv.REQUESTS.name: 1, semconv.INFERENCE_INPUT_TOKENS.name: INPUT_TOKENS}
"""What a call adds to them."""
SETS = 300
VALUES = 50


def grown(work, *windows: range) -> list[int]:
    """Bytes that each window of calls has left behind."""
    left = []
    for window in windows:
        gc.collect()
        tracemalloc.start()
        for number in window:
            work(number)
        gc.collect()
        left.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    return left


def check_totals(points, calls: int, values: int) -> None:
    """Every total is right, by model too; no metric has more series than it may have."""
    for name, per_call in COUNTED.items():
        by_model: dict[str, int] = {}
        for attributes, value in points[name]:
            model = attributes["gen_ai.request.model"]
            by_model[model] = by_model.get(model, 0) + value
        assert by_model == {f"m{each}": per_call * len(range(each, calls, 3)) for each in range(3)}, name
        carried = {attributes[f"{PREFIX}customer"] for attributes, _ in points[name]}
        assert OTHER in carried
        assert len(carried) <= values + 1
    assert {name: len(series) for name, series in points.items() if len(series) > SETS} == {}
    assert not any(f"{PREFIX}user_id" in attributes for series in points.values() for attributes, _ in series)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_million_distinct_users_stay_within_the_bounds_and_every_total_is_right():
    settings = Settings(
        metric_attribution_keys=["customer"],
        attribution_keys=["user_id"],
        max_attribution_values=VALUES,
        max_attribute_sets=SETS,
    )
    # Histograms, most of the time, go to the API's no-op instruments; they have the same attribute sets as the totals.
    provider = NoOpMeterProvider()
    metrics, attribution = metrics_for(provider, settings), Attribution(settings)
    answer = ModelResponse(ReportedUsage(TokenUsage(INPUT_TOKENS, 5)))

    def call(number: int) -> None:
        with langmeter.attribution(customer=f"c{number}"):
            known = attribution.read({"user_id": number})
        assert known.span == (("user_id", str(number)), ("customer", f"c{number}"))
        request = ModelRequest(
            "chat", "openai", f"m{number % 3}", attribution=known.span, metric_attribution=known.metric
        )
        metrics.record(PricedCall(ModelCall(request, answer, 0, 1.0), None), None)

    window = USERS // 50
    for number in range(USERS - 2 * window):
        call(number)
    left = grown(call, range(USERS - 2 * window, USERS - window), range(USERS - window, USERS))
    assert max(left) < window  # a byte for each of them would be a leak
    totals = instruments_for(provider, SETS).totals
    points = {metric.name: totals.snapshot(metric) for metric in semconv.METRICS if metric.name in COUNTED}
    check_totals(points, USERS, VALUES)


class Latest(SpanProcessor):
    """Keeps the last span alone."""

    span: Any = None

    def on_end(self, span) -> None:
        self.span = span


@pytest.mark.long
@pytest.mark.timeout(600)
def test_thousands_of_distinct_users_through_the_door(telemetry, instrument):
    latest, too_many = Latest(), 2 * SETS
    telemetry.tracer_provider = TracerProvider(shutdown_on_exit=False)
    telemetry.tracer_provider.add_span_processor(latest)
    instrument(
        telemetry,
        metric_attribution_keys=["customer"],
        attribution_keys=["user_id"],
        max_attribution_values=too_many,
        max_attribute_sets=SETS,
    )
    models = [PlainChat(model=f"m{number}") for number in range(3)]

    def call(number: int) -> None:
        with langmeter.attribution(customer=f"c{number}"):
            models[number % 3].invoke("x", config={"metadata": {"user_id": number}})
        assert latest.span.attributes[f"{PREFIX}user_id"] == str(number)
        assert latest.span.attributes[f"{PREFIX}customer"] == f"c{number}"

    window = THROUGH_THE_DOOR // 20
    for number in range(THROUGH_THE_DOOR - 2 * window):
        call(number)
    last = THROUGH_THE_DOOR - window
    left = grown(call, range(last - window, last), range(last, THROUGH_THE_DOOR))
    assert max(left) < 100 * window
    check_totals(telemetry.metrics(), THROUGH_THE_DOOR, too_many)


# -- the example -----------------------------------------------------------------------------------------------------


def test_the_example_runs():
    example = Path(__file__).parents[2] / "examples" / "attribution.py"
    done = subprocess.run([sys.executable, example], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "chat gpt-4o-mini: prompt parcel 2, feature=tracking, tenant=acme, user=ada"
    assert [re.sub(r"\d", "0", line) for line in lines[3:]] == ["acme: $0.000000", "zenith: $0.000000"]
