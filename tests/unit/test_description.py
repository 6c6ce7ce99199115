"""How values, names and texts appear in a description; bounds; objects that do not want to be described."""

import datetime as dt
import decimal
import enum
import json
import pathlib
import random
import re
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.tools import BaseTool, tool
from pydantic import BaseModel, ConfigDict, SecretStr

import langmeter
from langmeter import boundary
from langmeter.langchain.configuration.objects import describe_object
from langmeter.langchain.configuration.redaction import REDACTED, digest, is_secret_name, label, text
from langmeter.langchain.configuration.walk import Walk
from langmeter.langchain.description import Description


def appears(name, value):
    return Walk(describe_object).value(name, value)


def given(**arguments):
    """The arguments of a binding, as they are described."""
    return langmeter.describe(FakeListChatModel(responses=[]).bind(**arguments)).configuration["arguments"]


class Colour(enum.Enum):
    RED = "a secret of its own"


class Policy(NamedTuple):
    attempts: int
    wait: float


@dataclass
class Window:
    size: int
    unit: str = "a text"


class Person(BaseModel):
    name: str


class Movie(TypedDict):
    title: str


# -- values ------------------------------------------------------------------------------------------------------------

VALUES = {
    "none": ("x", None, None),
    "bool": ("api_key", False, False),
    "int": ("k", 3, 3),
    "long int": ("k", 4929120000000000, digest(hex(4929120000000000))),
    "huge int": ("k", 10**6000, digest(hex(10**6000))),
    "float": ("x", 0.5, 0.5),
    "not a number": ("x", float("nan"), "nan"),
    "infinity": ("x", float("inf"), "inf"),
    "decimal": ("x", decimal.Decimal("1.20"), "1.20"),
    "text": ("x", "a text", digest("a text")),
    "lone surrogate": ("x", "a\ud800", digest("a\ud800")),
    "identifier": ("model", "gpt-4o", "gpt-4o"),
    "address in an identifier": ("model", "object-at-0x7f1c78853ec0", "object-at-0x"),
    "prose under the name of an identifier": ("model", "two words", digest("two words")),
    "secret": ("x", SecretStr("abc"), REDACTED),
    "bytes": ("x", b"abc", digest(b"abc")),
    "path": ("x", pathlib.PurePosixPath("/home/ada/prompt.txt"), digest("prompt.txt")),
    "text of a path": ("file_path", "/home/ada/prompt.txt", digest("prompt.txt")),
    "pattern": ("x", re.compile("a+"), digest("a+")),
    "duration": ("x", dt.timedelta(minutes=1), 60.0),
    "date": ("x", dt.date(2026, 1, 2), digest("2026-01-02")),
    "enumeration": ("x", Colour.RED, "test_description.Colour.RED"),
    "list": ("x", [1, "a"], [1, digest("a")]),
    "set": ("x", {"b", "a"}, sorted([digest("a"), digest("b")])),
    "mapping": ("x", {"k": 1, 2: {"mode": "fast"}}, {"k": 1, "2": {"mode": "fast"}}),
    "text as a key": ("x", {"what a user said?": 1}, {digest("what a user said?"): 1}),
    "named tuple": ("x", Policy(3, 0.5), {"attempts": 3, "wait": 0.5}),
    "dataclass": (
        "x",
        Window(3),
        {"kind": "object", "class": "test_description.Window", "parameters": {"size": 3, "unit": digest("a text")}},
    ),
    "function": ("x", len, {"kind": "function", "name": "builtins.len"}),
    "exception": ("x", ValueError, {"kind": "type", "class": "builtins.ValueError"}),
    "id": ("x", uuid.UUID(int=7), {"class": "uuid.UUID", "opaque": True}),
    "unknown": ("x", random.Random(1), {"class": "random.Random", "opaque": True}),
    "message": (
        "x",
        HumanMessage("hello", id="run-1"),
        {
            "kind": "message",
            "class": "langchain_core.messages.human.HumanMessage",
            "hash": digest('{"additional_kwargs":{},"content":"hello"}'),
        },
    ),
}


@pytest.mark.parametrize(("name", "value", "expected"), VALUES.values(), ids=VALUES)
def test_every_kind_of_value_has_its_appearance(name, value, expected):
    assert appears(name, value) == expected
    json.dumps(expected)


URLS = {
    "credentials": ("https://ada:hunter2@host.example/v1", "https://host.example/v1"),
    "query": ("https://host.example/v1?sig=abc&v=1#part", "https://host.example/v1"),
    "port": ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
    "key in the path": (
        "https://host.example/k/9f8e7d6c5b4a39281706f5e4/v1",
        "https://host.example/k/[redacted]/v1",
    ),
    "database": ("postgresql+psycopg://ada:hunter2@db/boats", "postgresql+psycopg://db/boats"),
    "broken": ("https://[::1/v1", REDACTED),
}


@pytest.mark.parametrize(("url", "shown"), URLS.values(), ids=URLS)
def test_an_address_is_shown_without_what_is_secret_in_it(url, shown):
    assert text("base_url", url) == shown
    assert text("anything", url) == digest(shown)


SECRET_NAMES = [
    *("api_key", "openai_api_key", "apiKey", "OPENAI_API_KEY", "x-api-key", "password", "db_password"),
    *("passwd", "client_secret", "secretAccessKey", "auth_token", "access_token", "bearer", "authorization"),
    *("cookie", "session_token", "connection_string", "azure_ad_token", "private_key", "signature", "dsn"),
    "credentials",
]
HARMLESS_NAMES = [
    *("max_tokens", "max_completion_tokens", "token_counter", "input_key", "output_keys", "memory_key"),
    *("exception_key", "pad_token_id", "keys", "model", "chars_per_token", "return_token_ids"),
    *("history_messages_key", "keyboard", "monkey", "author"),
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_name_can_say_that_a_value_is_secret(name):
    assert is_secret_name(name)
    assert [appears(name, value) for value in ("abc", 1234, ["a"], {"a": 1})] == [REDACTED] * 4


@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_other_names_do_not(name):
    assert not is_secret_name(name)


def test_names_are_shown_where_they_are_identifiers():
    assert [label(name) for name in ("stock", "__start__", "Answer: yes!", "sk-proj-abcdefghijklmnop1234")] == [
        "stock",
        "__start__",
        digest("Answer: yes!"),
        digest("sk-proj-abcdefghijklmnop1234"),
    ]


# -- functions ---------------------------------------------------------------------------------------------------------------


def code_of(function):
    return langmeter.describe(function).configuration["code"]


def test_two_functions_of_one_line_are_two():
    first, second = (lambda x: x + 1), (lambda x: x + 2)
    assert code_of(first) != code_of(second)


def test_the_code_of_a_function_is_not_its_text():
    namespaces = [{}, {}]
    exec("def f(x):\n    return {'a', 'b'} & x", namespaces[0])  # noqa: S102  (two texts of one function)
    exec("# a comment\n\ndef f(x):  # another\n    return {'a', 'b'} & x\n", namespaces[1])  # noqa: S102
    assert code_of(namespaces[0]["f"]) == code_of(namespaces[1]["f"])


def test_the_code_of_a_function_stays_when_python_has_specialised_it():
    def add(a, b):
        return a + b

    before = code_of(add)
    for number in range(5_000):
        add(number, 1)
    assert code_of(add) == before


LIMIT = 3


def neighbour(value):
    return value + LIMIT


def test_what_a_function_uses_is_part_of_it():
    memory, tokens = {"question": "answer"}, ["seen"]

    def first(x, *, factor=2, api_key="sk-1"):
        memory[x] = tokens
        return neighbour(x) * factor * closed

    closed = 7
    node = langmeter.describe(first).configuration
    assert node["captures"] == {
        "closed": 7,
        "factor": 2,
        "api_key": REDACTED,
        "neighbour": {
            "kind": "function",
            "name": "test_description.neighbour",
            "code": code_of(neighbour),
            "captures": {"LIMIT": 3},
        },
    }


class Counter(Embeddings):
    """Embeddings of an application, which counts its calls."""

    def __init__(self, model, api_key):
        self.model = model
        self.api_key = api_key
        self.calls = 0

    def embed_documents(self, texts):
        self.calls += 1
        return [[0.0] for _ in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


def test_what_an_object_of_the_application_remembers_is_no_configuration():
    embeddings = Counter("mini", "sk-1")
    before = langmeter.describe(embeddings)
    embeddings.embed_query("?")

    assert langmeter.describe(embeddings) == before == langmeter.describe(Counter("mini", "sk-2"))
    assert langmeter.describe(Counter("maxi", "sk-1")) != before
    node = before.configuration
    assert (node["kind"], node["model"], node["parameters"]) == ("embeddings", "mini", {"model": "mini"})


def test_instrumentation_does_not_change_what_a_class_does(instrumented):
    before = langmeter.describe(Counter("mini", "sk-1"))
    langmeter.uninstrument()
    assert langmeter.describe(Counter("mini", "sk-1")) == before


# -- schemas -------------------------------------------------------------------------------------------------------------------


def test_classes_of_data_are_known_by_their_schema():
    class Other(TypedDict):
        title: str
        year: int

    assert appears("x", Person)["class"] == "test_description.Person"
    assert appears("x", Person)["schema"] == digest(
        '{"properties":{"name":{"title":"Name","type":"string"}},"required":["name"],"title":"Person","type":"object"}'
    )
    assert appears("x", Movie)["schema"] == digest('[["title","<class \'str\'>"]]')
    assert appears("x", Other)["schema"] != appears("x", Movie)["schema"]


class Odd(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    generator: random.Random
    default: Any = object()


def test_a_schema_that_json_does_not_know_is_known_by_its_fields(recwarn):
    assert appears("x", Odd)["schema"] == digest('[["default","typing.Any"],["generator","<class \'random.Random\'>"]]')
    assert list(recwarn) == []


@tool
def look_up(place: str) -> str:
    """Looks a place up; the text of this description does not appear."""
    return place


DEFINITIONS = {
    "OpenAI": {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}},
    "Anthropic": {"name": "f", "description": "d", "input_schema": {"type": "object"}},
}


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=DEFINITIONS)
def test_a_tool_definition_is_known_by_its_hashes(definition):
    assert given(tools=[definition]) == {
        "tools": [
            {
                "kind": "tool_definition",
                "name": "f",
                "description": digest("d"),
                "schema": digest('{"type":"object"}'),
            }
        ]
    }


def test_a_tool_that_the_provider_runs_keeps_its_parameters_without_its_secrets():
    search = {"type": "mcp", "server_url": "https://a:b@mcp.example/x?k=1", "authorization": "abc", "max_uses": 3}
    (definition,) = given(tools=[search])["tools"]
    assert definition == {
        "kind": "tool_definition",
        "name": "mcp",
        "parameters": {
            "type": "mcp",
            "server_url": "https://mcp.example/x",
            "authorization": REDACTED,
            "max_uses": 3,
        },
    }


class Search(BaseTool):
    """A tool with a class of its own."""

    name: str = "search"
    description: str = "Searches."
    token: str = "abc"  # noqa: S105  (made up)
    depth: int = 1

    def _run(self, query: str) -> str:
        return query


def test_a_tool_with_a_class_of_its_own_is_known_by_its_code():
    node = langmeter.describe(Search(depth=2, token="d" + "ef")).configuration
    assert {"kind": "tool", "name": "search", "parameters": {"depth": 2, "token": REDACTED}}.items() <= node.items()
    assert re.fullmatch("sha256:[0-9a-f]{16}", node["code"])
    assert re.fullmatch("sha256:[0-9a-f]{16}", node["schema"])


# -- bounds --------------------------------------------------------------------------------------------------------------------


def test_a_long_list_is_one_hash_from_the_hundredth_item_on():
    first, second = list(range(1_000)), [*range(999), 7]
    shown = appears("x", first)
    assert shown[:100] == list(range(100))
    assert (shown[100]["omitted"], len(shown)) == (900, 101)
    assert appears("x", second)[100] != shown[100]


def test_a_wide_mapping_is_one_hash_from_the_hundredth_key_on():
    first = appears("x", {f"k{n}": n for n in range(500)})
    second = appears("x", {f"k{n}": n if n < 499 else 0 for n in range(500)})
    assert (len(first), first["..."]["omitted"]) == (101, 400)
    assert first["..."] != second["..."]


def test_a_cycle_ends():
    endless: dict[str, Any] = {"a": 1}
    endless["self"] = endless
    around: list[Any] = [endless]
    endless["around"] = around

    assert appears("x", endless) == {
        "a": 1,
        "self": {"class": "builtins.dict", "cycle": 1},
        "around": [{"class": "builtins.dict", "cycle": 2}],
    }


def test_a_chain_that_contains_itself_ends():
    step = RunnableLambda(lambda x: x)
    chain = RunnablePassthrough() | step
    step.func = chain.invoke
    assert json.dumps(langmeter.describe(chain).configuration).count('"cycle"') == 1


def test_depth_is_bounded():
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    found = appears("x", deep)
    for _ in range(40):
        (found,) = found
    assert found == {"class": "builtins.list", "truncated": True}
    while deep:  # or freeing it would need the recursion that describing it avoids
        deep = deep.pop()


def test_size_is_bounded():
    tree: Any = {"leaf": 1}
    for _ in range(30):
        tree = {"left": tree, "right": tree}
    assert len(langmeter.describe(RunnableLambda(len).bind(tree=tree)).to_json()) < 2_000_000


# -- objects that do not want to be described -----------------------------------------------------------------------------------


class Hostile:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


class Liar(dict):
    """A mapping that never ends and whose keys raise."""

    def items(self) -> Any:
        raise MemoryError

    def __iter__(self) -> Any:
        while True:
            yield object()


class Rude(str):
    """A text that raises when it is used."""

    __slots__ = ()

    def __str__(self) -> str:
        raise ValueError("no")


class Gone(FakeListChatModel):
    """A model that cannot say what it is."""

    def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
        raise SystemError("no")


HOSTILE = {
    "attributes": Hostile,
    "mapping": lambda: Liar(a=1),
    "text": lambda: Rude("abc"),
    "model": lambda: Gone(responses=["a"]),
    "class": type("Odd name\n<script>", (), {}),
    "generator": lambda: (n for n in range(3)),
    "module": lambda: sys,
    "metaclass": type("Meta", (type,), {"__module__": 7, "__qualname__": "x"})("Made", (), {}),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_no_object_makes_describe_raise(make):
    boundary.set_strict(False)
    value = make()
    alone = langmeter.describe(value)
    within = langmeter.describe(RunnableLambda(len).bind(mode="fast", value=value))

    assert Description.from_json(alone.to_json()) == alone
    assert within.configuration["arguments"]["mode"] == "fast"
    assert langmeter.describe(value) == alone


def test_what_cannot_be_read_costs_itself_alone():
    boundary.set_strict(False)
    assert given(value=Hostile(), k=3) == {"value": {"unreadable": True}, "k": 3}
    assert boundary.error_counts() == {"describe": 1}


def test_an_object_can_be_described_while_it_is_used():
    """LangChain stores what it derives (`_serialized`) beside the fields of a model at its first call."""
    expected = langmeter.describe(FakeListChatModel(responses=["a"]))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(100):
            model = FakeListChatModel(responses=["a"])
            with ThreadPoolExecutor(2) as pool:
                used, described = pool.submit(model.invoke, "?"), pool.submit(langmeter.describe, model)
            assert (used.result().content, described.result()) == ("a", expected)
    finally:
        sys.setswitchinterval(interval)


# -- the value ------------------------------------------------------------------------------------------------------------------


def test_a_description_is_immutable():
    description = langmeter.describe(FakeListChatModel(responses=["a"]))
    description.configuration["kind"] = "changed"

    assert description.configuration["kind"] == "chat_model"
    assert repr(description) == f"Description('{description.fingerprint}')"
    assert re.fullmatch("cfg1:[0-9a-f]{24}", description.fingerprint)
    with pytest.raises(AttributeError):
        description.fingerprint = "x"  # type: ignore[misc]


@pytest.mark.parametrize("text", ["", "[]", "7", "{}", '{"fingerprint": "cfg1:0"}'])
def test_other_json_is_refused(text):
    with pytest.raises(ValueError, match=r"not a description: expected the JSON text of Description.to_json\(\)"):
        Description.from_json(text)


def test_a_configuration_that_was_changed_is_refused():
    description = langmeter.describe(FakeListChatModel(responses=["a"]))
    changed = description.to_json().replace("chat_model", "text_model")
    with pytest.raises(ValueError, match=f"{description.fingerprint}.* is not that of the configuration beside it"):
        Description.from_json(changed)
