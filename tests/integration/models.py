"""Chat and text models that answer on the spot: real subclasses, so that LangChain's own code runs around them.

Nothing here knows langmeter. `work` is what a model does while it is asked, an HTTP-like span for one. They say that they
are OpenAI's, so their answers have a price.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from langchain_core.language_models import BaseChatModel, BaseLLM
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    ChatResult,
    Generation,
    GenerationChunk,
    LLMResult,
)

INPUT_TOKENS = 10
OUTPUT_TOKENS = 5
USAGE = {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS, "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS}
TEXT_USAGE = {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS}
CHUNKS = ("a", "b", "c")
_PAUSE = 0.002
"""Seconds before the last chunk, so that a generation rate can be measured."""


class Boom(Exception):  # noqa: N818  (the name is short on purpose)
    """A provider's refusal; its text is content that must not leak."""

    status_code = 500


def nothing() -> None:
    """The work of a model that makes no request."""


def prompts(*texts: str) -> list[list[HumanMessage]]:
    """Prompts as `generate` of a chat model takes them."""
    return [[HumanMessage(text)] for text in texts]


def _answer(text: str, model: str) -> ChatResult:
    facts = {"model_name": model, "finish_reason": "stop"}
    message = AIMessage(f"re: {text}", usage_metadata=USAGE, response_metadata=facts)
    return ChatResult(generations=[ChatGeneration(message=message)])


def _last_chunk(model: str) -> ChatGenerationChunk:
    facts = {"model_name": model, "finish_reason": "stop"}
    return ChatGenerationChunk(message=AIMessageChunk("", usage_metadata=USAGE, response_metadata=facts))


class PlainChat(BaseChatModel):
    """A chat model that cannot stream. A prompt equal to `fails_on` raises `failure`."""

    model: str = "gpt-4o"
    work: Callable[[], None] = nothing
    fails_on: str | None = None
    failure: Any = Boom

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _get_ls_params(self, stop=None, **kwargs):
        return {"ls_provider": "openai", "ls_model_name": self.model, "ls_model_type": "chat"}

    def _generate(self, messages, stop=None, run_manager=None, **kwargs) -> ChatResult:
        self.work()
        text = str(messages[-1].content)
        if text == self.fails_on:
            raise self.failure
        return _answer(text, self.model)


class Chat(PlainChat):
    """A chat model with synchronous code only: its async methods run it on an executor. Fails before its second chunk."""

    def _stream(self, messages, stop=None, run_manager=None, **kwargs) -> Iterator[ChatGenerationChunk]:
        self.work()
        for position, text in enumerate(CHUNKS):
            if position and messages[-1].content == self.fails_on:
                raise self.failure
            yield ChatGenerationChunk(message=AIMessageChunk(text))
        time.sleep(_PAUSE)
        yield _last_chunk(self.model)


class AsyncChat(Chat):
    """A chat model with asynchronous code of its own."""

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs) -> ChatResult:
        await asyncio.sleep(0)
        return self._generate(messages)

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._stream(messages):
            await asyncio.sleep(0)
            yield chunk


class HangingChat(AsyncChat):
    """Never answers, and never streams a second chunk; `reached` is set once it has been asked."""

    reached: Any

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs) -> ChatResult:
        self.work()
        await self._hang()

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs) -> AsyncIterator[ChatGenerationChunk]:
        self.work()
        yield ChatGenerationChunk(message=AIMessageChunk("a"))
        await self._hang()

    async def _hang(self) -> Any:
        self.reached.set()
        await asyncio.Event().wait()


class Text(BaseLLM):
    """A text model; usage comes once for a whole batch, as providers send it. A prompt equal to `fails_on` raises."""

    model: str = "gpt-3.5-turbo-instruct"
    work: Callable[[], None] = nothing
    fails_on: str | None = None
    failure: Any = Boom

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _get_ls_params(self, stop=None, **kwargs):
        return {"ls_provider": "openai", "ls_model_name": self.model, "ls_model_type": "llm"}

    def _generate(self, prompts, stop=None, run_manager=None, **kwargs) -> LLMResult:
        self.work()
        if self.fails_on in prompts:
            raise self.failure
        facts = {"finish_reason": "stop"}
        generations = [[Generation(text=f"re: {prompt}", generation_info=facts)] for prompt in prompts]
        return LLMResult(generations=generations, llm_output={"token_usage": TEXT_USAGE, "model_name": self.model})

    def _stream(self, prompt, stop=None, run_manager=None, **kwargs) -> Iterator[GenerationChunk]:
        self.work()
        for position, text in enumerate(CHUNKS):
            if position and prompt == self.fails_on:
                raise self.failure
            chunk = GenerationChunk(text=text)
            if run_manager is not None:
                run_manager.on_llm_new_token(text, chunk=chunk)
            yield chunk
        time.sleep(_PAUSE)
        yield GenerationChunk(text="", generation_info={"finish_reason": "stop"})


class AsyncText(Text):
    """A text model with asynchronous code of its own."""

    async def _agenerate(self, prompts, stop=None, run_manager=None, **kwargs) -> LLMResult:
        await asyncio.sleep(0)
        return self._generate(prompts)

    async def _astream(self, prompt, stop=None, run_manager=None, **kwargs) -> AsyncIterator[GenerationChunk]:
        for chunk in self._stream(prompt):
            await asyncio.sleep(0)
            if run_manager is not None:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


class HangingText(AsyncText):
    """Never answers; `reached` is set once it has been asked."""

    reached: Any

    async def _agenerate(self, prompts, stop=None, run_manager=None, **kwargs) -> LLMResult:
        self.work()
        self.reached.set()
        await asyncio.Event().wait()
