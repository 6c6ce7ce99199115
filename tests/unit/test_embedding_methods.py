"""What watching does to a class: nothing that can be told from outside, and nothing that stays."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
import subprocess
import sys
import typing
from dataclasses import dataclass
from functools import wraps
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_openai import AzureOpenAIEmbeddings, OpenAIEmbeddings
from openai.resources.embeddings import AsyncEmbeddings
from openai.resources.embeddings import Embeddings as OpenAIClient
from pydantic import BaseModel

import langmeter

METHODS = ("embed_documents", "embed_query", "aembed_documents", "aembed_query")
CLASSES = (Embeddings, DeterministicFakeEmbedding, OpenAIEmbeddings, AzureOpenAIEmbeddings)

BY_VALUE = """
import sys
import cloudpickle
import langmeter
from langchain_core.embeddings import Embeddings
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider

langmeter.instrument(tracer_provider=NoOpTracerProvider(), meter_provider=NoOpMeterProvider())

class Mine(Embeddings):
    def embed_documents(self, texts):
        return [[1.0] for _ in texts]
    def embed_query(self, text):
        return self.embed_documents([text])[0]
    async def aembed_query(self, text):
        return self.embed_query(text)

Mine().embed_query("a")
sys.stdout.buffer.write(cloudpickle.dumps(Mine()))
"""
LOADED = """
import asyncio, inspect, pickle, sys
mine = pickle.loads(sys.stdin.buffer.read())
print(mine.embed_query("a"), asyncio.run(mine.aembed_query("a")))
print(inspect.isfunction(type(mine).embed_query), "langmeter" in sys.modules)
"""


class Plain(Embeddings):
    """A class of the application."""

    def embed_documents(self, texts: list[str], *, size: int = 1) -> list[list[float]]:
        """Embed."""
        return [[1.0] * size for _ in texts]

    def embed_query(self, text: str) -> list[float]:
        return [1.0]

    async def aembed_query(self, text: str) -> list[float]:
        return [2.0]


class Itself:
    """An attribute by identity: a wrapper may say that it equals what it wraps."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and other.value is self.value

    __hash__ = None


def snapshot() -> list[list[tuple[str, Itself]]]:
    """Everything in the classes, in its order."""
    classes = (*CLASSES, Plain, OpenAIClient, AsyncEmbeddings)
    return [[(name, Itself(value)) for name, value in vars(cls).items()] for cls in classes]


def told(method: Any) -> tuple[Any, ...]:
    """What can be asked of a function."""
    return (
        str(inspect.signature(method)),
        inspect.iscoroutinefunction(method),
        asyncio.iscoroutinefunction(method),
        method.__name__,
        method.__qualname__,
        method.__module__,
        method.__doc__,
        typing.get_type_hints(method),
        inspect.getsource(method),
    )


def test_switching_off_restores_every_class_exactly(instrumented):
    langmeter.uninstrument()
    before = snapshot()
    for _ in range(2):
        langmeter.instrument(**instrumented.providers)
        model = OpenAIEmbeddings(api_key="none", base_url="http://127.0.0.1:9", max_retries=0)
        with pytest.raises(Exception, match="onnect"):
            model.embed_query("loads the hooks of the client", chunk_size=1)
        assert snapshot() != before
        langmeter.uninstrument()
        assert snapshot() == before


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("cls", [Plain, OpenAIEmbeddings, DeterministicFakeEmbedding])
def test_a_watched_method_is_told_apart_by_nothing(cls, name, telemetry, instrument):
    made = cls.__new__(cls)
    before = told(getattr(cls, name)), told(getattr(made, name))
    instrument(telemetry)
    assert (told(getattr(cls, name)), told(getattr(made, name))) == before
    assert getattr(cls, name) is getattr(cls, name)
    assert getattr(made, name) == getattr(made, name)
    assert inspect.ismethod(getattr(made, name))


def test_an_inherited_method_is_the_method_of_the_base(instrumented):
    """Applications compare them to find out what a class does itself."""
    assert Plain.aembed_documents is Embeddings.aembed_documents
    assert Plain.aembed_query is not Embeddings.aembed_query


def test_objects_and_classes_pickle_and_copy(instrumented):
    plain = Plain()
    assert pickle.loads(pickle.dumps(Plain)) is Plain  # noqa: S301  (our own pickle)
    assert pickle.loads(pickle.dumps(plain.embed_query))("a") == [1.0]  # noqa: S301
    assert copy.deepcopy(plain).embed_documents(["a"], size=2) == [[1.0, 1.0]]
    fake = DeterministicFakeEmbedding(size=2)
    assert fake.model_copy().embed_query("a") == fake.embed_query("a")


def test_a_class_of_the_main_module_pickles_by_value_without_us():
    pickled = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BY_VALUE], capture_output=True, check=True, timeout=60
    )
    loaded = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOADED],
        input=pickled.stdout,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert loaded.stdout.decode().split() == ["[1.0]", "[1.0]", "True", "False"]


def test_what_others_put_around_a_method_stays(instrumented):
    ours = Plain.embed_query

    @wraps(ours)
    def theirs(self, text):
        return [*ours(self, text), 9.0]

    Plain.embed_query = theirs
    try:
        assert Plain().embed_query("a") == [1.0, 9.0]
        langmeter.uninstrument()
        assert Plain().embed_query("a") == [1.0, 9.0]
        assert len(instrumented.spans()) == 1
        assert vars(Plain)["embed_query"] is theirs
    finally:
        Plain.embed_query = ours.original


def test_what_others_put_around_it_is_seen_after_switching_on_again(telemetry, instrument):
    instrument(telemetry)
    ours = Plain.embed_query
    Plain.embed_query = lambda self, text: ours(self, text.strip())
    try:
        langmeter.uninstrument()
        instrument(telemetry)
        Plain().embed_query("a")
        assert len(telemetry.spans()) == 1
    finally:
        langmeter.uninstrument()
        Plain.embed_query = ours.original


def test_a_method_that_was_kept_falls_silent(instrumented):
    kept = Plain().embed_query
    kept("a")
    langmeter.uninstrument()
    assert kept("a") == [1.0]
    assert len(instrumented.spans()) == 1


def test_a_class_that_is_made_twice(instrumented):
    """`slots=True` makes a second class of the first one's attributes."""

    @dataclass(slots=True)
    class Slotted(Embeddings):
        model: str = "mine"

        def embed_documents(self, texts):
            return [[1.0] for _ in texts]

        def embed_query(self, text):
            return [1.0]

    Slotted().embed_query("a")
    assert [span.name for span in instrumented.spans()] == ["embeddings"]
    langmeter.uninstrument()
    assert inspect.isfunction(Slotted.embed_query)


def test_subclass_hooks_of_others_run(instrumented):
    seen = []

    class Base(Embeddings):
        def __init_subclass__(cls, *, tag: str, **kwargs: Any) -> None:
            seen.append((cls.__name__, tag))
            super().__init_subclass__(**kwargs)

    class Child(Base, tag="x"):
        def embed_documents(self, texts):
            return [[1.0] for _ in texts]

        def embed_query(self, text):
            return [1.0]

    Child().embed_query("a")
    assert seen == [("Child", "x")]
    assert len(instrumented.spans()) == 1
    with pytest.raises(TypeError, match="keyword arguments"):
        type("Wrong", (Embeddings,), {}, unknown=1)


def test_pydantic_arguments_of_a_class_are_left_alone(instrumented):
    class Strict(BaseModel, Embeddings, frozen=True):
        model: str = "mine"

        def embed_documents(self, texts):
            return [[1.0] for _ in texts]

        def embed_query(self, text):
            return [1.0]

    assert Strict.model_config["frozen"]
    Strict().embed_query("a")
    assert set(Strict.model_fields) == {"model"}
    assert len(instrumented.spans()) == 1


def test_methods_that_do_not_know_their_object_are_left_alone(instrumented):
    class Static(Embeddings):
        @staticmethod
        def embed_documents(texts):
            return [[1.0] for _ in texts]

        @classmethod
        def embed_query(cls, text):
            return [1.0]

    assert Static().embed_query("a") == [1.0]
    assert Static.embed_documents(["a"]) == [[1.0]]


def test_a_class_that_guards_its_attributes_is_left_alone(instrumented):
    class Guarded(type(Embeddings)):
        def __setattr__(cls, name, value):
            if name.startswith("embed"):
                raise AttributeError(name)
            super().__setattr__(name, value)

    class Mine(Embeddings, metaclass=Guarded):
        def embed_documents(self, texts):
            return [[1.0] for _ in texts]

        def embed_query(self, text):
            return [1.0]

    assert Mine().embed_query("a") == [1.0]
