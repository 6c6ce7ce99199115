"""An application that has a secret in every place where LangChain takes a value, made of real classes only."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.caches import InMemoryCache
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tools import tool
from langchain_core.vectorstores import InMemoryVectorStore, VectorStoreRetriever
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command, interrupt
from leaky_provider import REFUSED
from openai import AuthenticationError
from planted_secrets import CONTROL, secret
from pydantic import BaseModel

CONFIG = {
    "metadata": {"account": secret("run metadata"), "end_user": {"id": secret("customer")}},
    "tags": [secret("tag")],
    "configurable": {"tenant_key": secret("configurable"), "thread_id": "conversation-1"},
}


class Lost(Exception):  # noqa: N818  (the name is short on purpose)
    """What tools and chains raise here; its text and its attributes quote secrets."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.body = secret("attribute")


class Ticket(BaseModel):
    """A structured answer."""

    token: str


class KeyedRetriever(VectorStoreRetriever):
    """A retriever with a key of its own."""

    api_key: str


@tool
def open_account(token: str) -> str:
    """Open an account."""
    return f"opened with {secret('chat token')}, asked with {token}"


@tool
def close_account(token: str) -> str:
    """Close an account."""
    raise Lost(f"no way to {secret('connection string')} with {token}")


@tool(response_format="content_and_artifact")
def read_account(token: str) -> tuple[str, dict[str, str]]:
    """Read an account."""
    return "done", {"receipt": secret("shop token"), "token": token}


class Application:
    """Everything that the tests look behind, against one provider; `callbacks` go with every call."""

    def __init__(self, port: int, callbacks: Sequence[Any] = ()) -> None:
        self.config: Any = {**CONFIG, "callbacks": list(callbacks)}
        host = f"127.0.0.1:{port}"
        self.plain_url = f"http://{host}/v1"
        address = f"http://app:{secret('url password')}@{host}/{secret('url path')}/v1?key={secret('url query')}"
        self.chat = ChatOpenAI(
            model="gpt-4o",
            api_key=secret("echoed key"),
            base_url=address,
            organization=secret("organization"),
            default_headers={"Cookie": secret("session cookie")},
            model_kwargs={"prompt_cache_key": secret("model argument")},
            extra_body={"trace": {"id": secret("extra body")}},
            metadata={"owner": secret("model metadata")},
            tags=[secret("tag")],
            max_retries=0,
            stream_usage=True,
        )
        self.plain = ChatOpenAI(model="gpt-4o", api_key=secret("echoed key"), base_url=self.plain_url, max_retries=0)
        self.anthropic = ChatAnthropic(
            model="claude-sonnet-4-5",
            api_key=secret("anthropic key"),
            base_url=self.plain_url.removesuffix("/v1"),
            model_kwargs={"metadata": {"user_id": secret("end user")}},
            max_retries=0,
        )
        self.text = OpenAI(model="gpt-3.5-turbo-instruct", base_url=self.plain_url, max_retries=0)
        self.embeddings = OpenAIEmbeddings(
            model="text-embedding-3-small", base_url=self.plain_url, check_embedding_ctx_length=False, max_retries=0
        )
        self.structured = self.chat.with_structured_output(Ticket, method="json_schema")
        self.retriever = _retriever()
        self.chain = _chain(self.plain)
        self.agent = create_agent(self.plain, [open_account], name="clerk", system_prompt=f"Keep {secret('hub token')}")
        self.graph = _graph()

    # -- models ----------------------------------------------------------------------------------------------------

    def ask(self) -> None:
        """One long prompt, sent in every way."""
        answer = self.chat.invoke(_prompt(), config=self.config, user=secret("end user"))
        assert "yours" in answer.content
        list(self.chat.stream(_prompt(), config=self.config))
        self.chat.batch([_prompt()], config=self.config)
        self.structured.invoke(_prompt(), config=self.config)

    async def ask_without_waiting(self) -> None:
        """The same in asynchronous code."""
        await self.chat.ainvoke(_prompt(), config=self.config)
        async for _ in self.chat.astream(_prompt(), config=self.config):
            pass

    def ask_others(self) -> None:
        """Another provider, a text model and embeddings; one key comes from the environment."""
        self.anthropic.invoke([SystemMessage(secret("mail key")), *_prompt()[1:2]], config=self.config)
        self.text.invoke(f"Continue: {secret('mail key')}", config=self.config)
        self.embeddings.embed_documents([secret("search key")])
        self.embeddings.embed_query(secret("search key"))

    def ask_cached(self) -> None:
        """A miss and a hit."""
        cached = self.plain.model_copy(update={"cache": InMemoryCache()})
        for _ in range(2):
            cached.invoke(f"What is {secret('jwt')}?", config=self.config)

    # -- tools, retrievers, chains -----------------------------------------------------------------------------------

    def use_tools(self) -> None:
        """Tools that answer, that fail and that return more than the model sees."""
        for each in (open_account, read_account):
            each.invoke({"token": secret("git token")}, config=self.config)
        _expect_loss(lambda: close_account.invoke({"token": secret("git token")}, config=self.config))

    def retrieve(self) -> None:
        """Documents by their likeness to a question."""
        self.retriever.invoke(secret("payment key"), config=self.config)

    def run_chains(self) -> None:
        """A chain that answers, and one that fails with a cause."""
        question = f"Why? {secret('password')}"
        self.chain.invoke({"question": question}, config=self.config)
        failing = RunnableLambda(lambda _: _fail()).with_config(run_name="failing")
        _expect_loss(lambda: failing.invoke({"question": question}, config=self.config))

    def run_agent(self) -> None:
        """An agent that calls a tool with what the provider told it to."""
        self.agent.invoke({"messages": [HumanMessage(f"Open one. {CONTROL.text}")]}, config=self.config)
        asyncio.run(self.agent.ainvoke({"messages": [HumanMessage("Open one.")]}, config=self.config))

    def run_graph(self) -> None:
        """A graph that stops to ask, goes on with the answer, and keeps both in its state."""
        self.graph.invoke({"words": [secret("pipeline token")]}, config=self.config)
        done = self.graph.invoke(Command(resume=secret("second provider key")), config=self.config)
        assert len(done["words"]) == 2

    def remember(self) -> None:
        """A long-term memory, by customer."""
        store = InMemoryStore()
        place = ("accounts", secret("customer"))
        store.put(place, "note-1", {"note": f"pays to {secret('iban')}"})
        assert len(store.search(place, query=secret("payment key"))) == 1
        asyncio.run(store.aget(place, "note-1"))

    # -- failures ----------------------------------------------------------------------------------------------------

    def be_refused(self) -> None:
        """A provider that quotes the key and the prompt."""
        for ask in (self.plain.invoke, lambda text, **options: list(self.plain.stream(text, **options))):
            _expect_loss(lambda ask=ask: ask(f"{REFUSED} {secret('vault token')}", config=self.config))

    def describable(self) -> list[Any]:
        """Everything that has a configuration."""
        models = [self.chat, self.plain, self.anthropic, self.text, self.embeddings, self.structured]
        return [*models, self.retriever, self.chain, self.agent, self.graph, open_account]

    def run(self) -> None:
        """All of it."""
        self.ask()
        asyncio.run(self.ask_without_waiting())
        self.ask_others()
        self.ask_cached()
        self.use_tools()
        self.retrieve()
        self.run_chains()
        self.run_agent()
        self.run_graph()
        self.remember()
        self.be_refused()


def _prompt() -> list[Any]:
    told = ("payment card", "e-mail", "phone", "private key")
    pictures = [
        {"type": "image_url", "image_url": {"url": secret("image")}},
        {"type": "image_url", "image_url": {"url": secret("signed url")}},
    ]
    return [
        SystemMessage(f"Never tell {secret('provider key')}"),
        HumanMessage([{"type": "text", "text": " and ".join(map(secret, told))}, *pictures]),
        AIMessage(f"Pay to {secret('iban')}"),
        HumanMessage(f"Is {secret('jwt')} valid? {CONTROL.text}"),
    ]


def _retriever() -> KeyedRetriever:
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=4))
    page = Document(f"keys: {secret('cloud key')}", id="page-1", metadata={"source": secret("share signature")})
    store.add_documents([page])
    return KeyedRetriever(vectorstore=store, api_key=secret("retriever key"))


def _chain(model: Any) -> Runnable[Any, Any]:
    prompt = ChatPromptTemplate.from_messages([("system", "Use {token}"), ("human", "{question}")])
    known = prompt.partial(token=secret("index token"))
    chain = known | model | RunnableLambda(lambda _: f"take {secret('bearer')}")
    return chain.with_config(run_name="answering")


def _graph() -> Any:
    class State(TypedDict):
        words: Annotated[list[str], operator.add]

    def approve(state: State) -> State:
        told = interrupt({"please approve": secret("package token")})
        return {"words": [f"told {told}"]}

    graph = StateGraph(State)
    graph.add_node("approve", approve)
    graph.add_edge(START, "approve")
    graph.add_edge("approve", END)
    return graph.compile(checkpointer=InMemorySaver(), name="approval")


def _fail() -> None:
    try:
        raise KeyError(secret("cloud key"))
    except KeyError as error:
        raise Lost(f"no access with {secret('workspace token')}") from error


def _expect_loss(action: Any) -> None:
    with pytest.raises((Lost, AuthenticationError)):
        action()
