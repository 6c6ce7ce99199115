"""Chains as an application would build them, in a module of their own, so that two processes can build the same."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware, wrap_model_call
from langchain_anthropic import ChatAnthropic
from langchain_core.output_parsers import PydanticOutputParser, StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import (
    ConfigurableField,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langchain_core.tools import tool
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import BaseModel

SYSTEM = "You sell boats in {town}. Never offer a discount."
KINDS = {"sloop", "ketch", "yawl", "cutter", "schooner"}


class Offer(BaseModel):
    """What a customer is offered."""

    boat: str
    price: int


@tool
def stock(boat: str, harbour: str = "Lisbon") -> int:
    """How many boats of a kind lie in a harbour."""
    return len(boat) + len(harbour) if boat in {"sloop", "ketch", "yawl"} else 0


@wrap_model_call
def patiently(request: Any, handler: Any) -> Any:
    """Middleware that changes nothing."""
    return handler(request)


def chat(**changed: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o-mini", "temperature": 0.3, "api_key": "sk-none", **changed})


def claude(**changed: Any) -> ChatAnthropic:
    return ChatAnthropic(**{"model": "claude-sonnet-4-5", "max_tokens": 500, "api_key": "sk-none", **changed})


def embeddings(**changed: Any) -> OpenAIEmbeddings:
    return OpenAIEmbeddings(**{"model": "text-embedding-3-small", "api_key": "sk-none", **changed})


def prompt(system: str = SYSTEM) -> ChatPromptTemplate:
    return ChatPromptTemplate.from_messages(
        [("system", system), MessagesPlaceholder("history", optional=True), ("human", "{question}")]
    )


def only_boats(question: dict[str, Any]) -> bool:
    return not KINDS.isdisjoint(question["question"].split())


def ask(state: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [_model.invoke([SYSTEM, *state["messages"]])]}


_model = chat(temperature=0)


def graph() -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("ask", ask)
    builder.add_node("check", lambda state: state)
    builder.add_edge(START, "ask")
    builder.add_conditional_edges("ask", lambda state: "check" if len(state["messages"]) > 2 else END, ["check", END])
    builder.add_edge("check", END)
    return builder.compile(checkpointer=InMemorySaver(), interrupt_before=["check"], name="counter")


def agent(**changed: Any) -> Any:
    given = {
        "model": chat(),
        "tools": [stock],
        "system_prompt": "Answer in one sentence.",
        "middleware": [HumanInTheLoopMiddleware(interrupt_on={"stock": True}), patiently],
        "response_format": Offer,
    }
    return create_agent(**{**given, **changed})


def chains() -> dict[str, Any]:
    """One of everything."""
    retriever = InMemoryVectorStore(embeddings()).as_retriever(search_kwargs={"k": 3})
    spoken = prompt() | chat() | StrOutputParser()
    return {
        "openai": chat(model_kwargs={"prediction": {"weight": 1}}),
        "anthropic": claude(),
        "embeddings": embeddings(),
        "prompt": prompt(),
        "chain": spoken,
        "tools": prompt() | chat().bind_tools([stock], tool_choice="stock"),
        "resilient": prompt() | chat().with_retry(stop_after_attempt=5).with_fallbacks([claude()]),
        "structured": claude().with_structured_output(Offer),
        "parser": prompt() | chat() | PydanticOutputParser(pydantic_object=Offer),
        "branch": RunnableBranch((only_boats, spoken), RunnableLambda(lambda _: "boats only")),
        "retrieval": RunnableParallel(
            question=itemgetter("question"), context=itemgetter("question") | retriever, rest=RunnablePassthrough()
        )
        | RunnablePassthrough.assign(answer=spoken),
        "alternatives": chat().configurable_alternatives(ConfigurableField("model"), claude=claude()),
        "bound": chat().bind(stop=["\n\n"], seed=7),
        "tool": stock,
        "graph": graph(),
        "agent": agent(),
    }
