"""`langmeter.describe` with LangChain's and LangGraph's own classes: the same everywhere, changed by every change."""

import asyncio
import gc
import inspect
import json
import os
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import FakeListChatModel
from langchain_core.load import dumps, loads
from langchain_core.output_parsers import JsonOutputParser, StrOutputParser
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnableParallel
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from openai_server import OpenAIServer

import langmeter
from langmeter import semconv, worker
from langmeter.langchain.description import Description
from langmeter.langchain.fingerprints import Fingerprints

for package in ("langchain", "langchain_anthropic"):
    pytest.importorskip(package, reason=f"{package} is in the `test` extra")

import described_chains  # noqa: E402  (needs both)
from described_chains import Offer, agent, chat, claude, embeddings, prompt, stock  # noqa: E402

EXAMPLE = Path(__file__).parents[2] / "examples" / "save_and_restore.py"
KEYS = {"OPENAI_API_KEY": "sk-restored", "ANTHROPIC_API_KEY": "sk-restored"}
NAMES = [
    *("openai", "anthropic", "embeddings", "prompt", "chain", "tools", "resilient", "structured", "parser", "branch"),
    *("retrieval", "alternatives", "bound", "tool", "graph", "agent"),
]
beta = pytest.mark.filterwarnings("ignore:The function `loads` is in beta")


@pytest.fixture(scope="module")
def everything():
    return described_chains.chains()


def fingerprint(runnable):
    return langmeter.describe(runnable).fingerprint


# -- the whole of it ---------------------------------------------------------------------------------------------------


def digest_of(text):
    from langmeter.langchain.configuration.redaction import digest

    return digest(text)


def template(kind, text, variables):
    """A message template; the hashes of its parts are those that the description says, the one of the text is ours."""
    inner = {"template": digest_of(text)}
    if variables:
        inner["input_variables"] = variables
    prompts = "langchain_core.prompts"
    return {
        "kind": "message_template",
        "class": f"{prompts}.chat.{kind}",
        "parameters": {"prompt": {"kind": "prompt", "class": f"{prompts}.prompt.PromptTemplate", "parameters": inner}},
    }


def without_prompt_hashes(value):
    if isinstance(value, dict):
        return {
            name: without_prompt_hashes(item)
            for name, item in value.items()
            if not (name == "hash" and value.get("kind") in {"prompt", "message_template"})
        }
    return [without_prompt_hashes(item) for item in value] if isinstance(value, list) else value


def test_a_chain_is_described_as_a_whole():
    model = chat(
        base_url="https://user:pass-word@gateway.example:8443/v1?sig=abc",
        default_headers={"Authorization": "Bearer abcdefgh12345678", "X-Team": "boats"},
        stop=["END"],
        max_retries=4,
    )
    description = langmeter.describe(prompt() | model.bind(seed=7) | StrOutputParser())

    assert without_prompt_hashes(description.configuration) == {
        "kind": "sequence",
        "class": "langchain_core.runnables.base.RunnableSequence",
        "steps": [
            {
                "kind": "prompt",
                "class": "langchain_core.prompts.chat.ChatPromptTemplate",
                "parameters": {
                    "input_variables": ["question", "town"],
                    "optional_variables": ["history"],
                    "partial_variables": {"history": []},
                    "messages": [
                        template("SystemMessagePromptTemplate", described_chains.SYSTEM, ["town"]),
                        {
                            "kind": "message_template",
                            "class": "langchain_core.prompts.chat.MessagesPlaceholder",
                            "parameters": {"optional": True, "variable_name": "history"},
                        },
                        template("HumanMessagePromptTemplate", "{question}", ["question"]),
                    ],
                },
            },
            {
                "kind": "binding",
                "class": "langchain_core.runnables.base.RunnableBinding",
                "arguments": {"seed": 7},
                "bound": {
                    "kind": "chat_model",
                    "class": "langchain_openai.chat_models.base.ChatOpenAI",
                    "provider": "openai",
                    "model": "gpt-4o-mini",
                    "parameters": {
                        "temperature": 0.3,
                        "max_retries": 4,
                        "stop": [digest_of("END")],
                        "openai_api_base": "https://gateway.example:8443/v1",
                        "openai_api_key": "[redacted]",
                        "default_headers": {"Authorization": "[redacted]", "X-Team": "[redacted]"},
                    },
                },
            },
            {"kind": "parser", "class": "langchain_core.output_parsers.string.StrOutputParser"},
        ],
    }


def test_a_graph_is_described_by_its_nodes_and_edges():
    configuration = langmeter.describe(described_chains.graph()).configuration

    (branch,) = configuration["branches"]["ask"].values()
    node = configuration["nodes"]["ask"]["function"]
    assert (configuration["kind"], configuration["name"]) == ("graph", "counter")
    assert sorted(configuration["nodes"]) == ["ask", "check"]
    assert configuration["edges"] == [["__start__", "ask"], ["check", "__end__"]]
    assert branch["ends"] == {"check": "check", "__end__": "__end__"}
    assert configuration["interrupt_before_nodes"] == ["check"]
    assert (node["name"], node["captures"]["_model"]["model"]) == ("described_chains.ask", "gpt-4o-mini")
    assert node["captures"]["SYSTEM"] == digest_of(described_chains.SYSTEM)


def test_an_agent_is_described_by_model_tools_prompt_and_middleware():
    configuration = langmeter.describe(agent()).configuration
    given = configuration["nodes"]["model"]["function"]["captures"]

    assert configuration["kind"] == "agent"
    assert given["model"]["model"] == "gpt-4o-mini"
    assert [tool["name"] for tool in given["default_tools"]] == ["stock"]
    assert given["system_message"]["kind"] == "message"
    assert given["initial_response_format"]["parameters"]["schema"]["class"] == "described_chains.Offer"
    assert {"HumanInTheLoopMiddleware.after_model", "model", "tools"} == set(configuration["nodes"])


# -- the same in every process ---------------------------------------------------------------------------------------------

_PROCESS = """
import json, sys
sys.path.insert(0, sys.argv[1])
import described_chains, langmeter
print(json.dumps({name: langmeter.describe(chain).to_dict() for name, chain in described_chains.chains().items()}))
"""


def in_a_process(directory, environment):
    result = subprocess.run(
        [sys.executable, "-c", _PROCESS, str(Path(__file__).parent)],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_two_processes_give_the_same_descriptions(tmp_path, everything):
    """Other hash seeds, other directories, other keys in the environment, and what has already run in this one."""
    here = {name: langmeter.describe(chain).to_dict() for name, chain in everything.items()}
    environments = (
        {"PYTHONHASHSEED": "1", "OPENAI_API_KEY": "sk-one"},
        {"PYTHONHASHSEED": "4242", "ANTHROPIC_API_KEY": "sk-two", "LANGCHAIN_PROJECT": "other"},
    )
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(in_a_process, (tmp_path, Path.cwd()), environments)

    assert first == second == here
    assert list(here) == NAMES
    fingerprints = [described["fingerprint"] for described in here.values()]
    assert len(set(fingerprints)) == len(fingerprints)


@pytest.mark.parametrize("name", NAMES)
def test_every_description_survives_json(name, everything):
    description = langmeter.describe(everything[name])
    again = Description.from_json(description.to_json(indent=2))

    assert (again, hash(again), again.fingerprint) == (description, hash(description), description.fingerprint)
    assert json.loads(json.dumps(description.to_dict())) == description.to_dict()


# -- what changes it -------------------------------------------------------------------------------------------------------


def graph_of(node, *, edge=True):
    builder = StateGraph(MessagesState).add_node("ask", node)
    builder = builder.add_node("end", lambda state: state).add_edge(START, "ask")
    return (builder.add_edge("ask", "end") if edge else builder.add_edge(START, "end")).compile()


def answers_with(model):
    return lambda state: {"messages": [model.invoke(state["messages"])]}


def renamed():
    return StructuredTool.from_function(stock.func, name="inventory")


def described_otherwise():
    return StructuredTool.from_function(stock.func, name="stock", description="Boats in a harbour.")


def with_other_arguments():
    def other(boat: str, harbour: str, year: int) -> int:
        return year

    return StructuredTool.from_function(other, name="stock", description=stock.description)


def with_other_code():
    def other(boat: str, harbour: str = "Lisbon") -> int:
        return 0

    return StructuredTool.from_function(other, name="stock", description=stock.description)


LAYERS = (
    lambda request, handler: [handler(request)][0],
    lambda request, handler: handler(request),
    lambda request, handler: (handler(request), 1)[0],
    lambda request, handler: (handler(request), 1, 2)[0],
)


def layered(*layers):
    """An agent with middleware around its model, layer by layer."""
    return agent(
        middleware=[described_chains.wrap_model_call(LAYERS[layer], name=f"M{n}") for n, layer in enumerate(layers)]
    )


CHANGES = {
    "parameter": lambda: (chat(), chat(temperature=0.4)),
    "model": lambda: (chat(), chat(model="gpt-4o")),
    "class": lambda: (chat(model="x"), claude(model="x")),
    "endpoint": lambda: (chat(), chat(base_url="https://other.example/v1")),
    "model_kwargs": lambda: (chat(), chat(model_kwargs={"prediction": {"weight": 2}})),
    "retries of the model": lambda: (chat(), chat(max_retries=9)),
    "prompt": lambda: (prompt(), prompt("You sell boats in {town}. Always offer a discount.")),
    "order of messages": lambda: (prompt("a") + prompt("b"), prompt("b") + prompt("a")),
    "parser": lambda: (chat() | StrOutputParser(), chat() | JsonOutputParser()),
    "step added": lambda: (prompt() | chat(), prompt() | chat() | StrOutputParser()),
    "order of steps": lambda: (chat() | StrOutputParser() | len, chat() | len | StrOutputParser()),
    "name of a tool": lambda: (stock, renamed()),
    "description of a tool": lambda: (stock, described_otherwise()),
    "arguments of a tool": lambda: (stock, with_other_arguments()),
    "code of a tool": lambda: (StructuredTool.from_function(stock.func, name="stock"), with_other_code()),
    "bound tool": lambda: (chat().bind_tools([stock]), chat().bind_tools([renamed()])),
    "bound argument": lambda: (chat().bind(stop=["a"]), chat().bind(stop=["b"])),
    "structure": lambda: (
        chat().with_structured_output(Offer),
        chat().with_structured_output(Offer, method="json_mode"),
    ),
    "attempts": lambda: (chat().with_retry(stop_after_attempt=2), chat().with_retry(stop_after_attempt=4)),
    "fallback": lambda: (chat().with_fallbacks([claude()]), chat().with_fallbacks([claude(max_tokens=1)])),
    "branch name": lambda: (RunnableParallel(a=chat()), RunnableParallel(b=chat())),
    "alternative": lambda: (
        chat().configurable_alternatives(ConfigurableField("m"), other=claude()),
        chat().configurable_alternatives(ConfigurableField("m"), other=claude(max_tokens=1)),
    ),
    "chosen alternative": lambda: (
        chat().with_config(configurable={"m": "a"}),
        chat().with_config(configurable={"m": "b"}),
    ),
    "lambda": lambda: (RunnableLambda(lambda x: x + 1), RunnableLambda(lambda x: x + 2)),
    "argument of a function": lambda: (RunnableLambda(partial(pow, 2)), RunnableLambda(partial(pow, 3))),
    "model in a closure": lambda: (graph_of(answers_with(chat())), graph_of(answers_with(claude()))),
    "edge": lambda: (graph_of(only := answers_with(chat())), graph_of(only, edge=False)),
    "dimensions": lambda: (embeddings(), embeddings(dimensions=64)),
    "system prompt of an agent": lambda: (agent(), agent(system_prompt="Answer in two sentences.")),
    "model of an agent": lambda: (agent(), agent(model=chat(temperature=1))),
    "tool of an agent": lambda: (agent(), agent(tools=[stock, renamed()])),
    "middleware of an agent": lambda: (agent(), agent(middleware=[described_chains.patiently])),
    "first layer": lambda: (layered(1, 2, 3), layered(0, 2, 3)),
    "middle layer": lambda: (layered(1, 2, 3), layered(1, 0, 3)),
    "last layer": lambda: (layered(1, 2, 3), layered(1, 2, 0)),
    "response of an agent": lambda: (agent(), agent(response_format=None)),
}


@pytest.mark.parametrize("pair", CHANGES.values(), ids=CHANGES)
def test_every_change_of_configuration_changes_the_fingerprint(pair):
    before, after = pair()
    assert fingerprint(before) != fingerprint(after)


def used():
    model = FakeListChatModel(responses=["a", "b", "c"])
    model.invoke("x")
    return model


NO_CHANGES = {
    "key": lambda: (chat(api_key="sk-one"), chat(api_key="sk-two")),
    "key in a header": lambda: (chat(default_headers={"X-Key": "one"}), chat(default_headers={"X-Key": "two"})),
    "header with a key": lambda: (chat(), chat(default_headers={"X-Key": "two"})),
    "key in an address": lambda: (chat(base_url="https://a:b@c.example/v1"), chat(base_url="https://d:e@c.example/v1")),
    "key in model_kwargs": lambda: (chat(model_kwargs={"api_token": "1"}), chat(model_kwargs={"api_token": "2"})),
    "callback": lambda: (chat(), chat(callbacks=[langmeter.CallbackHandler()])),
    "tag": lambda: (chat(), chat(tags=["a"])),
    "metadata": lambda: (chat(), chat(metadata={"team": "boats"})),
    "cache": lambda: (chat(), chat(cache=InMemoryCache())),
    "configured tag": lambda: (chat(), chat().with_config(tags=["a"], run_name="b", metadata={"c": 1}, callbacks=[])),
    "listener": lambda: (chat(), chat().with_listeners(on_start=print)),
    "user of a call": lambda: (chat().bind(seed=1, user="ada"), chat().bind(seed=1, user="grace")),
    "thread of a call": lambda: (chat(), chat().with_config(configurable={"thread_id": "1", "user_id": "2"})),
    "name of a chain": lambda: (chat() | StrOutputParser(), (chat() | StrOutputParser()).with_config(run_name="x")),
    "default said aloud": lambda: (chat(), chat(streaming=False)),
    "argument with no value": lambda: (chat(), chat(top_p=None)),
    "order of branches": lambda: (RunnableParallel(a=chat(), b=claude()), RunnableParallel(b=claude(), a=chat())),
    "copy": lambda: (chat(), chat().model_copy()),
    "position of a fake": lambda: (FakeListChatModel(responses=["a", "b", "c"]), used()),
}


@pytest.mark.parametrize("pair", NO_CHANGES.values(), ids=NO_CHANGES)
def test_what_is_no_configuration_leaves_the_fingerprint(pair):
    before, after = pair()
    assert fingerprint(before) == fingerprint(after)


def test_nothing_is_changed_built_or_called():
    """`_client` of ChatAnthropic is made when it is looked at; functions and stored values must stay as they are."""
    model, calls = claude(), []
    chain = prompt() | model | RunnableLambda(calls.append)
    before = dumps(chain), set(vars(model)), set(vars(chain))

    langmeter.describe(chain)

    assert (dumps(chain), set(vars(model)), set(vars(chain)), calls) == (*before, [])
    assert "_client" not in vars(model)


# -- saved and restored by LangChain -----------------------------------------------------------------------------------------


def restored(chain, **given):
    """As docs/describe.md says; older versions of langchain-core have no list of allowed objects."""
    if "allowed_objects" in inspect.signature(loads).parameters:
        given["allowed_objects"] = "all"
    return loads(dumps(chain), secrets_map=KEYS, **given)


RESTORABLE = ["openai", "anthropic", "prompt", "chain", "tools", "bound", "alternatives"]


@beta
@pytest.mark.parametrize("name", RESTORABLE)
def test_what_langchain_restores_has_the_same_fingerprint(name, everything, instrumented):
    chain = everything[name]
    again = restored(chain)

    assert dumps(again) == dumps(chain)
    assert langmeter.describe(again) == langmeter.describe(chain)


@beta
@pytest.mark.parametrize(
    "name", ["embeddings", "resilient", "structured", "branch", "retrieval", "tool", "graph", "agent"]
)
def test_what_langchain_does_not_restore_is_what_the_docs_say(name, everything):
    with pytest.raises(NotImplementedError, match="doesn't implement serialization"):
        restored(everything[name])


@beta
@pytest.mark.parametrize("way", ["instrument()", "CallbackHandler"])
def test_a_restored_chain_is_seen_like_the_original(telemetry, instrument, way):
    given = {}
    if way == "instrument()":
        instrument(telemetry)
    else:
        providers = {name: telemetry.providers[name] for name in ("tracer_provider", "meter_provider")}
        given = {"callbacks": [langmeter.CallbackHandler(**providers)]}
    with OpenAIServer() as server:
        chain = prompt() | chat(model="gpt-4o", base_url=server.base_url) | StrOutputParser()
        again = restored(chain)
        answers = [each.invoke({"town": "Porto", "question": "?"}, given) for each in (chain, again)]

    calls = [
        (span.name, span.attributes[semconv.USAGE_INPUT_TOKENS], span.attributes[semconv.COST_AMOUNT])
        for span in telemetry.spans()
        if span.attributes[semconv.OPERATION_NAME] == semconv.CHAT
    ]
    assert answers[0] == answers[1]
    assert len(calls) == 2
    assert calls[0] == calls[1]


@beta
def test_a_handler_on_a_model_is_left_behind_and_its_chain_restored():
    """Callbacks are no part of what LangChain saves: the restored model needs `instrument()` or a handler of its own."""
    model = chat(callbacks=[langmeter.CallbackHandler()])
    again = restored(model)

    assert again.callbacks is None
    assert langmeter.describe(again) == langmeter.describe(model)


def test_the_example_runs():
    result = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLE], capture_output=True, text=True, check=False, timeout=60
    )
    assert (result.returncode, result.stderr) == (0, "")
    saved, again, same, secret = result.stdout.splitlines()
    assert saved.removeprefix("saved ") == again.removeprefix("restored ")
    assert saved.startswith("saved cfg1:")
    assert (same, secret) == ("the same configuration: True", "the key is in the file: False")


# -- on spans ----------------------------------------------------------------------------------------------------------------


def on_spans(telemetry):
    return {span.name: span.attributes.get(semconv.CONFIGURATION_FINGERPRINT) for span in telemetry.spans()}


def work(chain, graph, vectors):
    """Twice: the first calls give the worker the objects to describe."""
    for _ in range(2):
        chain.invoke({"town": "Porto", "question": "?"})
        graph.invoke({"messages": ["?"]})
        vectors.embed_query("?")
        assert worker.drain(10)


def scene():
    model = FakeListChatModel(responses=["a"])
    chain = prompt() | model | StrOutputParser() | RunnableLambda(lambda text: text) | model
    graph = graph_of(answers_with(model))
    graph.name = "counter"
    return chain.with_config(run_name="selling"), graph, model


def test_spans_of_models_graphs_and_chains_refer_to_their_configuration(telemetry, instrument):
    instrument(telemetry, describe=True)
    chain, graph, model = scene()
    vectors = DeterministicFakeEmbedding(size=4)
    work(chain, graph, vectors)

    assert on_spans(telemetry) == {
        "chat": fingerprint(model),
        "invoke_workflow selling": fingerprint(chain),
        "invoke_workflow counter": fingerprint(graph),
        "embeddings": fingerprint(vectors),
    }


def test_a_passed_handler_refers_to_the_configuration_too(telemetry):
    settings = langmeter.Settings(describe=True)
    model = FakeListChatModel(responses=["a"])
    for _ in range(2):
        handler = langmeter.CallbackHandler(settings, tracer_provider=telemetry.tracer_provider)
        model.invoke("?", {"callbacks": [handler]})
        assert worker.drain(10)

    assert on_spans(telemetry) == {"chat": fingerprint(model)}


async def _ask(model):
    await model.ainvoke("?")
    async for _ in model.astream("?"):
        pass
    await model.abatch(["?", "!"])


def test_every_way_to_ask_a_model_finds_its_configuration(telemetry, instrument):
    instrument(telemetry, describe=True)
    model = FakeListChatModel(responses=["a"])
    model.invoke("first")
    assert worker.drain(10)
    list(model.stream("?"))
    model.batch(["?", "!"])
    asyncio.run(_ask(model))

    found = [span.attributes.get(semconv.CONFIGURATION_FINGERPRINT) for span in telemetry.spans()]
    assert found[1:] == [fingerprint(model)] * 7


def test_nothing_is_described_unless_asked_for(telemetry, instrument):
    instrument(telemetry)
    chain, graph, _ = scene()
    work(chain, graph, DeterministicFakeEmbedding(size=4))

    assert set(on_spans(telemetry).values()) == {None}


def test_a_described_object_is_not_kept_alive():
    fingerprints = Fingerprints()
    model = ChatOpenAI(model="m", api_key="sk-none")
    gone = weakref.ref(model)
    found = fingerprints.of(model)
    assert fingerprints.of(model) is found
    assert worker.drain(10)
    assert (found(), len(fingerprints._known)) == (fingerprint(model), 1)

    del model
    gc.collect()
    assert (gone(), len(fingerprints._known)) == (None, 0)
