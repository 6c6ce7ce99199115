"""Questions answered from the handbook: its sections as vectors, a retriever over them, and a chain that reads what it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.tools import tool
from langchain_core.vectorstores import InMemoryVectorStore

from langmeter.demo import shop

if TYPE_CHECKING:
    from langchain_core.documents import Document
    from langchain_core.runnables import Runnable
    from langchain_core.tools import BaseTool

    from langmeter.demo.clients import Clients
    from langmeter.demo.logbook import Logbook

COLLECTION = "handbook"
CHAIN = "handbook_answer"
_INSTRUCTION = "Answer the customer in two sentences, from these sections of the handbook alone.\n\n{sections}"


class _Sections(InMemoryVectorStore):
    """Vectors with the name that stores in a database give to what they hold."""

    collection_name = COLLECTION


class HandbookSearch:
    """`index()` once, then `answers` takes questions and `tool` is for agents."""

    def __init__(self, clients: Clients, logbook: Logbook) -> None:
        self._store = _Sections(clients.embeddings())
        retriever = self._store.as_retriever(search_kwargs={"k": 2})
        prompt = ChatPromptTemplate.from_messages([("system", _INSTRUCTION), ("human", "{question}")])

        def joined(documents: list[Document]) -> str:
            logbook.note("retrieval", COLLECTION)
            return "\n\n".join(document.page_content for document in documents)

        sections = retriever | RunnableLambda(joined)
        answer = prompt | clients.chat("gpt-4o-mini", temperature=0) | StrOutputParser()
        chain: Runnable[str, Any] = {"sections": sections, "question": RunnablePassthrough()} | answer
        self.answers = chain.with_config(run_name=CHAIN)

        @tool
        def search_handbook(query: str) -> str:
            """Sections of the shop's handbook on a subject: prices, waiting times, warranty, returns, rental."""
            return joined(retriever.invoke(query))

        self.tool: BaseTool = search_handbook

    def index(self) -> int:
        """Embed the sections and keep their vectors; returns how many there are."""
        sections = shop.HANDBOOK.strip().split("\n\n")
        self._store.add_texts(sections)
        return len(sections)
