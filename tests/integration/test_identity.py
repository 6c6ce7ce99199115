"""Instrumentation is invisible: what LangChain's objects are, serialise to and key their caches by never changes."""

from __future__ import annotations

import asyncio
import copy
import importlib
import inspect
import json
import pickle
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from cache_models import AsyncChat, AsyncText, Chat, StreamingChat, SyncOnly, Text
from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.callbacks.manager import AsyncCallbackManager, CallbackManager
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.language_models.llms import LLM, BaseLLM
from langchain_core.load import dumpd, dumps, loads
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField
from langchain_openai import ChatOpenAI, OpenAI

import langmeter

if TYPE_CHECKING:
    from collections.abc import Iterator

CLASSES = (
    BaseChatModel,
    BaseLLM,
    LLM,
    AsyncCallbackManager,
    CallbackManager,
    BaseCallbackHandler,
    BaseCache,
    InMemoryCache,
    ChatOpenAI,
    OpenAI,
    Chat,
    AsyncChat,
    StreamingChat,
    Text,
)
MODULES = (
    "langchain_core.runnables.config",
    "langchain_core.runnables.base",
    "langchain_core.callbacks.manager",
    "langchain_core.language_models.chat_models",
    "langchain_core.language_models.llms",
    "langchain_core.globals",
    "langchain_core.caches",
)
METHODS = (
    "invoke",
    "ainvoke",
    "stream",
    "astream",
    "batch",
    "abatch",
    "generate",
    "agenerate",
    "generate_prompt",
    "_generate",
    "_agenerate",
    "_stream",
    "_astream",
    "_generate_with_cache",
    "_agenerate_with_cache",
    "_generate_helper",
    "_agenerate_helper",
    "_iter_v2_events",
    "_aiter_v2_events",
)


class Serialisable(FakeListChatModel):
    """As partner models are: what it is built from is its serialised form."""

    temperature: float = 0.0

    @classmethod
    def is_lc_serializable(cls):
        return True

    @classmethod
    def get_lc_namespace(cls):
        return ["test_identity"]


def _openai(**options: Any) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o", api_key="secret", base_url="http://127.0.0.1:9/v1", **options)


def _methods() -> dict[str, Any]:
    """Everything that `inspect` can say about the methods of models, on the class and on an instance."""
    found = {}
    for cls, instance in ((BaseChatModel, StreamingChat()), (BaseLLM, AsyncText()), (ChatOpenAI, _openai())):
        for name in METHODS:
            if not hasattr(cls, name):
                continue
            for owner in (cls, instance):
                method = getattr(owner, name)
                found[cls.__name__, owner is cls, name] = (
                    str(inspect.signature(method)),
                    inspect.iscoroutinefunction(method),
                    inspect.isasyncgenfunction(method),
                    inspect.isgeneratorfunction(method),
                    inspect.isfunction(method),
                    inspect.ismethod(method),
                    asyncio.iscoroutinefunction(method),
                    callable(method),
                    (method.__name__, method.__qualname__, method.__module__, method.__doc__),
                    inspect.getsource(method),
                )
    for owner, name in ((AsyncCallbackManager, "on_llm_start"), (BaseCache, "alookup"), (InMemoryCache, "lookup")):
        method = getattr(owner, name)
        found[owner.__name__, True, name] = (
            str(inspect.signature(method)),
            inspect.iscoroutinefunction(method),
            method.__qualname__,
        )
    return found


def _streaming() -> dict[str, Any]:
    """How LangChain decides whether a model streams: by comparing methods with those of the base class."""
    found: dict[str, Any] = {}
    for model in (Chat(), AsyncChat(), StreamingChat(), _openai(), _openai(streaming=True)):
        key = (type(model).__name__, getattr(model, "streaming", None))
        found[key] = (
            type(model)._stream is BaseChatModel._stream,
            type(model)._astream is BaseChatModel._astream,
            type(model)._agenerate is BaseChatModel._agenerate,
            model._should_stream(async_api=False),
            model._should_stream(async_api=True),
            model._should_stream(async_api=False, stream=True),
        )
    for text in (Text(), AsyncText(), OpenAI(api_key="secret")):
        found[type(text).__name__] = (
            type(text)._stream is BaseLLM._stream,
            type(text)._agenerate is BaseLLM._agenerate,
        )
    return found


def _serialised() -> dict[str, Any]:
    chain = ChatPromptTemplate.from_template("{question}") | _openai() | StrOutputParser()
    model = Serialisable(responses=["x"])
    # Newer versions load partner classes only when told to.
    everything = {"allowed_objects": "all"} if "allowed_objects" in inspect.signature(loads).parameters else {}
    return {
        "dumpd": dumpd(chain),
        "dumps": dumps(_openai(temperature=0.5)),
        "loads": type(loads(dumps(_openai()), secrets_map={"OPENAI_API_KEY": "secret"}, **everything)),
        "json": json.loads(dumps(model)),
        "pickle": pickle.dumps(model),
        "unpickled": pickle.loads(pickle.dumps(model)),  # noqa: S301  (our own bytes)
        "fields": model.model_dump(),
        "described": str(Serialisable.model_fields),
        "repr": repr(model),
    }


def _copies() -> dict[str, Any]:
    model = Serialisable(responses=["x"], temperature=0.5)
    cached = Chat(cache=SyncOnly())
    return {
        "shallow": model.model_copy(),
        "deep": model.model_copy(deep=True),
        "updated": model.model_copy(update={"temperature": 0.9}),
        "copy": copy.copy(model),
        "deepcopy": copy.deepcopy(model),
        "cache": type(copy.deepcopy(cached).cache),
        "equal": model == copy.deepcopy(model),
        "types": [type(each) for each in (model, model.model_copy(), copy.deepcopy(model), cached)],
    }


def _compositions() -> dict[str, Any]:
    model, other = Serialisable(responses=["x"]), Serialisable(responses=["y"])
    configurable = model.configurable_fields(temperature=ConfigurableField(id="temperature"))
    made = {
        "with_config": model.with_config({"tags": ["a"], "metadata": {"b": 1}}),
        "bind": model.bind(stop=["x"]),
        "with_retry": model.with_retry(stop_after_attempt=2),
        "with_fallbacks": model.with_fallbacks([other]),
        "configurable": configurable,
        "configured": configurable.with_config(configurable={"temperature": 0.7}),
        "sequence": model | StrOutputParser(),
    }
    return {
        name: (type(each), str(dumpd(each)), repr(each), each.invoke("q"), asyncio.run(each.ainvoke("q")))
        for name, each in made.items()
        if name != "sequence"
    } | {"sequence": (type(made["sequence"]), made["sequence"].invoke("q"), list(made["sequence"].stream("q")))}


def _cache_keys() -> dict[str, Any]:
    return {
        "openai": _openai()._get_llm_string(),
        "callbacks": _openai(callbacks=[BaseCallbackHandler()])._get_llm_string(),
        "cache": _openai(cache=InMemoryCache(), tags=["t"], metadata={"m": 1})._get_llm_string(),
        "stop": _openai()._get_llm_string(stop=["x"], temperature=1),
        "fake": StreamingChat()._get_llm_string(),
        "serialisable": Serialisable(responses=["x"])._get_llm_string(),
        "text": Text().dict(),
    }


def _without_message_ids(value: Any) -> Any:
    """Ids that LangChain makes for each run are new every time."""
    if hasattr(value, "model_copy") and hasattr(value, "content"):
        return (type(value), value.content)
    if isinstance(value, dict):
        return {key: _without_message_ids(each) for key, each in value.items()}
    return tuple(map(_without_message_ids, value)) if isinstance(value, tuple | list) else value


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")  # `loads`
@pytest.mark.parametrize(
    "facts", [_methods, _streaming, _serialised, _copies, _compositions, _cache_keys], ids=lambda facts: facts.__name__
)
def test_the_same_before_during_and_after(telemetry, facts):
    before = _without_message_ids(facts())
    langmeter.instrument(**telemetry.providers)
    try:
        # Watched caches and finished calls behind it, not just patches.
        Chat(cache=InMemoryCache()).invoke("warm")
        Text(cache=SyncOnly()).invoke("warm")
        during = _without_message_ids(facts())
    finally:
        langmeter.uninstrument()
    after = _without_message_ids(facts())

    assert during == before
    assert after == before


def test_a_cache_filled_before_answers_during_and_after(telemetry):
    cache = InMemoryCache()
    StreamingChat(cache=cache).invoke("a")
    langmeter.instrument(**telemetry.providers)
    StreamingChat(cache=cache).invoke("a", {"callbacks": [langmeter.CallbackHandler()]})
    langmeter.uninstrument()
    StreamingChat(cache=cache).invoke("a")

    assert len(cache._cache) == 1


def _attributes() -> dict[Any, dict[str, Any]]:
    owners = [*CLASSES, *map(importlib.import_module, MODULES)]
    return {owner: dict(vars(owner)) for owner in owners}


def _differences(one: dict[Any, dict[str, Any]], other: dict[Any, dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        (owner.__name__, name)
        for owner, values in one.items()
        for name in sorted(values.keys() | other[owner].keys())
        if values.get(name, owner) is not other[owner].get(name, owner)
    ]


def test_uninstrument_puts_the_identical_objects_back(telemetry):
    for model in (Chat(cache=InMemoryCache()), Text(cache=InMemoryCache())):
        model.invoke("a")  # pydantic completes classes at first use
    before = _attributes()
    langmeter.instrument(**telemetry.providers)
    for model in (Chat(cache=InMemoryCache()), Text(cache=InMemoryCache())):
        model.invoke("a")
    during = _attributes()
    langmeter.uninstrument()

    patched = _differences(before, during)
    assert {("BaseChatModel", "generate"), ("BaseLLM", "agenerate"), ("InMemoryCache", "lookup")} <= set(patched)
    # LangChain compares these by identity to find out what a model can do.
    compared = ("_generate", "_agenerate", "_stream", "_astream", "_run", "_arun")
    assert [name for _, name in patched if name in compared] == []
    assert _differences(before, _attributes()) == []


@contextmanager
def _patched_by_another_library(cls: type, name: str) -> Iterator[Any]:
    """Somebody else wraps a method that we have wrapped, and stays after us."""
    ours = vars(cls)[name]

    def theirs(self, *args, **kwargs):
        return ours.__get__(self, type(self))(*args, **kwargs)

    setattr(cls, name, theirs)
    try:
        yield theirs
    finally:
        setattr(cls, name, ours.__wrapped__)


def test_uninstrument_leaves_alone_what_another_library_patched_meanwhile(telemetry):
    langmeter.instrument(**telemetry.providers)
    with _patched_by_another_library(BaseChatModel, "generate") as theirs:
        langmeter.uninstrument()

        assert vars(BaseChatModel)["generate"] is theirs
        assert Chat().invoke("a").content == "answer"
        assert telemetry.spans() == []


def test_text_models_are_silent_after_uninstrument_even_under_another_librarys_patch(telemetry):
    """The made-up call of a text model's hit needs no handler, so it must know by itself that it is switched off."""
    model = Text(cache=InMemoryCache())
    model.invoke("a")
    langmeter.instrument(**telemetry.providers)
    with _patched_by_another_library(BaseLLM, "generate"):
        langmeter.uninstrument()
        model.invoke("a")

        assert telemetry.spans() == []


# -- the handler ----------------------------------------------------------------------------------------------------------


def test_a_handler_copies_to_itself_and_pickles(telemetry):
    handler = langmeter.CallbackHandler(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )

    assert copy.copy(handler) is handler
    assert copy.deepcopy(handler) is handler
    assert copy.deepcopy([handler])[0] is handler
    # Providers belong to their process: a pickled handler finds those of the process it arrives in.
    assert isinstance(pickle.loads(pickle.dumps(handler)), langmeter.CallbackHandler)  # noqa: S301  (our own bytes)


def test_a_model_with_a_handler_copies_pickles_and_keeps_its_cache_key(telemetry):
    handler = langmeter.CallbackHandler(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    model = Serialisable(responses=["x"], callbacks=[handler])

    assert copy.deepcopy(model).callbacks == [handler]
    assert model.model_copy(deep=True).callbacks == [handler]
    assert type(pickle.loads(pickle.dumps(model)).callbacks[0]) is langmeter.CallbackHandler  # noqa: S301  (our own bytes)
    assert dumps(model) == dumps(Serialisable(responses=["x"]))
    assert model._get_llm_string() == Serialisable(responses=["x"])._get_llm_string()
    assert _openai(callbacks=[handler])._get_llm_string() == _openai()._get_llm_string()
    copy.deepcopy(model).invoke("a")
    assert len(telemetry.spans()) == 1
