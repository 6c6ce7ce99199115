"""Caches inside caches, and models that remember which prompts reached them: for tests that count, in any process."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "integration"))  # also in processes that pytest does not start

from cache_models import AsyncChat
from langchain_core.caches import BaseCache
from langchain_core.messages import HumanMessage

WAYS = ("batch", "abatch", "gather", "generate", "agenerate")
THREADS = 16


class TieredCache(BaseCache):
    """A fast cache before a slow one: what the slow one knows is copied into the fast one."""

    def __init__(self, fast: BaseCache, slow: BaseCache) -> None:
        self._fast, self._slow = fast, slow

    def lookup(self, prompt, llm_string):
        found = self._fast.lookup(prompt, llm_string)
        if found is None:
            found = self._slow.lookup(prompt, llm_string)
            if found is not None:
                self._fast.update(prompt, llm_string, found)
        return found

    def update(self, prompt, llm_string, return_val):
        self._fast.update(prompt, llm_string, return_val)
        self._slow.update(prompt, llm_string, return_val)

    async def alookup(self, prompt, llm_string):
        found = await self._fast.alookup(prompt, llm_string)
        if found is None:
            found = await self._slow.alookup(prompt, llm_string)
            if found is not None:
                await self._fast.aupdate(prompt, llm_string, found)
        return found

    async def aupdate(self, prompt, llm_string, return_val):
        await self._fast.aupdate(prompt, llm_string, return_val)
        await self._slow.aupdate(prompt, llm_string, return_val)

    def clear(self, **kwargs):
        self._fast.clear()
        self._slow.clear()


class RememberingChat(AsyncChat):
    """A chat model that writes down every prompt that it is really asked: the ground truth of a test."""

    asked: Any = None

    def _answer(self, prompt):
        self.asked.append(prompt)
        return super()._answer(prompt)


def run(model: Any, way: str, prompts: list[str]) -> None:
    """All prompts, in one of the five ways."""
    conversations = [[HumanMessage(prompt)] for prompt in prompts]

    async def gather() -> None:
        await asyncio.gather(*[model.ainvoke(prompt) for prompt in prompts])

    if way == "batch":
        model.batch(prompts, {"max_concurrency": THREADS})
    elif way == "abatch":
        asyncio.run(model.abatch(prompts))
    elif way == "gather":
        asyncio.run(gather())
    elif way == "generate":
        model.generate(conversations)
    else:
        asyncio.run(model.agenerate(conversations))
