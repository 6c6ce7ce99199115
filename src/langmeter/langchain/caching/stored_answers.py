"""What a response cache stores: made from chunks, turned back into one, and priced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from langmeter.langchain import answers
from langmeter.pricing.quote import price


def chunk_of(generation: Any) -> ChatGenerationChunk:
    """A stored answer as the only chunk of a stream, marked as free like a hit of `invoke`. The stored object is not touched."""
    message = getattr(generation, "message", None)
    if not isinstance(message, AIMessage):  # old entries hold the text alone
        return ChatGenerationChunk(message=AIMessageChunk(content=generation.text, chunk_position="last"))
    message = message.model_copy(deep=True)  # LangChain numbers the blocks of a chunk in place
    fields = {name: getattr(message, name) for name in AIMessage.model_fields if name != "type"}
    chunk = AIMessageChunk(**{**fields, "usage_metadata": None, "chunk_position": "last"})
    # Set afterwards: validation would drop LangChain's mark of a replayed answer.
    free: Any = {**(message.usage_metadata or {}), "total_cost": 0}
    chunk.usage_metadata = free
    return ChatGenerationChunk(message=chunk, generation_info=getattr(generation, "generation_info", None))


def generations_of(chunks: list[Any]) -> list[Any] | None:
    """What `invoke` would have stored for the answer that these chunks make up; None if it is not whole.

    An answer that tells of its provider but not why it ended was cut off on the way: LangChain takes a connection that
    closes early for the end.
    """
    if not chunks:
        return None
    last = chunks[-1].message
    if not getattr(last, "chunk_position", None):
        nothing: Any = "" if isinstance(last.content, str) else []
        closing = AIMessageChunk(content=nothing, chunk_position="last", id=last.id)
        chunks = [*chunks, ChatGenerationChunk(message=closing)]
    generations = generate_from_stream(iter(chunks)).generations
    for generation in generations:
        facts = {**(generation.generation_info or {}), **generation.message.response_metadata}
        generation.message.response_metadata = facts
        if facts and not answers.read_stored([generation]).finish_reasons:
            return None
    return list(generations)


class StoredFacts(NamedTuple):
    """What decides the price of a stored answer."""

    provider: str
    model: str | None
    usage: Mapping[str, Any]
    metadata: Mapping[str, Any]

    def price(self) -> int | None:
        """What making it cost, at today's price in pico-dollars; None if that is not known. May load the price table."""
        cost = price(
            provider=self.provider, model=self.model, usage_metadata=self.usage, response_metadata=self.metadata
        )
        return cost.picodollars


def stored_facts(generations: Any) -> StoredFacts | None:
    """The facts of an answer as it is stored; None where its usage is not."""
    for generation in generations if isinstance(generations, list) else ():
        message = getattr(generation, "message", None)
        usage = getattr(message, "usage_metadata", None)
        metadata = getattr(message, "response_metadata", None)
        if isinstance(usage, Mapping) and isinstance(metadata, Mapping):
            provider, model = metadata.get("model_provider"), metadata.get("model_name")
            # A hit has marked it as free, in place.
            paid = {name: count for name, count in usage.items() if name != "total_cost"}
            return StoredFacts(str(provider or "unknown"), model if isinstance(model, str) else None, paid, metadata)
    return None
