"""Secrets planted wherever a configuration has room for them: none appears, and none can be told from its hash."""

import functools

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import FakeListChatModel
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

import langmeter

# Put together at run time, so that no scanner of repositories takes one for somebody's.
BODY = "Zx9wV8uT7sR6qP5oN4mL3kJ2hG1fD0"


def named(name):
    return "".join(reversed(name)).title() + BODY


PLACES = {
    "api_key": lambda s: ChatOpenAI(model="m", api_key=s),
    "organization": lambda s: ChatOpenAI(model="m", api_key="k", organization=s),
    "headers": lambda s: ChatOpenAI(model="m", api_key="k", default_headers={"Authorization": f"Bearer {s}"}),
    "harmless header": lambda s: ChatOpenAI(model="m", api_key="k", default_headers={"X-Tenant": s}),
    "name of a header": lambda s: ChatOpenAI(model="m", api_key="k", default_headers={s: "x"}),
    "query": lambda s: ChatOpenAI(model="m", api_key="k", default_query={"code": s}),
    "user in the address": lambda s: ChatOpenAI(model="m", api_key="k", base_url=f"https://{s}:x@a.example/v1"),
    "password in the address": lambda s: ChatOpenAI(model="m", api_key="k", base_url=f"https://a:{s}@a.example/v1"),
    "query of the address": lambda s: ChatOpenAI(model="m", api_key="k", base_url=f"https://a.example/v1?sig={s}"),
    "path of the address": lambda s: ChatOpenAI(model="m", api_key="k", base_url=f"https://a.example/{s}/v1"),
    "proxy": lambda s: ChatOpenAI(model="m", api_key="k", openai_proxy=f"http://a:{s}@proxy.example"),
    "model_kwargs": lambda s: ChatOpenAI(model="m", api_key="k", model_kwargs={"password": s}),
    "nested model_kwargs": lambda s: ChatOpenAI(model="m", api_key="k", model_kwargs={"a": {"b": [{"token": s}]}}),
    "extra_body": lambda s: ChatOpenAI(model="m", api_key="k", extra_body={"credentials": {"user": "a", "value": s}}),
    "under any name": lambda s: ChatOpenAI(model="m", api_key="k", model_kwargs={"anything": s}),
    "in a sentence": lambda s: ChatOpenAI(model="m", api_key="k", model_kwargs={"note": f"the password={s} is mine"}),
    "name of an argument": lambda s: ChatOpenAI(model="m", api_key="k", model_kwargs={s: 1}),
    "name of a model": lambda s: ChatOpenAI(model=f"sk-proj-{s}", api_key="k"),
    "connection string": lambda s: ChatOpenAI(
        model="m", api_key="k", model_kwargs={"mode": f"AccountName=a;AccountKey={s};Suffix=b"}
    ),
    "signed address": lambda s: ChatOpenAI(
        model="m", api_key="k", model_kwargs={"image_url": f"https://b.example/c.png?X-Amz-Signature={s}"}
    ),
    "bound argument": lambda s: FakeListChatModel(responses=[]).bind(api_token=s, seed=1),
    "bound headers": lambda s: FakeListChatModel(responses=[]).bind(extra_headers={"x": s}),
    "bound tool": lambda s: FakeListChatModel(responses=[]).bind(tools=[{"type": "mcp", "headers": {"a": s}}]),
    "configuration": lambda s: FakeListChatModel(responses=[]).with_config(configurable={"mode": s}),
    "tag": lambda s: FakeListChatModel(responses=[]).with_config(tags=[s], metadata={"a": s}, run_name=s),
    "embeddings": lambda s: OpenAIEmbeddings(api_key=s),
    "template": lambda s: ChatPromptTemplate.from_messages([("system", f"The key is {s}."), ("human", "{q}")]),
    "partial variable": lambda s: ChatPromptTemplate.from_template("{a} {b}").partial(a=s),
    "name of a variable": lambda s: ChatPromptTemplate.from_template(f"{{{s}}}"),
    "partial argument": lambda s: RunnableLambda(functools.partial(max, s)),
    "named partial argument": lambda s: RunnableLambda(functools.partial(max, key=s)),
    "closure": lambda s: RunnableLambda(lambda x: x + s),
    "default": lambda s: RunnableLambda(lambda x, password=s: x + password),
    "description of a tool": lambda s: StructuredTool.from_function(
        lambda x: x, name="t", description=f"Use the key {s}.", args_schema={"type": "object", "properties": {}}
    ),
    "name of a tool": lambda s: StructuredTool.from_function(
        lambda x: x, name=s, description="d", args_schema={"type": "object", "properties": {}}
    ),
    "schema of a tool": lambda s: StructuredTool.from_function(
        lambda x: x, name="t", description="d", args_schema={"type": "object", "properties": {}, "default": s}
    ),
    "stored document": lambda s: InMemoryVectorStore.from_texts([s], DeterministicFakeEmbedding(size=2)).as_retriever(),
    "search argument": lambda s: InMemoryVectorStore(DeterministicFakeEmbedding(size=2)).as_retriever(
        search_kwargs={"filter": {"owner": s}}
    ),
    "answer of a fake": lambda s: FakeListChatModel(responses=[s]),
}
# A changed prompt, schema, tool or name is a changed configuration, whatever it says.
PART_OF_THE_CONFIGURATION = {
    *("template", "description of a tool", "schema of a tool", "name of a tool", "name of a variable"),
    *("name of an argument", "name of a header"),
}


def test_there_are_enough_places():
    assert len(PLACES) >= 30


@pytest.mark.filterwarnings("ignore:Parameters .* should be specified explicitly")
@pytest.mark.parametrize("place", PLACES)
def test_a_secret_does_not_appear(place):
    secret = named(place.replace(" ", "").replace("_", ""))
    described = langmeter.describe(PLACES[place](secret)).to_json()

    pieces = [secret[start : start + 8] for start in range(len(secret) - 7)]
    assert [piece for piece in pieces if piece.lower() in described.lower()] == []


@pytest.mark.filterwarnings("ignore:Parameters .* should be specified explicitly")
@pytest.mark.parametrize("place", sorted(PLACES.keys() - PART_OF_THE_CONFIGURATION))
def test_a_changed_secret_leaves_the_fingerprint(place):
    """So no hash of a secret is in it either: nobody can try out passwords against a fingerprint."""
    first, second = (langmeter.describe(PLACES[place](named(name))).fingerprint for name in ("first", "second"))
    assert first == second
