"""Which classes are known: LangChain's kinds, the libraries' own, and the application's."""

from __future__ import annotations

import sys
from typing import Final

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel, BaseLanguageModel
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import BaseLLMOutputParser
from langchain_core.prompts import BasePromptTemplate
from langchain_core.prompts.message import BaseMessagePromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableBranch
from langchain_core.runnables.fallbacks import RunnableWithFallbacks
from langchain_core.runnables.retry import RunnableRetry
from langchain_core.tools import BaseTool
from langchain_core.vectorstores import VectorStore

_LIBRARIES: Final = frozenset(
    {
        *("langchain", "langgraph", "langsmith", "pydantic", "openai", "anthropic", "opentelemetry", "wrapt"),
        *("langmeter", "typing", "abc", "builtins"),
    }
)
_AGENTS: Final = "langchain.agents."
_KINDS: Final[tuple[tuple[type, str], ...]] = (
    (BaseChatModel, "chat_model"),
    (BaseLanguageModel, "text_model"),
    (Embeddings, "embeddings"),
    (BaseTool, "tool"),
    (BasePromptTemplate, "prompt"),
    (BaseMessagePromptTemplate, "message_template"),
    (BaseLLMOutputParser, "parser"),
    (BaseRetriever, "retriever"),
    (VectorStore, "vector_store"),
    (RunnableBranch, "branch"),
    (RunnableWithFallbacks, "fallbacks"),
    (RunnableRetry, "retry"),
    (Runnable, "runnable"),
)


def of_library(module: object) -> bool:
    """Whether code of this module is told by its name alone: another version of LangChain is not another configuration."""
    return isinstance(module, str) and module.partition(".")[0].partition("_")[0] in _LIBRARIES


def kind_of(value: object) -> str:
    """What kind of thing an object is: `chat_model`, `tool`, `prompt` …; `object` if it is none that is known."""
    if any(cls.__name__ == "AgentExecutor" for cls in type(value).__mro__):
        return "agent"
    if is_middleware(value):
        return "middleware"
    return next((kind for cls, kind in _KINDS if isinstance(value, cls)), "object")


def is_component(value: object) -> bool:
    """Whether an object is a part that applications compose: a runnable, embeddings, a store of vectors, middleware."""
    return isinstance(value, Runnable | Embeddings | VectorStore) or is_middleware(value)


def is_settled(value: object) -> bool:
    """Whether an object is configuration where it is found in a library's closure: a component, a message, a strategy."""
    return is_component(value) or isinstance(value, BaseMessage) or is_of_agents(value)


def is_middleware(value: object) -> bool:
    """Whether an object is middleware of LangChain's agents, which nothing here imports."""
    middleware = getattr(sys.modules.get("langchain.agents.middleware.types"), "AgentMiddleware", None)
    return isinstance(middleware, type) and isinstance(value, middleware)


def is_of_agents(value: object) -> bool:
    """Whether an object is of LangChain's own vocabulary of agents: strategies of structured output, middleware."""
    return type(value).__module__.startswith(_AGENTS)
