"""Fake models, real subclasses of LangChain's base classes: what they cost follows from the prompt alone.

Whoever knows the prompts knows the bill, so every test has its own ground truth, down to the pico-dollar. A prompt that
contains `fail` raises, in a stream after its first chunk.
"""

from __future__ import annotations

import asyncio
import threading
import time
import zlib
from typing import TYPE_CHECKING, Any

from langchain_core.caches import BaseCache
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, Generation, LLMResult
from opentelemetry.sdk.metrics.export import HistogramDataPoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan

CHAT_MODEL = "gpt-4o"
TEXT_MODEL = "gpt-3.5-turbo-instruct"
# Pico-dollars per token, input and output: 2.50 and 10 USD, 1.50 and 2 USD per million.
CHAT_PRICE = (2_500_000, 10_000_000)
TEXT_PRICE = (1_500_000, 2_000_000)


class ProviderError(Exception):
    """What a provider's client raises when the provider says no."""

    status_code = 500


def usage_of(prompt: str) -> dict[str, int]:
    """The tokens that a prompt and its answer take, from nothing but its text."""
    seed = zlib.crc32(prompt.encode())
    input_tokens, output_tokens = 50 + seed % 950, 10 + seed // 1_000 % 190
    return {"input_tokens": input_tokens, "output_tokens": output_tokens, "total_tokens": input_tokens + output_tokens}


def picodollars(prompt: str, price: tuple[int, int] = CHAT_PRICE) -> int:
    """What a prompt and its answer cost."""
    usage = usage_of(prompt)
    return usage["input_tokens"] * price[0] + usage["output_tokens"] * price[1]


async def collected(stream: AsyncIterator[Any]) -> list[Any]:
    """All that an asynchronous stream yields."""
    return [chunk async for chunk in stream]


class Chat(BaseChatModel):
    """A chat model with nothing but `_generate`."""

    model_name: str = CHAT_MODEL
    delay: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "fake-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    def _get_ls_params(self, stop=None, **kwargs):
        return {"ls_provider": "openai", "ls_model_name": self.model_name, "ls_model_type": "chat"}

    def _answer(self, prompt: str) -> ChatResult:
        if "fail" in prompt:
            raise ProviderError(prompt)
        message = AIMessage(
            "answer",
            usage_metadata=usage_of(prompt),
            response_metadata={"model_name": self.model_name, "finish_reason": "stop", "id": f"answer to {prompt}"},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        if self.delay:
            time.sleep(self.delay)
        return self._answer(messages[-1].content)


class AsyncChat(Chat):
    """A chat model with an asynchronous side of its own."""

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        await asyncio.sleep(self.delay)
        return self._answer(messages[-1].content)


class StreamingChat(AsyncChat):
    """A chat model that streams: three chunks, the usage on the last."""

    def _chunks(self, prompt: str) -> Iterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk("one "))
        if "fail" in prompt:
            raise ProviderError(prompt)
        yield ChatGenerationChunk(message=AIMessageChunk("two "))
        facts = {"model_name": self.model_name, "finish_reason": "stop", "id": f"answer to {prompt}"}
        last = AIMessageChunk("three", usage_metadata=usage_of(prompt), response_metadata=facts)
        yield ChatGenerationChunk(message=last)

    def _stream(self, messages, stop=None, run_manager=None, **kwargs) -> Iterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages[-1].content):
            if self.delay:
                time.sleep(self.delay)
            if run_manager is not None:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages[-1].content):
            await asyncio.sleep(self.delay)
            if run_manager is not None:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


class Text(BaseLLM):
    """A text model; like the real ones it reports the usage of a whole batch at once."""

    model_name: str = TEXT_MODEL
    delay: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "fake-text"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    def _get_ls_params(self, stop=None, **kwargs):
        return {"ls_provider": "openai", "ls_model_name": self.model_name, "ls_model_type": "llm"}

    def _answer(self, prompts: list[str]) -> LLMResult:
        if any("fail" in prompt for prompt in prompts):
            raise ProviderError(prompts[0])
        usages = [usage_of(prompt) for prompt in prompts]
        counts = {
            "prompt_tokens": sum(usage["input_tokens"] for usage in usages),
            "completion_tokens": sum(usage["output_tokens"] for usage in usages),
            "total_tokens": sum(usage["total_tokens"] for usage in usages),
        }
        generations = [[Generation(text="answer", generation_info={"finish_reason": "stop"})] for _ in prompts]
        return LLMResult(generations=generations, llm_output={"token_usage": counts, "model_name": self.model_name})

    def _generate(self, prompts, stop=None, run_manager=None, **kwargs):
        if self.delay:
            time.sleep(self.delay)
        return self._answer(prompts)


class AsyncText(Text):
    """A text model with an asynchronous side of its own."""

    async def _agenerate(self, prompts, stop=None, run_manager=None, **kwargs):
        await asyncio.sleep(self.delay)
        return self._answer(prompts)


class SyncOnly(BaseCache):
    """The least that a cache must have; `alookup` is LangChain's own, on another thread."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], Any] = {}

    def lookup(self, prompt, llm_string):
        return self.entries.get((prompt, llm_string))

    def update(self, prompt, llm_string, return_val):
        self.entries[prompt, llm_string] = return_val

    def clear(self, **kwargs):
        self.entries.clear()


class SlowCache(SyncOnly):
    """Takes its time, as a cache behind a network does: calls overlap inside their look-ups."""

    def lookup(self, prompt, llm_string):
        time.sleep(0.0005)
        return super().lookup(prompt, llm_string)

    async def alookup(self, prompt, llm_string):
        await asyncio.sleep(0.0005)
        return super().lookup(prompt, llm_string)

    async def aupdate(self, prompt, llm_string, return_val):
        self.update(prompt, llm_string, return_val)


class Duck:
    """No `BaseCache` at all: LangChain takes anything as the global cache."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], Any] = {}

    def lookup(self, prompt, llm_string):
        return self.entries.get((prompt, llm_string))

    def update(self, prompt, llm_string, return_val):
        self.entries[prompt, llm_string] = return_val

    async def alookup(self, prompt, llm_string):
        return self.lookup(prompt, llm_string)

    async def aupdate(self, prompt, llm_string, return_val):
        self.update(prompt, llm_string, return_val)


class Gate:
    """Holds model calls at a known point: a test waits for `reached` and then opens it."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def wait(self) -> None:
        self.reached.set()
        assert self.opened.wait(30)


class GatedChat(Chat):
    """A chat model that waits at a gate before it answers."""

    gate: Any = None

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.gate.wait()
        return self._answer(messages[-1].content)


def statuses(spans: Iterable[ReadableSpan]) -> list[str | None]:
    """What each span says that the response cache did."""
    return [span.attributes.get("langchain.cache.status") for span in spans]


def readings(metrics: dict[str, list[Any]]) -> dict[str, dict[tuple[tuple[str, Any], ...], Any]]:
    """Every series of every metric: the value of a counter, the number of records of a histogram."""
    return {
        name: {
            tuple(sorted(attributes.items())): value.count if isinstance(value, HistogramDataPoint) else value
            for attributes, value in points
        }
        for name, points in metrics.items()
    }


def total(metrics: dict[str, list[Any]], name: str, **wanted: str) -> Any:
    """A counter's sum, or a histogram's number of records, over the series with these attributes (`a__b` is `a.b`)."""
    matching = {key.replace("__", "."): value for key, value in wanted.items()}
    values = [
        value.count if isinstance(value, HistogramDataPoint) else value
        for attributes, value in metrics.get(name, [])
        if matching.items() <= attributes.items()
    ]
    return sum(values)
