"""The demo application's models, all with the same address."""

from __future__ import annotations

from typing import Any

from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import SecretStr

EMBEDDING_MODEL = "text-embedding-3-small"


class Clients:
    """Makes models of the provider at `base_url`. Options are those of LangChain's classes."""

    def __init__(self, base_url: str) -> None:
        # Retries of the client itself would be invisible to every observer, so this application retries in LangChain.
        self._address: dict[str, Any] = {"base_url": base_url, "api_key": SecretStr("demo"), "max_retries": 0}

    def chat(self, model: str, **options: Any) -> ChatOpenAI:
        """A chat model."""
        return ChatOpenAI(model=model, **(self._address | options))

    def text_model(self, **options: Any) -> OpenAI:
        """The older text model."""
        return OpenAI(model="gpt-3.5-turbo-instruct", **(self._address | options))

    def embeddings(self) -> OpenAIEmbeddings:
        """An embeddings model. Its check of lengths is off: it would download a tokenizer's table."""
        return OpenAIEmbeddings(model=EMBEDDING_MODEL, check_embedding_ctx_length=False, **self._address)
