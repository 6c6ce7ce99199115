"""What an application does with a model alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_classic.embeddings import CacheBackedEmbeddings
from langchain_core.caches import InMemoryCache
from langchain_core.messages import HumanMessage
from langchain_core.stores import InMemoryByteStore
from pydantic import BaseModel
from scenario import CACHED, QUESTION, STREAMED, World, scenario
from shaped_servers import BREAK, HANG

# One pixel.
_IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Place(BaseModel):
    """A place that somebody asks about."""

    city: str


def refused(work: Callable[[], Any]) -> None:
    """Do what must fail, as an application that goes on."""
    with pytest.raises(Exception, match=r"."):
        work()


@scenario("inference", ["chat"])
def _inference(world: World) -> None:
    world.call(world.chat(), QUESTION)


@scenario(
    "inference with parameters of OpenAI",
    ["chat"],
    given={"chat": ("gen_ai.request.seed", "gen_ai.request.choice.count", "openai.request.service_tier")},
    shapes=("openai",),
)
def _openai_parameters(world: World) -> None:
    chat = world.chat(
        temperature=0, top_p=1, frequency_penalty=0.5, presence_penalty=0.25, seed=7, n=2, service_tier="flex"
    )
    world.call(chat.bind(stop=["END"], max_tokens=50), QUESTION)


@scenario(
    "inference with parameters of Anthropic",
    ["chat"],
    given={"chat": ("gen_ai.request.top_k",)},
    shapes=("anthropic",),
)
def _anthropic_parameters(world: World) -> None:
    world.call(world.chat(temperature=1, top_k=5).bind(stop=["END"]), QUESTION)


@scenario("conversation", ["chat"], given={"chat": ("gen_ai.conversation.id",)})
def _conversation(world: World) -> None:
    world.call(world.chat(), QUESTION, {"metadata": {"session_id": "s-1"}})


@scenario("streaming", ["chat"], given={"chat": STREAMED})
def _streaming(world: World) -> None:
    world.stream(world.chat(), QUESTION)


@scenario("structured output", ["chat"], given={"chat": ("gen_ai.output.type",)})
def _structured(world: World) -> None:
    assert world.call(world.chat().with_structured_output(Place), QUESTION) == Place(city="Rome")


@scenario("multimodal", ["chat"])
def _multimodal(world: World) -> None:
    parts: list[Any] = [
        {"type": "text", "text": "What is this?"},
        {"type": "image", "base64": _IMAGE, "mime_type": "image/png"},
    ]
    if world.shape == "openai":
        parts.append({"type": "audio", "base64": "UklGRg==", "mime_type": "audio/wav"})
    world.call(world.chat(), [HumanMessage(content=parts)])


@scenario("text completion", ["text"], shapes=("openai",))
def _text(world: World) -> None:
    world.call(world.text(), QUESTION)


@scenario("text completion, streamed", ["text"], given={"text_completion": STREAMED}, shapes=("openai",), billed=False)
def _text_stream(world: World) -> None:
    world.stream(world.text(), QUESTION)


@scenario("text completion, batch", ["text", "text", "text"], shapes=("openai",))
def _text_batch(world: World) -> None:
    world.batch(world.text(), [QUESTION, "And tomorrow?", "And in Paris?"])


@scenario("batch", ["chat", "chat", "chat"])
def _batch(world: World) -> None:
    world.batch(world.chat(), [QUESTION, "And tomorrow?", "And in Paris?"])


@scenario("concurrency", ["chat"] * 12)
def _concurrency(world: World) -> None:
    world.at_once(world.chat(), [f"{QUESTION} {number}" for number in range(12)])


# -- embeddings ------------------------------------------------------------------------------------------------------


@scenario("embeddings", ["embeddings", "embeddings"], shapes=("openai",))
def _embeddings(world: World) -> None:
    embeddings = world.embeddings(dimensions=3)
    world.embed_all(embeddings, ["one", "two", "three"])
    world.embed(embeddings, "four")


@scenario(
    "embeddings with a store",
    ["embeddings", "embeddings"],
    given={"embeddings": CACHED},
    shapes=("openai",),
)
def _stored_embeddings(world: World) -> None:
    store = InMemoryByteStore()
    backed = CacheBackedEmbeddings.from_bytes_store(world.embeddings(), store, key_encoder="sha256")
    for _ in range(2):
        world.embed_all(backed, ["one", "two"])


@scenario("embeddings that fail", ["embeddings"], shapes=("openai",))
def _failed_embeddings(world: World) -> None:
    world.server.refuse.append(400)
    refused(lambda: world.embed(world.embeddings(), "one"))


# -- the response cache ----------------------------------------------------------------------------------------------


@scenario("cache hit and miss", ["chat", "chat"], given={"chat": CACHED})
def _cache(world: World) -> None:
    chat = world.chat(cache=InMemoryCache())
    for _ in range(2):
        world.call(chat, QUESTION)


@scenario("text cache hit and miss", ["text", "text"], given={"text_completion": CACHED}, shapes=("openai",))
def _text_cache(world: World) -> None:
    text = world.text(cache=InMemoryCache())
    for _ in range(2):
        world.call(text, QUESTION)


# -- what goes wrong -------------------------------------------------------------------------------------------------


@scenario("retry", ["chat", "chat"])
def _retry(world: World) -> None:
    world.server.refuse.append(500)
    retrying = world.chat().with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    world.call(retrying, QUESTION)


@scenario("retry by the client", ["chat"])
def _client_retry(world: World) -> None:
    world.server.refuse.append(500)
    world.call(world.chat(max_retries=2), QUESTION)


@scenario("fallback", ["chat", "chat"])
def _fallback(world: World) -> None:
    world.server.refuse.append(500)
    world.call(world.chat().with_fallbacks([world.chat()]), QUESTION)


@scenario("error", ["chat"])
def _error(world: World) -> None:
    world.server.refuse.append(400)
    refused(lambda: world.call(world.chat(), QUESTION))


@scenario("error in a stream", ["chat"], given={"chat": STREAMED}, billed=False)
def _stream_error(world: World) -> None:
    refused(lambda: world.stream(world.chat(), BREAK))


@scenario("cancel", ["chat"], modes=("async",), billed=False)
def _cancel(world: World) -> None:
    world.cancel(world.chat(), HANG)


@scenario("stream left by its reader", ["chat"], given={"chat": STREAMED}, billed=False)
def _left(world: World) -> None:
    world.leave(world.chat(), HANG)
    world.server.left.set()
